/* Groups of elementwise steps, and the reductions that they feed, in one pass over memory.

The steps are run for one block of some hundreds of elements after another, so what is computed on the way stays in the
nearest cache. A block is a part of the innermost axis, or, where that is short, several rows of it.

params: numbers of leaves, steps, stores, and reductions; elements of a register, bytes of an element; how many
registers; then for each leaf: its register. step: instruction, the loop that it calls or 0, number of inputs, four inputs (values: leaves first,
then steps), dtype, register, whether it depends on single numbers only. store: value, the leaves that it depends on (as
bits), the last step that reads a leaf in whose memory it may lie. reduction: kind, value, leaves, output, axes (as
bits), whether they are kept, dtype of the accumulator, how it is finished, the cast to the output's dtype or 0.
*/
#include "instructions.h"
#include "variants.h"

#include <complex.h>
#include <math.h>
#include <string.h>

int RG_VARIANT(rg_blocks_prepare)(rg_frame *, rg_thunk *);
int RG_VARIANT(rg_blocks_run)(rg_frame *, rg_thunk *);

#define VALUES 192
#define ARRAYS 64

typedef float _Complex complex64;
typedef double _Complex complex128;

enum kind { SUM, PROD, MAX, MIN, ALL, ANY, AND, OR, XOR, ARGMAX, ARGMIN };
enum finish { PLAIN, MEAN, ROOT };

typedef struct {
    int64_t ndim, shape[RG_NDIM];
    int64_t strides[ARRAYS][RG_NDIM]; /* of leaves, stores, accumulators, positions: in bytes; of positions in elements */
    int64_t rows, columns;            /* of a block */
    int64_t counts[ARRAYS];           /* of elements that each reduction makes one */
} geometry;

typedef struct {
    int64_t nleaves, nsteps, nstores, nreductions, elements, register_bytes, nregisters;
    const int64_t *leaves, *steps, *stores, *reductions;
} group;

#define STEP 10
#define STORE 3
#define REDUCTION 9

static group read_group(const int64_t *p) {
    group g = {p[0], p[1], p[2], p[3], p[4], p[4] * p[5], p[6], NULL, NULL, NULL, NULL};
    g.leaves = p + 7;
    g.steps = g.leaves + g.nleaves;
    g.stores = g.steps + STEP * g.nsteps;
    g.reductions = g.stores + STORE * g.nstores;
    return g;
}

/* The shape that some leaves have together. */
static int shape_of(rg_frame *frame, rg_thunk *thunk, int64_t nleaves, int64_t leaves, int *ndim, int64_t *shape) {
    *ndim = 0;
    for (int64_t i = 0; i < nleaves; i++)
        if (leaves >> i & 1 && rg_broadcast(ndim, shape, thunk->in[i]))
            return rg_fail(frame, RG_ERROR_VALUE, "shapes do not broadcast");
    return RG_OK;
}

static void set_strides(geometry *g, int64_t at, int ndim, const int64_t *shape, const int64_t *strides) {
    int more = (int)g->ndim - ndim;
    for (int a = 0; a < g->ndim; a++)
        g->strides[at][a] = a < more || shape[a - more] == 1 ? 0 : strides[a - more];
}

/* Drop axes of one element, and join neighbours that all arrays go through as one. */
static void collapse(geometry *g, int64_t narrays) {
    int64_t kept = 0;
    for (int64_t a = 0; a < g->ndim; a++) {
        if (g->shape[a] == 1)
            continue;
        int joins = kept > 0;
        for (int64_t i = 0; i < narrays && joins; i++)
            joins = g->strides[i][kept - 1] == g->strides[i][a] * g->shape[a];
        int64_t to = joins ? kept - 1 : kept++;
        g->shape[to] = joins ? g->shape[to] * g->shape[a] : g->shape[a];
        for (int64_t i = 0; i < narrays; i++)
            g->strides[i][to] = g->strides[i][a];
    }
    g->ndim = kept;
    if (!kept) {
        g->ndim = 1;
        g->shape[0] = 1;
        for (int64_t i = 0; i < narrays; i++)
            g->strides[i][0] = 0;
    }
}

int RG_VARIANT(rg_blocks_prepare)(rg_frame *frame, rg_thunk *thunk) {
    group of = read_group(thunk->params);
    geometry *g = rg_state(frame, thunk, sizeof *g);
    if (!g)
        return RG_ERROR_MEMORY;
    int ndim, error, k = 0;
    int64_t shape[RG_NDIM], whole[RG_NDIM], at = of.nleaves;
    error = shape_of(frame, thunk, of.nleaves, -1, &ndim, whole);
    if (error)
        return error;
    g->ndim = ndim;
    memcpy(g->shape, whole, sizeof whole);
    for (int64_t i = 0; i < of.nleaves; i++)
        set_strides(g, i, thunk->in[i]->ndim, thunk->in[i]->shape, thunk->in[i]->strides);
    for (int64_t i = 0; i < of.nstores; i++) {
        error = shape_of(frame, thunk, of.nleaves, of.stores[STORE * i + 1], &ndim, shape);
        error = error ? error : rg_output(frame, thunk, k, ndim, shape);
        if (error)
            return error;
        set_strides(g, at++, ndim, shape, thunk->out[k++]->strides);
    }
    int64_t positions = at + of.nreductions;
    for (int64_t i = 0; i < of.nreductions; i++) {
        const int64_t *r = of.reductions + REDUCTION * i;
        error = shape_of(frame, thunk, of.nleaves, r[2], &ndim, shape);
        if (error)
            return error;
        if (ndim != g->ndim || memcmp(shape, whole, (size_t)ndim * sizeof *shape))
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "what is reduced is smaller than what is computed with it");
        int64_t result[RG_NDIM], count = 1, accumulated = rg_itemsize[r[6]], position = 1;
        int kept = 0;
        for (int a = 0; a < ndim; a++) {
            if (r[4] >> a & 1) {
                count *= shape[a];
                if (r[5])
                    result[kept++] = 1;
            } else
                result[kept++] = shape[a];
        }
        error = rg_output(frame, thunk, k, kept, result);
        if (error)
            return error;
        int is_position = r[0] >= ARGMAX;
        if (count == 0 && (is_position || ((r[0] == MAX || r[0] == MIN) && thunk->out[k]->size)))
            return rg_fail(frame, RG_ERROR_VALUE, "a reduction of no elements has no value");
        k++;
        g->counts[i] = count;
        for (int a = ndim - 1; a >= 0; a--) {
            int reduced = r[4] >> a & 1;
            g->strides[at + i][a] = reduced || shape[a] == 1 ? 0 : accumulated;
            g->strides[positions + i][a] = reduced && shape[a] != 1 ? position : 0;
            if (reduced)
                position *= shape[a];
            else
                accumulated *= shape[a];
        }
    }
    collapse(g, positions + of.nreductions);
    int64_t elements = of.elements, last = g->shape[g->ndim - 1];
    g->columns = last < elements ? last : elements;
    g->rows = 1;
    if (g->ndim > 1 && last > 0 && last <= elements / 2) {
        g->rows = elements / last;
        if (g->rows > g->shape[g->ndim - 2])
            g->rows = g->shape[g->ndim - 2];
    }
    return RG_OK;
}

/* Folds: of n elements into one accumulator, and of n elements into as many. */

#define SUM_OF(a, x) ((a) + (x))
#define PROD_OF(a, x) ((a) * (x))
#define MAX_OF(a, x) ((x) > (a) || (x) != (x) ? (x) : (a))
#define MIN_OF(a, x) ((x) < (a) || (x) != (x) ? (x) : (a))
#define ALL_OF(a, x) ((a) && (x))
#define ANY_OF(a, x) ((a) || (x))
#define AND_OF(a, x) ((a) & (x))
#define OR_OF(a, x) ((a) | (x))
#define XOR_OF(a, x) ((a) ^ (x))

#define FOLD(kind, of, name, type, acc)                                                                                \
    static void fold_##kind##_##name(void *to, const void *from, int64_t n) {                                          \
        acc *a = to;                                                                                                   \
        const type *x = from;                                                                                          \
        acc lanes[8];                                                                                                  \
        if (n >= 32) {                                                                                                 \
            for (int j = 0; j < 8; j++)                                                                                \
                lanes[j] = (acc)x[j];                                                                                  \
            int64_t i = 8;                                                                                             \
            for (; i + 8 <= n; i += 8)                                                                                 \
                for (int j = 0; j < 8; j++)                                                                            \
                    lanes[j] = (acc)of(lanes[j], (acc)x[i + j]);                                                       \
            for (; i < n; i++)                                                                                         \
                lanes[0] = (acc)of(lanes[0], (acc)x[i]);                                                               \
            for (int j = 0; j < 8; j++)                                                                                \
                *a = (acc)of(*a, lanes[j]);                                                                            \
        } else                                                                                                         \
            for (int64_t i = 0; i < n; i++)                                                                            \
                *a = (acc)of(*a, (acc)x[i]);                                                                           \
    }                                                                                                                  \
    static void join_##kind##_##name(void *to, const void *from, int64_t n) {                                          \
        acc *a = to;                                                                                                   \
        const type *x = from;                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                                                \
            a[i] = (acc)of(a[i], (acc)x[i]);                                                                           \
    }

#define NUMBERS(DO, kind, of)                                                                                          \
    DO(kind, of, f32, float, double)                                                                                   \
    DO(kind, of, f64, double, double)                                                                                  \
    DO(kind, of, i64, int64_t, int64_t)                                                                                \
    DO(kind, of, u64, uint64_t, uint64_t)                                                                              \
    DO(kind, of, c128, complex128, complex128)
#define REALS(DO, kind, of)                                                                                            \
    DO(kind, of, f32, float, float)                                                                                    \
    DO(kind, of, f64, double, double)                                                                                  \
    INTEGERS(DO, kind, of)
#define INTEGERS(DO, kind, of)                                                                                         \
    DO(kind, of, i8, int8_t, int8_t)                                                                                   \
    DO(kind, of, i16, int16_t, int16_t)                                                                                \
    DO(kind, of, i32, int32_t, int32_t)                                                                                \
    DO(kind, of, i64, int64_t, int64_t)                                                                                \
    DO(kind, of, u8, uint8_t, uint8_t)                                                                                 \
    DO(kind, of, u16, uint16_t, uint16_t)                                                                              \
    DO(kind, of, u32, uint32_t, uint32_t)                                                                              \
    DO(kind, of, u64, uint64_t, uint64_t)
NUMBERS(FOLD, sum, SUM_OF)
NUMBERS(FOLD, prod, PROD_OF)
REALS(FOLD, max, MAX_OF)
REALS(FOLD, min, MIN_OF)
FOLD(all, ALL_OF, u8, uint8_t, uint8_t)
FOLD(any, ANY_OF, u8, uint8_t, uint8_t)
INTEGERS(FOLD, and, AND_OF)
INTEGERS(FOLD, or, OR_OF)
INTEGERS(FOLD, xor, XOR_OF)

typedef void (*fold)(void *to, const void *from, int64_t n);

static void find_folds(int64_t kind, int dtype, fold *whole, fold *each) {
#define CASE(dtype, kind, name)                                                                                        \
    case dtype:                                                                                                        \
        *whole = fold_##kind##_##name, *each = join_##kind##_##name;                                                   \
        return;
#define NUMBER_CASES(kind)                                                                                             \
    switch (dtype) {                                                                                                   \
        CASE(RG_F32, kind, f32) CASE(RG_F64, kind, f64) CASE(RG_I64, kind, i64) CASE(RG_U64, kind, u64)                \
        CASE(RG_C128, kind, c128)                                                                                      \
    }                                                                                                                  \
    return;
#define INTEGER_CASES(kind)                                                                                            \
    CASE(RG_I8, kind, i8) CASE(RG_I16, kind, i16) CASE(RG_I32, kind, i32) CASE(RG_I64, kind, i64)                      \
    CASE(RG_BOOL, kind, u8) CASE(RG_U8, kind, u8) CASE(RG_U16, kind, u16) CASE(RG_U32, kind, u32)                      \
    CASE(RG_U64, kind, u64)
    *whole = *each = NULL;
    switch (kind) {
    case SUM:
        NUMBER_CASES(sum)
    case PROD:
        NUMBER_CASES(prod)
    case MAX:
        switch (dtype) { CASE(RG_F32, max, f32) CASE(RG_F64, max, f64) INTEGER_CASES(max) }
        return;
    case MIN:
        switch (dtype) { CASE(RG_F32, min, f32) CASE(RG_F64, min, f64) INTEGER_CASES(min) }
        return;
    case ALL:
        *whole = fold_all_u8, *each = join_all_u8;
        return;
    case ANY:
        *whole = fold_any_u8, *each = join_any_u8;
        return;
    case AND:
        switch (dtype) { INTEGER_CASES(and) }
        return;
    case OR:
        switch (dtype) { INTEGER_CASES(or) }
        return;
    case XOR:
        switch (dtype) { INTEGER_CASES(xor) }
        return;
    }
}

/* Fill n accumulators with what a fold begins at. */
static void begin(int64_t kind, int dtype, char *to, int64_t n) {
#define FILL(type, value)                                                                                              \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((type *)to)[i] = (type)(value);                                                                           \
        return;                                                                                                        \
    }
#define FILL_REAL(type, low, high)                                                                                     \
    {                                                                                                                  \
        type value = (type)(kind == MAX ? (low) : kind == MIN ? (high) : kind == PROD || kind == ALL ? 1 : kind == AND ? -1 : 0); \
        FILL(type, value)                                                                                              \
    }
    switch (dtype) {
    case RG_BOOL:
        FILL_REAL(uint8_t, 0, 1)
    case RG_I8:
        FILL_REAL(int8_t, INT8_MIN, INT8_MAX)
    case RG_I16:
        FILL_REAL(int16_t, INT16_MIN, INT16_MAX)
    case RG_I32:
        FILL_REAL(int32_t, INT32_MIN, INT32_MAX)
    case RG_I64:
        FILL_REAL(int64_t, INT64_MIN, INT64_MAX)
    case RG_U8:
        FILL_REAL(uint8_t, 0, UINT8_MAX)
    case RG_U16:
        FILL_REAL(uint16_t, 0, UINT16_MAX)
    case RG_U32:
        FILL_REAL(uint32_t, 0, UINT32_MAX)
    case RG_U64:
        if (kind == AND)
            FILL(uint64_t, UINT64_MAX)
        if (kind == MIN)
            FILL(uint64_t, UINT64_MAX)
        FILL(uint64_t, kind == PROD ? 1 : 0)
    case RG_F32:
        FILL_REAL(float, -INFINITY, INFINITY)
    case RG_F64:
        FILL_REAL(double, -INFINITY, INFINITY)
    case RG_C128:
        FILL(complex128, kind == PROD ? 1 : 0)
    }
}

/* Running. */

typedef struct {
    const group *of;
    const geometry *g;
    rg_thunk *thunk;
    char *registers, *accumulators[ARRAYS];
    const void *values[VALUES];
    unsigned char single[VALUES], sizes[VALUES];
    const char *gathered[ARRAYS]; /* what was gathered into a leaf's register last */
    int64_t gathered_rows[ARRAYS], gathered_columns[ARRAYS];
    fold whole[ARRAYS], each[ARRAYS];
    int started;
} pass;

static void gather(char *to, const char *from, int64_t rows, int64_t columns, int64_t row, int64_t column, int size) {
#define GATHER(type)                                                                                                   \
    for (int64_t r = 0; r < rows; r++) {                                                                               \
        const char *at = from + r * row;                                                                               \
        type *line = (type *)to + r * columns;                                                                         \
        for (int64_t c = 0; c < columns; c++)                                                                          \
            line[c] = *(const type *)(at + c * column);                                                                \
    }                                                                                                                  \
    return;
    if (column == size) {
        for (int64_t r = 0; r < rows; r++)
            memcpy(to + r * columns * size, from + r * row, (size_t)(columns * size));
        return;
    }
    switch (size) {
    case 1:
        GATHER(uint8_t)
    case 2:
        GATHER(uint16_t)
    case 4:
        GATHER(uint32_t)
    case 8:
        GATHER(uint64_t)
    case 16:
        GATHER(complex128)
    }
}

static void scatter(const char *from, char *to, int64_t rows, int64_t columns, int64_t row, int64_t column, int size) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            memcpy(to + r * row + c * column, from + (r * columns + c) * size, (size_t)size);
}

static int is_direct(int64_t rows, int64_t columns, int64_t row, int64_t column, int size) {
    if (columns == 1)
        return rows == 1 || row == size;
    return column == size && (rows == 1 || row == columns * size);
}

static void spread(pass *p, int64_t value, int64_t n, char *to) {
    int size = p->sizes[value];
    for (int64_t i = 0; i < n; i++)
        memmove(to + i * size, p->values[value], (size_t)size);
}

/* One block: `offsets` is where it begins in each array. */
static void block(pass *p, const int64_t *offsets, int64_t rows, int64_t columns) {
    const group *of = p->of;
    const geometry *g = p->g;
    char *filled = p->registers + of->nregisters * of->register_bytes;
    int64_t n = rows * columns, last = g->ndim - 1, before = last > 0 ? last - 1 : 0;
    for (int64_t i = 0; i < of->nleaves; i++) {
        const rg_array *leaf = p->thunk->in[i];
        const char *from = leaf->data + offsets[i];
        int64_t row = last ? g->strides[i][before] : 0, column = g->strides[i][last];
        int size = p->sizes[i];
        p->values[i] = from;
        p->single[i] = (columns == 1 || column == 0) && (rows == 1 || row == 0);
        if (p->single[i] || is_direct(rows, columns, row, column, size))
            continue;
        char *to = p->registers + of->leaves[i] * of->register_bytes;
        if (p->gathered[i] != from || p->gathered_rows[i] != rows || p->gathered_columns[i] != columns) {
            gather(to, from, rows, columns, row, column, size);
            p->gathered[i] = from, p->gathered_rows[i] = rows, p->gathered_columns[i] = columns;
        }
        p->values[i] = to;
    }
    for (int64_t s = 0; s < of->nsteps; s++) {
        const int64_t *step = of->steps + STEP * s;
        int64_t value = of->nleaves + s;
        if (step[9] && p->started)
            continue;
        const void *in[4];
        unsigned single = 0;
        for (int64_t k = 0; k < step[2]; k++) {
            in[k] = p->values[step[3 + k]];
            single |= (unsigned)p->single[step[3 + k]] << k;
        }
        char *to = p->registers + step[8] * of->register_bytes;
        p->single[value] = single == (1u << step[2]) - 1;
        p->values[value] = to;
        ((rg_instruction)(uintptr_t)step[0])(p->single[value] ? 1 : n, to, in, p->single[value] ? 0 : single,
                                            (const rg_loop_of *)(uintptr_t)step[1]);
    }
    p->started = 1;
    for (int64_t i = 0; i < of->nstores; i++) {
        int64_t value = of->stores[STORE * i], at = of->nleaves + i;
        rg_array *out = p->thunk->out[i];
        char *to = out->data + offsets[at];
        int64_t row = last ? g->strides[at][before] : 0, column = g->strides[at][last];
        int size = p->sizes[value];
        if (p->single[value] && is_direct(rows, columns, row, column, size))
            spread(p, value, n, to);
        else if (p->single[value]) {
            spread(p, value, n, filled);
            scatter(filled, to, rows, columns, row, column, size);
        } else if (is_direct(rows, columns, row, column, size))
            memcpy(to, p->values[value], (size_t)(n * size));
        else
            scatter(p->values[value], to, rows, columns, row, column, size);
    }
    for (int64_t i = 0; i < of->nreductions; i++) {
        const int64_t *r = of->reductions + REDUCTION * i;
        int64_t at = of->nleaves + of->nstores + i;
        char *to = p->accumulators[i] + offsets[at];
        int64_t row = last && rows > 1 ? g->strides[at][before] : 0, column = g->strides[at][last];
        const char *from = p->values[r[1]];
        int size = p->sizes[r[1]], acc = rg_itemsize[r[6]];
        if (p->single[r[1]]) {
            spread(p, r[1], n, filled);
            from = filled;
        }
        if (columns == 1) {
            if (!row)
                p->whole[i](to, from, rows);
            else if (row == acc)
                p->each[i](to, from, rows);
            else
                for (int64_t k = 0; k < rows; k++)
                    p->whole[i](to + k * row, from + k * size, 1);
        } else if (!column && !row)
            p->whole[i](to, from, n);
        else if (!column)
            for (int64_t k = 0; k < rows; k++)
                p->whole[i](to + k * row, from + k * columns * size, columns);
        else
            for (int64_t k = 0; k < rows; k++) {
                if (column == acc)
                    p->each[i](to + k * row, from + k * columns * size, columns);
                else
                    for (int64_t c = 0; c < columns; c++)
                        p->whole[i](to + k * row + c * column, from + (k * columns + c) * size, 1);
            }
    }
}

int RG_VARIANT(rg_blocks_run)(rg_frame *frame, rg_thunk *thunk) {
    group of = read_group(thunk->params);
    const geometry *g = thunk->state;
    pass p = {.of = &of, .g = g, .thunk = thunk};
    size_t bytes = (size_t)((of.nregisters + 1) * of.register_bytes), at = bytes;
    for (int64_t i = 0; i < of.nreductions; i++)
        bytes += ((size_t)thunk->out[of.nstores + i]->size * (size_t)rg_itemsize[of.reductions[REDUCTION * i + 6]] + 63) / 64 * 64;
    p.registers = rg_scratch(frame, bytes);
    if (!p.registers)
        return RG_ERROR_MEMORY;
    for (int64_t i = 0; i < of.nleaves; i++)
        p.sizes[i] = (unsigned char)rg_itemsize[thunk->in[i]->dtype];
    for (int64_t s = 0; s < of.nsteps; s++)
        p.sizes[of.nleaves + s] = (unsigned char)rg_itemsize[of.steps[STEP * s + 7]];
    for (int64_t i = 0; i < of.nreductions; i++) {
        const int64_t *r = of.reductions + REDUCTION * i;
        int64_t size = thunk->out[of.nstores + i]->size;
        p.accumulators[i] = p.registers + at;
        at += ((size_t)size * (size_t)rg_itemsize[r[6]] + 63) / 64 * 64;
        begin(r[0], (int)r[6], p.accumulators[i], size);
        int64_t value = r[1];
        int dtype = value < of.nleaves ? thunk->in[value]->dtype : (int)of.steps[STEP * (value - of.nleaves) + 7];
        find_folds(r[0], dtype, &p.whole[i], &p.each[i]);
    }
    int64_t total = 1, index[RG_NDIM] = {0}, offsets[ARRAYS] = {0}, narrays = of.nleaves + of.nstores + 2 * of.nreductions;
    for (int64_t a = 0; a < g->ndim; a++)
        total *= g->shape[a];
    int64_t last = g->ndim - 1, outer = g->rows > 1 ? g->ndim - 2 : g->ndim - 1;
    while (total) {
        if (g->rows > 1)
            for (int64_t r = 0; r < g->shape[last - 1]; r += g->rows) {
                int64_t here[ARRAYS], rows = g->shape[last - 1] - r < g->rows ? g->shape[last - 1] - r : g->rows;
                for (int64_t i = 0; i < narrays; i++)
                    here[i] = offsets[i] + r * g->strides[i][last - 1];
                block(&p, here, rows, g->columns);
            }
        else
            for (int64_t c = 0; c < g->shape[last]; c += g->columns) {
                int64_t here[ARRAYS], columns = g->shape[last] - c < g->columns ? g->shape[last] - c : g->columns;
                for (int64_t i = 0; i < narrays; i++)
                    here[i] = offsets[i] + c * g->strides[i][last];
                block(&p, here, 1, columns);
            }
        int64_t a = outer - 1;
        for (; a >= 0; a--) {
            for (int64_t i = 0; i < narrays; i++)
                offsets[i] += g->strides[i][a];
            if (++index[a] < g->shape[a])
                break;
            for (int64_t i = 0; i < narrays; i++)
                offsets[i] -= g->shape[a] * g->strides[i][a];
            index[a] = 0;
        }
        if (a < 0)
            break;
    }
    for (int64_t i = 0; i < of.nreductions; i++) {
        const int64_t *r = of.reductions + REDUCTION * i;
        rg_array *out = thunk->out[of.nstores + i];
        if (r[7] == MEAN) {
            if (r[6] == RG_F64)
                for (int64_t k = 0; k < out->size; k++)
                    ((double *)p.accumulators[i])[k] /= (double)g->counts[i];
            else
                for (int64_t k = 0; k < out->size; k++)
                    ((complex128 *)p.accumulators[i])[k] /= (double)g->counts[i];
        } else if (r[7] == ROOT)
            for (int64_t k = 0; k < out->size; k++)
                ((double *)p.accumulators[i])[k] = sqrt(((double *)p.accumulators[i])[k]);
        const void *in = p.accumulators[i];
        if (r[8])
            ((rg_instruction)(uintptr_t)r[8])(out->size, out->data, &in, 0, NULL);
        else
            memcpy(out->data, in, (size_t)(out->size * rg_itemsize[out->dtype]));
    }
    return RG_OK;
}
