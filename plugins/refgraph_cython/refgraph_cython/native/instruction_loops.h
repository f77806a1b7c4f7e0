/* The loops that instructions are made of: what the generated files instructions_*.c are written in.

    RG_UNARY(name, to, a, text)            out = text of x
    RG_BINARY(name, to, a, b, text)        out = text of x and y
    RG_TERNARY(name, to, a, b, c, text)    out = text of x, y and w
    RG_VECTORS_1(name, type, fast, careful), RG_VECTORS_2: of one or two inputs, by the functions of vector_*.h
    RG_STAGES(name, type, begin, end, careful)             of one input, by two of those functions

`to`, `a`, `b`, `c` are C types; a text is one expression. Inputs that are `single` are read once.
*/
#ifndef RG_INSTRUCTION_LOOPS_H
#define RG_INSTRUCTION_LOOPS_H

#include "instructions.h"
#include "variants.h"
#include "vector_all.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#undef I /* an input may not be called so, but a type may */

typedef float _Complex complex64;
typedef double _Complex complex128;
typedef _Float16 float16;

/* What C's functions are for dtypes that they are not written for. */
#define RG_FMAX(a, b) ((a) >= (b) || (b) != (b) ? (a) : (b))
#define RG_FMIN(a, b) ((a) <= (b) || (b) != (b) ? (a) : (b))
#define RG_NEVER(a) ((void)(a), 0)
#define RG_ALWAYS(a) ((void)(a), 1)
#define RG_IS_NEGATIVE(a) ((a) < 0)
#define RG_ABS(a) ((a) < 0 ? -(a) : (a))
#define RG_REAL(a) (__real__(a))
#define RG_IMAG(a) (__imag__(a))
#define RG_CONJ(a) (~(a))
#define RG_COMPLEX_OF(type, part)                                                                                      \
    static inline type rg_##type##_of(part re, part im) {                                                              \
        type z;                                                                                                        \
        __real__ z = re;                                                                                               \
        __imag__ z = im;                                                                                               \
        return z;                                                                                                      \
    }
RG_COMPLEX_OF(complex64, float)
RG_COMPLEX_OF(complex128, double)

/* Floats as unsigned integers, out of range as x86 has it, in a form that makes vectors: by signed ones, those of the
   upper half less the middle. */
#define RG_TO_UINT(name, from, to, by, middle)                                                                         \
    static inline to name(from x) {                                                                                    \
        int upper = x >= (middle);                                                                                     \
        return (to)(by)(upper ? x - (middle) : x) ^ (to)upper << (8 * sizeof(to) - 1);                                 \
    }
RG_TO_UINT(rg_u32_of_f32, float, uint32_t, int32_t, 0x1p31f)
RG_TO_UINT(rg_u32_of_f64, double, uint32_t, int32_t, 0x1p31)
RG_TO_UINT(rg_u64_of_f32, float, uint64_t, int64_t, 0x1p63f)
RG_TO_UINT(rg_u64_of_f64, double, uint64_t, int64_t, 0x1p63)

/* x 2^y, where y may be beyond what C's function takes. */
#define RG_TO_INT(y) ((int)((y) < -9999 ? -9999 : (y) > 9999 ? 9999 : (y)))

/* x to the power y, y >= 0, by squaring (Knuth, The Art of Computer Programming 2, 4.6.3); it wraps. */
static inline uint64_t rg_power_of_u64(uint64_t x, uint64_t y) {
    uint64_t z = 1;
    for (; y; y >>= 1, x *= x)
        z = y & 1 ? z * x : z;
    return z;
}

/* x = m 2^e with 1/2 <= |m| < 1. */
static inline int32_t rg_exponent_f32(float x) {
    int e = 0;
    frexpf(x, &e);
    return x - x == 0 ? e : 0;
}

static inline int32_t rg_exponent_f64(double x) {
    int e = 0;
    frexp(x, &e);
    return x - x == 0 ? e : 0;
}

static inline float rg_mantissa_f32(float x) {
    int e;
    return frexpf(x, &e);
}

static inline double rg_mantissa_f64(double x) {
    int e;
    return frexp(x, &e);
}

/* The type of an instruction's function, and its head. Element i is read before it is written, so vectors may be made
   even where `out` is an input's memory. */
#define RG_INSTRUCTION(name)                                                                                           \
    static void name(int64_t n, void *to_, const void *const *in, unsigned single, const rg_loop_of *more)
#define RG_EACH RG_INDEPENDENT for (int64_t i = 0; i < n; i++)

/* All inputs are single: compute once. */
#define RG_IF_ALL_SINGLE(name, inputs)                                                                                 \
    (void)more;                                                                                                        \
    if (n == 1)                                                                                                        \
        single = 0;                                                                                                    \
    if (single == (1u << (inputs)) - 1 && n > 1) {                                                                     \
        name(1, to_, in, 0, NULL);                                                                                     \
        for (int64_t i = 1; i < n; i++)                                                                                \
            out[i] = out[0];                                                                                           \
        return;                                                                                                        \
    }

#define RG_UNARY(name, to, a, text)                                                                                    \
    RG_INSTRUCTION(name) {                                                                                             \
        to *out = to_;                                                                                                 \
        const a *px = in[0];                                                                                           \
        RG_IF_ALL_SINGLE(name, 1)                                                                                      \
        RG_EACH {                                                                                                      \
            const a x = px[i];                                                                                         \
            out[i] = (to)(text);                                                                                       \
        }                                                                                                              \
    }

#define RG_BINARY(name, to, a, b, text)                                                                                \
    RG_INSTRUCTION(name) {                                                                                             \
        to *out = to_;                                                                                                 \
        const a *px = in[0];                                                                                           \
        const b *py = in[1];                                                                                           \
        RG_IF_ALL_SINGLE(name, 2)                                                                                      \
        if (single == 1) {                                                                                             \
            const a x = *px;                                                                                           \
            RG_EACH {                                                                                                  \
                const b y = py[i];                                                                                     \
                out[i] = (to)(text);                                                                                   \
            }                                                                                                          \
        } else if (single == 2) {                                                                                      \
            const b y = *py;                                                                                           \
            RG_EACH {                                                                                                  \
                const a x = px[i];                                                                                     \
                out[i] = (to)(text);                                                                                   \
            }                                                                                                          \
        } else                                                                                                         \
            RG_EACH {                                                                                                  \
                const a x = px[i];                                                                                     \
                const b y = py[i];                                                                                     \
                out[i] = (to)(text);                                                                                   \
            }                                                                                                          \
    }

/* Which inputs are single is known outside of the loop. That x and y are, and w is not, is seldom met. */
#define RG_CASE(which, once, each, result)                                                                             \
    case which: {                                                                                                      \
        once;                                                                                                          \
        RG_EACH {                                                                                                      \
            each;                                                                                                      \
            out[i] = result;                                                                                           \
        }                                                                                                              \
        break;                                                                                                         \
    }

#define RG_TERNARY(name, to, a, b, c, text)                                                                            \
    RG_INSTRUCTION(name) {                                                                                             \
        to *out = to_;                                                                                                 \
        const a *px = in[0];                                                                                           \
        const b *py = in[1];                                                                                           \
        const c *pw = in[2];                                                                                           \
        RG_IF_ALL_SINGLE(name, 3)                                                                                      \
        switch (single) {                                                                                              \
            RG_CASE(0, , const a x = px[i]; const b y = py[i]; const c w = pw[i], (to)(text))                          \
            RG_CASE(1, const a x = *px, const b y = py[i]; const c w = pw[i], (to)(text))                              \
            RG_CASE(2, const b y = *py, const a x = px[i]; const c w = pw[i], (to)(text))                              \
            RG_CASE(4, const c w = *pw, const a x = px[i]; const b y = py[i], (to)(text))                              \
            RG_CASE(5, const a x = *px; const c w = *pw, const b y = py[i], (to)(text))                                \
            RG_CASE(6, const b y = *py; const c w = *pw, const a x = px[i], (to)(text))                                \
        default: {                                                                                                     \
            a filled[RG_CHUNK];                                                                                        \
            for (int64_t i = 0; i < RG_CHUNK; i++)                                                                     \
                filled[i] = *px;                                                                                       \
            for (int64_t start = 0; start < n; start += RG_CHUNK) {                                                    \
                const void *part[] = {filled, py, pw + start};                                                         \
                name(n - start < RG_CHUNK ? n - start : RG_CHUNK, out + start, part, 2, NULL);                         \
            }                                                                                                          \
        }                                                                                                              \
        }                                                                                                              \
    }

/* By vector mathematics.

The functions of vector_*.h say by `rare` that an answer does not hold; then 64 elements are computed again by C's own
functions. They are long, so a loop of them takes whole vectors only: `fast` is of a multiple of 16 elements, which
compilers see, and what is left of a block is filled up with copies of its last element.
*/
#define RG_CHUNK 64

#define RG_VECTORS(type, suffix)                                                                                       \
    typedef int64_t (*rg_fast_##suffix)(int64_t n, type *out, const type *px, const type *py);                         \
    typedef void (*rg_careful_##suffix)(int64_t n, type *out, const type *px, const type *py);                         \
                                                                                                                       \
    static void rg_by_chunks_##suffix(int64_t n, type *out, const type *const *in, unsigned single, int inputs,        \
                                      rg_fast_##suffix fast, rg_careful_##suffix careful) {                            \
        type made[RG_CHUNK], filled[2][RG_CHUNK];                                                                      \
        for (int64_t start = 0; start < n; start += RG_CHUNK) {                                                        \
            const type *p[2] = {NULL, NULL};                                                                           \
            int64_t m = n - start < RG_CHUNK ? n - start : RG_CHUNK, whole = (m + 15) / 16 * 16;                       \
            for (int k = 0; k < inputs; k++) {                                                                         \
                int is_single = single >> k & 1;                                                                       \
                p[k] = is_single || m < whole ? filled[k] : in[k] + start;                                             \
                if (is_single && !start)                                                                               \
                    for (int64_t i = 0; i < whole; i++)                                                                \
                        filled[k][i] = *in[k];                                                                         \
                if (!is_single && m < whole) {                                                                         \
                    for (int64_t i = 0; i < m; i++)                                                                    \
                        filled[k][i] = in[k][start + i];                                                               \
                    for (int64_t i = m; i < whole; i++)                                                                \
                        filled[k][i] = in[k][start + m - 1];                                                           \
                }                                                                                                      \
            }                                                                                                          \
            if (fast(whole, made, p[0], p[1]))                                                                         \
                careful(m, made, p[0], p[1]);                                                                          \
            memcpy(out + start, made, (size_t)m * sizeof *out);                                                        \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static inline void rg_by_vectors_##suffix(int64_t n, type *out, const void *const *given, unsigned single, int inputs,    \
                                       rg_fast_##suffix fast, rg_careful_##suffix careful) {                           \
        const type *in[] = {given[0], inputs > 1 ? given[1] : NULL};                                                   \
        int64_t whole = n / 16 * 16;                                                                                   \
        if (whole && !single && in[0] != out && in[1] != out && !fast(whole, out, in[0], in[1])) {                     \
            const type *rest[] = {in[0] + whole, inputs > 1 ? in[1] + whole : NULL};                                   \
            rg_by_chunks_##suffix(n - whole, out + whole, rest, 0, inputs, fast, careful);                             \
        } else                                                                                                         \
            rg_by_chunks_##suffix(n, out, in, single, inputs, fast, careful);                                          \
    }

RG_VECTORS(float, f32)
RG_VECTORS(double, f64)

#define RG_FAST(name, type, mask, load, text)                                                                          \
    static int64_t name##_fast(int64_t n, type *out, const type *px, const type *py) {                                 \
        (void)py;                                                                                                      \
        mask rare = 0;                                                                                                 \
        n = n / 16 * 16;                                                                                               \
        RG_EACH {                                                                                                      \
            load(type);                                                                                                \
            out[i] = (type)(text);                                                                                     \
        }                                                                                                              \
        return rare;                                                                                                   \
    }

#define RG_CAREFUL(name, type, load, text)                                                                             \
    static void name##_careful(int64_t n, type *out, const type *px, const type *py) {                                 \
        (void)py;                                                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            load(type);                                                                                                \
            out[i] = (type)(text);                                                                                     \
        }                                                                                                              \
    }

#define RG_BY_VECTORS(name, type, suffix, inputs)                                                                      \
    RG_INSTRUCTION(name) {                                                                                             \
        type *out = to_;                                                                                               \
        RG_IF_ALL_SINGLE(name, inputs)                                                                                 \
        rg_by_vectors_##suffix(n, out, in, single, inputs, name##_fast, name##_careful);                               \
    }

#define RG_VECTORS_OF(name, type, suffix, mask, inputs, load, fast, careful)                                           \
    RG_FAST(name, type, mask, load, fast)                                                                              \
    RG_CAREFUL(name, type, load, careful)                                                                              \
    RG_BY_VECTORS(name, type, suffix, inputs)

/* A function in two loops: `end` is of x and of y, which `begin` makes of x. One loop of both would be so long that the
   processor does not see the next elements while it waits for what these ones depend on. */
#define RG_STAGES_OF(name, type, suffix, mask, begin, end, careful)                                                    \
    RG_FAST(name##_begin, type, mask, RG_LOAD_1, begin)                                                                \
    RG_FAST(name##_end, type, mask, RG_LOAD_2, end)                                                                    \
    static int64_t name##_fast(int64_t n, type *out, const type *px, const type *py) {                                 \
        type begun[2 * RG_CHUNK];                                                                                      \
        int64_t rare = 0;                                                                                              \
        for (int64_t start = 0; start < n; start += 2 * RG_CHUNK) {                                                    \
            int64_t m = n - start < 2 * RG_CHUNK ? n - start : 2 * RG_CHUNK;                                           \
            rare |= name##_begin_fast(m, begun, px + start, py);                                                       \
            rare |= name##_end_fast(m, out + start, px + start, begun);                                                \
        }                                                                                                              \
        return rare;                                                                                                   \
    }                                                                                                                  \
    RG_CAREFUL(name, type, RG_LOAD_1, careful)                                                                         \
    RG_BY_VECTORS(name, type, suffix, 1)

#define RG_LOAD_1(type) const type x = px[i]
#define RG_LOAD_2(type) const type x = px[i], y = py[i]
#define RG_VECTORS_1_f32(name, fast, careful) RG_VECTORS_OF(name, float, f32, int32_t, 1, RG_LOAD_1, fast, careful)
#define RG_VECTORS_2_f32(name, fast, careful) RG_VECTORS_OF(name, float, f32, int32_t, 2, RG_LOAD_2, fast, careful)
#define RG_VECTORS_1_f64(name, fast, careful) RG_VECTORS_OF(name, double, f64, int64_t, 1, RG_LOAD_1, fast, careful)
#define RG_VECTORS_2_f64(name, fast, careful) RG_VECTORS_OF(name, double, f64, int64_t, 2, RG_LOAD_2, fast, careful)
#define RG_STAGES_f32(name, begin, end, careful) RG_STAGES_OF(name, float, f32, int32_t, begin, end, careful)
#define RG_STAGES_f64(name, begin, end, careful) RG_STAGES_OF(name, double, f64, int64_t, begin, end, careful)

#endif
