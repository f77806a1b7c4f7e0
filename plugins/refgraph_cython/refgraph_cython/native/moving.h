/* What kernels share that move elements: copies between parts of arrays, integers of any dtype, lengths that are partly
inputs. */
#ifndef RG_MOVING_H
#define RG_MOVING_H

#include "rg.h"

#include <string.h>

#define RG_LOOPS (2 * RG_NDIM) /* axes of a copy: twice those of an array, for kernels that split each axis in two */

/* Copy elements of `itemsize` bytes; strides may be 0 in the source. Source and target do not overlap. */
void rg_move(int ndim, const int64_t *shape, int64_t itemsize, const char *from, const int64_t *from_strides, char *to,
             const int64_t *to_strides);

/* Copy an array, broadcast to the shape of `to`, which is a part of an array of its dtype. */
void rg_move_into(const rg_array *from, int ndim, const int64_t *shape, char *to, const int64_t *to_strides);

/* The strides of an array that is broadcast to a shape: 0 along axes that it lacks or where it is repeated.
   0, or -1 where it cannot be broadcast so. */
int rg_stretch(const rg_array *, int ndim, const int64_t *shape, int64_t *strides);

/* Copy n elements with strides; runs that lie together on both sides are copied as such. */
void rg_line(int64_t itemsize, int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride);

/* `rg_move_into` of an array whose dtype may be another one, of which every value is one of `dtype` too. */
void rg_widen_into(const rg_array *from, int dtype, int ndim, const int64_t *shape, char *to,
                   const int64_t *to_strides);

/* Strides in C order. */
void rg_c_strides(int ndim, const int64_t *shape, int64_t itemsize, int64_t *strides);

/* In `prepare`: `rg_output` of lengths that values say: refused where one is negative, or all are too many. */
int rg_output_of(rg_frame *, rg_thunk *, int k, int ndim, const int64_t *shape);

/* In `prepare`: output k is a view of input 0 that begins `offset` bytes behind it. Goes with `rg_views_run`, and uses
   the thunk's state. */
int rg_view_at(rg_frame *, rg_thunk *, int k, int64_t offset, int ndim, const int64_t *shape, const int64_t *strides);
int rg_views_run(rg_frame *, rg_thunk *);

/* An integer of any dtype. What is above the range of int64 is taken as its end. */
static inline int64_t rg_integer_at(int dtype, const char *at) {
    switch (dtype) {
    case RG_I8:
        return *(const int8_t *)at;
    case RG_I16:
        return *(const int16_t *)at;
    case RG_I32:
        return *(const int32_t *)at;
    case RG_I64:
        return *(const int64_t *)at;
    case RG_U16:
        return *(const uint16_t *)at;
    case RG_U32:
        return *(const uint32_t *)at;
    case RG_U64:
        return *(const uint64_t *)at > INT64_MAX ? INT64_MAX : (int64_t)*(const uint64_t *)at;
    default: /* RG_BOOL, RG_U8 */
        return *(const uint8_t *)at;
    }
}

/* The value of a 0-d integer. */
static inline int64_t rg_integer(const rg_array *array) {
    return rg_integer_at(array->dtype, array->data);
}

#define RG_OPEN INT64_MIN /* in params, a number that is an input */

/* n numbers of which some are inputs: `params` holds the others and RG_OPEN for these, which are the inputs from
   `*input` on. `*input` becomes the number of the next one. */
static inline void rg_numbers(const rg_thunk *thunk, const int64_t *params, int n, int *input, int64_t *numbers) {
    for (int k = 0; k < n; k++)
        numbers[k] = params[k] == RG_OPEN ? rg_integer(thunk->in[(*input)++]) : params[k];
}

static inline int64_t rg_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t rg_most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* A number cut to a range. */
static inline int64_t rg_within(int64_t low, int64_t n, int64_t high) {
    return n < low ? low : n > high ? high : n;
}

/* Elements are moved as what has their size. */
typedef struct {
    uint64_t half[2];
} rg_pair;

#define RG_EACH_SIZE(DO)                                                                                               \
    DO(1, uint8_t)                                                                                                     \
    DO(2, uint16_t)                                                                                                    \
    DO(4, uint32_t)                                                                                                    \
    DO(8, uint64_t)                                                                                                    \
    DO(16, rg_pair)

#endif
