/* A product of a matrix with a vector, a pass over the result's elements, and a product of the matrix's transpose with
   what the pass has computed: as in the gradient of a regression. In one pass over the matrix. */
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

/* Three thunks that follow each other. The last keeps the sums of each part, as many as the matrix has columns. */
typedef struct rg_once {
    rg_thunk *first, *pass, *second;
    int64_t parts;
} rg_once;

/* Let `found` be whether three thunks that are prepared are these, and that pays: then the pass is cut as the matrix
   is. 0, or what rg_fail answers. */
int rg_find_once(rg_frame *, rg_once *, int *found);

/* Compute what the three do, where nothing is written over the matrix or the vector: `done` says whether. */
int rg_run_once(rg_frame *, const rg_once *, int *done);

#endif
