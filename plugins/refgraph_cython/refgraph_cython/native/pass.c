/* The pass over blocks of the instruction set that is used. */
#include "rg.h"
#include "variants.h"

#define DECLARE(isa)                                                                                                   \
    int rg_blocks_prepare_##isa(rg_frame *, rg_thunk *);                                                               \
    int rg_blocks_run_##isa(rg_frame *, rg_thunk *);
DECLARE(base)
#if RG_SEVERAL
DECLARE(v3)
DECLARE(v4)
static const rg_step runs[] = {rg_blocks_run_base, rg_blocks_run_v3, rg_blocks_run_v4};
#else
static const rg_step runs[] = {rg_blocks_run_base};
#endif

static int blocks_prepare(rg_frame *frame, rg_thunk *thunk) {
    thunk->run = runs[rg_isa()];
    return rg_blocks_prepare_base(frame, thunk);
}

const rg_kernel rg_kernels_blocks[] = {
    {"blocks", blocks_prepare, rg_blocks_run_base},
    {0},
};
