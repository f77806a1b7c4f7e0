/* Frames in which nothing waits for values, as one row of calls. */
#ifndef RG_STRAIGHT_H
#define RG_STRAIGHT_H

#include "rg.h"

/* Make the row of a frame that is prepared, and let `is_straight` say whether there is one: there is none where thunks
   are prepared in each run. 0, or what rg_fail answers. */
int rg_straighten(rg_frame *);

/* Run the row. 0, or what a thunk answered, which is `*failed` then. */
int rg_run_straight(rg_frame *, const rg_thunk **failed);

void rg_free_straight(rg_frame *);

#endif
