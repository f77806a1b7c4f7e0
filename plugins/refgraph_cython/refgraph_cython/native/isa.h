/* Instruction sets: some files are compiled once for each, and the best that the machine has is chosen. */
#ifndef RG_ISA_H
#define RG_ISA_H

#define RG_ISA_JOINED(name, isa) name##_##isa
#define RG_ISA_OF(name, isa) RG_ISA_JOINED(name, isa)
#define RG_ISA_NAME(name) RG_ISA_OF(name, RG_ISA) /* of something exported, in a file that is compiled for RG_ISA */

/* Which one is used: "base", "v3" (AVX2) or "v4" (AVX-512). */
const char *rg_isa(void);

/* Use one by name, instead of the best; -1 where the machine or the build lacks it. */
int rg_use_isa(const char *);

/* 0, 1 or 2: the index among the functions of one name for each of the sets. */
int rg_isa_number(void);

#endif
