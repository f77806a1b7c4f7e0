/* Thunks that read one matrix, and are computed together in one pass over it.

Three: a product of a matrix with a vector, a pass over the result's elements, and a product of the matrix's transpose
with what the pass has computed, as in the gradient of a regression. Or two: a product of a matrix with a vector, and
the addition of that vector's product with another one to the matrix, as in steps of nets that are shown one example.
*/
#ifndef RG_ONCE_H
#define RG_ONCE_H

#include "products_typed.h"
#include "rg.h"

#define RG_PARTS 16 /* chunks that rows are shared out to, at most */

/* A product with a vector: of a row and a matrix of terms x size, or of the transposes. */
typedef struct rg_vector_product {
    const rg_array *vector, *whole; /* the operands; the second is the matrix or its transpose */
    const rg_array *alpha;          /* what it is multiplied by, where it is added to something; NULL where it is not */
    int64_t terms, size, step;      /* step: from one element of the vector to the next */
    rg_matrix matrix;
} rg_vector_product;

/* Whether a thunk computes such a product, maybe added to something. */
int rg_by_vector(const rg_thunk *, rg_vector_product *);

/* What such a thunk computes, where the product is the sum of `parts` rows. */
int rg_sum_products(rg_frame *, const rg_thunk *, int64_t parts, char *sums);

/* Whether a thunk adds to a matrix, by gemm, the product of two vectors: a column and a row. */
typedef struct rg_outer_product {
    const rg_array *row;
    const char *column;
    int64_t step; /* from one element of the column to the next */
} rg_outer_product;

int rg_by_outer(const rg_thunk *, rg_outer_product *);

/* Thunks that follow each other: two of them, or three. Of three, the last keeps the sums of each part, as many as the
   matrix has columns. */
typedef struct rg_once rg_once;
struct rg_once {
    rg_thunk *thunks[3]; /* NULL where there is none */
    int (*run)(rg_frame *, const rg_once *, int *done); /* computes what they do, where nothing in memory is against it:
                                                           `done` says whether */
    int64_t count, parts;
};

/* Find out how many of these thunks, which are prepared, are computed together: 0 where none are. 0, or what rg_fail
   answers. */
int rg_find_once(rg_frame *, rg_once *);

#endif
