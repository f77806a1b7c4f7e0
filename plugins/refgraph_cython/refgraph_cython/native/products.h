/* Products of matrices of few rows or few terms. */
#ifndef RG_PRODUCTS_H
#define RG_PRODUCTS_H

#include <stdint.h>

/* c = alpha a b + adds c, of m x k and k x n; strides in elements. b and c have columns of stride 1. */
void rg_by_tiles_f32(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t a_row, int64_t a_column,
                     const float *b, int64_t b_row, int adds, float *c, int64_t c_row);
void rg_by_tiles_f64(int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t a_row, int64_t a_column,
                     const double *b, int64_t b_row, int adds, double *c, int64_t c_row);

/* The same with b transposed: a has columns of stride 1, and b^T, of n x k, too. */
void rg_by_dots_f32(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t a_row, const float *b,
                    int64_t b_row, int adds, float *c, int64_t c_row);
void rg_by_dots_f64(int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t a_row, const double *b,
                    int64_t b_row, int adds, double *c, int64_t c_row);

#endif
