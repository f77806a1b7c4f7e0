/* The pass over blocks of the instruction set that is used, and small kernels beside it. */
#include "around.h"
#include "variants.h"

#define DECLARE(isa)                                                                                                   \
    int rg_blocks_prepare_##isa(rg_frame *, rg_thunk *);                                                               \
    int rg_blocks_run_##isa(rg_frame *, rg_thunk *);                                                                   \
    int64_t rg_blocks_split_##isa(rg_thunk *, int64_t n, int64_t block, int64_t chunks);                               \
    int rg_blocks_run_around_##isa(rg_frame *, rg_thunk *, const rg_around *);
DECLARE(base)
#if RG_SEVERAL
DECLARE(v3)
DECLARE(v4)
#endif

int rg_is_pass(const rg_thunk *thunk) {
    return thunk->run == RG_CHOOSE(rg_blocks_run);
}

int64_t rg_split_pass(rg_thunk *thunk, int64_t n, int64_t block, int64_t chunks) {
    return rg_is_pass(thunk) ? rg_blocks_split_base(thunk, n, block, chunks) : 0;
}

int rg_run_around(rg_frame *frame, rg_thunk *thunk, const rg_around *around) {
    return RG_CHOOSE(rg_blocks_run_around)(frame, thunk, around);
}

/* The bytes of an array, where elements that are broadcast are one. */
static int64_t bytes_of(const rg_array *array) {
    int64_t size = rg_itemsize[array->dtype];
    for (int a = 0; a < array->ndim; a++)
        size *= array->strides[a] || !array->shape[a] ? array->shape[a] : 1;
    return size;
}

static int blocks_prepare(rg_frame *frame, rg_thunk *thunk) {
    thunk->run = RG_CHOOSE(rg_blocks_run);
    int error = rg_blocks_prepare_base(frame, thunk);
    thunk->traffic = 0;
    for (int i = 0; i < thunk->nin && !error; i++)
        thunk->traffic += bytes_of(thunk->in[i]);
    for (int k = 0; k < thunk->nout && !error; k++)
        thunk->traffic += bytes_of(thunk->out[k]);
    return error;
}

/* Refuses negative exponents of integers, where there is an element to compute. Inputs: bases, exponents. The output
   says that it was done, and is read by nobody. */

static int not_negative_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, 0, NULL);
}

#define IS_NEGATIVE(type)                                                                                              \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        found |= *(const type *)(at + i * step) < 0;                                                                   \
    return found;

static int any_negative(const char *at, int64_t n, int64_t step, int size) {
    int found = 0;
    switch (size) {
    case 1:
        IS_NEGATIVE(int8_t)
    case 2:
        IS_NEGATIVE(int16_t)
    case 4:
        IS_NEGATIVE(int32_t)
    default:
        IS_NEGATIVE(int64_t)
    }
}

static int not_negative_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *base = thunk->in[0], *x = thunk->in[1];
    int size = rg_itemsize[x->dtype], last = x->ndim - 1;
    int64_t index[RG_NDIM] = {0};
    const char *at = x->data;
    *(char *)thunk->out[0]->data = 1;
    if (base->size == 0 || x->size == 0)
        return RG_OK;
    for (;;) {
        int64_t n = x->contiguous ? x->size : last < 0 ? 1 : x->shape[last];
        if (any_negative(at, n, x->contiguous || last < 0 ? size : x->strides[last], size))
            return rg_fail(frame, RG_ERROR_DOMAIN, "integers to negative integer powers are not allowed");
        int a = x->contiguous ? -1 : last - 1;
        for (; a >= 0; a--) {
            at += x->strides[a];
            if (++index[a] < x->shape[a])
                break;
            at -= x->shape[a] * x->strides[a];
            index[a] = 0;
        }
        if (a < 0)
            return RG_OK;
    }
}

const rg_kernel rg_kernels_blocks[] = {
    {"blocks", blocks_prepare, rg_blocks_run_base},
    {"not_negative", not_negative_prepare, not_negative_run},
    {0},
};
