/* The file that RG_SOURCE names, once for each instruction set: see variants.h. May be included several times. */
#include "variants.h"

#define RG_ISA base
#define RG_BYTES 16
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES

#if RG_SEVERAL
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define RG_ISA v3
#define RG_BYTES 32
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define RG_ISA v4
#define RG_BYTES 64
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES
#pragma GCC pop_options
#endif

#undef RG_SOURCE
