/* Groups of elementwise steps, and the reductions that they feed, in one pass over memory.

The steps are run for one block of some hundreds of elements after another, so what is computed on the way stays in the
nearest cache. A block is a part of the innermost axis, or, where that is short, several rows of it; where an array lies
across the others it is a tile. What is one number for all of a block is computed once for it, and what is one for all
blocks, once. The last step of what is stored writes into the output, where that lies as the block does.

params: see groups.h.
*/
#include "around.h"
#include "folds.h"
#include "groups.h"
#include "instructions.h"
#include "turning.h"
#include "variants.h"

int RG_VARIANT(rg_blocks_prepare)(rg_frame *, rg_thunk *);
int RG_VARIANT(rg_blocks_run)(rg_frame *, rg_thunk *);
int64_t RG_VARIANT(rg_blocks_split)(rg_thunk *, int64_t n, int64_t block, int64_t chunks);
int RG_VARIANT(rg_blocks_run_around)(rg_frame *, rg_thunk *, const rg_around *);

#define ARRAYS 64
#define CACHE (16 * 1024) /* bytes that the registers together take, about */
#define LINE 8192         /* and that one takes at most */
#define TILE_ROWS 16      /* of a block where an array lies across, if rows are too long for blocks of several whole ones */
#define TILE_BYTES 32     /* of a column that are several: less is not worth the lines of cache that they lie in */
#define CHUNK 32768       /* elements that are worth a chunk of their own */
#define CHUNKS 32
#define ROW 256           /* bytes of a row from which on steps are called for each row, rather than rows moved */
#define VECTOR 64         /* bytes that are moved at once: a vector, or a few */
#define FAR (16 << 20)    /* bytes of all arrays from which on they do not lie in any cache */

enum finish { PLAIN, MEAN, ROOT, POSITION, LOGARITHM };

/* How a leaf or a store meets a block: as one element, as it lies, row for row as it lies (or as one element for each
   row), or through a register. */
enum way { ONE, DIRECT, ROWS, MOVED };

/* What `prepare` finds for the shapes at hand. Arrays are leaves, stores, accumulators, and positions. */
typedef struct {
    int64_t ndim, shape[RG_NDIM], total;
    int64_t strides[ARRAYS][RG_NDIM]; /* in bytes; of positions in elements */
    int64_t rows, columns;            /* of a block */
    int64_t register_bytes, registers, narrays;
    int64_t counts[ARRAYS];           /* of elements that each reduction makes one */
    int64_t chunks, axis, unit;       /* into how many chunks an axis is cut, at multiples of what */
    int64_t accumulators, partials;   /* bytes of the accumulators, and of those that each chunk has for itself */
    int64_t chunk_bytes, copies;      /* of the registers of a chunk, and of copies of leaves */
    int64_t at[ARRAYS];               /* where those of each reduction begin, among all or among the chunk's own */
    char own[ARRAYS];                 /* whether each chunk has its own */
    char ways[ARRAYS], moved[ARRAYS]; /* of leaves and stores; the number of the register of a leaf that is moved */
    char one[VALUES], constant[VALUES];
    unsigned char sizes[VALUES];      /* bytes of an element of each value */
    folding folds[ARRAYS];
    char is_small[ARRAYS], any_small; /* stores of less than the whole shape */
    char is_one_block;                /* whether one block is all of it */
    char is_flat;                     /* whether it needs no blocks */
    char is_far;                      /* whether memory is asked for ahead of its use */
    int64_t ahead[ARRAYS], shares[ARRAYS]; /* bytes to the next block, and those a step asks for */
} plan;

/* Preparing. */

/* The shape that some leaves have together. */
static int shape_of(rg_frame *frame, rg_thunk *thunk, int64_t nleaves, int64_t leaves, int *ndim, int64_t *shape) {
    *ndim = 0;
    for (int64_t i = 0; i < nleaves; i++)
        if (leaves >> i & 1 && rg_broadcast(ndim, shape, thunk->in[i]))
            return rg_fail(frame, RG_ERROR_VALUE, "shapes do not broadcast");
    return RG_OK;
}

static void set_strides(plan *g, int64_t at, int ndim, const int64_t *shape, const int64_t *strides) {
    int more = (int)g->ndim - ndim;
    for (int a = 0; a < g->ndim; a++)
        g->strides[at][a] = a < more || shape[a - more] == 1 ? 0 : strides[a - more];
}

/* Drop axes of one element, and join neighbours that all arrays go through as one. */
static void collapse(plan *g) {
    int64_t kept = 0;
    for (int64_t a = 0; a < g->ndim; a++) {
        if (g->shape[a] == 1)
            continue;
        int joins = kept > 0;
        for (int64_t i = 0; i < g->narrays && joins; i++)
            joins = g->strides[i][kept - 1] == g->strides[i][a] * g->shape[a];
        int64_t to = joins ? kept - 1 : kept++;
        g->shape[to] = joins ? g->shape[to] * g->shape[a] : g->shape[a];
        for (int64_t i = 0; i < g->narrays; i++)
            g->strides[i][to] = g->strides[i][a];
    }
    g->ndim = kept;
    if (!kept) {
        g->ndim = 1;
        g->shape[0] = 1;
        for (int64_t i = 0; i < g->narrays; i++)
            g->strides[i][0] = 0;
    }
}

static int64_t magnitude(int64_t n) {
    return n < 0 ? -n : n;
}

/* Whether an array lies across the last two axes: neighbours along the first of them are nearer than along the last. */
static int lies_across(const plan *g, int64_t i) {
    int64_t row = magnitude(g->strides[i][g->ndim - 2]), column = magnitude(g->strides[i][g->ndim - 1]);
    return row && row < column;
}

static int64_t up_to_multiple(int64_t n, int64_t of) {
    return (n + of - 1) / of * of;
}

/* Whether a reduction asks for the first of several: then elements come in the order of the axes. */
static int is_ordered(const group *of) {
    for (int64_t i = 0; i < of->nreductions; i++)
        if (of->reductions[REDUCTION * i] == ARGMAX || of->reductions[REDUCTION * i] == ARGMIN)
            return 1;
    return 0;
}

/* How many rows and columns a block has. */
static void shape_blocks(plan *g, const group *of) {
    int64_t elements = CACHE / (g->registers * of->size) / 64 * 64, last = g->shape[g->ndim - 1], across = 0;
    int64_t most = LINE / of->size < RG_BLOCK ? LINE / of->size : RG_BLOCK;
    elements = elements < 128 ? 128 : elements > most ? most : elements;
    int64_t before = g->ndim > 1 ? g->shape[g->ndim - 2] : 1, pieces = (last + elements - 1) / elements;
    g->rows = 1;
    g->columns = pieces > 1 ? up_to_multiple((last + pieces - 1) / pieces, 16) : last;
    for (int64_t i = 0; i < of->nleaves + of->nstores && before > 1; i++)
        across |= lies_across(g, i);
    if (across && last > elements * of->size / TILE_BYTES && before > 8 && !is_ordered(of)) {
        g->rows = TILE_ROWS;
        g->columns = last < RG_BLOCK / TILE_ROWS ? last : RG_BLOCK / TILE_ROWS;
    } else if (before > 1 && last > 0 && last <= elements / 2)
        g->rows = elements / last;
    g->rows = g->rows > before ? before : g->rows;
    g->register_bytes = up_to_multiple(g->rows * g->columns * of->size, 64);
}

static enum way way_of(const plan *g, int64_t i, int64_t size) {
    int64_t last = g->ndim - 1, column = g->strides[i][last], row = last ? g->strides[i][last - 1] : 0;
    if (g->rows == 1)
        return g->shape[last] == 1 || column == size ? DIRECT : column == 0 ? ONE : MOVED;
    if (column == 0 && row == 0)
        return ONE;
    if (column == size && g->columns == g->shape[last] && row == g->columns * size)
        return DIRECT;
    return row && (column == size || column == 0) && g->columns * size >= ROW ? ROWS : MOVED;
}

/* Whether a store or a reduction reads a leaf: then its rows are brought together. */
static int is_read_whole(const group *of, int64_t leaf) {
    for (int64_t i = 0; i < of->nstores; i++)
        if (of->stores[STORE * i] == leaf)
            return 1;
    for (int64_t i = 0; i < of->nreductions; i++)
        if (of->reductions[REDUCTION * i + 1] == leaf)
            return 1;
    return 0;
}

static int is_constant(const plan *g, int64_t i) {
    for (int64_t a = 0; a < g->ndim; a++)
        if (g->strides[i][a] && g->shape[a] != 1)
            return 0;
    return 1;
}

/* How leaves and stores meet blocks, and of which steps that makes one number. */
static void find_ways(plan *g, const group *of, const rg_thunk *thunk) {
    g->registers = of->nregisters + 1;
    for (int64_t i = 0; i < of->nleaves; i++) {
        int size = rg_itemsize[thunk->in[i]->dtype];
        g->ways[i] = (char)way_of(g, i, size);
        if (g->ways[i] == ROWS && is_read_whole(of, i))
            g->ways[i] = MOVED;
        g->constant[i] = (char)is_constant(g, i);
        g->one[i] = g->ways[i] == ONE;
        if (g->ways[i] == MOVED)
            g->moved[i] = (char)g->registers++;
    }
    for (int64_t s = 0; s < of->nsteps; s++) {
        const int64_t *step = of->steps + STEP * s;
        int64_t value = of->nleaves + s;
        g->one[value] = g->constant[value] = 1;
        for (int64_t k = 0; k < step[2]; k++) {
            g->one[value] &= g->one[step[3 + k]];
            g->constant[value] &= g->constant[step[3 + k]];
        }
    }
    for (int64_t i = 0; i < of->nstores; i++) {
        int64_t at = of->nleaves + i;
        g->ways[at] = (char)way_of(g, at, rg_itemsize[thunk->out[i]->dtype]);
        if (g->ways[at] == ROWS && !g->strides[at][g->ndim - 1]) /* less than the whole */
            g->ways[at] = MOVED;
    }
}

/* Into how many chunks the pass is cut, no more than are wanted, and along which axis: this depends on the shape alone,
   so that sums do not depend on the number of threads. */
static void cut(plan *g, const group *of, const rg_thunk *thunk, int64_t wanted) {
    int64_t last = g->ndim - 1;
    wanted = wanted > CHUNKS ? CHUNKS : wanted;
    g->chunks = 1, g->axis = 0, g->unit = 1, g->accumulators = 0, g->partials = 0;
    if (g->any_small)
        wanted = 1;
    for (int64_t a = 1; a < g->ndim && !is_ordered(of); a++)
        if (g->shape[g->axis] < wanted && g->shape[a] > g->shape[g->axis])
            g->axis = a;
    g->unit = g->axis == last ? g->columns : g->axis == last - 1 ? g->rows : 1;
    int64_t units = g->unit ? (g->shape[g->axis] + g->unit - 1) / g->unit : 0, most = wanted;
    for (int64_t i = 0; i < of->nreductions; i++) {
        int64_t size = thunk->out[of->nstores + i]->size;
        if (!g->strides[of->nleaves + of->nstores + i][g->axis] && size * 8 * most > g->total)
            most = g->total / (size * 8);
    }
    most = most > units ? units : most;
    g->chunks = most < 1 ? 1 : most;
    for (int64_t i = 0; i < of->nreductions; i++) {
        const int64_t *r = of->reductions + REDUCTION * i;
        int64_t size = thunk->out[of->nstores + i]->size;
        int64_t bytes = up_to_multiple(size * rg_itemsize[r[5]], 64) + up_to_multiple(size * 8, 64);
        g->own[i] = g->chunks > 1 && !g->strides[of->nleaves + of->nstores + i][g->axis];
        int64_t *all = g->own[i] ? &g->partials : &g->accumulators;
        g->at[i] = *all;
        *all += bytes;
    }
}

/* The output of a reduction, and how its accumulators and positions lie along the axes. */
static int prepare_reduction(rg_frame *frame, rg_thunk *thunk, plan *g, const group *of, int64_t i, const int64_t *whole) {
    const int64_t *r = of->reductions + REDUCTION * i;
    int64_t shape[RG_NDIM], result[RG_NDIM], count = 1, accumulated = rg_itemsize[r[5]], position = 1;
    int64_t at = of->nleaves + of->nstores + i;
    int ndim, kept = 0, k = (int)(of->nstores + i);
    int error = shape_of(frame, thunk, of->nleaves, r[2], &ndim, shape);
    if (error)
        return error;
    if (ndim != g->ndim || memcmp(shape, whole, (size_t)ndim * sizeof *shape))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "what is reduced is smaller than what is computed with it");
    for (int a = 0; a < ndim; a++) {
        if (!(r[3] >> a & 1))
            result[kept++] = shape[a];
        else if (r[4])
            result[kept++] = 1;
        count *= r[3] >> a & 1 ? shape[a] : 1;
    }
    error = rg_output(frame, thunk, k, kept, result);
    if (error)
        return error;
    int needs_one = r[0] == MAX || r[0] == MIN || r[0] == ARGMAX || r[0] == ARGMIN;
    if (count == 0 && needs_one && (r[0] >= ARGMAX || thunk->out[k]->size))
        return rg_fail(frame, RG_ERROR_VALUE, "a reduction of no elements has no value");
    g->counts[i] = count;
    for (int a = ndim - 1; a >= 0; a--) {
        int reduced = r[3] >> a & 1;
        g->strides[at][a] = reduced || shape[a] == 1 ? 0 : accumulated;
        g->strides[at + of->nreductions][a] = reduced && shape[a] != 1 ? position : 0;
        *(reduced ? &position : &accumulated) *= shape[a];
    }
    return RG_OK;
}

/* Whether it is one step over arrays that lie as the output does. */
static int is_flat(const plan *g, const group *of) {
    if (of->nsteps != 1 || of->nstores != 1 || of->nreductions || of->stores[0] != of->nleaves || g->ndim != 1)
        return 0;
    for (int64_t i = 0; i < of->nleaves; i++)
        if (g->ways[i] == MOVED)
            return 0;
    return g->ways[of->nleaves] == DIRECT && !g->one[of->nleaves];
}

/* What `run` needs of the values, whatever their memory. */
static void describe(plan *g, const group *of, const rg_thunk *thunk) {
    g->copies = 0;
    for (int64_t i = 0; i < of->nleaves; i++) {
        g->sizes[i] = (unsigned char)rg_itemsize[thunk->in[i]->dtype];
        g->copies += g->any_small ? up_to_multiple(thunk->in[i]->size * g->sizes[i], 64) : 0;
    }
    for (int64_t s = 0; s < of->nsteps; s++)
        g->sizes[of->nleaves + s] = (unsigned char)rg_itemsize[of->steps[STEP * s + 7]];
    for (int64_t i = 0; i < of->nreductions; i++) {
        const int64_t *r = of->reductions + REDUCTION * i;
        g->folds[i] = find_folding(r[0], r[1] < of->nleaves ? thunk->in[r[1]]->dtype
                                                            : (int)of->steps[STEP * (r[1] - of->nleaves) + 7]);
    }
    g->chunk_bytes = g->registers * g->register_bytes;
    for (int64_t i = 0; i < of->nleaves + of->nstores; i++) {
        const rg_array *array = i < of->nleaves ? thunk->in[i] : thunk->out[i - of->nleaves];
        g->ahead[i] = g->ways[i] == DIRECT ? g->columns * rg_itemsize[array->dtype] : 0;
        g->shares[i] = of->nsteps ? up_to_multiple(g->ahead[i] / of->nsteps, 64) : 0;
    }
    g->is_one_block = g->chunks == 1 && g->ndim <= 2 && g->columns == g->shape[g->ndim - 1] &&
                      (g->ndim == 1 || g->rows == g->shape[0]);
}

int RG_VARIANT(rg_blocks_prepare)(rg_frame *frame, rg_thunk *thunk) {
    group of = read_group(thunk->params);
    plan *g = rg_state(frame, thunk, sizeof *g);
    if (!g)
        return RG_ERROR_MEMORY;
    int ndim, error;
    int64_t shape[RG_NDIM], whole[RG_NDIM];
    error = shape_of(frame, thunk, of.nleaves, -1, &ndim, whole);
    if (error)
        return error;
    g->ndim = ndim;
    g->narrays = of.nleaves + of.nstores + 2 * of.nreductions;
    g->total = rg_size(ndim, whole);
    memcpy(g->shape, whole, sizeof whole);
    for (int64_t i = 0; i < of.nleaves; i++)
        set_strides(g, i, thunk->in[i]->ndim, thunk->in[i]->shape, thunk->in[i]->strides);
    g->any_small = 0;
    for (int64_t i = 0; i < of.nstores; i++) {
        int own;
        error = shape_of(frame, thunk, of.nleaves, of.stores[STORE * i + 1], &own, shape);
        error = error ? error : rg_output(frame, thunk, (int)i, own, shape);
        if (error)
            return error;
        set_strides(g, of.nleaves + i, own, shape, thunk->out[i]->strides);
        g->is_small[i] = thunk->out[i]->size != g->total;
        g->any_small |= g->is_small[i];
        if (g->total == 0 && g->is_small[i])
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "what is stored is larger than what is computed with it");
    }
    for (int64_t i = 0; i < of.nreductions; i++) {
        error = prepare_reduction(frame, thunk, g, &of, i, whole);
        if (error)
            return error;
    }
    collapse(g);
    g->registers = of.nregisters + 1;
    shape_blocks(g, &of);
    find_ways(g, &of, thunk);
    shape_blocks(g, &of);
    find_ways(g, &of, thunk);
    cut(g, &of, thunk, g->total / CHUNK);
    g->is_flat = (char)is_flat(g, &of);
    g->is_far = g->rows == 1 && g->total * of.size * (of.nleaves + of.nstores) > FAR;
    describe(g, &of, thunk);
    return RG_OK;
}

int64_t RG_VARIANT(rg_blocks_split)(rg_thunk *thunk, int64_t n, int64_t block, int64_t chunks) {
    group of = read_group(thunk->params);
    plan *g = thunk->state;
    if (g->ndim != 1 || g->shape[0] != n || g->any_small)
        return 0;
    g->columns = g->columns < block ? g->columns : block;
    g->register_bytes = up_to_multiple(g->columns * of.size, 64);
    cut(g, &of, thunk, chunks);
    describe(g, &of, thunk);
    return g->chunks;
}

/* Moving elements to and from registers. */

#define MOVE(type)                                                                                                     \
    for (int64_t r = 0; r < rows; r++)                                                                                 \
        for (int64_t c = 0; c < columns; c++)                                                                          \
            *(type *)(to + r * to_row + c * to_column) = *(const type *)(from + r * row + c * column);                 \
    return;

#define REPEAT(type)                                                                                                   \
    for (int64_t r = 0; r < rows; r++) {                                                                               \
        const type value = *(const type *)(from + r * row);                                                            \
        type *line = (type *)(to + r * to_row);                                                                        \
        for (int64_t c = 0; c < columns; c++)                                                                          \
            line[c] = value;                                                                                           \
    }                                                                                                                  \
    return;

#define BY_SIZE(DO)                                                                                                    \
    switch (size) {                                                                                                    \
    case 1:                                                                                                            \
        DO(uint8_t)                                                                                                    \
    case 2:                                                                                                            \
        DO(uint16_t)                                                                                                   \
    case 4:                                                                                                            \
        DO(uint32_t)                                                                                                   \
    case 8:                                                                                                            \
        DO(uint64_t)                                                                                                   \
    case 16:                                                                                                           \
        DO(complex128)                                                                                                 \
    }

/* Copy rows of bytes that lie together. Those that are longer than a vector end with one that reaches back. */
static void move_rows(char *to, const char *from, int64_t rows, int64_t bytes, int64_t to_row, int64_t row) {
    for (int64_t r = 0; r < rows; r++, to += to_row, from += row) {
        if (bytes < VECTOR) {
            memcpy(to, from, (size_t)bytes);
            continue;
        }
        for (int64_t at = 0; at < bytes - VECTOR; at += VECTOR)
            memcpy(to + at, from + at, VECTOR);
        memcpy(to + bytes - VECTOR, from + bytes - VECTOR, VECTOR);
    }
}

/* Copy elements. */
static void move(char *to, const char *from, int64_t rows, int64_t columns, int64_t to_row, int64_t to_column,
                 int64_t row, int64_t column, int size) {
    if (column == size && to_column == size) {
        move_rows(to, from, rows, columns * size, to_row, row);
    } else if (column == 0 && to_column == size) {
        BY_SIZE(REPEAT)
    } else {
        BY_SIZE(MOVE)
    }
}

static void gather(char *to, const char *from, int64_t rows, int64_t columns, int64_t row, int64_t column, int size) {
    if (row && magnitude(row) < magnitude(column))
        rg_turn(size, rows, columns, from, row, column, to, columns * size, size);
    else
        move(to, from, rows, columns, columns * size, size, row, column, size);
}

/* Running. */

typedef struct {
    const group *of;
    const plan *g;
    rg_thunk *thunk;
    const rg_around *around;                   /* NULL where nothing is */
    char *accumulators, *partials, *registers; /* those of chunks lie one after the other */
    const char *data[ARRAYS];      /* of leaves */
    int16_t store_of[VALUES];      /* the store that a step writes into itself, and 1; 0 for none */
    int64_t apart[VALUES];         /* bytes from one row of a value to the next, where rows do not lie together; else 0 */
} pass;

/* What one chunk needs. */
typedef struct {
    const pass *p;
    char *registers, *filled;
    char *accumulators[ARRAYS], *rests[ARRAYS];
    const void *values[VALUES];
    const char *gathered[ARRAYS]; /* what was gathered into a leaf's register last */
    int64_t gathered_rows[ARRAYS], gathered_columns[ARRAYS];
    _Alignas(16) char cells[VALUES][16]; /* values that are one number */
} worker;

static inline void call_step(worker *w, int64_t s, int64_t n, char *to) {
    const group *of = w->p->of;
    const int64_t *step = of->steps + STEP * s;
    const char *one = w->p->g->one;
    const void *in[4];
    unsigned single = 0;
    for (int64_t k = 0; k < step[2]; k++) {
        in[k] = w->values[step[3 + k]];
        single |= (unsigned)one[step[3 + k]] << k;
    }
    w->values[of->nleaves + s] = to;
    ((rg_instruction)(uintptr_t)step[0])(n, to, in, n == 1 ? 0 : single, (const rg_loop_of *)(uintptr_t)step[1]);
}

/* Bytes from one row of a value to the next. */
static inline int64_t row_of(const pass *p, int64_t value, int64_t columns) {
    return p->apart[value] ? p->apart[value] : p->g->one[value] ? 0 : columns * p->g->sizes[value];
}

static int is_apart(const pass *p, int64_t s) {
    const int64_t *step = p->of->steps + STEP * s;
    int64_t apart = p->apart[p->of->nleaves + s];
    for (int64_t k = 0; k < step[2]; k++)
        apart |= p->apart[step[3 + k]];
    return apart != 0;
}

/* A step, row for row. */
static void call_rows(worker *w, int64_t s, int64_t rows, int64_t columns, char *to) {
    const pass *p = w->p;
    const int64_t *step = p->of->steps + STEP * s;
    int64_t value = p->of->nleaves + s, in_rows[4], to_row = row_of(p, value, columns), last = p->g->ndim - 1;
    const void *in[4];
    unsigned single = 0;
    for (int64_t k = 0; k < step[2]; k++) {
        int64_t given = step[3 + k], is_row_factor = p->apart[given] && given < p->of->nleaves && !p->g->strides[given][last];
        in[k] = w->values[given];
        in_rows[k] = row_of(p, given, columns);
        single |= (unsigned)(is_row_factor || p->g->one[given]) << k;
    }
    w->values[value] = to;
    for (int64_t r = 0; r < rows; r++, to += to_row) {
        ((rg_instruction)(uintptr_t)step[0])(columns, to, in, single, (const rg_loop_of *)(uintptr_t)step[1]);
        for (int64_t k = 0; k < step[2]; k++)
            in[k] = (const char *)in[k] + in_rows[k];
    }
}

static void fill(char *to, const void *value, int64_t n, int size) {
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * size, value, (size_t)size);
}

static void store(worker *w, int64_t i, int64_t offset, int64_t rows, int64_t columns) {
    const pass *p = w->p;
    const plan *g = p->g;
    int64_t value = p->of->stores[STORE * i], at = p->of->nleaves + i, last = g->ndim - 1;
    int64_t row = last ? g->strides[at][last - 1] : 0, column = g->strides[at][last];
    int size = p->g->sizes[value];
    char *to = p->thunk->out[i]->data + offset;
    if (g->one[value] && g->ways[at] == DIRECT)
        fill(to, w->values[value], rows * columns, size);
    else if (g->one[value])
        move(to, w->values[value], rows, columns, row, column, 0, 0, size);
    else if (g->ways[at] == DIRECT && !p->apart[value])
        memmove(to, w->values[value], (size_t)(rows * columns * size));
    else if (g->ways[at] == DIRECT)
        move(to, w->values[value], rows, columns, columns * size, size, p->apart[value], size, size);
    else
        move(to, w->values[value], rows, columns, row, column, row_of(p, value, columns), size, size);
}

static void reduce(worker *w, int64_t i, const int64_t *offsets, int64_t rows, int64_t columns) {
    const pass *p = w->p;
    const plan *g = p->g;
    const int64_t *r = p->of->reductions + REDUCTION * i;
    int64_t at = p->of->nleaves + p->of->nstores + i, places = at + p->of->nreductions, last = g->ndim - 1;
    int64_t row = last ? g->strides[at][last - 1] : 0, column = g->strides[at][last];
    int64_t further = last ? g->strides[places][last - 1] : 0, step = g->strides[places][last];
    const char *from = w->values[r[1]];
    int64_t size = p->g->sizes[r[1]], acc = rg_itemsize[r[5]], place = offsets[places];
    char *to = w->accumulators[i] + offsets[at], *rest = w->rests[i] + offsets[at] / acc * 8;
    int64_t from_step = row_of(p, r[1], columns), is_apart = p->apart[r[1]] != 0;
    fold whole = p->g->folds[i].whole, each = p->g->folds[i].each;
    if (g->one[r[1]]) {
        fill(w->filled, from, rows * columns, (int)size);
        from = w->filled;
        from_step = columns * size;
    }
    if (columns > 1 && !column && !is_apart && (rows == 1 || (!row && further == columns * step)))
        whole(to, rest, from, rows * columns, place, step);
    else if (columns > 1 && column == acc && !is_apart && (rows == 1 || (row == columns * acc && !further)))
        each(to, rest, from, rows * columns, place, 0);
    else
        for (int64_t k = 0; k < rows; k++) {
            char *to_row = to + k * row, *rest_row = rest + k * row / acc * 8;
            const char *from_row = from + k * from_step;
            int64_t place_row = place + k * further;
            if (!column)
                whole(to_row, rest_row, from_row, columns, place_row, step);
            else if (column == acc)
                each(to_row, rest_row, from_row, columns, place_row, 0);
            else
                for (int64_t c = 0; c < columns; c++)
                    whole(to_row + c * column, rest_row + c * column / acc * 8, from_row + c * size, 1, place_row, 0);
        }
}

/* Ask for step s's share of the memory of the next block, while this one is computed. What the processor fetches by
   itself begins anew with each block of each array, which takes long where it comes from beyond all caches. There are
   shares because the processor waits where more lines are asked for than can be on their way. It is inline: compilers
   leave out calls of a function that does nothing else. */
__attribute__((always_inline)) static inline void fetch(const worker *w, const int64_t *offsets, int64_t s) {
    const pass *p = w->p;
    int64_t nleaves = p->of->nleaves;
    for (int64_t i = 0; i < nleaves + p->of->nstores; i++) {
        int64_t share = p->g->shares[i];
        const char *here = (i < nleaves ? p->data[i] : p->thunk->out[i - nleaves]->data) + offsets[i] + p->g->ahead[i];
        for (int64_t at = share * s; at < share * (s + 1); at += 64)
            __builtin_prefetch(here + at);
    }
}

/* One block: `offsets` is where it begins in each array. */
static void block(worker *w, const int64_t *offsets, int64_t rows, int64_t columns) {
    const pass *p = w->p;
    const group *of = p->of;
    const plan *g = p->g;
    int64_t n = rows * columns, last = g->ndim - 1;
    for (int64_t i = 0; i < of->nleaves; i++) {
        const char *from = p->data[i] + offsets[i];
        w->values[i] = from;
        if (g->ways[i] != MOVED)
            continue;
        w->values[i] = w->registers + g->moved[i] * g->register_bytes;
        if (w->gathered[i] == from && w->gathered_rows[i] == rows && w->gathered_columns[i] == columns)
            continue;
        gather((char *)w->values[i], from, rows, columns, last ? g->strides[i][last - 1] : 0, g->strides[i][last],
               p->g->sizes[i]);
        w->gathered[i] = from, w->gathered_rows[i] = rows, w->gathered_columns[i] = columns;
    }
    for (int64_t s = 0; s < of->nsteps; s++) {
        int64_t value = of->nleaves + s;
        if (g->is_far)
            fetch(w, offsets, s);
        if (g->constant[value])
            continue;
        int64_t out = p->store_of[value] - 1;
        char *to = g->one[value] ? w->cells[value]
                   : out >= 0    ? p->thunk->out[out]->data + offsets[of->nleaves + out]
                                 : w->registers + of->steps[STEP * s + 8] * g->register_bytes;
        if (is_apart(p, s))
            call_rows(w, s, rows, columns, to);
        else
            call_step(w, s, g->one[value] ? 1 : n, to);
    }
    for (int64_t i = 0; i < of->nreductions; i++)
        reduce(w, i, offsets, rows, columns);
    for (int64_t i = 0; i < of->nstores; i++)
        if (p->store_of[of->stores[STORE * i]] != i + 1)
            store(w, i, offsets[of->nleaves + i], rows, columns);
}

/* All blocks of a box, which begins at `offsets`. */
static void blocks(worker *w, const int64_t *shape, int64_t *offsets) {
    const plan *g = w->p->g;
    int64_t last = g->ndim - 1, before = last - 1, index[RG_NDIM] = {0}, here[ARRAYS];
    int64_t height = last ? shape[before] : 1;
    for (;;) {
        for (int64_t r = 0; r < height; r += g->rows)
            for (int64_t c = 0; c < shape[last]; c += g->columns) {
                for (int64_t i = 0; i < g->narrays; i++)
                    here[i] = offsets[i] + (last ? r * g->strides[i][before] : 0) + c * g->strides[i][last];
                block(w, here, height - r < g->rows ? height - r : g->rows,
                      shape[last] - c < g->columns ? shape[last] - c : g->columns);
            }
        int64_t a = before - 1;
        for (; a >= 0; a--) {
            for (int64_t i = 0; i < g->narrays; i++)
                offsets[i] += g->strides[i][a];
            if (++index[a] < shape[a])
                break;
            for (int64_t i = 0; i < g->narrays; i++)
                offsets[i] -= shape[a] * g->strides[i][a];
            index[a] = 0;
        }
        if (a < 0)
            return;
    }
}

/* The blocks of a part of one axis, and what is computed around each. */
static void blocks_around(worker *w, int64_t number, int64_t from, int64_t to) {
    const rg_around *around = w->p->around;
    const plan *g = w->p->g;
    int64_t here[ARRAYS];
    for (int64_t c = from; c < to; c += g->columns) {
        int64_t n = to - c < g->columns ? to - c : g->columns;
        for (int64_t i = 0; i < g->narrays; i++)
            here[i] = c * g->strides[i][0];
        around->before(around->context, number, c, n);
        block(w, here, 1, n);
        around->after(around->context, number, c, n);
    }
}

static int64_t rest_at(const pass *p, int64_t i) {
    return up_to_multiple(p->thunk->out[p->of->nstores + i]->size * rg_itemsize[p->of->reductions[REDUCTION * i + 5]], 64);
}

static void begin_reduction(const pass *p, int64_t i, char *to) {
    const int64_t *r = p->of->reductions + REDUCTION * i;
    int64_t size = p->thunk->out[p->of->nstores + i]->size;
    begin(r[0], (int)r[5], to, size);
    if (p->g->folds[i].has_rest)
        memset(to + rest_at(p, i), 0, (size_t)(8 * size));
}

/* The blocks of one chunk. */
static void part(worker *w, int64_t number, int64_t chunks) {
    const plan *g = w->p->g;
    int64_t shape[RG_NDIM], offsets[ARRAYS], units = (g->shape[g->axis] + g->unit - 1) / g->unit;
    int64_t from = units * number / chunks * g->unit, to = units * (number + 1) / chunks * g->unit;
    to = to > g->shape[g->axis] ? g->shape[g->axis] : to;
    memcpy(shape, g->shape, sizeof shape);
    shape[g->axis] = to - from;
    for (int64_t i = 0; i < g->narrays; i++)
        offsets[i] = from * g->strides[i][g->axis];
    if (w->p->around)
        blocks_around(w, number, from, to);
    else
        blocks(w, shape, offsets);
}

static void run_chunk(void *context, int64_t number, int64_t chunks) {
    const pass *p = context;
    const group *of = p->of;
    const plan *g = p->g;
    worker w;
    w.p = p;
    w.registers = p->registers + number * g->chunk_bytes;
    w.filled = w.registers + of->nregisters * g->register_bytes;
    for (int64_t i = 0; i < of->nreductions; i++) {
        w.accumulators[i] = (g->own[i] ? p->partials + number * g->partials : p->accumulators) + g->at[i];
        w.rests[i] = w.accumulators[i] + rest_at(p, i);
        if (g->own[i])
            begin_reduction(p, i, w.accumulators[i]);
    }
    memset(w.gathered, 0, sizeof *w.gathered * (size_t)of->nleaves);
    for (int64_t i = 0; i < of->nleaves; i++)
        w.values[i] = p->data[i];
    for (int64_t s = 0; s < of->nsteps; s++)
        if (g->constant[of->nleaves + s])
            call_step(&w, s, 1, w.cells[of->nleaves + s]);
    static const int64_t nowhere[ARRAYS];
    if (g->is_one_block && !p->around)
        block(&w, nowhere, g->ndim > 1 ? g->shape[0] : 1, g->shape[g->ndim - 1]);
    else
        part(&w, number, chunks);
}

/* The results of a reduction, from the accumulators. */
static void finish(const pass *p, int64_t i, char *acc) {
    const int64_t *r = p->of->reductions + REDUCTION * i;
    rg_array *out = p->thunk->out[p->of->nstores + i];
    double *a = (double *)acc, *rest = (double *)(acc + rest_at(p, i)), count = (double)p->g->counts[i];
    if (r[0] == SUM && p->g->folds[i].has_rest)
        for (int64_t k = 0; k < out->size; k++)
            a[k] += isfinite(a[k]) ? rest[k] : 0;
    for (int64_t k = 0; r[6] == MEAN && k < out->size; k++) {
        if (r[5] == RG_F64)
            a[k] /= count;
        else
            ((complex128 *)a)[k] /= count;
    }
    if (r[6] == ROOT)
        for (int64_t k = 0; k < out->size; k++)
            a[k] = sqrt(a[k]);
    if (r[6] == LOGARITHM)
        for (int64_t k = 0; k < out->size; k++)
            a[k] += log(rest[k]);
    const void *from = r[6] == POSITION ? (const void *)rest : acc;
    if (r[7])
        ((rg_instruction)(uintptr_t)r[7])(out->size, out->data, &from, 0, NULL);
    else
        memcpy(out->data, from, (size_t)(out->size * rg_itemsize[out->dtype]));
}

/* Add up what the chunks have of a reduction, in their order. */
static void merge(const pass *p, int64_t i, char *to) {
    const int64_t *r = p->of->reductions + REDUCTION * i;
    int64_t size = p->thunk->out[p->of->nstores + i]->size, rest = rest_at(p, i);
    folding of = find_folding(r[0], (int)r[5]);
    for (int64_t k = 1; k < p->g->chunks; k++) {
        char *from = to + k * p->g->partials;
        if (of.merge)
            of.merge(to, to + rest, from, from + rest, size);
        else
            of.each(to, NULL, from, size, 0, 0);
    }
}

/* Which steps may write into what is stored. Where an output lies in the memory of a leaf no later step may read that
   leaf; and a store that is written more than once must not have its leaf changed at all. */
static void choose_stores(pass *p, char *copies) {
    const group *of = p->of;
    const plan *g = p->g;
    memset(p->store_of, 0, sizeof *p->store_of * (size_t)(of->nleaves + of->nsteps));
    memset(p->apart, 0, sizeof *p->apart * (size_t)(of->nleaves + of->nsteps));
    for (int64_t i = 0; i < of->nleaves; i++)
        if (g->ways[i] == ROWS)
            p->apart[i] = g->strides[i][g->ndim - 2];
    for (int64_t i = 0; i < of->nstores; i++) {
        int64_t value = of->stores[STORE * i], is_free = 1;
        for (int64_t k = 0; k < of->nleaves; k++) {
            if (p->thunk->out[i]->data != p->data[k])
                continue;
            if (g->is_small[i]) {
                size_t bytes = (size_t)(p->thunk->in[k]->size * p->g->sizes[k]);
                memcpy(copies, p->data[k], bytes);
                p->data[k] = copies;
                copies += up_to_multiple((int64_t)bytes, 64);
            } else if (is_read_after(of, k, value))
                is_free = 0;
        }
        is_free &= value >= of->nleaves && !g->one[value] && !g->constant[value] && !p->store_of[value];
        if (!is_free || g->ways[of->nleaves + i] == MOVED)
            continue;
        p->store_of[value] = (int16_t)(i + 1);
        p->apart[value] = g->ways[of->nleaves + i] == ROWS ? g->strides[of->nleaves + i][g->ndim - 2] : 0;
    }
}

/* A group of single numbers. */
static int run_single(const group *of, rg_thunk *thunk) {
    _Alignas(16) char cells[VALUES][16];
    const void *values[VALUES], *in[4];
    for (int64_t i = 0; i < of->nleaves; i++)
        values[i] = thunk->in[i]->data;
    for (int64_t s = 0; s < of->nsteps; s++) {
        const int64_t *step = of->steps + STEP * s;
        for (int64_t k = 0; k < step[2]; k++)
            in[k] = values[step[3 + k]];
        values[of->nleaves + s] = cells[s];
        ((rg_instruction)(uintptr_t)step[0])(1, cells[s], in, 0, (const rg_loop_of *)(uintptr_t)step[1]);
    }
    for (int64_t i = 0; i < of->nstores; i++)
        memmove(thunk->out[i]->data, values[of->stores[STORE * i]], (size_t)rg_itemsize[thunk->out[i]->dtype]);
    return RG_OK;
}

/* One step without blocks: no value is kept in a cache for another step. */
static void run_flat(void *context, int64_t number, int64_t chunks) {
    const rg_thunk *thunk = context;
    group of = read_group(thunk->params);
    const plan *g = thunk->state;
    int64_t from = g->total * number / chunks / 64 * 64, to = g->total * (number + 1) / chunks / 64 * 64;
    const void *in[4];
    unsigned single = 0;
    to = number + 1 == chunks ? g->total : to;
    for (int64_t k = 0; k < of.steps[2]; k++) {
        int64_t i = of.steps[3 + k];
        in[k] = thunk->in[i]->data + from * g->strides[i][0];
        single |= (unsigned)(g->ways[i] == ONE) << k;
    }
    ((rg_instruction)(uintptr_t)of.steps[0])(to - from, thunk->out[0]->data + from * g->strides[of.nleaves][0], in, single,
                                            (const rg_loop_of *)(uintptr_t)of.steps[1]);
}

static int run_pass(rg_frame *frame, rg_thunk *thunk, const rg_around *around) {
    group of = read_group(thunk->params);
    const plan *g = thunk->state;
    pass p;
    p.of = &of, p.g = g, p.thunk = thunk, p.around = around;
    for (int64_t i = 0; i < of.nleaves; i++)
        p.data[i] = thunk->in[i]->data;
    p.accumulators = rg_scratch(frame, (size_t)(g->accumulators + g->chunks * (g->partials + g->chunk_bytes) + g->copies));
    if (!p.accumulators)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory");
    p.partials = p.accumulators + g->accumulators;
    p.registers = p.partials + g->chunks * g->partials;
    choose_stores(&p, p.registers + g->chunks * g->chunk_bytes);
    for (int64_t i = 0; i < of.nreductions; i++)
        if (!g->own[i])
            begin_reduction(&p, i, p.accumulators + g->at[i]);
    double ns = 0.01 * (double)(of.cost * g->total) + (around ? around->ns : 0);
    if (g->total && g->chunks > 1)
        rg_parallel(g->chunks, ns, run_chunk, &p);
    else if (g->total)
        run_chunk(&p, 0, 1);
    for (int64_t i = 0; i < of.nreductions; i++) {
        char *acc = (g->own[i] ? p.partials : p.accumulators) + g->at[i];
        if (g->own[i])
            merge(&p, i, acc);
        finish(&p, i, acc);
    }
    return RG_OK;
}

int RG_VARIANT(rg_blocks_run)(rg_frame *frame, rg_thunk *thunk) {
    group of = read_group(thunk->params);
    const plan *g = thunk->state;
    frame->traffic += thunk->traffic;
    if (g->total == 1 && !of.nreductions)
        return run_single(&of, thunk);
    if (g->is_flat) {
        if (g->total == 0) /* there may be no element that a step reads once for all */
            return RG_OK;
        if (g->chunks > 1)
            rg_parallel(g->chunks, 0.01 * (double)(of.cost * g->total), run_flat, thunk);
        else
            run_flat(thunk, 0, 1);
        return RG_OK;
    }
    return run_pass(frame, thunk, NULL);
}

int RG_VARIANT(rg_blocks_run_around)(rg_frame *frame, rg_thunk *thunk, const rg_around *around) {
    frame->traffic += thunk->traffic;
    return run_pass(frame, thunk, around);
}
