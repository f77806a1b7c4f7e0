/* Positions as values: where elements are not zero, numbers of elements and their positions along each axis; and which
of several arrays each element is taken from. */
#include "picks.h"

/* For each axis the positions of the elements that are not zero. The input's values say how many there are. */

static int nonzero_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t count = rg_count_nonzero(thunk->in[0]);
    for (int k = 0; k < thunk->nout; k++) {
        int error = rg_output(frame, thunk, k, 1, &count);
        if (error)
            return error;
    }
    return RG_OK;
}

typedef struct {
    int64_t *to[RG_NDIM];
    int64_t n;
    int ndim;
} positions;

static void note_positions(void *context, const int64_t *at, int64_t n, const int32_t *along) {
    positions *found = context;
    int last = found->ndim - 1;
    for (int a = 0; a <= last; a++)
        for (int64_t i = 0; i < n; i++)
            found->to[a][found->n + i] = at[a] + (a == last ? along[i] : 0);
    found->n += n;
}

static int nonzero_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    positions found = {.ndim = thunk->nout};
    for (int k = 0; k < thunk->nout; k++)
        found.to[k] = (int64_t *)thunk->out[k]->data;
    rg_each_nonzero(thunk->in[0], note_positions, &found);
    return RG_OK;
}

/* Integers as int64, which those of uint64 wrap to, in C order. */

#define READ(dtype, type)                                                                                              \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++)                                                                                \
            to[i] = (int64_t)*(const type *)(from + i * step);                                                         \
        return;

static void read_line(int dtype, int64_t n, const char *from, int64_t step, int64_t *to) {
    switch (dtype) {
        READ(RG_BOOL, uint8_t)
        READ(RG_I8, int8_t)
        READ(RG_I16, int16_t)
        READ(RG_I32, int32_t)
        READ(RG_I64, int64_t)
        READ(RG_U8, uint8_t)
        READ(RG_U16, uint16_t)
        READ(RG_U32, uint32_t)
        READ(RG_U64, int64_t)
    }
}

/* All elements of an array, broadcast to a shape, one after the other. */
static void read_all(const rg_array *x, int ndim, const int64_t *shape, int64_t *to) {
    int64_t strides[RG_NDIM], at[RG_NDIM] = {0};
    int last = ndim - 1;
    const char *from = x->data;
    if (rg_size(ndim, shape) == 0)
        return;
    rg_stretch(x, ndim, shape, strides);
    for (;;) {
        int64_t n = ndim ? shape[last] : 1;
        read_line(x->dtype, n, from, ndim ? strides[last] : 0, to);
        to += n;
        int a = last - 1;
        for (; a >= 0; a--) {
            from += strides[a];
            if (++at[a] < shape[a])
                break;
            from -= shape[a] * strides[a];
            at[a] = 0;
        }
        if (a < 0)
            return;
    }
}

/* The modes of indices, in params. */
enum { RAISE, WRAP, CLIP };

static int64_t modulo(int64_t i, int64_t n) {
    int64_t rest = i % n;
    return rest < 0 ? rest + n : rest;
}

/* Bring n indices into 0 ... length - 1, or say -1 where one is outside and must not be. */
static int bring_inside(int64_t mode, int64_t n, int64_t *indices, int64_t length) {
    int outside = 0;
    for (int64_t i = 0; i < n; i++) {
        if (mode == WRAP)
            indices[i] = modulo(indices[i], length);
        else if (mode == CLIP)
            indices[i] = rg_within(0, indices[i], length - 1);
        else
            outside |= indices[i] < 0 || indices[i] >= length;
    }
    return outside ? -1 : 0;
}

/* choices[a[i], i]. Inputs: a, choices. params: the mode. */

static int choose_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *a = thunk->in[0], *choices = thunk->in[1];
    rg_array one = {.ndim = choices->ndim - 1};
    int ndim = 0;
    int64_t shape[RG_NDIM];
    memcpy(one.shape, choices->shape + 1, (size_t)one.ndim * sizeof *shape);
    if (rg_broadcast(&ndim, shape, a) || rg_broadcast(&ndim, shape, &one))
        return rg_fail(frame, RG_ERROR_VALUE, "choose: shapes that do not broadcast");
    return rg_output(frame, thunk, 0, ndim, shape);
}

static int choose_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *a = thunk->in[0], *choices = thunk->in[1];
    rg_array *out = thunk->out[0];
    int64_t mode = thunk->params[0], n = choices->shape[0], itemsize = rg_itemsize[out->dtype];
    int64_t *distances = rg_scratch(frame, (size_t)rg_most(a->size, out->size) * sizeof *distances);
    if (!distances)
        return RG_ERROR_MEMORY;
    read_all(a, a->ndim, a->shape, distances);
    int is_outside = mode == RAISE && bring_inside(RAISE, a->size, distances, n); /* also where none is taken */
    if (is_outside || (out->size && n == 0))
        return rg_fail(frame, RG_ERROR_VALUE, "choose: a number of no choice");
    if (out->size == 0)
        return RG_OK;
    read_all(a, out->ndim, out->shape, distances);
    bring_inside(mode, out->size, distances, n);
    int64_t strides[RG_NDIM], at[RG_NDIM] = {0};
    rg_array one = {.ndim = choices->ndim - 1};
    memcpy(one.shape, choices->shape + 1, (size_t)one.ndim * sizeof *strides);
    memcpy(one.strides, choices->strides + 1, (size_t)one.ndim * sizeof *strides);
    rg_stretch(&one, out->ndim, out->shape, strides);
    const char *from = choices->data;
    char *to = out->data;
    int last = out->ndim - 1;
    int64_t m = out->ndim ? out->shape[last] : 1, step = out->ndim ? strides[last] : 0;
    for (;;) {
        for (int64_t i = 0; i < m; i++, to += itemsize)
            memcpy(to, from + i * step + *distances++ * choices->strides[0], (size_t)itemsize);
        int d = last - 1;
        for (; d >= 0; d--) {
            from += strides[d];
            if (++at[d] < out->shape[d])
                break;
            from -= out->shape[d] * strides[d];
            at[d] = 0;
        }
        if (d < 0)
            return RG_OK;
    }
}

/* The number of an element in the flattened array. Inputs: the lengths, then a position for each axis. params: the
   mode, and whether the first axis varies fastest. */

static int ravel_prepare(rg_frame *frame, rg_thunk *thunk) {
    int ndim = 0;
    int64_t shape[RG_NDIM];
    for (int i = 1; i < thunk->nin; i++)
        if (rg_broadcast(&ndim, shape, thunk->in[i]))
            return rg_fail(frame, RG_ERROR_VALUE, "ravel_multi_index: positions that do not broadcast");
    if (thunk->in[0]->size != thunk->nin - 1)
        return rg_fail(frame, RG_ERROR_VALUE, "ravel_multi_index: %lld lengths", (long long)thunk->in[0]->size);
    return rg_output(frame, thunk, 0, ndim, shape);
}

/* The lengths, and how many elements there are to one step along each axis. How many elements there are in all, or -1
   where these are too many. */
static int64_t steps_of(const rg_array *dims, int first_is_fastest, int64_t *lengths, int64_t *steps) {
    int64_t n = dims->size, total = 1;
    read_all(dims, 1, &n, lengths);
    for (int64_t k = 0; k < n; k++) {
        int64_t a = first_is_fastest ? k : n - 1 - k;
        steps[a] = total;
        if (lengths[a] < 0 || __builtin_mul_overflow(total, lengths[a], &total))
            return -1;
    }
    return total;
}

static int ravel_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    int64_t n = thunk->in[0]->size, size = out->size, mode = thunk->params[0];
    int64_t *lengths = rg_scratch(frame, (size_t)(2 * n + size) * sizeof *lengths), *to = (int64_t *)out->data;
    if (!lengths)
        return RG_ERROR_MEMORY;
    int64_t *steps = lengths + n, *at = steps + n;
    if (steps_of(thunk->in[0], (int)thunk->params[1], lengths, steps) < 0)
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "ravel_multi_index: lengths that no array has");
    memset(to, 0, (size_t)size * sizeof *to);
    for (int64_t a = 0; a < n; a++) {
        if (size && lengths[a] == 0)
            return rg_fail(frame, RG_ERROR_VALUE, "ravel_multi_index: a position along an axis of length 0");
        read_all(thunk->in[a + 1], out->ndim, out->shape, at);
        if (bring_inside(mode, size, at, lengths[a]))
            return rg_fail(frame, RG_ERROR_VALUE, "ravel_multi_index: a position is out of bounds");
        for (int64_t i = 0; i < size; i++)
            to[i] += at[i] * steps[a];
    }
    return RG_OK;
}

/* The positions of elements that are given by their numbers in the flattened array. Inputs: the numbers, the lengths.
   params: whether the first axis varies fastest. */

static int unravel_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *numbers = thunk->in[0];
    if (thunk->in[1]->size != thunk->nout)
        return rg_fail(frame, RG_ERROR_VALUE, "unravel_index: %lld lengths", (long long)thunk->in[1]->size);
    for (int k = 0; k < thunk->nout; k++) {
        int error = rg_output(frame, thunk, k, numbers->ndim, numbers->shape);
        if (error)
            return error;
    }
    return RG_OK;
}

static int unravel_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *numbers = thunk->in[0];
    int64_t n = thunk->nout, size = numbers->size;
    int64_t *lengths = rg_scratch(frame, (size_t)(2 * n + size) * sizeof *lengths);
    if (!lengths)
        return RG_ERROR_MEMORY;
    int64_t *steps = lengths + n, *at = steps + n;
    int64_t total = steps_of(thunk->in[1], (int)thunk->params[0], lengths, steps);
    if (total < 0)
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "unravel_index: lengths that no array has");
    read_all(numbers, numbers->ndim, numbers->shape, at);
    if (bring_inside(RAISE, size, at, total))
        return rg_fail(frame, RG_ERROR_VALUE, "unravel_index: a number is out of bounds");
    for (int64_t a = 0; a < n; a++)
        for (int64_t i = 0; i < size; i++)
            ((int64_t *)thunk->out[a]->data)[i] = at[i] / steps[a] % lengths[a];
    return RG_OK;
}

const rg_kernel rg_kernels_positions[] = {
    {"nonzero", nonzero_prepare, nonzero_run},
    {"choose", choose_prepare, choose_run},
    {"ravel_multi_index", ravel_prepare, ravel_run},
    {"unravel_index", unravel_prepare, unravel_run},
    {0},
};
