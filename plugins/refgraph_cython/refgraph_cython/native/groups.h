/* Groups of elementwise steps, and the reductions that they feed, as params of a thunk say them.

params: numbers of leaves, steps, stores, and reductions; how many registers, bytes of an element of the widest, and
hundredths of nanoseconds that an element takes. Then for each
leaf: the last step that reads it; the number of steps where a store or a reduction does.
step: instruction, the loop that it calls or 0, number of inputs, four inputs (values: leaves first, then steps), dtype,
    register.
store: value, the leaves that it depends on (as bits).
reduction: kind, value, leaves, axes (as bits), whether they are kept, dtype of the accumulator, how it is finished, the
    cast to the output's dtype or 0.
*/
#ifndef RG_GROUPS_H
#define RG_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#define HEADER 7
#define STEP 9
#define STORE 2
#define REDUCTION 8
#define VALUES 192 /* leaves and steps that a group may have */

typedef struct {
    int64_t nleaves, nsteps, nstores, nreductions, nregisters, size, cost;
    const int64_t *leaves, *steps, *stores, *reductions;
} group;

static inline group read_group(const int64_t *p) {
    group g = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], NULL, NULL, NULL, NULL};
    g.leaves = p + HEADER;
    g.steps = g.leaves + g.nleaves;
    g.stores = g.steps + STEP * g.nsteps;
    g.reductions = g.stores + STORE * g.nstores;
    return g;
}

/* Whether a step after the one that makes a value reads a leaf: then the value must not be written into its memory. */
static inline int is_read_after(const group *g, int64_t leaf, int64_t value) {
    return g->leaves[leaf] > value - g->nleaves;
}

#endif
