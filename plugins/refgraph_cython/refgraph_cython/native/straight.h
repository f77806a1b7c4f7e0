/* Frames in which nothing waits for values, as one row of calls. */
#ifndef RG_STRAIGHT_H
#define RG_STRAIGHT_H

#include "rg.h"

/* Make the row of a frame that is prepared, and let `is_straight` say whether there is one: there is none where thunks
   are prepared in each run. 0, or what rg_fail answers. */
int rg_straighten(rg_frame *);

/* Let a frame say which thunk failed, and with what error. -1. */
int rg_failed(rg_frame *, const rg_thunk *, int error);

/* Run the row, as `rg_run` does. */
int rg_run_straight(rg_frame *);

/* A pointer that goes on by a constant distance with each run: from `last` back to `first`. */
typedef struct rg_mover {
    char **pointer;
    char *at, *first, *last;
    int64_t step;
} rg_mover;

/* A value that a program does not compute where it belongs. */
typedef struct rg_moved {
    const rg_array *made;
    char *target;
    size_t bytes; /* 0 where elements do not lie one after the other */
} rg_moved;

/* Runs of a frame, one after the other: what is done before and after each. */
typedef struct rg_steps {
    rg_mover *movers;
    rg_moved *moved;
    int64_t nmovers, nmoved;
    const rg_array *ends; /* a truth value that ends them; NULL where there is none */
} rg_steps;

/* Run up to n times, and say how often that was, and whether it was the end. 0, or -1 as rg_run. */
int rg_run_steps(rg_frame *, rg_steps *, int64_t n, int64_t *taken, int *ended);

void rg_free_straight(rg_frame *);

#endif
