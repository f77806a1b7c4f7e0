/* Products in tiles, for the instruction set of this machine. */
#include "products.h"
#include "turning.h"
#include "variants.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float RG_FOUR __attribute__((vector_size(16)));
typedef double RG_TWO __attribute__((vector_size(16)));

/* Four elements of two vectors of four, by number. */
#if defined(__clang__)
#define RG_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t RG_PLACES __attribute__((vector_size(16)));
#define RG_PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (RG_PLACES){i, j, k, l})
#endif

#define RG_SOURCE "product_loops.h"
#include "each_isa.h"

#define EXPORT(letter, real)                                                                                           \
    void rg_by_tiles_##letter(rg_part part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row, \
                              int64_t a_column, const real *b, int64_t b_row, int adds, real *c, int64_t c_row) {      \
        RG_CHOOSE(by_tiles_##letter)(part, m, n, k, alpha, a, a_row, a_column, b, b_row, adds, c, c_row);              \
    }                                                                                                                  \
    void rg_by_dots_##letter(rg_part part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row, const real *b, \
                             int64_t b_row, int adds, real *c, int64_t c_row) {                                        \
        RG_CHOOSE(by_dots_##letter)(part, m, n, k, alpha, a, a_row, b, b_row, adds, c, c_row);                         \
    }                                                                                                                  \
    void rg_by_turning_##letter(rg_part part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row,             \
                                int64_t a_column, const real *b, int64_t b_row, int adds, real *c, int64_t c_row,      \
                                real *room) {                                                                          \
        RG_CHOOSE(by_turning_##letter)(part, m, n, k, alpha, a, a_row, a_column, b, b_row, adds, c, c_row, room);      \
    }                                                                                                                  \
    void rg_by_outer_##letter(int64_t m, int64_t n, real alpha, const real *a, int64_t a_row, const real *b, real *c, \
                              int64_t c_row, real *room) {                                                             \
        RG_CHOOSE(by_outer_##letter)(m, n, alpha, a, a_row, b, c, c_row, room);                                  \
    }                                                                                                                  \
    void rg_by_outer_and_dots_##letter(int64_t m, int64_t n, real alpha, const real *a, int64_t a_row, const real *d,  \
                                       real *w, real *out) {                                                           \
        RG_CHOOSE(by_outer_and_dots_##letter)(m, n, alpha, a, a_row, d, w, out);                                       \
    }                                                                                                                  \
    void rg_by_turned_tiles_##letter(int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_column,     \
                                     const real *b, int64_t b_row, real *c, int64_t c_row, real *room) {               \
        RG_CHOOSE(by_turned_tiles_##letter)(m, n, k, alpha, a, a_column, b, b_row, c, c_row, room);                    \
    }
EXPORT(f32, float)
EXPORT(f64, double)
