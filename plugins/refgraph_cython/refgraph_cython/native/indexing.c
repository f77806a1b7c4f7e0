/* x[index], arrays with x[index] set or added to, and which of several writes to a place is the last. */
#include "picks.h"

#include <complex.h>

/* A basic index: a view. params: the index. Single integers that are inputs are read in each run. */

static int index_view_prepare(rg_frame *frame, rg_thunk *thunk) {
    rg_picks *picks = rg_state(frame, thunk, sizeof *picks);
    if (!picks)
        return RG_ERROR_MEMORY;
    int error = rg_read_index(frame, thunk, thunk->params, 1, thunk->in[0], picks);
    return error ? error : rg_view(frame, thunk, 0, 0, picks->ndim, picks->shape, picks->strides);
}

static int index_view_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_picks *picks = thunk->state;
    int64_t base = picks->base;
    int error = rg_pick_integers(frame, thunk, picks, thunk->in[0], &base);
    thunk->out[0]->data = thunk->in[0]->data + base;
    return error;
}

/* Loops over what is picked. At each distance there is a block, with the axes that slices keep. Its innermost axis is
   one that stands behind those of the index arrays, if there is such a one; the others are gone through outside of the
   loop over distances, so that neighbours in memory are met one after the other where arrays index the last axis. */

typedef struct {
    int nouter;
    int64_t outer[RG_NDIM], place_outer[RG_NDIM], other_outer[RG_NDIM];
    int64_t n, place_step, other_step; /* the innermost axis */
    int64_t each;                      /* from one block to the next in the other array */
    int64_t itemsize;
    int dtype;
} blocks;

/* other: strides of the array that is not indexed, along all axes of what is picked. */
static blocks blocks_of(const rg_picks *picks, const int64_t *other, int dtype) {
    blocks b = {.n = 1, .itemsize = rg_itemsize[dtype], .dtype = dtype};
    int behind = picks->first + picks->broad, has_behind = 0;
    for (int a = 0; a < picks->ndim; a++) {
        if ((a >= picks->first && a < behind) || picks->shape[a] == 1)
            continue;
        has_behind |= a >= behind;
        int last = b.nouter - 1;
        int joins = last >= 0 && a != behind && b.place_outer[last] == picks->strides[a] * picks->shape[a] &&
                    b.other_outer[last] == other[a] * picks->shape[a];
        if (!joins)
            b.outer[last = b.nouter++] = 1;
        b.outer[last] *= picks->shape[a];
        b.place_outer[last] = picks->strides[a];
        b.other_outer[last] = other[a];
    }
    if (has_behind) {
        int last = --b.nouter;
        b.n = b.outer[last];
        b.place_step = b.place_outer[last];
        b.other_step = b.other_outer[last];
    }
    return b;
}

/* What is done with n blocks: the distances in the indexed array, and where the first block is in the other array. */
typedef void (*block_step)(const blocks *, int64_t n, const int64_t *distances, char *place, char *other);

static void each_block(const blocks *b, int64_t n, const int64_t *distances, char *place, char *other,
                       block_step step) {
    int64_t at[RG_NDIM] = {0};
    for (;;) {
        step(b, n, distances, place, other);
        int a = b->nouter - 1;
        for (; a >= 0; a--) {
            place += b->place_outer[a];
            other += b->other_outer[a];
            if (++at[a] < b->outer[a])
                break;
            place -= b->outer[a] * b->place_outer[a];
            other -= b->outer[a] * b->other_outer[a];
            at[a] = 0;
        }
        if (a < 0)
            return;
    }
}

/* Copies of single elements, by their size. */

#define GATHER(size, type)                                                                                             \
    case size:                                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                \
            *(type *)(other + i * each) = *(const type *)(place + distances[i]);                                    \
        return;
#define SCATTER(size, type)                                                                                            \
    case size:                                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                \
            *(type *)(place + distances[i]) = *(const type *)(other + i * each);                                       \
        return;

static void gather(const blocks *b, int64_t n, const int64_t *distances, char *place, char *other) {
    int64_t each = b->each;
    if (b->n == 1)
        switch (b->itemsize) { RG_EACH_SIZE(GATHER) }
    for (int64_t i = 0; i < n; i++)
        rg_line(b->itemsize, b->n, place + distances[i], b->place_step, other + i * each, b->other_step);
}

static void scatter(const blocks *b, int64_t n, const int64_t *distances, char *place, char *other) {
    int64_t each = b->each;
    if (b->n == 1)
        switch (b->itemsize) { RG_EACH_SIZE(SCATTER) }
    for (int64_t i = 0; i < n; i++)
        rg_line(b->itemsize, b->n, other + i * each, b->other_step, place + distances[i], b->place_step);
}

/* Sums. Integers wrap; truth values are joined by `or`; float16 is added in float32 and rounded. */

typedef _Float16 half;
typedef float _Complex complex64;
typedef double _Complex complex128;

#define PLUS(type, a, b) ((type)((a) + (b)))
#define OR(type, a, b) ((type)((a) | (b)))
#define HALF_PLUS(type, a, b) ((type)((float)(a) + (float)(b)))

#define EACH_SUM(DO)                                                                                                   \
    DO(RG_BOOL, uint8_t, OR)                                                                                           \
    DO(RG_I8, uint8_t, PLUS)                                                                                           \
    DO(RG_U8, uint8_t, PLUS)                                                                                           \
    DO(RG_I16, uint16_t, PLUS)                                                                                         \
    DO(RG_U16, uint16_t, PLUS)                                                                                         \
    DO(RG_I32, uint32_t, PLUS)                                                                                         \
    DO(RG_U32, uint32_t, PLUS)                                                                                         \
    DO(RG_I64, uint64_t, PLUS)                                                                                         \
    DO(RG_U64, uint64_t, PLUS)                                                                                         \
    DO(RG_F16, half, HALF_PLUS)                                                                                        \
    DO(RG_F32, float, PLUS)                                                                                            \
    DO(RG_F64, double, PLUS)                                                                                           \
    DO(RG_C64, complex64, PLUS)                                                                                        \
    DO(RG_C128, complex128, PLUS)

#define ADD(dtype, type, SUM)                                                                                          \
    case dtype:                                                                                                        \
        if (b->n == 1) {                                                                                               \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                type *sum = (type *)(place + distances[i]);                                                            \
                *sum = SUM(type, *sum, *(const type *)(other + i * each));                                             \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            char *to = place + distances[i];                                                                           \
            const char *from = other + i * each;                                                                       \
            if (b->place_step == (int64_t)sizeof(type) && b->other_step == (int64_t)sizeof(type))                      \
                for (int64_t j = 0; j < b->n; j++)                                                                     \
                    ((type *)to)[j] = SUM(type, ((type *)to)[j], ((const type *)from)[j]);                             \
            else                                                                                                       \
                for (int64_t j = 0; j < b->n; j++) {                                                                   \
                    type *sum = (type *)(to + j * b->place_step);                                                      \
                    *sum = SUM(type, *sum, *(const type *)(from + j * b->other_step));                                 \
                }                                                                                                      \
        }                                                                                                              \
        return;

static void add(const blocks *b, int64_t n, const int64_t *distances, char *place, char *other) {
    int64_t each = b->each; /* read once: what is written might be it, as far as the compiler knows */
    switch (b->dtype) { EACH_SUM(ADD) }
}

/* An index with arrays. params: the index. Distances are found for some hundreds of elements at a time. */

#define SOME 512

typedef struct {
    rg_picks picks;
    blocks blocks;
} index_state;

typedef struct {
    const rg_thunk *thunk;
    const index_state *state;
    const int64_t *masked;
    char *from;
    int outside;
} index_run_of;

static int index_prepare(rg_frame *frame, rg_thunk *thunk) {
    index_state *state = rg_state(frame, thunk, sizeof *state);
    if (!state)
        return RG_ERROR_MEMORY;
    rg_picks *picks = &state->picks;
    int error = rg_read_index(frame, thunk, thunk->params, 1, thunk->in[0], picks);
    error = error ? error : rg_output_of(frame, thunk, 0, picks->ndim, picks->shape);
    if (error)
        return error;
    const rg_array *out = thunk->out[0];
    state->blocks = blocks_of(picks, out->strides, out->dtype);
    state->blocks.each = state->blocks.itemsize * rg_size(picks->ndim - picks->first - picks->broad,
                                                          picks->shape + picks->first + picks->broad);
    return RG_OK;
}

static void index_chunk(void *context, int64_t number, int64_t of) {
    index_run_of *run = context;
    const index_state *state = run->state;
    const rg_thunk *thunk = run->thunk;
    int64_t n = state->picks.nbroad, end = n * (number + 1) / of, distances[SOME];
    for (int64_t start = n * number / of; start < end; start += SOME) {
        int64_t m = rg_least(SOME, end - start);
        if (rg_pick_arrays(thunk, &state->picks, thunk->in[0], run->masked, start, m, distances)) {
            __atomic_store_n(&run->outside, 1, __ATOMIC_RELAXED);
            return;
        }
        char *to = thunk->out[0]->data + start * state->blocks.each;
        if (thunk->out[0]->size)
            each_block(&state->blocks, m, distances, run->from, to, gather);
    }
}

static int index_run(rg_frame *frame, rg_thunk *thunk) {
    const index_state *state = thunk->state;
    const rg_array *x = thunk->in[0], *out = thunk->out[0];
    int64_t base = state->picks.base, *masked = NULL;
    int error = rg_pick_integers(frame, thunk, &state->picks, x, &base);
    if (error)
        return error;
    if (state->picks.nmasked) {
        masked = rg_scratch(frame, (size_t)state->picks.nmasked * sizeof *masked);
        if (!masked)
            return RG_ERROR_MEMORY;
        rg_pick_masks(thunk, &state->picks, x, masked);
    }
    index_run_of run = {thunk, state, masked, x->data + base, 0};
    int64_t bytes = out->size * rg_itemsize[out->dtype];
    if (bytes < 1 << 20)
        index_chunk(&run, 0, 1);
    else
        rg_parallel(rg_least(state->picks.nbroad, 16), 0.2 * (double)bytes, index_chunk, &run);
    return run.outside ? rg_fail(frame, RG_ERROR_INDEX, "an index is out of bounds") : RG_OK;
}

/* x with x[index] set or added to. Inputs: x, y, and those of the index. params: whether it is set; the index. Where
   the output lies in the memory of x, nothing is copied first; y may overlap with it, and is set aside then. */

static int update_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

/* Whether the strides along the axes from `first` are those of one axis, of which `step` becomes the stride. */
static int are_one_axis(int first, int n, const int64_t *shape, const int64_t *strides, int64_t *step) {
    int64_t size = 1;
    *step = 0;
    for (int a = first + n - 1; a >= first; a--) {
        if (shape[a] == 1)
            continue;
        if (size == 1)
            *step = strides[a];
        else if (strides[a] != *step * size)
            return 0;
        size *= shape[a];
    }
    return 1;
}

typedef struct {
    int64_t *masked, *distances;
    char *y;
} update_memory;

/* One piece of scratch memory: what masks pick, all distances, and y where it must be set aside. */
static int update_scratch(rg_frame *frame, const rg_picks *picks, int64_t y_bytes, update_memory *memory) {
    size_t masked = (size_t)picks->nmasked * sizeof(int64_t), distances = (size_t)picks->nbroad * sizeof(int64_t);
    char *scratch = rg_scratch(frame, masked + distances + (size_t)y_bytes + 16);
    if (!scratch)
        return RG_ERROR_MEMORY;
    memory->masked = (int64_t *)scratch;
    memory->distances = (int64_t *)(scratch + masked);
    memory->y = scratch + (masked + distances + 15) / 16 * 16;
    return RG_OK;
}

/* Set or add to a place that a basic index picks. */
static void update_basic(const rg_picks *picks, int sets, int dtype, char *place, char *y, const int64_t *y_strides) {
    static const int64_t here[1] = {0};
    if (sets) {
        rg_move(picks->ndim, picks->shape, rg_itemsize[dtype], y, y_strides, place, picks->strides);
        return;
    }
    rg_picks one = *picks; /* its last axis stands behind those of no arrays */
    one.first = 0;
    blocks b = blocks_of(&one, y_strides, dtype);
    each_block(&b, 1, here, place, y, add);
}

static int update_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *y = thunk->in[1];
    rg_array *out = thunk->out[0];
    int sets = (int)thunk->params[0];
    rg_picks picks;
    update_memory memory;
    int64_t base = 0, y_strides[RG_NDIM], each, itemsize = rg_itemsize[out->dtype];
    int error = rg_read_index(frame, thunk, thunk->params + 1, 2, out, &picks);
    error = error ? error : rg_pick_integers(frame, thunk, &picks, out, &base);
    if (error)
        return error;
    if (rg_stretch(y, picks.ndim, picks.shape, y_strides))
        return rg_fail(frame, RG_ERROR_VALUE, "a value that does not fit its place");
    int64_t size = rg_size(picks.ndim, picks.shape);
    int is_uniform = are_one_axis(picks.first, picks.broad, picks.shape, y_strides, &each);
    int sets_aside = !is_uniform || rg_overlap(y, out);
    error = update_scratch(frame, &picks, sets_aside ? size * itemsize : 0, &memory);
    if (error)
        return error;
    rg_pick_masks(thunk, &picks, out, memory.masked);
    if (rg_pick_arrays(thunk, &picks, out, memory.masked, 0, picks.nbroad, memory.distances))
        return rg_fail(frame, RG_ERROR_INDEX, "an index is out of bounds");
    char *values = y->data, *place = out->data + base + picks.base;
    if (sets_aside) {
        int64_t strides[RG_NDIM];
        rg_c_strides(picks.ndim, picks.shape, itemsize, strides);
        rg_move(picks.ndim, picks.shape, itemsize, y->data, y_strides, memory.y, strides);
        memcpy(y_strides, strides, sizeof strides);
        are_one_axis(picks.first, picks.broad, picks.shape, y_strides, &each);
        values = memory.y;
    }
    if (x->data != out->data)
        rg_copy(x, out);
    if (size == 0)
        return RG_OK;
    if (picks.narrays == 0) {
        update_basic(&picks, sets, out->dtype, place, values, y_strides);
        return RG_OK;
    }
    blocks b = blocks_of(&picks, y_strides, out->dtype);
    b.each = each;
    each_block(&b, picks.nbroad, memory.distances, place, values, sets ? scatter : add);
    return RG_OK;
}

/* Whether what is written to each place stays, when one after the other is. Inputs: the array that is indexed, of which
   only the shape matters, and those of the index. params: the index. */

/* The array with strides that number the elements of the axes that index arrays pick from; 0 along the others. */
static rg_array numbered(const rg_array *x, const rg_picks *picks, const rg_thunk *thunk, int64_t *count) {
    rg_array place = *x;
    memset(place.strides, 0, sizeof place.strides);
    *count = 1;
    for (int k = picks->narrays - 1; k >= 0; k--) {
        const rg_index_array *array = &picks->arrays[k];
        int axes = array->is_mask ? thunk->in[array->input]->ndim : 1;
        for (int a = array->axis + axes - 1; a >= array->axis; a--) {
            place.strides[a] = *count;
            *count *= x->shape[a];
        }
    }
    return place;
}

static int last_write_prepare(rg_frame *frame, rg_thunk *thunk) {
    rg_picks *picks = rg_state(frame, thunk, sizeof *picks);
    if (!picks)
        return RG_ERROR_MEMORY;
    int error = rg_read_index(frame, thunk, thunk->params, 1, thunk->in[0], picks);
    return error ? error : rg_output_of(frame, thunk, 0, picks->ndim, picks->shape);
}

static int last_write_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_picks *picks = thunk->state;
    const rg_array *x = thunk->in[0];
    rg_array *out = thunk->out[0];
    int64_t count, base = 0, n = picks->nbroad;
    rg_array place = numbered(x, picks, thunk, &count);
    int error = rg_pick_integers(frame, thunk, picks, &place, &base);
    if (error)
        return error;
    int64_t *masked = rg_scratch(frame, (size_t)(picks->nmasked + n + count) * sizeof *masked + (size_t)n);
    if (!masked)
        return RG_ERROR_MEMORY;
    int64_t *numbers = masked + picks->nmasked, *writer = numbers + n;
    char *stays = (char *)(writer + count);
    rg_pick_masks(thunk, picks, &place, masked);
    if (rg_pick_arrays(thunk, picks, &place, masked, 0, n, numbers))
        return rg_fail(frame, RG_ERROR_INDEX, "an index is out of bounds");
    for (int64_t i = 0; i < n; i++)
        writer[numbers[i]] = i;
    for (int64_t i = 0; i < n; i++)
        stays[i] = writer[numbers[i]] == i;
    int64_t strides[RG_NDIM] = {0};
    rg_c_strides(picks->broad, picks->shape + picks->first, 1, strides + picks->first);
    rg_move(out->ndim, out->shape, 1, stays, strides, out->data, out->strides);
    return RG_OK;
}

const rg_kernel rg_kernels_indexing[] = {
    {"index_view", index_view_prepare, index_view_run},
    {"index", index_prepare, index_run},
    {"index_update", update_prepare, update_run},
    {"last_write", last_write_prepare, last_write_run},
    {0},
};
