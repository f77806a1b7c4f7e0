/* Arrays put together, cut apart, repeated, moved along their axes, and given a border. All but the cuts copy parts. */
#include "moving.h"

/* One after another along an axis that they have. params: the axis. */

static int join_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *first = thunk->in[0];
    int axis = (int)thunk->params[0];
    int64_t shape[RG_NDIM];
    memcpy(shape, first->shape, sizeof shape);
    for (int i = 1; i < thunk->nin; i++) {
        const rg_array *x = thunk->in[i];
        for (int a = 0; a < first->ndim; a++)
            if (a != axis && x->shape[a] != shape[a])
                return rg_fail(frame, RG_ERROR_VALUE, "join: axis %d has different lengths", a);
        shape[axis] += x->shape[axis];
    }
    return rg_output_of(frame, thunk, 0, first->ndim, shape);
}

static int join_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    int axis = (int)thunk->params[0];
    char *at = out->data;
    for (int i = 0; i < thunk->nin; i++) {
        const rg_array *x = thunk->in[i];
        rg_widen_into(x, out->dtype, x->ndim, x->shape, at, out->strides);
        at += x->shape[axis] * out->strides[axis];
    }
    return RG_OK;
}

/* Along a new axis. params: the axis. */

static int stack_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *first = thunk->in[0];
    int axis = (int)thunk->params[0];
    int64_t shape[RG_NDIM];
    for (int i = 1; i < thunk->nin; i++)
        if (memcmp(thunk->in[i]->shape, first->shape, (size_t)first->ndim * sizeof *shape))
            return rg_fail(frame, RG_ERROR_VALUE, "stack: shapes differ");
    for (int a = 0; a <= first->ndim; a++)
        shape[a] = a < axis ? first->shape[a] : a == axis ? thunk->nin : first->shape[a - 1];
    return rg_output_of(frame, thunk, 0, first->ndim + 1, shape);
}

static int stack_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_array *out = thunk->out[0];
    int axis = (int)thunk->params[0], ndim = out->ndim - 1;
    int64_t strides[RG_NDIM];
    for (int a = 0; a < ndim; a++)
        strides[a] = out->strides[a < axis ? a : a + 1];
    for (int i = 0; i < thunk->nin; i++)
        rg_widen_into(thunk->in[i], out->dtype, ndim, thunk->in[i]->shape, out->data + i * out->strides[axis], strides);
    return RG_OK;
}

/* Parts along an axis, each a view. params: the axis, then the parts' lengths, RG_OPEN for those that are inputs. */

static int split_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int axis = (int)thunk->params[0], input = 1;
    int64_t start = 0, shape[RG_NDIM];
    memcpy(shape, x->shape, sizeof shape);
    for (int k = 0; k < thunk->nout; k++) {
        int64_t n;
        rg_numbers(thunk, thunk->params + 1 + k, 1, &input, &n);
        if (n < 0 || n > x->shape[axis] - start)
            return rg_fail(frame, RG_ERROR_VALUE, "split: a part of length %lld", (long long)n);
        shape[axis] = n;
        int error = rg_view_at(frame, thunk, k, start * x->strides[axis], x->ndim, shape, x->strides);
        if (error)
            return error;
        start += n;
    }
    if (start != x->shape[axis])
        return rg_fail(frame, RG_ERROR_VALUE, "split: the parts do not add up to %lld", (long long)x->shape[axis]);
    return RG_OK;
}

/* Laid side by side, so many times along each axis. params: the times, RG_OPEN for those that are inputs. */

static int tile_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int input = 1;
    int64_t times[RG_NDIM], shape[RG_NDIM];
    rg_numbers(thunk, thunk->params, x->ndim, &input, times);
    for (int a = 0; a < x->ndim; a++)
        if (times[a] < 0 || __builtin_mul_overflow(x->shape[a], times[a], &shape[a]))
            return rg_fail(frame, RG_ERROR_VALUE, "tile: %lld times", (long long)times[a]);
    return rg_output_of(frame, thunk, 0, x->ndim, shape);
}

/* Copy with each axis of the output as two, of which one repeats: the first for tiles, the second for elements. */
static void repeat_into(const rg_array *x, rg_array *out, int elements) {
    int64_t shape[RG_LOOPS], from[RG_LOOPS], to[RG_LOOPS];
    if (out->size == 0)
        return;
    for (int a = 0; a < x->ndim; a++) {
        int own = 2 * a + !elements, again = 2 * a + elements;
        int64_t times = out->shape[a] / x->shape[a];
        shape[own] = x->shape[a];
        shape[again] = times;
        from[own] = x->strides[a];
        from[again] = 0;
        to[own] = elements ? times * out->strides[a] : out->strides[a];
        to[again] = elements ? out->strides[a] : x->shape[a] * out->strides[a];
    }
    rg_move(2 * x->ndim, shape, rg_itemsize[x->dtype], x->data, from, out->data, to);
}

static int tile_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    repeat_into(thunk->in[0], thunk->out[0], 0);
    return RG_OK;
}

/* Each element along an axis repeated. Inputs: the array, and one number of times or one for each. params: the axis. */

static int64_t count_at(const rg_array *counts, int64_t i) {
    return rg_integer_at(counts->dtype, counts->data + (counts->ndim ? i * counts->strides[0] : 0));
}

static int repeat_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *counts = thunk->in[1];
    int axis = (int)thunk->params[0];
    int64_t shape[RG_NDIM], total = 0;
    if (counts->size != 1 && counts->size != x->shape[axis])
        return rg_fail(frame, RG_ERROR_VALUE, "repeat: %lld numbers of times", (long long)counts->size);
    for (int64_t i = 0; i < counts->size; i++) {
        int64_t n = count_at(counts, i);
        if (n < 0 || __builtin_add_overflow(total, n, &total))
            return rg_fail(frame, RG_ERROR_VALUE, "repeat: %lld times", (long long)n);
    }
    if (counts->size == 1 && __builtin_mul_overflow(total, x->shape[axis], &total))
        return rg_fail(frame, RG_ERROR_VALUE, "repeat: more elements than memory can hold");
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = total;
    return rg_output_of(frame, thunk, 0, x->ndim, shape);
}

static int repeat_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *x = thunk->in[0], *counts = thunk->in[1];
    rg_array *out = thunk->out[0];
    int axis = (int)thunk->params[0];
    if (counts->size == 1) {
        repeat_into(x, out, 1);
        return RG_OK;
    }
    int64_t shape[RG_NDIM], from[RG_NDIM];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(from, x->strides, sizeof from);
    from[axis] = 0;
    char *to = out->data;
    for (int64_t i = 0; i < counts->size; i++) {
        shape[axis] = count_at(counts, i);
        rg_move(x->ndim, shape, rg_itemsize[x->dtype], x->data + i * x->strides[axis], from, to, out->strides);
        to += shape[axis] * out->strides[axis];
    }
    return RG_OK;
}

/* Moved along axes; what leaves at an end enters at the other. params: how many axes, and which; one may come twice.
   Inputs: the array, and for each of the axes how far. */

static int like_first_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

/* How far, as a number of places forwards from 0 to n - 1. */
static int64_t places(const rg_array *shift, int64_t n) {
    if (shift->dtype == RG_U64)
        return (int64_t)(*(const uint64_t *)shift->data % (uint64_t)n);
    int64_t rest = rg_integer(shift) % n;
    return rest < 0 ? rest + n : rest;
}

/* Copy with the axes from number `axis` on rolled: each in two parts, of which the last comes first. */
static void roll_from(const rg_array *x, const int64_t *moved, int axis, int64_t *shape, const char *from, char *to,
                      const rg_array *out) {
    while (axis < x->ndim && moved[axis] == 0)
        axis++;
    if (axis == x->ndim) {
        rg_move(x->ndim, shape, rg_itemsize[x->dtype], from, x->strides, to, out->strides);
        return;
    }
    int64_t n = x->shape[axis], first = n - moved[axis];
    shape[axis] = first;
    roll_from(x, moved, axis + 1, shape, from, to + moved[axis] * out->strides[axis], out);
    shape[axis] = moved[axis];
    roll_from(x, moved, axis + 1, shape, from + first * x->strides[axis], to, out);
    shape[axis] = n;
}

static int roll_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *x = thunk->in[0];
    int64_t moved[RG_NDIM] = {0}, shape[RG_NDIM];
    if (x->size == 0)
        return RG_OK;
    for (int k = 0; k < thunk->nin - 1; k++) {
        int64_t axis = thunk->params[k], n = x->shape[axis];
        moved[axis] = (moved[axis] + places(thunk->in[k + 1], n)) % n;
    }
    memcpy(shape, x->shape, sizeof shape);
    roll_from(x, moved, 0, shape, x->data, thunk->out[0]->data, thunk->out[0]);
    return RG_OK;
}

/* Within a border of one value. params: for each axis how wide the border is before and after it, RG_OPEN for an input.
   Inputs: the array, the value, the widths. */

typedef struct {
    int64_t before[RG_NDIM];
} border;

static int pad_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    border *state = rg_state(frame, thunk, sizeof *state);
    int64_t widths[2 * RG_NDIM], shape[RG_NDIM];
    int input = 2;
    if (!state)
        return RG_ERROR_MEMORY;
    rg_numbers(thunk, thunk->params, 2 * x->ndim, &input, widths);
    for (int a = 0; a < x->ndim; a++) {
        int64_t before = widths[2 * a], after = widths[2 * a + 1], more;
        if (before < 0 || after < 0 || __builtin_add_overflow(before, after, &more) ||
            __builtin_add_overflow(more, x->shape[a], &shape[a]))
            return rg_fail(frame, RG_ERROR_VALUE, "pad: widths %lld and %lld", (long long)before, (long long)after);
        state->before[a] = before;
    }
    return rg_output_of(frame, thunk, 0, x->ndim, shape);
}

static int pad_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const border *state = thunk->state;
    const rg_array *x = thunk->in[0], *value = thunk->in[1];
    rg_array *out = thunk->out[0];
    int64_t shape[RG_NDIM];
    char *inside = out->data;
    memcpy(shape, out->shape, sizeof shape);
    for (int a = 0; a < x->ndim; a++) { /* the border along each axis, as far as the axes before it are inside */
        int64_t stride = out->strides[a], before = state->before[a], n = x->shape[a];
        shape[a] = before;
        rg_move_into(value, x->ndim, shape, inside, out->strides);
        shape[a] = out->shape[a] - before - n;
        rg_move_into(value, x->ndim, shape, inside + (before + n) * stride, out->strides);
        shape[a] = n;
        inside += before * stride;
    }
    rg_move(x->ndim, x->shape, rg_itemsize[x->dtype], x->data, x->strides, inside, out->strides);
    return RG_OK;
}

/* Moved one place along an axis; a value takes the place that becomes free. params: the axis, and whether backwards.
   Inputs: the array, the value. */

static int shift_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const rg_array *x = thunk->in[0];
    rg_array *out = thunk->out[0];
    int axis = (int)thunk->params[0], backwards = (int)thunk->params[1];
    int64_t n = x->shape[axis], shape[RG_NDIM];
    if (x->size == 0)
        return RG_OK;
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = 1;
    rg_move_into(thunk->in[1], x->ndim, shape, out->data + (backwards ? n - 1 : 0) * out->strides[axis], out->strides);
    shape[axis] = n - 1;
    rg_move(x->ndim, shape, rg_itemsize[x->dtype], x->data + (backwards ? x->strides[axis] : 0), x->strides,
            out->data + (backwards ? 0 : out->strides[axis]), out->strides);
    return RG_OK;
}

const rg_kernel rg_kernels_joining[] = {
    {"join", join_prepare, join_run},
    {"stack", stack_prepare, stack_run},
    {"split", split_prepare, rg_views_run},
    {"tile", tile_prepare, tile_run},
    {"repeat", repeat_prepare, repeat_run},
    {"roll", like_first_prepare, roll_run},
    {"pad", pad_prepare, pad_run},
    {"shift", like_first_prepare, shift_run},
    {0},
};
