// What a compiler for the device brings before types.h.
#pragma nv_diag_suppress 186 // integers of no sign are compared with 0 where all integers are
#ifdef RG_HALF
#include <cuda_fp16.h>
typedef __half float16;
#endif
#ifdef RG_COMPLEX
#include <cupy/complex.cuh>
#endif
#define RG_SIGNBIT(x) (::signbit(x) != 0)
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fc00000)
#endif
#define RG_MADE(name)
