/* Products in tiles, for the instruction set of this machine. */
#include "products.h"
#include "variants.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define RG_SOURCE "product_loops.h"
#include "each_isa.h"

#define EXPORT(letter, real)                                                                                           \
    void rg_by_tiles_##letter(int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row,               \
                              int64_t a_column, const real *b, int64_t b_row, int adds, real *c, int64_t c_row) {       \
        RG_CHOOSE(by_tiles_##letter)(m, n, k, alpha, a, a_row, a_column, b, b_row, adds, c, c_row);                    \
    }                                                                                                                  \
    void rg_by_dots_##letter(int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row, const real *b, \
                             int64_t b_row, int adds, real *c, int64_t c_row) {                                        \
        RG_CHOOSE(by_dots_##letter)(m, n, k, alpha, a, a_row, b, b_row, adds, c, c_row);                               \
    }
EXPORT(f32, float)
EXPORT(f64, double)
