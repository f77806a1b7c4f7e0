/* The file that RG_SOURCE names, once for each instruction set: see variants.h. May be included several times. */
#include "variants.h"

#define RG_ISA base
#define RG_BYTES 16
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES

#if RG_SEVERAL
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#endif
#define RG_ISA v3
#define RG_BYTES 32
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#endif
#define RG_ISA v4
#define RG_BYTES 64
#include RG_SOURCE
#undef RG_ISA
#undef RG_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#undef RG_SOURCE
