/* Which instruction set is used. */
#include "isa.h"

#include <string.h>

static const char *names[] = {"base", "v3", "v4"};
static int chosen = -1;

static int best(void) {
#if defined(__x86_64__) && defined(RG_HAS_ISAS)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return 1;
#endif
    return 0;
}

int rg_isa_number(void) {
    if (chosen < 0)
        chosen = best();
    return chosen;
}

const char *rg_isa(void) {
    return names[rg_isa_number()];
}

int rg_use_isa(const char *name) {
    for (int i = 0; i <= best(); i++)
        if (!strcmp(name, names[i])) {
            chosen = i;
            return 0;
        }
    return -1;
}
