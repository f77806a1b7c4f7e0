/* Orders of numbers, for kernels that need them. */
#ifndef RG_SORTING_H
#define RG_SORTING_H

#include "rg.h"

/* The first k of the numbers below n in the order of their keys, lower numbers first where keys are equal. `memory` has
   room for 32 n bytes, aligned to 8. */
void rg_order(int64_t n, const uint64_t *keys, int64_t k, int64_t *order, void *memory);

#endif
