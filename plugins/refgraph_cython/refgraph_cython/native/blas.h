/* BLAS, as SciPy has it. */
#ifndef RG_BLAS_H
#define RG_BLAS_H

#include "rg.h"

typedef struct rg_blas {
    void *gemm[4]; /* of float32, float64, complex64, complex128 */
} rg_blas;

extern rg_blas rg_blas_of;

#endif
