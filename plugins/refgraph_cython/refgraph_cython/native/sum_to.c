/* The adjoint of broadcasting: sums over the axes that it added or repeated.

Floats are summed in several lanes, and long lines by halves (pairwise: Higham, "The accuracy of floating point
summation", SIAM J. Sci. Comput. 14, 1993); float16 in float32. Integers wrap, truth values are joined by `or`.
*/
#include "moving.h"

#include <complex.h>

#define LANES 16
#define HALVES 1024 /* elements above which a line is summed by halves */

typedef _Float16 half;
typedef float _Complex complex64;
typedef double _Complex complex128;

#define PLUS(a, b) ((a) + (b))
#define OR(a, b) ((a) | (b))

/* For each dtype: its number, its elements' type, the type of sums, and what adds. */
#define EACH_SUM(DO)                                                                                                   \
    DO(RG_BOOL, b1, uint8_t, uint8_t, OR)                                                                              \
    DO(RG_I8, i8, uint8_t, uint8_t, PLUS)                                                                              \
    DO(RG_I16, i16, uint16_t, uint16_t, PLUS)                                                                          \
    DO(RG_I32, i32, uint32_t, uint32_t, PLUS)                                                                          \
    DO(RG_I64, i64, uint64_t, uint64_t, PLUS)                                                                          \
    DO(RG_F16, f16, half, float, PLUS)                                                                                 \
    DO(RG_F32, f32, float, float, PLUS)                                                                                \
    DO(RG_F64, f64, double, double, PLUS)                                                                              \
    DO(RG_C64, c64, complex64, complex64, PLUS)                                                                        \
    DO(RG_C128, c128, complex128, complex128, PLUS)

/* line: the sum of n elements. rows: add m rows of n elements each to n sums, four rows at a time. */
#define SUMS(dtype, name, type, sum, ADD)                                                                              \
    static sum line_##name(int64_t n, const char *x, int64_t step) {                                                   \
        if (n > HALVES) {                                                                                              \
            int64_t front = n / 2 / LANES * LANES;                                                                     \
            sum one = line_##name(front, x, step), other = line_##name(n - front, x + front * step, step);             \
            return (sum)ADD(one, other);                                                                               \
        }                                                                                                              \
        sum lanes[LANES] = {0}, rest = 0;                                                                              \
        int64_t i = 0;                                                                                                 \
        if (step == (int64_t)sizeof(type))                                                                             \
            for (; i + LANES <= n; i += LANES)                                                                         \
                for (int l = 0; l < LANES; l++)                                                                        \
                    lanes[l] = (sum)ADD(lanes[l], (sum)((const type *)x)[i + l]);                                      \
        else                                                                                                           \
            for (; i + 4 <= n; i += 4)                                                                                 \
                for (int l = 0; l < 4; l++)                                                                            \
                    lanes[l] = (sum)ADD(lanes[l], (sum)*(const type *)(x + (i + l) * step));                           \
        for (; i < n; i++)                                                                                             \
            rest = (sum)ADD(rest, (sum)*(const type *)(x + i * step));                                                 \
        for (int width = LANES / 2; width; width /= 2)                                                                 \
            for (int l = 0; l < width; l++)                                                                            \
                lanes[l] = (sum)ADD(lanes[l], lanes[l + width]);                                                       \
        return (sum)ADD(lanes[0], rest);                                                                               \
    }                                                                                                                  \
    static void add_line_##name(int64_t n, const char *x, int64_t step, void *to) {                                    \
        *(sum *)to = (sum)ADD(*(sum *)to, line_##name(n, x, step));                                                    \
    }                                                                                                                  \
    static void add_rows_##name(int64_t m, int64_t n, const char *x, int64_t row, int64_t step, char *to,              \
                                int64_t to_step) {                                                                     \
        int together = step == (int64_t)sizeof(type) && to_step == (int64_t)sizeof(sum);                               \
        int64_t i = 0;                                                                                                 \
        for (; together && i + 4 <= m; i += 4) {                                                                       \
            const type *a = (const type *)(x + i * row), *b = (const type *)(x + (i + 1) * row);                       \
            const type *c = (const type *)(x + (i + 2) * row), *d = (const type *)(x + (i + 3) * row);                 \
            sum *sums = (sum *)to;                                                                                     \
            for (int64_t j = 0; j < n; j++) {                                                                          \
                sum ab = (sum)ADD((sum)a[j], (sum)b[j]), cd = (sum)ADD((sum)c[j], (sum)d[j]);                          \
                sums[j] = (sum)ADD(sums[j], (sum)ADD(ab, cd));                                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < m; i++)                                                                                             \
            for (int64_t j = 0; j < n; j++) {                                                                          \
                sum *at = (sum *)(to + j * to_step);                                                                   \
                *at = (sum)ADD(*at, (sum)*(const type *)(x + i * row + j * step));                                     \
            }                                                                                                          \
    }
EACH_SUM(SUMS)

typedef struct {
    void (*line)(int64_t, const char *, int64_t, void *);
    void (*rows)(int64_t, int64_t, const char *, int64_t, int64_t, char *, int64_t);
    int64_t size; /* of a sum */
} adder;

static adder adder_of(int dtype) {
    static const int8_t same[RG_NDTYPES] = {[RG_U8] = RG_I8, [RG_U16] = RG_I16, [RG_U32] = RG_I32, [RG_U64] = RG_I64};
    adder found = {0};
#define CHOOSE(row, name, type, sum, ADD)                                                                              \
    case row:                                                                                                          \
        found = (adder){add_line_##name, add_rows_##name, sizeof(sum)};                                                \
        break;
    switch (same[dtype] ? same[dtype] : dtype) { EACH_SUM(CHOOSE) }
    return found;
}

/* The axes of a sum, in the order of the input's strides: `to` is 0 where sums are taken. */
typedef struct {
    int ndim;
    int64_t shape[RG_NDIM], from[RG_NDIM], to[RG_NDIM];
} loops;

static int64_t magnitude(int64_t n) {
    return n < 0 ? -n : n;
}

static loops loops_of(const rg_array *x, const rg_array *out, int64_t itemsize) {
    loops found = {0};
    int64_t strides[RG_NDIM];
    int added = x->ndim - out->ndim;
    rg_c_strides(out->ndim, out->shape, itemsize, strides);
    for (int a = 0; a < x->ndim; a++) {
        if (x->shape[a] == 1)
            continue;
        int64_t to = a < added || out->shape[a - added] == 1 ? 0 : strides[a - added];
        int at = found.ndim++;
        for (; at > 0 && magnitude(found.from[at - 1]) < magnitude(x->strides[a]); at--) {
            found.shape[at] = found.shape[at - 1];
            found.from[at] = found.from[at - 1];
            found.to[at] = found.to[at - 1];
        }
        found.shape[at] = x->shape[a];
        found.from[at] = x->strides[a];
        found.to[at] = to;
    }
    int last = 0;
    for (int a = 1; a < found.ndim; a++) {
        if (found.from[last] == found.from[a] * found.shape[a] && found.to[last] == found.to[a] * found.shape[a]) {
            found.shape[last] *= found.shape[a];
        } else {
            last++;
            found.shape[last] = found.shape[a];
        }
        found.from[last] = found.from[a];
        found.to[last] = found.to[a];
    }
    found.ndim = found.ndim ? last + 1 : 0;
    return found;
}

/* Add all of x to the sums: whole lines where sums are taken along the last axis, else as many rows as there are. */
static void add_all(const loops *l, const adder *add, const char *x, char *sums) {
    int last = l->ndim - 1, outer = last;
    int64_t at[RG_NDIM] = {0}, rows = 1, row = 0;
    if (l->ndim == 0) {
        add->line(1, x, 0, sums);
        return;
    }
    if (l->to[last] && last > 0 && l->to[last - 1] == 0) {
        outer--;
        rows = l->shape[outer];
        row = l->from[outer];
    }
    for (;;) {
        if (l->to[last])
            add->rows(rows, l->shape[last], x, row, l->from[last], sums, l->to[last]);
        else
            add->line(l->shape[last], x, l->from[last], sums);
        int a = outer - 1;
        for (; a >= 0; a--) {
            x += l->from[a];
            sums += l->to[a];
            if (++at[a] < l->shape[a])
                break;
            x -= l->shape[a] * l->from[a];
            sums -= l->shape[a] * l->to[a];
            at[a] = 0;
        }
        if (a < 0)
            return;
    }
}

/* Inputs: x, and one of the shape that is wanted. A view where x has it. */

static int is_same(const rg_array *x, const rg_array *like) {
    return x->ndim == like->ndim && !memcmp(x->shape, like->shape, (size_t)x->ndim * sizeof *x->shape);
}

static int sum_to_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *like = thunk->in[1];
    int added = x->ndim - like->ndim;
    if (is_same(x, like))
        return rg_view_at(frame, thunk, 0, 0, x->ndim, x->shape, x->strides);
    if (added < 0)
        return rg_fail(frame, RG_ERROR_VALUE, "sum_to: too few axes");
    for (int a = 0; a < like->ndim; a++)
        if (like->shape[a] != 1 && like->shape[a] != x->shape[added + a])
            return rg_fail(frame, RG_ERROR_VALUE, "sum_to: axis %d has length %lld", a, (long long)x->shape[added + a]);
    return rg_output(frame, thunk, 0, like->ndim, like->shape);
}

static int sum_to_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    rg_array *out = thunk->out[0];
    if (is_same(x, thunk->in[1]))
        return rg_views_run(frame, thunk);
    adder add = adder_of(x->dtype);
    int is_half = x->dtype == RG_F16;
    char *sums = is_half ? rg_scratch(frame, (size_t)(out->size * add.size)) : out->data;
    if (!sums)
        return RG_ERROR_MEMORY;
    memset(sums, 0, (size_t)(out->size * add.size));
    loops l = loops_of(x, out, add.size);
    if (x->size)
        add_all(&l, &add, x->data, sums);
    for (int64_t i = 0; is_half && i < out->size; i++)
        ((half *)out->data)[i] = (half)((const float *)sums)[i];
    return RG_OK;
}

const rg_kernel rg_kernels_sum_to[] = {
    {"sum_to", sum_to_prepare, sum_to_run},
    {0},
};
