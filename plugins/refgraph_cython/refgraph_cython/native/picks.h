/* Which elements of an array an index picks, for kernels that read or write them.

The picked elements have three groups of axes: those of the index arrays, broadcast together, and before and behind them
those that slices keep. Slices and single integers are strides and a distance from the array's first element; the index
arrays are one distance in bytes for each of their elements. */
#ifndef RG_PICKS_H
#define RG_PICKS_H

#include "moving.h"

#define RG_ITEMS 16 /* items that an index may have */

typedef struct {
    int input; /* the number of the thunk's input that is the array */
    int axis;  /* which axis of the indexed array it is about, or begins with */
    int is_mask;
    int64_t count; /* how many elements a mask picks */
} rg_index_array;

typedef struct {
    int64_t base; /* from the array's first element to where what slices keep begins */
    int nintegers, narrays;
    struct {
        int input, axis;
    } integers[RG_ITEMS]; /* that are inputs */
    rg_index_array arrays[RG_ITEMS];
    int ndim, first, broad;    /* axes in all; where those of the index arrays begin, and how many they are */
    int64_t shape[RG_NDIM];    /* of what is picked */
    int64_t strides[RG_NDIM];  /* in the indexed array; 0 along the index arrays' axes */
    int64_t nbroad;            /* elements of the index arrays, broadcast together; 1 if there is none */
    int64_t nmasked;           /* picked by all masks */
} rg_picks;

/* The words in which params say an index: how many items, then each. Inputs stand for what is not said, in order. */
enum rg_item {
    RG_ITEM_INTEGER,  /* then its value */
    RG_ITEM_NEW,      /* an axis of length 1 */
    RG_ITEM_REST,     /* ... */
    RG_ITEM_SLICE,    /* then start, stop and step: for each an rg_bound, and its value */
    RG_ITEM_ONE,      /* an integer that is an input */
    RG_ITEM_INTEGERS, /* an array of integers */
    RG_ITEM_MASK
};
enum rg_bound { RG_BOUND_NONE, RG_BOUND_VALUE, RG_BOUND_INPUT };

/* Read an index of `place`, whose inputs begin with number `input`. Reads the bounds of slices, and counts masks. */
int rg_read_index(rg_frame *, const rg_thunk *, const int64_t *params, int input, const rg_array *place, rg_picks *);

/* Add to `base` where single integers that are inputs pick. */
int rg_pick_integers(rg_frame *, const rg_thunk *, const rg_picks *, const rg_array *place, int64_t *base);

/* The distances that masks pick, one mask after the other: `nmasked` of them. */
void rg_pick_masks(const rg_thunk *, const rg_picks *, const rg_array *place, int64_t *distances);

/* The distances of n elements of the index arrays from number `start` on. `masked` is what `rg_pick_masks` wrote.
   0, or -1 where an index is out of bounds. */
int rg_pick_arrays(const rg_thunk *, const rg_picks *, const rg_array *place, const int64_t *masked, int64_t start,
                   int64_t n, int64_t *distances);

/* How many elements of an array are not zero. */
int64_t rg_count_nonzero(const rg_array *);

/* Called for elements that are not zero, in C order: n of them, which lie along the last axis at `along` places behind
   the position `at`. */
typedef void (*rg_found)(void *context, const int64_t *at, int64_t n, const int32_t *along);
void rg_each_nonzero(const rg_array *, rg_found, void *context);

#endif
