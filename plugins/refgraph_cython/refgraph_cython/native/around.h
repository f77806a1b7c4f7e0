/* Passes over blocks along one axis, with something else that is computed before and after each block. */
#ifndef RG_AROUND_H
#define RG_AROUND_H

#include "rg.h"

typedef struct rg_around {
    /* for the n elements from one on, which belong to a chunk: chunks may run at the same time, a chunk's blocks follow
       each other */
    void (*before)(void *context, int64_t chunk, int64_t from, int64_t n);
    void (*after)(void *context, int64_t chunk, int64_t from, int64_t n);
    void *context;
    double ns; /* what all of it takes on one thread */
} rg_around;

/* Whether a thunk that is prepared is a pass over blocks. */
int rg_is_pass(const rg_thunk *);

/* Let a pass along one axis of n elements have shorter blocks, and more chunks; how many chunks there are. 0 where it
   is another pass, or has no such axis. */
int64_t rg_split_pass(rg_thunk *, int64_t n, int64_t block, int64_t chunks);

/* Run it. */
int rg_run_around(rg_frame *, rg_thunk *, const rg_around *);

#endif
