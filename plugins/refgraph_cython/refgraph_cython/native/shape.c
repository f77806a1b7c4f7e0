/* The same elements with other axes, which are views where they can be; and the lengths of axes as values. */
#include "moving.h"

/* What other files of kernels use, too. */

void rg_c_strides(int ndim, const int64_t *shape, int64_t itemsize, int64_t *strides) {
    for (int a = ndim - 1; a >= 0; a--) {
        strides[a] = itemsize;
        itemsize *= rg_most(shape[a], 1);
    }
}

int rg_output_of(rg_frame *frame, rg_thunk *thunk, int k, int ndim, const int64_t *shape) {
    int64_t bytes = rg_itemsize[thunk->out[k]->dtype];
    for (int a = 0; a < ndim; a++) {
        if (shape[a] < 0)
            return rg_fail(frame, RG_ERROR_VALUE, "axis %d would have length %lld", a, (long long)shape[a]);
        if (__builtin_mul_overflow(bytes, rg_most(shape[a], 1), &bytes))
            return rg_fail(frame, RG_ERROR_VALUE, "an array of more elements than memory can hold");
    }
    return rg_output(frame, thunk, k, ndim, shape);
}

int rg_view_at(rg_frame *frame, rg_thunk *thunk, int k, int64_t offset, int ndim, const int64_t *shape,
               const int64_t *strides) {
    int64_t *offsets = rg_state(frame, thunk, (size_t)thunk->nout * sizeof *offsets);
    if (!offsets)
        return RG_ERROR_MEMORY;
    offsets[k] = offset;
    return rg_view(frame, thunk, k, 0, ndim, shape, strides);
}

int rg_views_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const int64_t *offsets = thunk->state;
    for (int k = 0; k < thunk->nout; k++)
        thunk->out[k]->data = thunk->in[0]->data + offsets[k];
    return RG_OK;
}

/* The input. */

static int same_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    return rg_view_at(frame, thunk, 0, 0, x->ndim, x->shape, x->strides);
}

/* Axes in another order. params: for each of the output's axes the input's, or -1 for a new one. */

static int dimshuffle_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int ndim = thunk->out[0]->ndim;
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    unsigned kept = 0;
    for (int a = 0; a < ndim; a++) {
        int64_t from = thunk->params[a];
        shape[a] = from < 0 ? 1 : x->shape[from];
        strides[a] = from < 0 ? 0 : x->strides[from];
        kept |= from < 0 ? 0 : 1u << from;
    }
    for (int a = 0; a < x->ndim; a++)
        if (!(kept >> a & 1) && x->shape[a] != 1)
            return rg_fail(frame, RG_ERROR_VALUE, "axis %d has length %lld", a, (long long)x->shape[a]);
    return rg_view_at(frame, thunk, 0, 0, ndim, shape, strides);
}

/* Lengths. */

static int shape_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t n = thunk->in[0]->ndim;
    return rg_output(frame, thunk, 0, 1, &n);
}

static int shape_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    memcpy(thunk->out[0]->data, thunk->in[0]->shape, (size_t)thunk->in[0]->ndim * sizeof(int64_t));
    return RG_OK;
}

static int shape_i_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t none[1] = {0};
    return rg_output(frame, thunk, 0, 0, none);
}

static int shape_i_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    *(int64_t *)thunk->out[0]->data = thunk->in[0]->shape[thunk->params[0]];
    return RG_OK;
}

/* Another shape. params: the lengths, RG_OPEN for those that are inputs; one may be -1. */

static int64_t product(const int64_t *lengths, int begin, int end) {
    int64_t size = 1;
    for (int a = begin; a < end; a++)
        if (__builtin_mul_overflow(size, lengths[a], &size))
            return -1;
    return size;
}

/* Replace the length that is -1 by what is left, lengths with which both shapes begin or end set aside: (0, 3, 4) as
   (0, -1) is (0, 12). 0, or -1 where nothing fits. */
static int find_missing(const rg_array *x, int ndim, int64_t *target, int missing) {
    int first = 0, end = x->ndim, left = 0, right = ndim;
    while (first < end && left < missing && x->shape[first] == target[left]) {
        first++;
        left++;
    }
    while (first < end && right > missing + 1 && x->shape[end - 1] == target[right - 1]) {
        end--;
        right--;
    }
    int64_t total = product(x->shape, first, end), before = product(target, left, missing);
    int64_t rest, after = product(target, missing + 1, right);
    if (before < 0 || after < 0 || __builtin_mul_overflow(before, after, &rest) || rest == 0 || total % rest)
        return -1;
    target[missing] = total / rest;
    return 0;
}

/* The strides of the same elements in another shape of as many, if they can be had without a copy: groups of axes of
   both shapes that hold equally many elements are found from the left, and in each the input's must be one axis. */
static int reshaped_strides(const rg_array *x, int ndim, const int64_t *shape, int64_t *strides) {
    int64_t from[RG_NDIM], from_strides[RG_NDIM];
    int n = 0, i = 0, j = 0;
    for (int a = 0; a < x->ndim; a++) {
        if (x->shape[a] == 1)
            continue;
        from[n] = x->shape[a];
        from_strides[n++] = x->strides[a];
    }
    while (i < n && j < ndim) {
        int64_t there = from[i], here = shape[j];
        int i_end = i + 1, j_end = j + 1;
        while (there != here) {
            if (there < here)
                there *= from[i_end++];
            else
                here *= shape[j_end++];
        }
        for (int a = i; a < i_end - 1; a++)
            if (from_strides[a] != from_strides[a + 1] * from[a + 1])
                return -1;
        int64_t stride = from_strides[i_end - 1];
        for (int a = j_end - 1; a >= j; a--) {
            strides[a] = stride;
            stride *= shape[a];
        }
        i = i_end;
        j = j_end;
    }
    for (; j < ndim; j++) /* lengths of 1 */
        strides[j] = 0;
    return 0;
}

typedef struct {
    int copies;
} reshape;

static int reshape_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int ndim = thunk->out[0]->ndim, input = 1, missing = -1;
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    rg_numbers(thunk, thunk->params, ndim, &input, shape);
    for (int a = 0; a < ndim; a++) {
        if (shape[a] < -1 || (shape[a] == -1 && missing >= 0))
            return rg_fail(frame, RG_ERROR_VALUE, "reshape: a length of %lld", (long long)shape[a]);
        missing = shape[a] == -1 ? a : missing;
    }
    if ((missing >= 0 && find_missing(x, ndim, shape, missing)) || product(shape, 0, ndim) != x->size)
        return rg_fail(frame, RG_ERROR_VALUE, "%lld elements do not go into that shape", (long long)x->size);
    reshape *state = rg_state(frame, thunk, sizeof *state);
    if (!state)
        return RG_ERROR_MEMORY;
    int is_line = x->contiguous || x->size == 0;
    if (is_line)
        rg_c_strides(ndim, shape, rg_itemsize[x->dtype], strides);
    state->copies = !is_line && reshaped_strides(x, ndim, shape, strides);
    return state->copies ? rg_output(frame, thunk, 0, ndim, shape)
                         : rg_view(frame, thunk, 0, 0, ndim, shape, strides);
}

static int reshape_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *x = thunk->in[0];
    if (((const reshape *)thunk->state)->copies) {
        int64_t strides[RG_NDIM];
        rg_c_strides(x->ndim, x->shape, rg_itemsize[x->dtype], strides);
        rg_move(x->ndim, x->shape, rg_itemsize[x->dtype], x->data, x->strides, thunk->out[0]->data, strides);
    } else {
        thunk->out[0]->data = x->data;
    }
    return RG_OK;
}

/* The input, if it has these lengths. params: for each axis its length, or RG_OPEN where none is said; then the axes
   whose lengths are the further inputs. */

static int specify_shape_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    for (int a = 0; a < x->ndim; a++)
        if (thunk->params[a] != RG_OPEN && thunk->params[a] != x->shape[a])
            return rg_fail(frame, RG_ERROR_VALUE, "axis %d has length %lld", a, (long long)x->shape[a]);
    return rg_view_at(frame, thunk, 0, 0, x->ndim, x->shape, x->strides);
}

static int specify_shape_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    for (int i = 1; i < thunk->nin; i++) {
        int64_t axis = thunk->params[x->ndim + i - 1];
        if (x->shape[axis] != rg_integer(thunk->in[i]))
            return rg_fail(frame, RG_ERROR_VALUE, "axis %d has length %lld", (int)axis, (long long)x->shape[axis]);
    }
    return rg_views_run(frame, thunk);
}

/* The input, repeated along axes. params: the lengths, RG_OPEN for those that are inputs. `broadcast_to` is a view,
   `alloc` a new array. */

static int stretched(rg_frame *frame, rg_thunk *thunk, int64_t *shape, int64_t *strides) {
    int ndim = thunk->out[0]->ndim, input = 1;
    rg_numbers(thunk, thunk->params, ndim, &input, shape);
    for (int a = 0; a < ndim; a++)
        if (shape[a] < 0)
            return rg_fail(frame, RG_ERROR_VALUE, "axis %d would have length %lld", a, (long long)shape[a]);
    if (rg_stretch(thunk->in[0], ndim, shape, strides))
        return rg_fail(frame, RG_ERROR_VALUE, "shapes that do not broadcast");
    return RG_OK;
}

static int broadcast_to_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int error = stretched(frame, thunk, shape, strides);
    return error ? error : rg_view_at(frame, thunk, 0, 0, thunk->out[0]->ndim, shape, strides);
}

static int alloc_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int error = stretched(frame, thunk, shape, strides);
    return error ? error : rg_output_of(frame, thunk, 0, thunk->out[0]->ndim, shape);
}

static int alloc_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    rg_move_into(thunk->in[0], out->ndim, out->shape, out->data, out->strides);
    return RG_OK;
}

/* Refuses calls in which axes of inputs are not equally long. The output says that it was looked at, and is read by
   nobody. params: how many pairs follow; pairs of an input and an axis, where -1 as input ends a group. */
static int same_lengths_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t length = -1;
    for (int64_t i = 0; i < thunk->params[0]; i++) {
        const int64_t *pair = thunk->params + 1 + 2 * i;
        int64_t n = pair[0] < 0 ? -1 : thunk->in[pair[0]]->shape[pair[1]];
        if (length >= 0 && n >= 0 && n != length)
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "something is broadcast");
        length = n;
    }
    return rg_output(frame, thunk, 0, 0, NULL);
}

static int same_lengths_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    *(char *)thunk->out[0]->data = 1;
    return RG_OK;
}

const rg_kernel rg_kernels_shape[] = {
    {"same", same_prepare, rg_views_run},
    {"dimshuffle", dimshuffle_prepare, rg_views_run},
    {"shape", shape_prepare, shape_run},
    {"shape_i", shape_i_prepare, shape_i_run},
    {"reshape", reshape_prepare, reshape_run},
    {"specify_shape", specify_shape_prepare, specify_shape_run},
    {"broadcast_to", broadcast_to_prepare, rg_views_run},
    {"alloc", alloc_prepare, alloc_run},
    {"same_lengths", same_lengths_prepare, same_lengths_run},
    {0},
};
