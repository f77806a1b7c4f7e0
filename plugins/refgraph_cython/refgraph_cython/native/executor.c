/* Frames, and the loop that runs them. */
#include "rg.h"
#include "straight.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#define TICKS() __rdtsc()
#elif defined(__aarch64__)
static inline uint64_t TICKS(void) {
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#else
#include <time.h>
static inline uint64_t TICKS(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif

#define ALIGNMENT 64

void *rg_allocate(size_t bytes) {
#if defined(_WIN32)
    return _aligned_malloc(bytes ? bytes : 1, ALIGNMENT);
#else
    return aligned_alloc(ALIGNMENT, bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT);
#endif
}

void rg_release(void *data) {
#if defined(_WIN32)
    _aligned_free(data);
#else
    free(data);
#endif
}

static char *allocate(rg_frame *frame, size_t bytes) {
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *data = rg_allocate(rounded);
    if (data) {
        frame->allocations++;
        frame->bytes += (int64_t)rounded;
    }
    return data;
}

static void release(rg_frame *frame, rg_buffer *buffer) {
    rg_release(buffer->data);
    frame->bytes -= (int64_t)buffer->capacity;
    buffer->data = NULL;
    buffer->capacity = 0;
}

static int grow(rg_frame *frame, rg_buffer *buffer, size_t bytes) {
    if (bytes <= buffer->capacity && buffer->data)
        return RG_OK;
    release(frame, buffer);
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded < ALIGNMENT)
        rounded = ALIGNMENT;
    buffer->data = allocate(frame, rounded);
    if (!buffer->data)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for %zu bytes", bytes);
    buffer->capacity = rounded;
    return RG_OK;
}

int rg_fail(rg_frame *frame, int kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(frame->message, sizeof frame->message, format, arguments);
    va_end(arguments);
    frame->within = NULL;
    return kind;
}

void *rg_scratch(rg_frame *frame, size_t bytes) {
    return grow(frame, &frame->scratch, bytes) ? NULL : frame->scratch.data;
}

void *rg_state(rg_frame *frame, rg_thunk *thunk, size_t bytes) {
    if (bytes > thunk->state_size || !thunk->state) {
        void *state = realloc(thunk->state, bytes ? bytes : 1);
        if (!state) {
            rg_fail(frame, RG_ERROR_MEMORY, "no memory for %zu bytes", bytes);
            return NULL;
        }
        if (bytes > thunk->state_size)
            memset((char *)state + thunk->state_size, 0, bytes - thunk->state_size);
        frame->allocations++;
        thunk->state = state;
        thunk->state_size = bytes;
    }
    return thunk->state;
}

/* Shapes. */

int64_t rg_size(int ndim, const int64_t *shape) {
    int64_t size = 1;
    for (int a = 0; a < ndim; a++)
        size *= shape[a];
    return size;
}

int rg_is_contiguous(int ndim, const int64_t *shape, const int64_t *strides, int64_t itemsize) {
    int64_t expected = itemsize;
    for (int a = ndim - 1; a >= 0; a--) {
        if (shape[a] == 0)
            return 1;
        if (shape[a] != 1 && strides[a] != expected)
            return 0;
        expected *= shape[a];
    }
    return 1;
}

int rg_broadcast(int *ndim, int64_t *shape, const rg_array *array) {
    if (array->ndim > *ndim) {
        int more = array->ndim - *ndim;
        memmove(shape + more, shape, (size_t)*ndim * sizeof *shape);
        for (int a = 0; a < more; a++)
            shape[a] = 1;
        *ndim = array->ndim;
    }
    for (int a = 0; a < array->ndim; a++) {
        int64_t *length = &shape[*ndim - array->ndim + a];
        if (array->shape[a] == *length || array->shape[a] == 1)
            continue;
        if (*length != 1)
            return -1;
        *length = array->shape[a];
    }
    return 0;
}

int rg_overlap(const rg_array *a, const rg_array *b) {
    const rg_array *both[2] = {a, b};
    const char *low[2], *high[2];
    for (int i = 0; i < 2; i++) {
        if (both[i]->size == 0)
            return 0;
        low[i] = high[i] = both[i]->data;
        for (int d = 0; d < both[i]->ndim; d++) {
            int64_t reach = (both[i]->shape[d] - 1) * both[i]->strides[d];
            if (reach < 0)
                low[i] += reach;
            else
                high[i] += reach;
        }
        high[i] += rg_itemsize[both[i]->dtype];
    }
    return low[0] < high[1] && low[1] < high[0];
}

static int describe(rg_frame *frame, rg_array *slot, int ndim, const int64_t *shape, const int64_t *strides) {
    if (ndim > RG_NDIM)
        return rg_fail(frame, RG_ERROR_VALUE, "an array of %d axes", ndim);
    if (slot->ndim != ndim || memcmp(slot->shape, shape, (size_t)ndim * sizeof *shape) ||
        memcmp(slot->strides, strides, (size_t)ndim * sizeof *shape) || slot->size < 0)
        frame->changed = 1;
    slot->ndim = ndim;
    memcpy(slot->shape, shape, (size_t)ndim * sizeof *shape);
    memcpy(slot->strides, strides, (size_t)ndim * sizeof *strides);
    slot->size = rg_size(ndim, shape);
    slot->contiguous = rg_is_contiguous(ndim, shape, strides, rg_itemsize[slot->dtype]);
    frame->known[slot - frame->slots] = 1;
    return RG_OK;
}

int rg_output(rg_frame *frame, rg_thunk *thunk, int k, int ndim, const int64_t *shape) {
    rg_array *slot = thunk->out[k];
    int64_t strides[RG_NDIM], step = rg_itemsize[slot->dtype];
    for (int a = ndim - 1; a >= 0 && a < RG_NDIM; a--) {
        strides[a] = step;
        step *= shape[a] > 0 ? shape[a] : 1;
    }
    int error = describe(frame, slot, ndim, shape, strides);
    if (error || slot->home == RG_OUTSIDE)
        return error;
    rg_buffer *buffer = &frame->buffers[slot->buffer];
    char *before = buffer->data;
    error = grow(frame, buffer, (size_t)slot->size * (size_t)rg_itemsize[slot->dtype]);
    if (error)
        return error;
    if (buffer->data != before) /* others lie in it at other times */
        for (int64_t i = 0; i < frame->nslots; i++)
            if (frame->slots[i].buffer == slot->buffer && frame->slots[i].home == RG_BUFFER)
                frame->slots[i].data = buffer->data;
    slot->data = buffer->data;
    return RG_OK;
}

int rg_view(rg_frame *frame, rg_thunk *thunk, int k, int i, int ndim, const int64_t *shape, const int64_t *strides) {
    rg_array *slot = thunk->out[k];
    slot->home = RG_VIEW;
    slot->data = thunk->in[i]->data;
    return describe(frame, slot, ndim, shape, strides);
}

int rg_borrow(rg_frame *frame, rg_thunk *thunk, int k, char *data, int ndim, const int64_t *shape,
              const int64_t *strides) {
    thunk->out[k]->home = RG_VIEW;
    thunk->out[k]->data = data;
    return describe(frame, thunk->out[k], ndim, shape, strides);
}

int rg_bind(rg_array *slot, const rg_array *like, int from, char *data) {
    int ndim = like->ndim - from;
    size_t bytes = (size_t)ndim * sizeof *slot->shape;
    slot->data = data;
    if (slot->size >= 0 && slot->ndim == ndim && !memcmp(slot->shape, like->shape + from, bytes) &&
        !memcmp(slot->strides, like->strides + from, bytes))
        return 1;
    slot->ndim = ndim;
    memcpy(slot->shape, like->shape + from, bytes);
    memcpy(slot->strides, like->strides + from, bytes);
    slot->size = rg_size(ndim, slot->shape);
    slot->contiguous = rg_is_contiguous(ndim, slot->shape, slot->strides, rg_itemsize[slot->dtype]);
    return 0;
}

/* Frames. */

static void *copied(const void *data, size_t bytes) {
    void *copy = malloc(bytes ? bytes : 1);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

rg_frame *rg_new_frame(const rg_template *made) {
    rg_frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return NULL;
    frame->failed = -1;
    frame->nslots = made->nslots;
    frame->nthunks = made->nthunks;
    frame->nbuffers = made->nbuffers;
    int64_t places = 0;
    for (int64_t t = 0; t < made->nthunks; t++)
        places += made->thunks[t].nin + made->thunks[t].nout;
    frame->slots = copied(made->slots, (size_t)made->nslots * sizeof *frame->slots);
    frame->thunks = copied(made->thunks, (size_t)made->nthunks * sizeof *frame->thunks);
    frame->buffers = calloc((size_t)made->nbuffers + 1, sizeof *frame->buffers);
    frame->known = calloc((size_t)made->nslots + 1, 1);
    frame->places = malloc((size_t)(places + 1) * sizeof *frame->places);
    if (!frame->slots || !frame->thunks || !frame->buffers || !frame->known || !frame->places) {
        rg_free_frame(frame);
        return NULL;
    }
    for (int64_t i = 0; i < places; i++)
        frame->places[i] = &frame->slots[made->places[i]];
    rg_array **at = frame->places;
    for (int64_t t = 0; t < made->nthunks; t++) {
        rg_thunk *thunk = &frame->thunks[t];
        thunk->in = at;
        thunk->out = at += thunk->nin;
        at += thunk->nout;
    }
    if (made->attach && made->attach(frame, made->python)) {
        rg_free_frame(frame);
        return NULL;
    }
    return frame;
}

static void free_state(rg_frame *frame, rg_thunk *thunk) {
    if (thunk->discard)
        thunk->discard(frame, thunk);
    free(thunk->state);
    thunk->state = NULL;
    thunk->state_size = 0;
}

void rg_trim_frame(rg_frame *frame) {
    for (int64_t b = 0; frame->buffers && b < frame->nbuffers; b++)
        release(frame, &frame->buffers[b]);
    release(frame, &frame->scratch);
    for (int64_t t = 0; frame->thunks && t < frame->nthunks; t++) {
        rg_thunk *thunk = &frame->thunks[t];
        for (int i = 0; i < 2; i++)
            if (thunk->inner[i])
                rg_trim_frame(thunk->inner[i]);
        if (thunk->discard)
            free_state(frame, thunk);
    }
    rg_free_straight(frame);
    frame->prepared = frame->is_straight = 0;
}

void rg_free_frame(rg_frame *frame) {
    rg_trim_frame(frame);
    for (int64_t t = 0; frame->thunks && t < frame->nthunks; t++) {
        rg_thunk *thunk = &frame->thunks[t];
        for (int i = 0; i < 2; i++)
            if (thunk->inner[i])
                rg_free_frame(thunk->inner[i]);
        free_state(frame, thunk);
    }
    if (frame->detach)
        frame->detach(frame);
    free(frame->places);
    free(frame->known);
    free(frame->buffers);
    free(frame->thunks);
    free(frame->slots);
    free(frame);
}

/* Running. */

uint64_t rg_ticks(void) {
    return TICKS();
}

int rg_failed(rg_frame *frame, const rg_thunk *thunk, int error) {
    frame->failed = (int32_t)(thunk - frame->thunks);
    frame->error = error;
    frame->prepared = 0;
    return -1;
}

static int prepared(rg_frame *frame, rg_thunk *thunk) {
    int error = thunk->prepare(frame, thunk);
    if (!error && thunk->early)
        error = thunk->run(frame, thunk);
    if (error)
        return rg_failed(frame, thunk, error);
    thunk->pending = 0;
    return RG_OK;
}

int rg_prepare(rg_frame *frame) {
    frame->prepared = frame->pending = frame->is_straight = 0;
    for (int64_t i = 0; i < frame->nslots; i++)
        frame->known[i] = frame->slots[i].home == RG_OUTSIDE;
    for (int64_t t = 0; t < frame->nthunks; t++)
        for (int k = 0; k < frame->thunks[t].nout; k++)
            frame->known[frame->thunks[t].out[k] - frame->slots] = 0;
    for (int64_t t = 0; t < frame->nthunks; t++) {
        rg_thunk *thunk = &frame->thunks[t];
        int waits = thunk->dynamic;
        for (int i = 0; i < thunk->nin && !waits; i++)
            waits = !frame->known[thunk->in[i] - frame->slots];
        thunk->pending = waits;
        frame->pending |= waits && !thunk->dynamic;
        if (waits)
            continue;
        int error = prepared(frame, thunk);
        if (error)
            return error;
    }
    int error = rg_straighten(frame);
    if (error) {
        frame->error = error;
        return -1;
    }
    frame->prepared = 1;
    return RG_OK;
}

int rg_run(rg_frame *frame) {
    if (frame->is_straight && !frame->profiled)
        return rg_run_straight(frame);
    int again = 0;
    rg_thunk *end = frame->thunks + frame->nthunks;
    for (rg_thunk *thunk = frame->thunks; thunk < end; thunk++) {
        uint64_t start = frame->profiled ? TICKS() : 0;
        if (thunk->dynamic | thunk->pending | again) {
            frame->changed = 0;
            if (prepared(frame, thunk))
                return -1;
            again |= frame->changed;
        }
        if (!thunk->early) {
            int error = thunk->run(frame, thunk);
            if (error)
                return rg_failed(frame, thunk, error);
        }
        if (frame->profiled) {
            thunk->cycles += TICKS() - start;
            thunk->runs++;
        }
    }
    frame->pending = 0;
    return RG_OK;
}
