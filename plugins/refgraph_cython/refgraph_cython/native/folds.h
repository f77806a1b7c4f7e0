/* Folds: how a reduction takes the elements of a block into its accumulators.

Many elements are folded in 64 lanes, which then are folded by halves, so that the loops are over neighbours, and sums
are about as exact as pairwise ones (Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993).
What doubles lose when blocks are added to one another is kept beside them (`rest`: Neumaier's sum, Z. Angew. Math.
Mech. 54, 1974). Where a position is found `rest` is the position; of logsumexp the accumulator is the greatest element,
and `rest` the sum of exp(x - greatest).
*/
#ifndef RG_FOLDS_H
#define RG_FOLDS_H

#include "rg.h"
#include "variants.h"
#include "vector_exp.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#define RG_BLOCK 2048 /* elements that a block has at most */

typedef float _Complex complex64;
typedef double _Complex complex128;

enum kind { SUM, PROD, MAX, MIN, ALL, ANY, AND, OR, XOR, ARGMAX, ARGMIN, LOGSUMEXP };

/* Fold n elements; the first is at `position` along the axes that are reduced, the next `step` further. */
typedef void (*fold)(void *to, void *rest, const void *from, int64_t n, int64_t position, int64_t step);

#define SUM_OF(a, x) ((a) + (x))
#define PROD_OF(a, x) ((a) * (x))
#define MAX_OF(a, x) ((((x) > (a)) | ((x) != (x))) ? (x) : (a))
#define MIN_OF(a, x) ((((x) < (a)) | ((x) != (x))) ? (x) : (a))
#define AND_OF(a, x) ((a) & (x))
#define OR_OF(a, x) ((a) | (x))
#define XOR_OF(a, x) ((a) ^ (x))

/* lanes, all: n elements, one or more, into one. whole, each: into one accumulator, and into as many. */
#define FOLD(kind, of, name, type, acc, add)                                                                           \
    static inline __attribute__((always_inline)) acc lanes_##kind##_##name(const type *x, int64_t n, const int lanes) {\
        acc part[64];                                                                                                  \
        int64_t i = lanes;                                                                                             \
        for (int l = 0; l < lanes; l++)                                                                                \
            part[l] = (acc)x[l];                                                                                       \
        for (; i + 2 * lanes <= n; i += 2 * lanes)                                                                     \
            for (int l = 0; l < lanes; l++) {                                                                          \
                acc a = (acc)x[i + l], b = (acc)x[i + l + lanes], both = (acc)of(a, b);                                \
                part[l] = (acc)of(part[l], both);                                                                      \
            }                                                                                                          \
        if (i + lanes <= n) {                                                                                          \
            for (int l = 0; l < lanes; l++)                                                                            \
                part[l] = (acc)of(part[l], (acc)x[i + l]);                                                             \
            i += lanes;                                                                                                \
        }                                                                                                              \
        for (int l = 0; l < lanes && i + l < n; l++)                                                                   \
            part[l] = (acc)of(part[l], (acc)x[i + l]);                                                                 \
        for (int half = lanes / 2; half; half /= 2)                                                                    \
            for (int l = 0; l < half; l++)                                                                             \
                part[l] = (acc)of(part[l], part[l + half]);                                                            \
        return part[0];                                                                                                \
    }                                                                                                                  \
    static acc all_##kind##_##name(const type *x, int64_t n) {                                                         \
        if (n >= 192)                                                                                                  \
            return lanes_##kind##_##name(x, n, 64);                                                                    \
        if (n >= 32)                                                                                                   \
            return lanes_##kind##_##name(x, n, 16);                                                                    \
        acc total = (acc)x[0];                                                                                         \
        for (int64_t i = 1; i < n; i++)                                                                                \
            total = (acc)of(total, (acc)x[i]);                                                                         \
        return total;                                                                                                  \
    }                                                                                                                  \
    static void whole_##kind##_##name(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {       \
        (void)rest, (void)p, (void)s;                                                                                  \
        acc *a = to, x = all_##kind##_##name(from, n);                                                                 \
        add(of);                                                                                                       \
    }                                                                                                                  \
    static void each_##kind##_##name(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {        \
        (void)rest, (void)p, (void)s;                                                                                  \
        acc *a = to;                                                                                                   \
        const type *x = from;                                                                                          \
        RG_INDEPENDENT for (int64_t i = 0; i < n; i++) a[i] = (acc)of(a[i], (acc)x[i]);                                \
    }

#define PLAINLY(of) *a = of(*a, x)
#define EXACTLY(of) add_exactly(a, rest, x)

/* The sum, and what it lost. */
static inline void add_exactly(double *a, double *lost, double x) {
    double sum = *a + x;
    *lost += fabs(*a) >= fabs(x) ? (*a - sum) + x : (x - sum) + *a;
    *a = sum;
}

#define INTEGERS(DO, kind, of)                                                                                         \
    DO(kind, of, i8, int8_t, int8_t, PLAINLY)                                                                          \
    DO(kind, of, i16, int16_t, int16_t, PLAINLY)                                                                       \
    DO(kind, of, i32, int32_t, int32_t, PLAINLY)                                                                       \
    DO(kind, of, i64, int64_t, int64_t, PLAINLY)                                                                       \
    DO(kind, of, u8, uint8_t, uint8_t, PLAINLY)                                                                        \
    DO(kind, of, u16, uint16_t, uint16_t, PLAINLY)                                                                     \
    DO(kind, of, u32, uint32_t, uint32_t, PLAINLY)                                                                     \
    DO(kind, of, u64, uint64_t, uint64_t, PLAINLY)
#define REALS(DO, kind, of)                                                                                            \
    DO(kind, of, f32, float, float, PLAINLY)                                                                           \
    DO(kind, of, f64, double, double, PLAINLY)                                                                         \
    INTEGERS(DO, kind, of)
/* Integers are summed to 64 bits, without sign, as these may overflow. */
#define WIDENED(DO, kind, of, ADD)                                                                                     \
    DO(kind, of, f32, float, double, ADD)                                                                              \
    DO(kind, of, f64, double, double, ADD)                                                                             \
    DO(kind, of, i8, int8_t, uint64_t, PLAINLY)                                                                        \
    DO(kind, of, i16, int16_t, uint64_t, PLAINLY)                                                                      \
    DO(kind, of, i32, int32_t, uint64_t, PLAINLY)                                                                      \
    DO(kind, of, u8, uint8_t, uint64_t, PLAINLY)                                                                       \
    DO(kind, of, u16, uint16_t, uint64_t, PLAINLY)                                                                     \
    DO(kind, of, u32, uint32_t, uint64_t, PLAINLY)                                                                     \
    DO(kind, of, u64, uint64_t, uint64_t, PLAINLY)                                                                     \
    DO(kind, of, c128, complex128, complex128, PLAINLY)

WIDENED(FOLD, sum, SUM_OF, EXACTLY)
WIDENED(FOLD, prod, PROD_OF, PLAINLY)
REALS(FOLD, max, MAX_OF)
REALS(FOLD, min, MIN_OF)
INTEGERS(FOLD, and, AND_OF)
INTEGERS(FOLD, or, OR_OF)
INTEGERS(FOLD, xor, XOR_OF)

/* Positions of the greatest or least elements: the first where several are, the first NaN where there is one. */

#define MORE(x, a) (((x) > (a)) | (((x) != (x)) & ((a) == (a))))
#define LESS(x, a) (((x) < (a)) | (((x) != (x)) & ((a) == (a))))

#define PICK(kind, better, name, type)                                                                                 \
    static void whole_arg##kind##_##name(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {    \
        type *a = to, top = all_##kind##_##name(from, n);                                                              \
        const type *x = from;                                                                                          \
        if (!better(top, *a))                                                                                          \
            return;                                                                                                    \
        int64_t i = 0;                                                                                                 \
        for (int found = 0; i + 64 <= n; i += 64) {                                                                    \
            for (int l = 0; l < 64; l++)                                                                               \
                found |= (x[i + l] == top) | (x[i + l] != x[i + l]);                                                   \
            if (found)                                                                                                 \
                break;                                                                                                 \
        }                                                                                                              \
        while (x[i] != top && x[i] == x[i])                                                                            \
            i++;                                                                                                       \
        *a = top;                                                                                                      \
        *(int64_t *)rest = p + i * s;                                                                                  \
    }                                                                                                                  \
    static void each_arg##kind##_##name(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {     \
        type *a = to;                                                                                                  \
        const type *x = from;                                                                                          \
        int64_t *at = rest;                                                                                            \
        (void)s;                                                                                                       \
        RG_INDEPENDENT for (int64_t i = 0; i < n; i++) {                                                               \
            int is_better = better(x[i], a[i]);                                                                        \
            at[i] = is_better ? p : at[i];                                                                             \
            a[i] = is_better ? x[i] : a[i];                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void merge_arg##kind##_##name(void *to, void *rest, const void *from, const void *other, int64_t n) {       \
        type *a = to;                                                                                                  \
        const type *x = from;                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                                                \
            if (better(x[i], a[i])) {                                                                                  \
                a[i] = x[i];                                                                                           \
                ((int64_t *)rest)[i] = ((const int64_t *)other)[i];                                                    \
            }                                                                                                          \
    }

#define PICKS(kind, better)                                                                                            \
    PICK(kind, better, f32, float)                                                                                     \
    PICK(kind, better, f64, double)                                                                                    \
    PICK(kind, better, i8, int8_t)                                                                                     \
    PICK(kind, better, i16, int16_t)                                                                                   \
    PICK(kind, better, i32, int32_t)                                                                                   \
    PICK(kind, better, i64, int64_t)                                                                                   \
    PICK(kind, better, u8, uint8_t)                                                                                    \
    PICK(kind, better, u16, uint16_t)                                                                                  \
    PICK(kind, better, u32, uint32_t)                                                                                  \
    PICK(kind, better, u64, uint64_t)
PICKS(max, MORE)
PICKS(min, LESS)

/* log(sum(exp(x))): the greatest element so far, and the sum of exp(x - greatest). */

/* exp(x - top), where an infinity less itself is 0. */
static inline double below(double x, double top) {
    int64_t rare = 0;
    return rg_exp_f64(x == top ? 0.0 : x - top, &rare);
}

static void join_logsumexp(double *top, double *sum, double other_top, double other_sum) {
    if (other_top > *top) {
        *sum = *sum * below(*top, other_top) + other_sum;
        *top = other_top;
    } else
        *sum += other_sum * below(other_top, *top);
}

static void whole_logsumexp(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {
    const double *x = from;
    double terms[RG_BLOCK], top = all_max_f64(x, n);
    (void)p, (void)s;
    if (top != top) {
        *(double *)rest = top;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        terms[i] = below(x[i], top);
    join_logsumexp(to, rest, top, all_sum_f64(terms, n));
}

static void each_logsumexp(void *to, void *rest, const void *from, int64_t n, int64_t p, int64_t s) {
    double *top = to, *sum = rest;
    const double *x = from;
    (void)p, (void)s;
    RG_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        double low = x[i] > top[i] ? top[i] : x[i], high = x[i] > top[i] ? x[i] : top[i], share = below(low, high);
        sum[i] = x[i] > top[i] ? sum[i] * share + 1.0 : sum[i] + share;
        top[i] = high;
    }
}

static void merge_logsumexp(void *to, void *rest, const void *from, const void *other, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        join_logsumexp((double *)to + i, (double *)rest + i, ((const double *)from)[i], ((const double *)other)[i]);
}

static void merge_exactly(void *to, void *rest, const void *from, const void *other, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double *lost = (double *)rest + i;
        add_exactly((double *)to + i, lost, ((const double *)from)[i]);
        *lost += ((const double *)other)[i];
    }
}

/* What belongs to a kind and a dtype of elements. */
typedef struct {
    fold whole, each;
    void (*merge)(void *to, void *rest, const void *from, const void *other, int64_t n); /* NULL: as `each` of accumulators */
    int has_rest;
} folding;

static folding find_folding(int64_t kind, int dtype) {
    folding found = {0};
#define CASE(dtype, kind, name)                                                                                        \
    case dtype:                                                                                                        \
        return (folding){whole_##kind##_##name, each_##kind##_##name, NULL, 0};
#define PICK_CASE(dtype, kind, name)                                                                                   \
    case dtype:                                                                                                        \
        return (folding){whole_##kind##_##name, each_##kind##_##name, merge_##kind##_##name, 1};
#define FLOATS_OF(CASE, kind) CASE(RG_F32, kind, f32) CASE(RG_F64, kind, f64)
#define INTEGERS_OF(CASE, kind)                                                                                        \
    CASE(RG_I8, kind, i8)                                                                                              \
    CASE(RG_I16, kind, i16)                                                                                            \
    CASE(RG_I32, kind, i32)                                                                                            \
    CASE(RG_BOOL, kind, u8)                                                                                            \
    CASE(RG_U8, kind, u8)                                                                                              \
    CASE(RG_U16, kind, u16)                                                                                            \
    CASE(RG_U32, kind, u32)                                                                                            \
    CASE(RG_U64, kind, u64)
#define CHOICE(KIND, ...)                                                                                              \
    case KIND:                                                                                                         \
        switch (dtype) { __VA_ARGS__ }                                                                                 \
        break;
#define SUM_CASE(dtype, kind, name)                                                                                    \
    case dtype:                                                                                                        \
        return (folding){whole_##kind##_##name, each_##kind##_##name, merge_exactly, 1};
    switch (kind) {
    case SUM:
        switch (dtype) {
            FLOATS_OF(SUM_CASE, sum)
            INTEGERS_OF(CASE, sum)
            CASE(RG_I64, sum, u64)
            CASE(RG_C128, sum, c128)
        }
        break;
        CHOICE(PROD, FLOATS_OF(CASE, prod) INTEGERS_OF(CASE, prod) CASE(RG_I64, prod, u64) CASE(RG_C128, prod, c128))
        CHOICE(MAX, FLOATS_OF(CASE, max) INTEGERS_OF(CASE, max) CASE(RG_I64, max, i64))
        CHOICE(MIN, FLOATS_OF(CASE, min) INTEGERS_OF(CASE, min) CASE(RG_I64, min, i64))
        CHOICE(AND, INTEGERS_OF(CASE, and) CASE(RG_I64, and, i64))
        CHOICE(OR, INTEGERS_OF(CASE, or) CASE(RG_I64, or, i64))
        CHOICE(XOR, INTEGERS_OF(CASE, xor) CASE(RG_I64, xor, i64))
        CHOICE(ARGMAX, FLOATS_OF(PICK_CASE, argmax) INTEGERS_OF(PICK_CASE, argmax) PICK_CASE(RG_I64, argmax, i64))
        CHOICE(ARGMIN, FLOATS_OF(PICK_CASE, argmin) INTEGERS_OF(PICK_CASE, argmin) PICK_CASE(RG_I64, argmin, i64))
    case ALL:
        return (folding){whole_and_u8, each_and_u8, NULL, 0};
    case ANY:
        return (folding){whole_or_u8, each_or_u8, NULL, 0};
    case LOGSUMEXP:
        return (folding){whole_logsumexp, each_logsumexp, merge_logsumexp, 1};
    }
    return found;
}

/* Fill n accumulators with what a fold begins at. */
static void begin(int64_t kind, int dtype, char *to, int64_t n) {
#define FILL(type, value)                                                                                              \
    {                                                                                                                  \
        type all = (type)(value);                                                                                      \
        for (int64_t i = 0; i < n; i++)                                                                                \
            ((type *)to)[i] = all;                                                                                     \
        return;                                                                                                        \
    }
#define FILL_REAL(type, low, high)                                                                                     \
    if (kind == MAX || kind == ARGMAX || kind == LOGSUMEXP)                                                            \
        FILL(type, low)                                                                                                \
    if (kind == MIN || kind == ARGMIN)                                                                                 \
        FILL(type, high)                                                                                               \
    if (kind == AND)                                                                                                   \
        FILL(type, ~(uint64_t)0)                                                                                       \
    FILL(type, kind == PROD || kind == ALL)
    switch (dtype) {
    case RG_BOOL:
        if (kind == AND)
            FILL(uint8_t, 1)
        FILL_REAL(uint8_t, 0, 1)
    case RG_I8:
        FILL_REAL(int8_t, INT8_MIN, INT8_MAX)
    case RG_I16:
        FILL_REAL(int16_t, INT16_MIN, INT16_MAX)
    case RG_I32:
        FILL_REAL(int32_t, INT32_MIN, INT32_MAX)
    case RG_I64:
        FILL_REAL(int64_t, INT64_MIN, INT64_MAX)
    case RG_U8:
        FILL_REAL(uint8_t, 0, UINT8_MAX)
    case RG_U16:
        FILL_REAL(uint16_t, 0, UINT16_MAX)
    case RG_U32:
        FILL_REAL(uint32_t, 0, UINT32_MAX)
    case RG_U64:
        FILL_REAL(uint64_t, 0, UINT64_MAX)
    case RG_F32:
        FILL_REAL(float, -INFINITY, INFINITY)
    case RG_F64:
        FILL_REAL(double, -INFINITY, INFINITY)
    case RG_C128:
        FILL(complex128, kind == PROD)
    }
}

#endif
