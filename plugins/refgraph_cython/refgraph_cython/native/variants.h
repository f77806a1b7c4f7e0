/* Loops that are compiled for several instruction sets, from one source.

    #define RG_SOURCE "area_loops.h"
    #include "each_isa.h"

compiles a header once for each of them. In it RG_VARIANT(name) is a name with that of the instruction set at its end,
and RG_BYTES the size of a vector. RG_CHOOSE(name) is then the one for this processor.
*/
#ifndef RG_VARIANTS_H
#define RG_VARIANTS_H

#include <stdint.h>

#ifndef RG_SEVERAL
#define RG_SEVERAL 0 /* whether there are all three: said by who compiles, see flags.py */
#endif

enum rg_isa { RG_BASE, RG_V3, RG_V4 };

/* The best instruction set that this processor has; no better than REFGRAPH_CYTHON_ISA in the environment says. */
int rg_isa(void);

/* The size of its vectors, in bytes. */
int64_t rg_vector_bytes(void);

/* Before a loop: RG_INDEPENDENT where no step reads what another one writes, or only its own element; RG_UNROLL(n) to
   write out up to n steps; RG_ONE_VECTOR over the elements of one vector, which is left to the vectorizer, as that comes
   after unrolling. */
#define RG_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define RG_INDEPENDENT RG_PRAGMA(clang loop vectorize(assume_safety))
#define RG_UNROLL(n) RG_PRAGMA(clang loop unroll_count(n))
#define RG_ONE_VECTOR RG_PRAGMA(clang loop unroll(disable))
#else
#define RG_INDEPENDENT RG_PRAGMA(GCC ivdep)
#define RG_UNROLL(n) RG_PRAGMA(GCC unroll n)
#define RG_ONE_VECTOR RG_UNROLL(1)
#endif

#define RG_JOIN_NAMES(a, b) a##_##b
#define RG_JOINED(a, b) RG_JOIN_NAMES(a, b)
#define RG_VARIANT(name) RG_JOINED(name, RG_ISA)

#if RG_SEVERAL
#define RG_CHOOSE(name) (rg_isa() == RG_V4 ? name##_v4 : rg_isa() == RG_V3 ? name##_v3 : name##_base)
#else
#define RG_CHOOSE(name) name##_base
#endif

#endif
