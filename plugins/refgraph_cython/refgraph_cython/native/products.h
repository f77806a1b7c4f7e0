/* Products of matrices of few rows or few terms, for float32 and float64. */
#ifndef RG_PRODUCTS_H
#define RG_PRODUCTS_H

#include <stdint.h>

/* Which part of the work to do, of how many: what is computed does not depend on that. */
typedef struct rg_part {
    int64_t number, of;
} rg_part;

#define RG_PRODUCTS_OF(letter, real)                                                                                   \
    /* c = alpha a b + adds c, of m x k and k x n; strides in elements. b and c have columns of stride 1. */           \
    void rg_by_tiles_##letter(rg_part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row,      \
                              int64_t a_column, const real *b, int64_t b_row, int adds, real *c, int64_t c_row);       \
    /* The same with b transposed: a has columns of stride 1, and b^T, of n x k, too. */                               \
    void rg_by_dots_##letter(rg_part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row,       \
                             const real *b, int64_t b_row, int adds, real *c, int64_t c_row);                          \
    /* The same for few terms. room: for k * 64 elements. */                                                           \
    void rg_by_turning_##letter(rg_part, int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_row,             \
                                int64_t a_column, const real *b, int64_t b_row, int adds, real *c, int64_t c_row,      \
                                real *room);                                                                           \
    /* c += alpha a b, of m x 1 and 1 x n, for n from a vector on. room: for n elements and a vector. */               \
    void rg_by_outer_##letter(int64_t m, int64_t n, real alpha, const real *a, int64_t a_row, const real *b, real *c, \
                              int64_t c_row, real *room);                                                              \
    /* out = w d of the old w, and w += alpha a d^T: of m x n, whose rows lie one after the other. */                   \
    void rg_by_outer_and_dots_##letter(int64_t m, int64_t n, real alpha, const real *a, int64_t a_row, const real *d,  \
                                       real *w, real *out);                                                            \
    /* c += alpha a b, of m x k and k x n, for small n; a has rows of stride 1. room: for n * 64 elements. */          \
    void rg_by_turned_tiles_##letter(int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t a_column,     \
                                     const real *b, int64_t b_row, real *c, int64_t c_row, real *room);
RG_PRODUCTS_OF(f32, float)
RG_PRODUCTS_OF(f64, double)
#undef RG_PRODUCTS_OF

#endif
