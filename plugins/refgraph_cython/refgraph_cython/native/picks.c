/* How an index is read: see picks.h. */
#include "picks.h"

/* Elements that are not zero. */

#define NONZERO(dtype, type, is_nonzero)                                                                               \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type *at = (const type *)(x + i * step);                                                             \
            truths[i] = is_nonzero;                                                                                    \
        }                                                                                                              \
        return;

/* Whether each of n elements is not zero, as bytes 0 and 1. */
static void line_nonzero(int dtype, int64_t n, const char *x, int64_t step, uint8_t *truths) {
    switch (dtype) {
        NONZERO(RG_BOOL, uint8_t, *at != 0)
        NONZERO(RG_I8, uint8_t, *at != 0)
        NONZERO(RG_U8, uint8_t, *at != 0)
        NONZERO(RG_I16, uint16_t, *at != 0)
        NONZERO(RG_U16, uint16_t, *at != 0)
        NONZERO(RG_I32, uint32_t, *at != 0)
        NONZERO(RG_U32, uint32_t, *at != 0)
        NONZERO(RG_I64, uint64_t, *at != 0)
        NONZERO(RG_U64, uint64_t, *at != 0)
        NONZERO(RG_F16, uint16_t, (*at & 0x7fff) != 0)
        NONZERO(RG_F32, float, *at != 0)
        NONZERO(RG_F64, double, *at != 0)
        NONZERO(RG_C64, float, (at[0] != 0) | (at[1] != 0))
        NONZERO(RG_C128, double, (at[0] != 0) | (at[1] != 0))
    }
}

#define TRUTHS 256

/* Call `part` for pieces of lines of the array: where each begins, how many elements it has, which are not zero. */
static void each_piece(const rg_array *x, void (*part)(void *, const int64_t *, int64_t, const uint8_t *),
                       void *context) {
    int64_t at[RG_NDIM + 1] = {0};
    uint8_t truths[TRUTHS];
    int last = x->ndim - 1;
    int64_t n = x->ndim ? x->shape[last] : 1, step = x->ndim ? x->strides[last] : 0;
    const char *line = x->data;
    if (x->size == 0)
        return;
    for (;;) {
        for (int64_t i = 0; i < n; i += TRUTHS) {
            int64_t m = rg_least(TRUTHS, n - i);
            line_nonzero(x->dtype, m, line + i * step, step, truths);
            at[last < 0 ? 0 : last] = i;
            part(context, at, m, truths);
        }
        int a = last - 1;
        for (; a >= 0; a--) {
            line += x->strides[a];
            if (++at[a] < x->shape[a])
                break;
            line -= x->shape[a] * x->strides[a];
            at[a] = 0;
        }
        if (a < 0)
            return;
    }
}

static void count_piece(void *context, const int64_t *at, int64_t n, const uint8_t *truths) {
    (void)at;
    int sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += truths[i];
    *(int64_t *)context += sum;
}

int64_t rg_count_nonzero(const rg_array *x) {
    int64_t count = 0;
    each_piece(x, count_piece, &count);
    return count;
}

typedef struct {
    rg_found found;
    void *context;
} finder;

/* Without branches, which could not be predicted: each position is written, and stays where its element is not zero. */
static void find_in_piece(void *context, const int64_t *at, int64_t n, const uint8_t *truths) {
    const finder *f = context;
    int32_t along[TRUTHS + 1];
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        along[count] = (int32_t)i;
        count += truths[i];
    }
    if (count)
        f->found(f->context, at, count, along);
}

void rg_each_nonzero(const rg_array *x, rg_found found, void *context) {
    finder f = {found, context};
    each_piece(x, find_in_piece, &f);
}

/* Slices. */

/* A bound, counted from the start where it is negative, cut to what may be a place. */
static int64_t clipped(int64_t bound, int64_t n, int64_t low, int64_t high) {
    return rg_within(low, bound < 0 ? bound + n : bound, high);
}

/* What a slice keeps of n items, as Python's slice.indices has it. 0, or -1 for a step of 0. */
static int slice_of(const int64_t *kinds, const int64_t *values, int64_t n, int64_t *start, int64_t *step,
                    int64_t *length) {
    *step = kinds[2] == RG_BOUND_NONE ? 1 : rg_most(values[2], -INT64_MAX);
    if (*step == 0)
        return -1;
    int back = *step < 0;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    int64_t stop = kinds[1] == RG_BOUND_NONE ? (back ? low : high) : clipped(values[1], n, low, high);
    *start = kinds[0] == RG_BOUND_NONE ? (back ? high : low) : clipped(values[0], n, low, high);
    if (back)
        *length = stop < *start ? (*start - stop - 1) / -*step + 1 : 0;
    else
        *length = *start < stop ? (stop - *start - 1) / *step + 1 : 0;
    if (*length == 0)
        *start = 0;
    if (*length <= 1)
        *step = 1; /* it may be too large to multiply by a stride */
    return 0;
}

/* Items. */

typedef struct {
    rg_frame *frame;
    const rg_thunk *thunk;
    const rg_array *place;
    rg_picks *picks;
    int input;       /* the next one */
    int axis;        /* of the place, that the next item is about */
    int ndim;        /* axes that slices keep, so far */
    int arrays_seen; /* items that are integers or arrays */
    int last_seen;   /* the number of the last of them */
    int apart;       /* whether other items stand between them */
    int64_t shape[RG_NDIM], strides[RG_NDIM];
} reader;

static int too_many(reader *r) {
    return rg_fail(r->frame, RG_ERROR_INDEX, "an index for more axes than there are");
}

static int keep_axis(reader *r, int64_t length, int64_t stride) {
    if (r->ndim == RG_NDIM)
        return rg_fail(r->frame, RG_ERROR_ELSEWHERE, "an array of more than %d axes", RG_NDIM);
    r->shape[r->ndim] = length;
    r->strides[r->ndim++] = stride;
    return RG_OK;
}

static int out_of_bounds(rg_frame *frame, int64_t i, int axis, int64_t n) {
    return rg_fail(frame, RG_ERROR_INDEX, "index %lld is out of bounds for axis %d of length %lld", (long long)i, axis,
                   (long long)n);
}

static int read_integer(reader *r, int64_t i) {
    if (r->axis == r->place->ndim)
        return too_many(r);
    int64_t n = r->place->shape[r->axis];
    if (i < -n || i >= n)
        return out_of_bounds(r->frame, i, r->axis, n);
    r->picks->base += (i < 0 ? i + n : i) * r->place->strides[r->axis++];
    return RG_OK;
}

static int read_one(reader *r) {
    if (r->axis == r->place->ndim)
        return too_many(r);
    rg_picks *p = r->picks;
    p->integers[p->nintegers].input = r->input++;
    p->integers[p->nintegers++].axis = r->axis++;
    return RG_OK;
}

static int read_slice(reader *r, const int64_t *words) {
    int64_t kinds[3], values[3], start, step, length;
    if (r->axis == r->place->ndim)
        return too_many(r);
    for (int k = 0; k < 3; k++) {
        kinds[k] = words[2 * k];
        values[k] = kinds[k] == RG_BOUND_INPUT ? rg_integer(r->thunk->in[r->input++]) : words[2 * k + 1];
    }
    if (slice_of(kinds, values, r->place->shape[r->axis], &start, &step, &length))
        return rg_fail(r->frame, RG_ERROR_VALUE, "the step of a slice is 0");
    int64_t stride = r->place->strides[r->axis++];
    r->picks->base += start * stride;
    return keep_axis(r, length, step * stride);
}

static int read_array(reader *r, int is_mask) {
    rg_picks *p = r->picks;
    const rg_array *array = r->thunk->in[r->input];
    int axes = is_mask ? array->ndim : 1;
    if (r->axis + axes > r->place->ndim)
        return too_many(r);
    rg_index_array *found = &p->arrays[p->narrays++];
    *found = (rg_index_array){.input = r->input++, .axis = r->axis, .is_mask = is_mask};
    if (is_mask) {
        for (int a = 0; a < axes; a++) /* a mask of length 0 fits everywhere, as NumPy has it */
            if (array->shape[a] && array->shape[a] != r->place->shape[r->axis + a])
                return rg_fail(r->frame, RG_ERROR_INDEX, "a mask of another shape than the array");
        found->count = rg_count_nonzero(array);
        p->nmasked += found->count;
    }
    r->axis += axes;
    return RG_OK;
}

/* How many axes of the place all items but ... are about. */
static int axes_of(const rg_thunk *thunk, const int64_t *params, int input) {
    int axes = 0;
    int64_t n = *params++;
    for (int64_t k = 0; k < n; k++) {
        switch (*params++) {
        case RG_ITEM_INTEGER:
            params++;
            axes++;
            break;
        case RG_ITEM_SLICE:
            for (int b = 0; b < 3; b++)
                input += params[2 * b] == RG_BOUND_INPUT;
            params += 6;
            axes++;
            break;
        case RG_ITEM_ONE:
        case RG_ITEM_INTEGERS:
            input++;
            axes++;
            break;
        case RG_ITEM_MASK:
            axes += thunk->in[input++]->ndim;
            break;
        default: /* RG_ITEM_NEW, RG_ITEM_REST */
            break;
        }
    }
    return axes;
}

/* Note that item k is an integer or an array: where the first of these is, and whether all are side by side. */
static void see(reader *r, int k) {
    if (r->arrays_seen == 0)
        r->picks->first = r->ndim;
    else
        r->apart |= r->last_seen != k - 1;
    r->arrays_seen++;
    r->last_seen = k;
}

/* The lengths that the index arrays have together. */
static int broadcast_arrays(reader *r, int *ndim, int64_t *shape) {
    const rg_picks *p = r->picks;
    *ndim = 0;
    for (int k = 0; k < p->narrays; k++) {
        rg_array line = {.ndim = 1, .shape = {p->arrays[k].count}};
        if (rg_broadcast(ndim, shape, p->arrays[k].is_mask ? &line : r->thunk->in[p->arrays[k].input]))
            return rg_fail(r->frame, RG_ERROR_INDEX, "index arrays that do not broadcast");
    }
    return RG_OK;
}

/* Put the axes of the index arrays among those that slices keep. */
static int place_axes(reader *r) {
    rg_picks *p = r->picks;
    int broad;
    int64_t shape[2 * RG_NDIM];
    int error = broadcast_arrays(r, &broad, shape);
    if (error)
        return error;
    if (p->narrays == 0)
        p->first = r->ndim;
    else if (r->apart)
        p->first = 0;
    p->broad = broad;
    p->ndim = r->ndim + broad;
    if (p->ndim > RG_NDIM)
        return rg_fail(r->frame, RG_ERROR_ELSEWHERE, "an array of more than %d axes", RG_NDIM);
    for (int a = 0; a < p->ndim; a++) {
        int of_arrays = a >= p->first && a < p->first + broad;
        int kept = a < p->first ? a : a - broad;
        p->shape[a] = of_arrays ? shape[a - p->first] : r->shape[kept];
        p->strides[a] = of_arrays ? 0 : r->strides[kept];
    }
    p->nbroad = rg_size(broad, shape);
    return RG_OK;
}

int rg_read_index(rg_frame *frame, const rg_thunk *thunk, const int64_t *params, int input, const rg_array *place,
                  rg_picks *picks) {
    reader r = {.frame = frame, .thunk = thunk, .place = place, .picks = picks, .input = input};
    picks->base = picks->nmasked = 0;
    picks->nintegers = picks->narrays = picks->first = 0;
    int rest = place->ndim - axes_of(thunk, params, input), error = RG_OK;
    int64_t n = *params++;
    if (rest < 0)
        return too_many(&r);
    for (int k = 0; k < n && !error; k++) {
        int64_t item = *params++;
        if (item == RG_ITEM_INTEGER || item >= RG_ITEM_ONE)
            see(&r, k);
        if (item == RG_ITEM_INTEGER) {
            error = read_integer(&r, *params++);
        } else if (item == RG_ITEM_NEW) {
            error = keep_axis(&r, 1, 0);
        } else if (item == RG_ITEM_REST) {
            for (; rest > 0 && !error; rest--, r.axis++)
                error = keep_axis(&r, place->shape[r.axis], place->strides[r.axis]);
        } else if (item == RG_ITEM_SLICE) {
            error = read_slice(&r, params);
            params += 6;
        } else if (item == RG_ITEM_ONE) {
            error = read_one(&r);
        } else {
            error = read_array(&r, item == RG_ITEM_MASK);
        }
    }
    for (; r.axis < place->ndim && !error; r.axis++)
        error = keep_axis(&r, place->shape[r.axis], place->strides[r.axis]);
    return error ? error : place_axes(&r);
}

int rg_pick_integers(rg_frame *frame, const rg_thunk *thunk, const rg_picks *picks, const rg_array *place,
                     int64_t *base) {
    for (int k = 0; k < picks->nintegers; k++) {
        int axis = picks->integers[k].axis;
        int64_t n = place->shape[axis], i = rg_integer(thunk->in[picks->integers[k].input]);
        if (i < -n || i >= n)
            return out_of_bounds(frame, i, axis, n);
        *base += (i < 0 ? i + n : i) * place->strides[axis];
    }
    return RG_OK;
}

/* Distances. */

typedef struct {
    const int64_t *strides;
    int64_t *distances;
    int ndim;
} masked;

static void add_masked(void *context, const int64_t *at, int64_t n, const int32_t *along) {
    masked *m = context;
    int64_t start = 0, stride = m->ndim ? m->strides[m->ndim - 1] : 0;
    for (int a = 0; a < m->ndim; a++)
        start += at[a] * m->strides[a];
    for (int64_t i = 0; i < n; i++)
        m->distances[i] = start + along[i] * stride;
    m->distances += n;
}

void rg_pick_masks(const rg_thunk *thunk, const rg_picks *picks, const rg_array *place, int64_t *distances) {
    masked m = {.distances = distances};
    for (int k = 0; k < picks->narrays; k++) {
        const rg_index_array *array = &picks->arrays[k];
        if (!array->is_mask)
            continue;
        m.strides = place->strides + array->axis;
        m.ndim = thunk->in[array->input]->ndim;
        rg_each_nonzero(thunk->in[array->input], add_masked, &m);
    }
}

/* Add what n indices, which lie `step` bytes apart, pick along an axis of `length` items `stride` bytes apart; or let
   it be the distances, where nothing was added to them yet. Unsigned integers of 64 bits are taken as signed ones, as
   NumPy does. */
#define ADD_INDEX(type, at)                                                                                            \
    int64_t index = (int64_t)*(const type *)(at);                                                                      \
    index += (index >> 63) & length;                                                                                   \
    outside |= (uint64_t)index | ((uint64_t)length - 1 - (uint64_t)index);                                             \
    distances[i] = (adds ? distances[i] : 0) + (int64_t)((uint64_t)index * (uint64_t)stride);

#define ADD_INDICES(dtype, type)                                                                                       \
    case dtype:                                                                                                        \
        if (step == (int64_t)sizeof(type)) {                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                ADD_INDEX(type, at + i * (int64_t)sizeof(type))                                                        \
            }                                                                                                          \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                ADD_INDEX(type, at + i * step)                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        return outside >> 63;

static inline int add_indices(int adds, int dtype, int64_t n, const char *at, int64_t step, int64_t length,
                              int64_t stride, int64_t *distances) {
    uint64_t outside = 0; /* its highest bit is set once an index, or what is left behind it, is negative */
    switch (dtype) {
        ADD_INDICES(RG_I8, int8_t)
        ADD_INDICES(RG_I16, int16_t)
        ADD_INDICES(RG_I32, int32_t)
        ADD_INDICES(RG_I64, int64_t)
        ADD_INDICES(RG_U8, uint8_t)
        ADD_INDICES(RG_U16, uint16_t)
        ADD_INDICES(RG_U32, uint32_t)
        ADD_INDICES(RG_U64, int64_t)
    }
    return 1;
}

/* The strides of an index array along the axes of all together. */
static void array_strides(const rg_thunk *thunk, const rg_picks *picks, const rg_index_array *array, int64_t *strides) {
    if (array->is_mask) {
        rg_array line = {.ndim = 1, .shape = {array->count}, .strides = {sizeof(int64_t)}};
        rg_stretch(&line, picks->broad, picks->shape + picks->first, strides);
    } else {
        rg_stretch(thunk->in[array->input], picks->broad, picks->shape + picks->first, strides);
    }
}

/* What one index array adds to n distances from number `start` on: line by line of the last axis. */
static int add_array(const rg_thunk *thunk, const rg_picks *picks, const rg_array *place, const rg_index_array *array,
                     int adds, const int64_t *mask, int64_t start, int64_t n, int64_t *distances) {
    const int64_t *shape = picks->shape + picks->first;
    int64_t strides[RG_NDIM], at[RG_NDIM];
    int last = picks->broad - 1, outside = 0;
    const rg_array *x = thunk->in[array->input];
    const char *from = array->is_mask ? (const char *)mask : x->data;
    array_strides(thunk, picks, array, strides);
    for (int a = last; a >= 0; a--) {
        at[a] = start % shape[a];
        start /= shape[a];
        from += at[a] * strides[a];
    }
    for (int64_t done = 0; done < n;) {
        int64_t m = rg_least(shape[last] - at[last], n - done);
        if (array->is_mask)
            for (int64_t i = 0; i < m; i++)
                distances[done + i] = (adds ? distances[done + i] : 0) + *(const int64_t *)(from + i * strides[last]);
        else if (adds)
            outside |= add_indices(1, x->dtype, m, from, strides[last], place->shape[array->axis],
                                   place->strides[array->axis], distances + done);
        else
            outside |= add_indices(0, x->dtype, m, from, strides[last], place->shape[array->axis],
                                   place->strides[array->axis], distances + done);
        done += m;
        from -= at[last] * strides[last];
        at[last] = 0;
        for (int a = last - 1; a >= 0; a--) {
            from += strides[a];
            if (++at[a] < shape[a])
                break;
            from -= shape[a] * strides[a];
            at[a] = 0;
        }
    }
    return outside;
}

int rg_pick_arrays(const rg_thunk *thunk, const rg_picks *picks, const rg_array *place, const int64_t *masked,
                   int64_t start, int64_t n, int64_t *distances) {
    int outside = 0;
    if (n == 0)
        return 0;
    if (picks->narrays == 0)
        memset(distances, 0, (size_t)n * sizeof *distances);
    for (int k = 0; k < picks->narrays; k++) {
        const rg_index_array *array = &picks->arrays[k];
        outside |= add_array(thunk, picks, place, array, k > 0, masked, start, n, distances);
        masked += array->count;
    }
    return outside ? -1 : 0;
}
