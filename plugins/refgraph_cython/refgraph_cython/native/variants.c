/* Which instruction set is used. */
#include "variants.h"

#include <stdlib.h>
#include <string.h>

static int best(void) {
#if RG_SEVERAL
    __builtin_cpu_init();
    return __builtin_cpu_supports("x86-64-v4") ? RG_V4 : __builtin_cpu_supports("x86-64-v3") ? RG_V3 : RG_BASE;
#else
    return RG_BASE;
#endif
}

int rg_isa(void) {
    static int chosen = -1;
    if (chosen >= 0)
        return chosen;
    const char *said = getenv("REFGRAPH_CYTHON_ISA");
    int most = !said ? RG_V4 : !strcmp(said, "base") ? RG_BASE : !strcmp(said, "v3") ? RG_V3 : RG_V4;
    int found = best();
    return chosen = found < most ? found : most;
}

int64_t rg_vector_bytes(void) {
    return 16 << rg_isa();
}
