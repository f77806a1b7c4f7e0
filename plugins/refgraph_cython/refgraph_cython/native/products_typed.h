/* Products of matrices, where strides are in elements; the result has rows of neighbours. */
#ifndef RG_PRODUCTS_TYPED_H
#define RG_PRODUCTS_TYPED_H

#include "rg.h"

typedef struct rg_matrix {
    char *data;
    int64_t row, column; /* from one row to the next, and from one column to the next */
} rg_matrix;

/* c = a b of integers, which wrap, or of truth values: m by k and k by n. */
void rg_product_typed(int dtype, int64_t m, int64_t n, int64_t k, const rg_matrix *a, const rg_matrix *b,
                      const rg_matrix *c);

/* The same of any dtype but float16; k is not 0. Of floating dtypes each of a and b has one axis of neighbours, and the
   other axis steps over all of these. */
int rg_product(rg_frame *, int dtype, int64_t m, int64_t n, int64_t k, const rg_matrix *a, const rg_matrix *b,
               const rg_matrix *c);

#endif
