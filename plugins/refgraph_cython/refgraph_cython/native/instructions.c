/* The instruction set that is used, and the instruction that calls a loop of NumPy's. */
#include "instructions.h"
#include "variants.h"

const rg_instruction_row *rg_instructions_base(void);
#if RG_SEVERAL
const rg_instruction_row *rg_instructions_v3(void);
const rg_instruction_row *rg_instructions_v4(void);
#endif

const rg_instruction_row *rg_instructions(void) {
#if RG_SEVERAL
    return RG_CHOOSE(rg_instructions)();
#else
    return rg_instructions_base();
#endif
}

void rg_call_loop(int64_t n, void *out, const void *const *in, unsigned single, const rg_loop_of *more) {
    char *arguments[6];
    int64_t steps[6];
    for (int k = 0; k < more->nin; k++) {
        arguments[k] = (char *)(uintptr_t)in[k];
        steps[k] = single >> k & 1 ? 0 : more->sizes[k];
    }
    arguments[more->nin] = out;
    steps[more->nin] = more->sizes[more->nin];
    more->loop(arguments, &n, steps, more->data);
}
