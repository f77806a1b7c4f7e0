/* Copies between arrays of one dtype, whatever their order. */
#include "rg.h"

#include <string.h>

static void copy_along(int axis, const rg_array *from, const char *source, rg_array *to, char *target, int64_t itemsize) {
    if (axis == from->ndim) {
        memcpy(target, source, (size_t)itemsize);
        return;
    }
    for (int64_t i = 0; i < from->shape[axis]; i++)
        copy_along(axis + 1, from, source + i * from->strides[axis], to, target + i * to->strides[axis], itemsize);
}

void rg_copy(const rg_array *from, rg_array *to) {
    int64_t itemsize = rg_itemsize[from->dtype];
    if (from->contiguous && to->contiguous)
        memmove(to->data, from->data, (size_t)(from->size * itemsize));
    else if (from->size)
        copy_along(0, from, from->data, to, to->data, itemsize);
}

static int copy_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

static int copy_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_copy(thunk->in[0], thunk->out[0]);
    return RG_OK;
}

const rg_kernel rg_kernels_copy[] = {
    {"copy", copy_prepare, copy_run}, /* the input, contiguous, in memory of its own */
    {0},
};
