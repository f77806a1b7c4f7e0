/* Instructions: what is computed of the elements of a block. */
#ifndef RG_INSTRUCTIONS_H
#define RG_INSTRUCTIONS_H

#include "rg.h"

#define RG_LOOP_ARGUMENTS 6

/* A loop of NumPy's own, for instructions that call one. Some of its inputs may be fixed numbers. */
typedef struct rg_loop_of {
    void (*loop)(char **, const int64_t *, const int64_t *, void *);
    void *data;
    int64_t nin, sizes[RG_LOOP_ARGUMENTS]; /* bytes of an element of each input, and of the output */
    uint64_t fixed;                        /* bits: which inputs are none of the instruction's but stand in `numbers` */
    union {
        double real;
        int64_t whole;
    } numbers[RG_LOOP_ARGUMENTS];
} rg_loop_of;

/* Computes n elements. in[k] points to n elements one after the other, or, where bit k of `single` is set, to one that
   stands for all. out is contiguous, and may be the memory of an input of the same item size. */
typedef void (*rg_instruction)(int64_t n, void *out, const void *const *in, unsigned single, const rg_loop_of *more);

typedef struct rg_instruction_row {
    const char *name; /* the op's; the table ends with NULL */
    int8_t nin, in[4], out; /* dtypes */
    rg_instruction call; /* NULL where the output is the input */
} rg_instruction_row;

/* The tables for the instruction set that is used, the last one NULL. */
const rg_instruction_row *const *rg_instructions(void);

/* The instruction that calls a loop of NumPy's. */
void rg_call_loop(int64_t n, void *out, const void *const *in, unsigned single, const rg_loop_of *more);

#endif
