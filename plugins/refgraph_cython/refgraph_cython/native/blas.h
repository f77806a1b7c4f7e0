/* BLAS, as SciPy has it. */
#ifndef RG_BLAS_H
#define RG_BLAS_H

#include "rg.h"

typedef struct rg_blas {
    void *gemm[4];     /* of float32, float64, complex64, complex128; NULL until they are loaded */
    int (*load)(void); /* loads them, which takes longer than most functions to make. 0, or -1 where it cannot */
} rg_blas;

extern rg_blas rg_blas_of;

/* The way in which all products of float32 and float64 are computed, an `enum way` of matmul.c that can; -1: as it
   chooses. For benchmarks/products.py, which measures what it chooses. */
extern int rg_way_of_all;

#endif
