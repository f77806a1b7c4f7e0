/* Products, for float32 and float64. */

/* The sum of the elements of each of four parts. */
static inline __attribute__((always_inline)) void RG_VARIANT(transposed_totals_f32)(const RG_FOUR *p, float *to) {
    RG_FOUR low = RG_PICK(p[0], p[1], 0, 2, 4, 6) + RG_PICK(p[0], p[1], 1, 3, 5, 7);
    RG_FOUR high = RG_PICK(p[2], p[3], 0, 2, 4, 6) + RG_PICK(p[2], p[3], 1, 3, 5, 7);
    RG_FOUR all = RG_PICK(low, high, 0, 2, 4, 6) + RG_PICK(low, high, 1, 3, 5, 7);
    memcpy(to, &all, sizeof all);
}

static inline __attribute__((always_inline)) void RG_VARIANT(transposed_totals_f64)(const RG_TWO *p, double *to) {
    for (int j = 0; j < 4; j++)
        to[j] = p[j][0] + p[j][1];
}

#define REAL float
#define PLACE int32_t
#define LETTER f32
#include "product_kinds.h"
#define REAL double
#define PLACE int64_t
#define LETTER f64
#include "product_kinds.h"
