/* Arrays made of a few numbers, and diagonals: ranges, matrices with a diagonal, parts above or below one. */
#include "moving.h"

#include <complex.h>
#include <math.h>

/* Ranges: start, start + step, ... before stop. Inputs: these three. As NumPy has it, the length follows from the three
   as they are given, and the elements from the first two after conversion to the output's dtype. */

typedef struct {
    int is_float;
    double real;
    __int128 integer;
} number;

static number number_of(const rg_array *x) {
    number n = {.is_float = x->dtype >= RG_F16};
    if (x->dtype == RG_F16)
        n.real = (double)*(const _Float16 *)x->data;
    else if (x->dtype == RG_F32)
        n.real = *(const float *)x->data;
    else if (x->dtype == RG_F64)
        n.real = *(const double *)x->data;
    else if (x->dtype == RG_U64)
        n.integer = *(const uint64_t *)x->data;
    else
        n.integer = rg_integer(x);
    if (!n.is_float)
        n.real = (double)n.integer;
    return n;
}

static number sum_of(number a, number b, int sign) {
    number n = {.is_float = a.is_float || b.is_float};
    if (n.is_float) {
        n.real = a.real + sign * b.real;
    } else {
        n.integer = a.integer + sign * b.integer;
        n.real = (double)n.integer;
    }
    return n;
}

#define EACH_RANGE(DO)                                                                                                 \
    DO(RG_I8, int8_t, uint8_t)                                                                                         \
    DO(RG_I16, int16_t, uint16_t)                                                                                      \
    DO(RG_I32, int32_t, uint32_t)                                                                                      \
    DO(RG_I64, int64_t, uint64_t)                                                                                      \
    DO(RG_U8, uint8_t, uint8_t)                                                                                        \
    DO(RG_U16, uint16_t, uint16_t)                                                                                     \
    DO(RG_U32, uint32_t, uint32_t)                                                                                     \
    DO(RG_U64, uint64_t, uint64_t)

#define EACH_FLOAT_RANGE(DO)                                                                                           \
    DO(RG_F16, _Float16, float)                                                                                        \
    DO(RG_F32, float, float)                                                                                           \
    DO(RG_F64, double, double)

/* Whether a number has a value in a dtype, for the two that are converted as Python's are. */
static int fits(number n, int dtype) {
    if (dtype >= RG_F16)
        return 1;
    if (n.is_float) {
        if (!(fabs(n.real) < 9.2e18))
            return 0;
        n.integer = (__int128)n.real;
    }
#define FITS(row, type, wraps)                                                                                         \
    case row:                                                                                                          \
        return (__int128)(type)n.integer == n.integer;
    switch (dtype) { EACH_RANGE(FITS) }
    return 0;
}

static int arange_prepare(rg_frame *frame, rg_thunk *thunk) {
    number start = number_of(thunk->in[0]), stop = number_of(thunk->in[1]), step = number_of(thunk->in[2]);
    if (step.real == 0)
        return rg_fail(frame, RG_ERROR_VALUE, "arange: the step is 0");
    number way = sum_of(stop, start, -1);
    double steps = way.real / step.real, length = ceil(steps);
    if (steps == 0 && way.real != 0)
        length = !signbit(steps);
    if (!(length < 4e18)) /* also NaN */
        return rg_fail(frame, RG_ERROR_VALUE, "arange: no length");
    int64_t n = length > 0 ? (int64_t)length : 0;
    int dtype = thunk->out[0]->dtype;
    if ((n > 0 && !fits(start, dtype)) || (n > 1 && !fits(sum_of(start, step, 1), dtype)))
        return rg_fail(frame, RG_ERROR_VALUE, "arange: a number that does not fit into the dtype");
    return rg_output_of(frame, thunk, 0, 1, &n);
}

#define INTEGER_RANGE(row, type, wraps)                                                                                \
    case row: {                                                                                                        \
        type first = start.is_float ? (type)start.real : (type)start.integer;                                          \
        wraps step = (wraps)((wraps)(next.is_float ? (type)next.real : (type)next.integer) - (wraps)first);            \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((type *)out->data)[i] = (type)((wraps)first + (wraps)i * step);                                           \
        return RG_OK;                                                                                                  \
    }
#define FLOAT_RANGE(row, type, inner)                                                                                  \
    case row: {                                                                                                        \
        inner first = (type)start.real, second = (type)next.real, step = second - first;                               \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((type *)out->data)[i] = (type)(first + (inner)i * step);                                                  \
        if (n > 0)                                                                                                     \
            ((type *)out->data)[0] = (type)first; /* where the step is not finite */                                   \
        if (n > 1)                                                                                                     \
            ((type *)out->data)[1] = (type)second;                                                                     \
        return RG_OK;                                                                                                  \
    }

static int arange_run(rg_frame *frame, rg_thunk *thunk) {
    number start = number_of(thunk->in[0]), next = sum_of(start, number_of(thunk->in[2]), 1);
    rg_array *out = thunk->out[0];
    int64_t n = out->size;
    switch (out->dtype) { EACH_RANGE(INTEGER_RANGE) EACH_FLOAT_RANGE(FLOAT_RANGE) }
    return rg_fail(frame, RG_ERROR_VALUE, "arange: no range of that dtype");
}

/* Numbers at equal distances, along a new first axis. Inputs: start, stop, and their number unless params say it.
   params: their number, or RG_OPEN; whether stop is the last of them. */

static int linspace_prepare(rg_frame *frame, rg_thunk *thunk) {
    int input = 2, ndim = 0;
    int64_t shape[RG_NDIM + 1];
    rg_numbers(thunk, thunk->params, 1, &input, shape);
    if (rg_broadcast(&ndim, shape + 1, thunk->in[0]) || rg_broadcast(&ndim, shape + 1, thunk->in[1]))
        return rg_fail(frame, RG_ERROR_VALUE, "linspace: ends that do not broadcast");
    return rg_output_of(frame, thunk, 0, ndim + 1, shape);
}

/* NumPy multiplies by the step; where the step of any of the ends underflows, by the whole way. */
#define LINSPACE(type, zero)                                                                                           \
    static void linspace_##type(int64_t n, int64_t div, int64_t size, const void *starts, const void *stops,           \
                                void *result) {                                                                        \
        const type *start = starts, *stop = stops;                                                                     \
        type *out = result;                                                                                            \
        int underflows = 0;                                                                                            \
        for (int64_t j = 0; j < size && div > 0; j++)                                                                  \
            underflows |= (type)((type)(stop[j] - start[j]) / (type)div) == zero;                                      \
        for (int64_t i = 0; i < n; i++)                                                                                \
            for (int64_t j = 0; j < size; j++) {                                                                       \
                type way = stop[j] - start[j], at = (type)i;                                                           \
                if (div > 0 && underflows)                                                                             \
                    at /= (type)div;                                                                                   \
                else if (div > 0)                                                                                      \
                    way /= (type)div;                                                                                  \
                out[i * size + j] = (type)(at * way) + start[j];                                                       \
            }                                                                                                          \
    }
typedef _Float16 half;
typedef float _Complex complex64;
typedef double _Complex complex128;
LINSPACE(half, 0)
LINSPACE(float, 0)
LINSPACE(double, 0)

/* Complex numbers with a real factor, part by part: a product of complex ones would make NaN of infinities. */
#define COMPLEX_LINSPACE(name, part, whole)                                                                            \
    static void linspace_##name(int64_t n, int64_t div, int64_t size, const void *starts, const void *stops,           \
                                void *result) {                                                                        \
        const whole *start = starts, *stop = stops;                                                                    \
        part *out = result;                                                                                            \
        int underflows = 0;                                                                                            \
        for (int64_t j = 0; j < size && div > 0; j++)                                                                  \
            underflows |= (stop[j] - start[j]) / (part)div == 0;                                                       \
        for (int64_t i = 0; i < n; i++)                                                                                \
            for (int64_t j = 0; j < size; j++) {                                                                       \
                whole way = stop[j] - start[j];                                                                        \
                part at = (part)i;                                                                                     \
                whole gone = div <= 0 ? way * at : underflows ? way * (at / (part)div) : (way / (part)div) * at;       \
                whole there = gone + start[j];                                                                         \
                memcpy(out + 2 * (i * size + j), &there, sizeof there);                                                \
            }                                                                                                          \
    }
COMPLEX_LINSPACE(complex64, float, complex64)
COMPLEX_LINSPACE(complex128, double, complex128)

static int linspace_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    if (out->size == 0)
        return RG_OK;
    int endpoint = (int)thunk->params[1], ndim = out->ndim - 1;
    int64_t n = out->shape[0], size = out->size / n, itemsize = rg_itemsize[out->dtype], strides[RG_NDIM];
    char *ends = rg_scratch(frame, (size_t)(2 * size * itemsize));
    if (!ends)
        return RG_ERROR_MEMORY;
    char *start = ends, *stop = ends + size * itemsize;
    rg_c_strides(ndim, out->shape + 1, itemsize, strides);
    rg_widen_into(thunk->in[0], out->dtype, ndim, out->shape + 1, start, strides);
    rg_widen_into(thunk->in[1], out->dtype, ndim, out->shape + 1, stop, strides);
    int64_t div = endpoint ? n - 1 : n;
#define FILL(dtype, type)                                                                                              \
    case dtype:                                                                                                        \
        linspace_##type(n, div, size, start, stop, out->data);                                                         \
        break;
    switch (out->dtype) {
        FILL(RG_F16, half)
        FILL(RG_F32, float)
        FILL(RG_F64, double)
        FILL(RG_C64, complex64)
        FILL(RG_C128, complex128)
    default:
        return rg_fail(frame, RG_ERROR_VALUE, "linspace: no numbers of that dtype");
    }
    if (endpoint && n > 1)
        memcpy(out->data + (n - 1) * size * itemsize, stop, (size_t)(size * itemsize));
    return RG_OK;
}

/* A matrix of zeros but for ones on a diagonal, or on and below it. Inputs: 1 in the output's dtype, the diagonal's
   number, the lengths. params: the lengths, RG_OPEN for those that are inputs. */

static int eye_prepare(rg_frame *frame, rg_thunk *thunk) {
    int input = 2;
    int64_t shape[2];
    rg_numbers(thunk, thunk->params, 2, &input, shape);
    return rg_output_of(frame, thunk, 0, 2, shape);
}

/* The number of a diagonal, where those that miss the matrix are next to it. */
static int64_t diagonal_number(const rg_array *k, int64_t n, int64_t m) {
    return rg_within(-n, rg_integer(k), m);
}

static void set_zero(rg_array *out) {
    memset(out->data, 0, (size_t)(out->size * rg_itemsize[out->dtype]));
}

/* Where a diagonal begins in an n by m matrix, and how many elements it has. */
static int64_t along_diagonal(int64_t k, int64_t n, int64_t m, int64_t row, int64_t column, int64_t *start) {
    int64_t length = k >= 0 ? rg_least(n, m - k) : rg_least(n + k, m);
    *start = length > 0 ? rg_most(-k, 0) * row + rg_most(k, 0) * column : 0;
    return rg_most(length, 0);
}

static int eye_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    int64_t n = out->shape[0], m = out->shape[1], row = out->strides[0], column = out->strides[1], start;
    int64_t length = along_diagonal(diagonal_number(thunk->in[1], n, m), n, m, row, column, &start);
    set_zero(out);
    rg_line(rg_itemsize[out->dtype], length, thunk->in[0]->data, 0, out->data + start, row + column);
    return RG_OK;
}

static int tri_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    int64_t n = out->shape[0], m = out->shape[1], k = diagonal_number(thunk->in[1], n, m);
    set_zero(out);
    for (int64_t i = 0; i < n; i++)
        rg_line(rg_itemsize[out->dtype], rg_least(i + k + 1, m), thunk->in[0]->data, 0, out->data + i * out->strides[0],
                out->strides[1]);
    return RG_OK;
}

/* The part of matrices, along the last two axes, on and below a diagonal, or on and above it; zeros elsewhere. Inputs:
   the matrices, the diagonal's number. params: whether it is the part below. */

static int triangle_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

static int triangle_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *x = thunk->in[0];
    rg_array *out = thunk->out[0];
    int lower = (int)thunk->params[0], row = x->ndim - 2;
    int64_t n = x->shape[row], m = x->shape[row + 1], itemsize = rg_itemsize[x->dtype];
    int64_t f = x->strides[row + 1], t = out->strides[row + 1], at[RG_NDIM] = {0};
    int64_t k = diagonal_number(thunk->in[1], n, m);
    const char *from = x->data;
    if (x->size == 0)
        return RG_OK;
    for (char *to = out->data;; to += m * itemsize) { /* row by row, over all matrices */
        int64_t first = at[row] + k + !!lower; /* of the part above, or past the part below */
        first = rg_within(0, first, m);
        if (lower) {
            rg_line(itemsize, first, from, f, to, t);
            memset(to + first * itemsize, 0, (size_t)((m - first) * itemsize));
        } else {
            memset(to, 0, (size_t)(first * itemsize));
            rg_line(itemsize, m - first, from + first * f, f, to + first * t, t);
        }
        int a = row;
        for (; a >= 0; a--) {
            from += x->strides[a];
            if (++at[a] < x->shape[a])
                break;
            from -= x->shape[a] * x->strides[a];
            at[a] = 0;
        }
        if (a < 0)
            return RG_OK;
    }
}

/* A diagonal of matrices along two axes, as a last axis; a view. params: the diagonal's number, the two axes. */

/* The other axes than two, of an array: their lengths and strides. */
static int without(const rg_array *x, int64_t one, int64_t other, int64_t *shape, int64_t *strides) {
    int n = 0;
    for (int a = 0; a < x->ndim; a++) {
        if (a == one || a == other)
            continue;
        shape[n] = x->shape[a];
        strides[n++] = x->strides[a];
    }
    return n;
}

static int diagonal_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int64_t k = thunk->params[0], a = thunk->params[1], b = thunk->params[2];
    int64_t shape[RG_NDIM], strides[RG_NDIM], start;
    int n = without(x, a, b, shape, strides);
    k = rg_within(-x->shape[a], k, x->shape[b]);
    shape[n] = along_diagonal(k, x->shape[a], x->shape[b], x->strides[a], x->strides[b], &start);
    strides[n] = x->strides[a] + x->strides[b];
    return rg_view_at(frame, thunk, 0, start, n + 1, shape, strides);
}

/* Matrices along two axes, zero but for a diagonal, which is the input's last axis. params: the diagonal's number, the
   two axes, the matrices' lengths, RG_OPEN for those that are inputs. */

static int alloc_diag_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *d = thunk->in[0];
    int64_t k = thunk->params[0], a = thunk->params[1], b = thunk->params[2];
    int64_t matrix[2], shape[RG_NDIM], start;
    int input = 1, rest = 0;
    rg_numbers(thunk, thunk->params + 3, 2, &input, matrix);
    if (matrix[0] < 0 || matrix[1] < 0)
        return rg_fail(frame, RG_ERROR_VALUE, "alloc_diag: a length is negative");
    k = rg_within(-matrix[0], k, matrix[1]);
    if (along_diagonal(k, matrix[0], matrix[1], 0, 0, &start) != d->shape[d->ndim - 1])
        return rg_fail(frame, RG_ERROR_VALUE, "alloc_diag: a diagonal of another length");
    for (int i = 0; i <= d->ndim; i++)
        shape[i] = i == a ? matrix[0] : i == b ? matrix[1] : d->shape[rest++];
    return rg_output_of(frame, thunk, 0, d->ndim + 1, shape);
}

static int alloc_diag_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *d = thunk->in[0];
    rg_array *out = thunk->out[0];
    int64_t k = thunk->params[0], a = thunk->params[1], b = thunk->params[2];
    int64_t shape[RG_NDIM], strides[RG_NDIM], start;
    int n = without(out, a, b, shape, strides);
    k = rg_within(-out->shape[a], k, out->shape[b]);
    shape[n] = along_diagonal(k, out->shape[a], out->shape[b], out->strides[a], out->strides[b], &start);
    strides[n] = out->strides[a] + out->strides[b];
    set_zero(out);
    rg_move_into(d, d->ndim, shape, out->data + start, strides);
    return RG_OK;
}

/* Diagonals over any axes: those with one number share an index. params: for each axis of the whole array which axis of
   the diagonals it goes with. `diagonals` is a view of the whole; `embed_diagonals` puts diagonals among zeros. */

static int shared_axes(const rg_array *whole, const int64_t *params, int64_t *shape, int64_t *strides) {
    int n = 0;
    memset(shape, 0, RG_NDIM * sizeof *shape);
    for (int a = 0; a < whole->ndim; a++) {
        int64_t to = params[a];
        if (to == n) {
            shape[n] = whole->shape[a];
            strides[n++] = 0;
        }
        if (shape[to] != whole->shape[a])
            return -1;
        strides[to] += whole->strides[a];
    }
    return n;
}

static int diagonals_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int n = shared_axes(thunk->in[0], thunk->params, shape, strides);
    if (n < 0)
        return rg_fail(frame, RG_ERROR_VALUE, "diagonals of axes of different lengths");
    return rg_view_at(frame, thunk, 0, 0, n, shape, strides);
}

static int embed_diagonals_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *like = thunk->in[1];
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int n = shared_axes(like, thunk->params, shape, strides);
    if (n < 0 || rg_stretch(x, n, shape, strides))
        return rg_fail(frame, RG_ERROR_VALUE, "diagonals of other lengths");
    return rg_output(frame, thunk, 0, like->ndim, like->shape);
}

static int embed_diagonals_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int n = shared_axes(out, thunk->params, shape, strides);
    set_zero(out);
    rg_move_into(thunk->in[0], n, shape, out->data, strides);
    return RG_OK;
}

const rg_kernel rg_kernels_construct[] = {
    {"arange", arange_prepare, arange_run},
    {"linspace", linspace_prepare, linspace_run},
    {"eye", eye_prepare, eye_run},
    {"tri", eye_prepare, tri_run},
    {"triangle", triangle_prepare, triangle_run},
    {"diagonal", diagonal_prepare, rg_views_run},
    {"alloc_diag", alloc_diag_prepare, alloc_diag_run},
    {"diagonals", diagonals_prepare, rg_views_run},
    {"embed_diagonals", embed_diagonals_prepare, embed_diagonals_run},
    {0},
};
