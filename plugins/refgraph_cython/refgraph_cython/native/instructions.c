/* The instructions of the instruction set that is used, and the one that calls a loop of NumPy's. */
#include "instructions.h"
#include "variants.h"

#define TABLES(isa)                                                                                                    \
    extern const rg_instruction_row rg_instructions_float32_##isa[], rg_instructions_float64_##isa[],                  \
        rg_instructions_integers_##isa[], rg_instructions_casts_##isa[], rg_instructions_pairs_##isa[];                \
    static const rg_instruction_row *const tables_##isa[] = {                                                          \
        rg_instructions_float32_##isa, rg_instructions_float64_##isa, rg_instructions_integers_##isa,                  \
        rg_instructions_casts_##isa, rg_instructions_pairs_##isa, NULL};

TABLES(base)
#if RG_SEVERAL
TABLES(v3)
TABLES(v4)
#endif

const rg_instruction_row *const *rg_instructions(void) {
    return RG_CHOOSE(tables);
}

void rg_call_loop(int64_t n, void *out, const void *const *in, unsigned single, const rg_loop_of *more) {
    char *arguments[RG_LOOP_ARGUMENTS];
    int64_t steps[RG_LOOP_ARGUMENTS];
    for (int k = 0, given = 0; k < more->nin; k++) {
        if (more->fixed >> k & 1) {
            arguments[k] = (char *)(uintptr_t)&more->numbers[k];
            steps[k] = 0;
        } else {
            arguments[k] = (char *)(uintptr_t)in[given];
            steps[k] = single >> given & 1 ? 0 : more->sizes[k];
            given++;
        }
    }
    arguments[more->nin] = out;
    steps[more->nin] = more->sizes[more->nin];
    more->loop(arguments, &n, steps, more->data);
}
