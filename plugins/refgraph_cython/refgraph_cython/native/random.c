/* Random numbers: draws, each a pure function of a state (key, call number), of a size and of parameters.

Bits are those of Philox4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC11, 2011). refgraph/ops/philox.py says which words a draw reads, and refgraph/ops/random.py and
rejection.py how numbers are made from them; the formulas here are those. Each element is computed by itself, so neither
vectors nor threads change a result.

Words are put together in the byte order of x86 and ARM: the first one lowest.
*/
#include "moving.h"
#include "sorting.h"
#include "vector_exp.h"
#include "vector_trig.h"

#include <float.h>
#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define M0 UINT64_C(0xD2511F53)
#define M1 UINT64_C(0xCD9E8D57)
#define W0 UINT32_C(0x9E3779B9)
#define W1 UINT32_C(0xBB67AE85)
#define ROUNDS 10
#define LOW UINT64_C(0xFFFFFFFF)
#define HALF_PI 0x1.921fb54442d18p+0
#define SHEET 48 /* bits of a block's number within its sheet */

#define BATCH_WORDS 512 /* 64-bit words that are made at a time */
#define ROOM (BATCH_WORDS + 128)
#define CHUNK 16384 /* elements that a thread takes at a time, about; a multiple of 2 BATCH_WORDS */

typedef __uint128_t wide;

/* What numbers are made from, beside words. */
typedef struct {
    uint64_t key, call, start, choices;
    int open;
} numbers_of;

/* An integer below 2^53 as a double. Its halves are put into the digits of 2^84 and 2^52, as SIMD may convert no 64-bit
   integers. */
static inline double double_of(uint64_t k) {
    double high = rg_of_bits_f64(k >> 32 | UINT64_C(0x4530000000000000)) - 0x1p84;
    return high + (rg_of_bits_f64((k & LOW) | UINT64_C(0x4330000000000000)) - 0x1p52);
}

#define RG_SOURCE "random_loops.h"
#include "each_isa.h"

typedef void (*filler)(uint64_t key, uint64_t call, uint64_t first, int64_t count, uint64_t *out);
typedef void (*maker)(int64_t n, const uint64_t *words, void *out, const numbers_of *of);

/* One block, as two 64-bit words. */
static void block(uint64_t key, uint64_t call, uint64_t number, uint64_t words[2]) {
    uint64_t c0 = number & LOW, c1 = number >> 32, c2 = call & LOW, c3 = call >> 32;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int r = 0; r < ROUNDS; r++, k0 += W0, k1 += W1) {
        uint64_t p0 = c0 * M0, p1 = c2 * M1;
        c0 = p1 >> 32 ^ c1 ^ k0;
        c2 = p0 >> 32 ^ c3 ^ k1;
        c1 = p1 & LOW;
        c3 = p0 & LOW;
    }
    words[0] = c0 | c1 << 32;
    words[1] = c2 | c3 << 32;
}

/* Doubles of [0, 1) and of (0, 1). */
static double unit(uint64_t word) {
    return double_of(word >> 11) * 0x1p-53;
}

static double inside(uint64_t word) {
    return (double_of(word >> 12) + 0.5) * 0x1p-52;
}

/* What all draws share. Inputs: the state, some parameters, and lengths. params: lengths, where some are open. */

static int shape_of(rg_frame *frame, rg_thunk *thunk, int arity, int64_t *shape) {
    const rg_array *state = thunk->in[0];
    int ndim = thunk->out[0]->ndim, input = 1 + arity;
    rg_numbers(thunk, thunk->params, ndim, &input, shape);
    if (state->shape[0] != 2)
        return rg_fail(frame, RG_ERROR_VALUE, "a random state of %lld elements", (long long)state->shape[0]);
    return rg_output_of(frame, thunk, 0, ndim, shape);
}

/* Whether the parameters can be broadcast to the first axes of the output. */
static int fit(rg_frame *frame, rg_thunk *thunk, int from, int until, int ndim, const int64_t *shape) {
    int64_t strides[RG_NDIM];
    for (int k = from; k < until; k++)
        if (rg_stretch(thunk->in[k], ndim, shape, strides))
            return rg_fail(frame, RG_ERROR_VALUE, "a parameter that cannot be broadcast to the size");
    return RG_OK;
}

static int draw_prepare(rg_frame *frame, rg_thunk *thunk, int arity) {
    int64_t shape[RG_NDIM];
    int error = shape_of(frame, thunk, arity, shape);
    return error ? error : fit(frame, thunk, 1, 1 + arity, thunk->out[0]->ndim, shape);
}

static int draw_0_prepare(rg_frame *frame, rg_thunk *thunk) {
    return draw_prepare(frame, thunk, 0);
}

static int draw_1_prepare(rg_frame *frame, rg_thunk *thunk) {
    return draw_prepare(frame, thunk, 1);
}

static int draw_2_prepare(rg_frame *frame, rg_thunk *thunk) {
    return draw_prepare(frame, thunk, 2);
}

static numbers_of state_of(const rg_thunk *thunk) {
    const rg_array *state = thunk->in[0];
    return (numbers_of){.key = *(const uint64_t *)state->data,
                        .call = *(const uint64_t *)(state->data + state->strides[0])};
}

/* Params after the lengths. */
static const int64_t *more(const rg_thunk *thunk) {
    return thunk->params + thunk->out[0]->ndim;
}

/* All elements of an array, from the words of one sheet. */
typedef struct {
    const numbers_of *of;
    filler fill;
    maker make;
    char *out;
    int64_t n, itemsize, each; /* elements, their size, and how many one 64-bit word gives */
    uint64_t sheet;
} making;

static void making_chunk(void *context, int64_t number, int64_t of) {
    (void)of;
    const making *m = context;
    uint64_t words[ROOM] __attribute__((aligned(64)));
    int64_t end = rg_least(m->n, (number + 1) * CHUNK);
    for (int64_t i = number * CHUNK; i < end; i += BATCH_WORDS * m->each) {
        int64_t n = rg_least(BATCH_WORDS * m->each, end - i), count = (n + 2 * m->each - 1) / (2 * m->each);
        m->fill(m->of->key, m->of->call, (m->sheet << SHEET) + (uint64_t)(i / (2 * m->each)), count, words);
        m->make(n, words, m->out + i * m->itemsize, m->of);
    }
}

static void make_all(const numbers_of *of, maker make, int64_t each, uint64_t sheet, int64_t n, int64_t itemsize,
                     char *out) {
    making m = {of, RG_CHOOSE(fill), make, out, n, itemsize, each, sheet};
    rg_parallel((n + CHUNK - 1) / CHUNK, 1.5 * (double)n, making_chunk, &m);
}

static void same_words(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    (void)of;
    memcpy(out, words, (size_t)n * sizeof *words);
}

static void same_halves(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    (void)of;
    memcpy(out, words, (size_t)n * sizeof(uint32_t));
}

/* Uniform numbers: params: whether of the open interval. Normal ones have none. */

static int made_run(rg_thunk *thunk, maker wide_one, maker single, maker half, int open) {
    rg_array *out = thunk->out[0];
    numbers_of of = state_of(thunk);
    maker make = out->dtype == RG_F64 ? wide_one : out->dtype == RG_F32 ? single : half;
    of.open = open;
    make_all(&of, make, out->dtype == RG_F64 ? 1 : 2, 0, out->size, rg_itemsize[out->dtype], out->data);
    return RG_OK;
}

static int uniform_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    return made_run(thunk, RG_CHOOSE(uniform_f64), RG_CHOOSE(uniform_f32), RG_CHOOSE(uniform_f16),
                    more(thunk)[0] != 0);
}

static int normal_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    return made_run(thunk, RG_CHOOSE(normal_f64), RG_CHOOSE(normal_f32), RG_CHOOSE(normal_f16), 0);
}

/* Parameters, one after the other, in `dtype`; `memory` has room for 8 bytes for each element of them, and of the
   output. Where a parameter has no axes, it is one number that stands for all: `step` is 0. */
typedef struct {
    const void *data;
    int64_t step, size; /* elements from one to the next, and how many the parameter itself has */
    const void *given;  /* these */
} parameter;

static int64_t room_for(const rg_array *x, int64_t size) {
    return 8 * (x->size + size + 2);
}

static parameter read_parameter(const rg_array *x, int dtype, int ndim, const int64_t *shape, char **memory) {
    parameter p = {.size = x->size, .given = *memory};
    int64_t size = rg_size(ndim, shape), strides[RG_NDIM];
    rg_array held = *x;
    rg_c_strides(x->ndim, x->shape, 8, held.strides);
    rg_widen_into(x, dtype, x->ndim, x->shape, *memory, held.strides);
    held.data = *memory;
    held.dtype = dtype;
    *memory += 8 * x->size;
    p.data = p.given;
    if (x->ndim == 0)
        return p;
    p.step = 1;
    if (x->size != size) {
        rg_c_strides(ndim, shape, 8, strides);
        rg_move_into(&held, ndim, shape, *memory, strides);
        p.data = *memory;
        *memory += 8 * size;
    }
    return p;
}

static double real_of(parameter p, int64_t i) {
    return ((const double *)p.data)[i * p.step];
}

static int64_t integer_of(parameter p, int64_t i) {
    return ((const int64_t *)p.data)[i * p.step];
}

/* Whether all numbers of a parameter are between two; NaN is not. */
static int reals_within(parameter p, double low, double high) {
    const double *x = p.given;
    int good = 1;
    for (int64_t i = 0; i < p.size; i++)
        good &= x[i] >= low && x[i] <= high;
    return good;
}

static int integers_within(parameter p, int64_t low, int64_t high) {
    const int64_t *x = p.given;
    int good = 1;
    for (int64_t i = 0; i < p.size; i++)
        good &= x[i] >= low && x[i] <= high;
    return good;
}

#define MOST_TRIALS ((int64_t)1 << 53)

/* Integers. Inputs: low, high. params: whether high is one of them. */

/* A number as wide as that of any dtype, from its 64 bits. */
static __int128_t valued(int dtype, uint64_t bits) {
    return dtype == RG_U64 ? (__int128_t)bits : (__int128_t)(int64_t)bits;
}

static void range_of(int dtype, __int128_t *least, __int128_t *most) {
    int bits = 8 * rg_itemsize[dtype], is_signed = dtype <= RG_I64;
    *least = is_signed ? -((__int128_t)1 << (bits - 1)) : 0;
    *most = ((__int128_t)1 << (is_signed ? bits - 1 : bits)) - 1;
}

/* floor((2^64 v + more) r / 2^128). */
static uint64_t scaled(uint64_t v, uint64_t r, uint64_t more_bits) {
    wide product = (wide)v * r, rest = (wide)more_bits * r >> 64;
    return (uint64_t)((product + rest) >> 64);
}

static void put(int64_t itemsize, char *to, uint64_t value) {
    switch (itemsize) {
    case 1:
        *(uint8_t *)to = (uint8_t)value;
        return;
    case 2:
        *(uint16_t *)to = (uint16_t)value;
        return;
    case 4:
        *(uint32_t *)to = (uint32_t)value;
        return;
    default:
        *(uint64_t *)to = value;
    }
}

static int integers_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *low_in = thunk->in[1], *high_in = thunk->in[2];
    rg_array *out = thunk->out[0];
    int64_t n = out->size, itemsize = rg_itemsize[out->dtype], endpoint = more(thunk)[0];
    if (n == 0)
        return RG_OK;
    char *memory = rg_scratch(frame, (size_t)(room_for(low_in, n) + room_for(high_in, n) + 16 * n));
    if (!memory)
        return RG_ERROR_MEMORY;
    parameter low = read_parameter(low_in, RG_U64, out->ndim, out->shape, &memory);
    parameter high = read_parameter(high_in, RG_U64, out->ndim, out->shape, &memory);
    int simple = low.step == 0 && high.step == 0, any_wide = 0;
    __int128_t least, most;
    range_of(out->dtype, &least, &most);
    for (int64_t i = 0; i < (simple ? 1 : n); i++) {
        __int128_t a = valued(low_in->dtype, (uint64_t)integer_of(low, i));
        __int128_t b = valued(high_in->dtype, (uint64_t)integer_of(high, i)) - !endpoint;
        if (a > b || a < least || b > most)
            return rg_fail(frame, RG_ERROR_DOMAIN, "random_integers: nothing to choose from, or what does not fit");
        any_wide |= b - a >= (__int128_t)1 << 32;
    }
    numbers_of of = state_of(thunk);
    of.start = (uint64_t)integer_of(low, 0);
    of.choices = (uint64_t)integer_of(high, 0) - of.start + (uint64_t)endpoint;
    if (simple && !any_wide) {
        maker make = itemsize == 1   ? RG_CHOOSE(integers_uint8_t)
                     : itemsize == 2 ? RG_CHOOSE(integers_uint16_t)
                     : itemsize == 4 ? RG_CHOOSE(integers_uint32_t)
                                     : RG_CHOOSE(integers_uint64_t);
        make_all(&of, make, 1, 0, n, itemsize, out->data);
        return RG_OK;
    }
    uint64_t *v = (uint64_t *)memory, *further = v + n;
    make_all(&of, same_words, 1, 0, n, 8, (char *)v);
    if (any_wide)
        make_all(&of, same_words, 1, 1, n, 8, (char *)further);
    for (int64_t i = 0; i < n; i++) {
        uint64_t start = (uint64_t)integer_of(low, i);
        uint64_t r = (uint64_t)integer_of(high, i) - start + (uint64_t)endpoint; /* 0 stands for 2^64 */
        uint64_t picked = r == 0                  ? v[i]
                          : r > (uint64_t)1 << 32 ? scaled(v[i], r, further[i])
                                                  : (uint64_t)((wide)v[i] * r >> 64);
        put(itemsize, out->data + i * itemsize, start + picked);
    }
    return RG_OK;
}

/* Truth values. Input: the probability. */

static int bernoulli_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    int64_t n = out->size;
    char *memory = rg_scratch(frame, (size_t)(room_for(thunk->in[1], n) + 4 * n));
    if (!memory)
        return RG_ERROR_MEMORY;
    parameter p = read_parameter(thunk->in[1], RG_F64, out->ndim, out->shape, &memory);
    if (!reals_within(p, 0, 1))
        return rg_fail(frame, RG_ERROR_DOMAIN, "random_bernoulli: a probability is from 0 to 1");
    numbers_of of = state_of(thunk);
    if (p.step == 0) {
        of.choices = (uint64_t)ceil(real_of(p, 0) * 0x1p32);
        if (of.choices > LOW)
            memset(out->data, 1, (size_t)n);
        else
            make_all(&of, RG_CHOOSE(below), 2, 0, n, 1, out->data);
        return RG_OK;
    }
    uint32_t *words = (uint32_t *)memory;
    make_all(&of, same_halves, 2, 0, n, 4, (char *)words);
    for (int64_t i = 0; i < n; i++)
        out->data[i] = words[i] < real_of(p, i) * 0x1p32;
    return RG_OK;
}

/* Counts: of successes, and of events. Small means: the distribution function is summed up until it exceeds a uniform
   number. Others: transformed rejection, W. Hoermann, Journal of Statistical Computation and Simulation 46, 1993
   (BTRS), and Insurance: Mathematics and Economics 12, 1993 (PTRS), with the constants from there. Attempt a for an
   element reads the block of its number on sheet a. */

#define SMALL 10.0         /* means below it are summed up */
#define NEGLIGIBLE 0x1p-64 /* probabilities at which a sum ends */

/* log(k!) - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2): NIST DLMF 5.11.1 at k + 1. */
static double stirling(double k) {
    static const double exact[16] = {0.08106146679532733,  0.04134069595540946,  0.027677925684997717,
                                     0.02079067210376584,  0.016644691189820815, 0.013876128823072431,
                                     0.01189670994589287,  0.010411265261973224, 0.009255462182709007,
                                     0.008330563433359028, 0.007573675487948517, 0.006942840107208692,
                                     0.00640899418800478,  0.005951370112759147, 0.005554733551965452,
                                     0.005207655919606591};
    if (k < 16)
        return exact[(int)k];
    double z = 1 / (k + 1), z2 = z * z;
    return z * (1.0 / 12 - z2 * (1.0 / 360 - z2 * (1.0 / 1260 - z2 * (1.0 / 1680 - z2 / 1188))));
}

/* The logarithm of the probability of k successes among n, over that of m, arranged so that nothing large cancels. */
static double log_binomial_ratio(double k, double m, double n, double p) {
    double d = m - k, above = k + 1, left = n - k + 1;
    double main = (m + 0.5) * log1p(d / above) + (n - m + 0.5) * log1p(-d / left);
    main += d * log(above * (1 - p) / (left * p));
    return main + stirling(m) + stirling(n - m) - stirling(k) - stirling(n - k);
}

static double log_poisson(double k, double rate) {
    double d = k + 1 - rate;
    return d - k * log1p(d / rate) - 0.5 * log(4 * HALF_PI * (k + 1)) - stirling(k);
}

static double few_successes(double n, double p, double u) {
    double odds = p / (1 - p), chance = exp(n * log1p(-p)), total = chance, x = 0;
    for (;;) {
        chance *= fmax(n - x, 0) / (x + 1) * odds;
        if (!(u >= total && chance > NEGLIGIBLE))
            return x;
        total += chance;
        x += 1;
    }
}

static double few_events(double rate, double u) {
    double chance = exp(-rate), total = chance, x = 0;
    for (;;) {
        chance *= rate / (x + 1);
        if (!(u >= total && chance > NEGLIGIBLE))
            return x;
        total += chance;
        x += 1;
    }
}

static double many_successes(const numbers_of *of, double n, double p, uint64_t number) {
    double spread = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
    double center = n * p + 0.5, sure = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread, mode = floor((n + 1) * p);
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t words[2];
        block(of->key, of->call, number + (attempt << SHEET), words);
        double u = inside(words[0]) - 0.5, v = inside(words[1]), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + center);
        if (us >= 0.07 && v <= sure)
            return k;
        if (k >= 0 && k <= n && log(v * alpha / (a / (us * us) + b)) <= log_binomial_ratio(k, mode, n, p))
            return k;
    }
}

static double many_events(const numbers_of *of, double rate, uint64_t number) {
    double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
    double alpha = 1.1239 + 1.1328 / (b - 3.4), sure = 0.9277 - 3.6224 / (b - 2);
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t words[2];
        block(of->key, of->call, number + (attempt << SHEET), words);
        double u = inside(words[0]) - 0.5, v = inside(words[1]), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= sure)
            return k;
        if (k >= 0 && (us >= 0.013 || v <= us) && log(v * alpha / (a / (us * us) + b)) <= log_poisson(k, rate))
            return k;
    }
}

static double first_uniform(const numbers_of *of, uint64_t number) {
    uint64_t words[2];
    block(of->key, of->call, number, words);
    return unit(words[0]);
}

static int64_t successes(const numbers_of *of, double n, double p, uint64_t number) {
    int flipped = p > 0.5;
    double q = flipped ? 1 - p : p;
    double k = n * q < SMALL ? few_successes(n, q, first_uniform(of, number)) : many_successes(of, n, q, number);
    return (int64_t)(flipped ? n - k : k);
}

static int64_t events(const numbers_of *of, double rate, uint64_t number) {
    return (int64_t)(rate < SMALL ? few_events(rate, first_uniform(of, number)) : many_events(of, rate, number));
}

#define COUNTS 512 /* elements that a thread counts at a time */
#define NS_A_COUNT 60.0

typedef struct {
    const numbers_of *of;
    parameter n, p;
    int64_t size;
    int64_t *to;
} counting;

static void binomial_chunk(void *context, int64_t number, int64_t of) {
    (void)of;
    const counting *c = context;
    int64_t end = rg_least(c->size, (number + 1) * COUNTS);
    for (int64_t i = number * COUNTS; i < end; i++)
        c->to[i] = successes(c->of, (double)integer_of(c->n, i), real_of(c->p, i), (uint64_t)i);
}

static void poisson_chunk(void *context, int64_t number, int64_t of) {
    (void)of;
    const counting *c = context;
    int64_t end = rg_least(c->size, (number + 1) * COUNTS);
    for (int64_t i = number * COUNTS; i < end; i++)
        c->to[i] = events(c->of, real_of(c->p, i), (uint64_t)i);
}

static void count_all(const counting *c, void (*chunk)(void *, int64_t, int64_t)) {
    counting copy = *c;
    rg_parallel((c->size + COUNTS - 1) / COUNTS, NS_A_COUNT * (double)c->size, chunk, &copy);
}

/* Inputs: n, p. */
static int binomial_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    char *memory = rg_scratch(frame, (size_t)(room_for(thunk->in[1], out->size) + room_for(thunk->in[2], out->size)));
    if (!memory)
        return RG_ERROR_MEMORY;
    parameter n = read_parameter(thunk->in[1], RG_I64, out->ndim, out->shape, &memory);
    parameter p = read_parameter(thunk->in[2], RG_F64, out->ndim, out->shape, &memory);
    if (!integers_within(n, 0, MOST_TRIALS) || !reals_within(p, 0, 1))
        return rg_fail(frame, RG_ERROR_DOMAIN, "random_binomial: parameters out of range");
    numbers_of of = state_of(thunk);
    counting c = {&of, n, p, out->size, (int64_t *)out->data};
    count_all(&c, binomial_chunk);
    return RG_OK;
}

/* Input: the rate. */
static int poisson_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    char *memory = rg_scratch(frame, (size_t)room_for(thunk->in[1], out->size));
    if (!memory)
        return RG_ERROR_MEMORY;
    parameter rate = read_parameter(thunk->in[1], RG_F64, out->ndim, out->shape, &memory);
    if (!reals_within(rate, 0, (double)MOST_TRIALS))
        return rg_fail(frame, RG_ERROR_DOMAIN, "random_poisson: a rate is at least 0, and at most 2**53");
    numbers_of of = state_of(thunk);
    counting c = {&of, rate, rate, out->size, (int64_t *)out->data};
    count_all(&c, poisson_chunk);
    return RG_OK;
}

/* Distributions: the last axis of a parameter. A sum may be off by the square root of the dtype's precision. */
static int is_distribution(const rg_array *x, parameter p) {
    int64_t k = x->shape[x->ndim - 1], rows = k ? p.size / k : 0;
    double slack = sqrt(x->dtype == RG_F16 ? 0x1p-10 : x->dtype == RG_F32 ? FLT_EPSILON : DBL_EPSILON);
    const double *at = p.given;
    if (k == 0 || !reals_within(p, 0, INFINITY))
        return 0;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += *at++;
        if (!(fabs(sum - 1) <= slack))
            return 0;
    }
    return 1;
}

static int refuse_distribution(rg_frame *frame) {
    return rg_fail(frame, RG_ERROR_DOMAIN, "probabilities that are negative, or whose sum is not 1");
}

/* Counts of categories. Inputs: n, p. */

static int multinomial_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *p = thunk->in[2];
    int ndim = thunk->out[0]->ndim;
    int64_t shape[RG_NDIM];
    int error = shape_of(frame, thunk, 2, shape);
    if (!error && p->shape[p->ndim - 1] != shape[ndim - 1])
        error = rg_fail(frame, RG_ERROR_VALUE, "random_multinomial: probabilities for other categories");
    if (!error)
        error = fit(frame, thunk, 1, 2, ndim - 1, shape);
    return error ? error : fit(frame, thunk, 2, 3, ndim, shape);
}

static int multinomial_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    int64_t k = out->shape[out->ndim - 1], rows = k ? out->size / k : 0;
    int64_t bytes = room_for(thunk->in[1], rows) + room_for(thunk->in[2], out->size) + 8 * k;
    char *memory = rg_scratch(frame, (size_t)bytes);
    if (!memory)
        return RG_ERROR_MEMORY;
    double *open = (double *)memory; /* the probability that is left before each category */
    memory += 8 * k;
    parameter n = read_parameter(thunk->in[1], RG_I64, out->ndim - 1, out->shape, &memory);
    parameter p = read_parameter(thunk->in[2], RG_F64, out->ndim, out->shape, &memory);
    if (!integers_within(n, 0, MOST_TRIALS))
        return rg_fail(frame, RG_ERROR_DOMAIN, "random_multinomial: the number of trials is from 0 to 2**53");
    if (!is_distribution(thunk->in[2], p))
        return refuse_distribution(frame);
    numbers_of of = state_of(thunk);
    int64_t *to = (int64_t *)out->data;
    for (int64_t r = 0; r < rows; r++, to += k) {
        int64_t left = integer_of(n, r);
        for (int64_t j = k - 1; j >= 0; j--)
            open[j] = (j + 1 < k ? open[j + 1] : 0) + real_of(p, r * k + j);
        for (int64_t j = 0; j + 1 < k; j++) {
            double share = open[j] > 0 ? fmin(real_of(p, r * k + j) / open[j], 1) : 0;
            to[j] = successes(&of, (double)left, share, (uint64_t)(r * k + j));
            left -= to[j];
        }
        to[k - 1] = left;
    }
    return RG_OK;
}

/* Numbers of categories. Input: p. */

/* For each axis of p but the last; its rows, as numbers. */
static rg_array rows_of(const rg_array *p, int64_t *numbers) {
    rg_array rows = {.ndim = p->ndim - 1, .dtype = RG_I64, .data = (char *)numbers};
    memcpy(rows.shape, p->shape, (size_t)rows.ndim * sizeof *p->shape);
    rows.size = rg_size(rows.ndim, rows.shape);
    rg_c_strides(rows.ndim, rows.shape, 8, rows.strides);
    return rows;
}

static int categorical_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t shape[RG_NDIM], strides[RG_NDIM];
    int error = shape_of(frame, thunk, 1, shape);
    rg_array rows = rows_of(thunk->in[1], NULL);
    if (!error && rg_stretch(&rows, thunk->out[0]->ndim, shape, strides))
        return rg_fail(frame, RG_ERROR_VALUE, "random_categorical: rows that cannot be broadcast to the size");
    return error;
}

/* How many of n numbers, in order, are not above u. */
static int64_t not_above(int64_t n, const double *x, double u) {
    int64_t low = 0, left = n;
    while (left > 0) {
        int64_t half = left / 2;
        int before = x[low + half] <= u;
        low += before ? half + 1 : 0;
        left = before ? left - half - 1 : half;
    }
    return low;
}

static int categorical_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *p_in = thunk->in[1];
    rg_array *out = thunk->out[0];
    int64_t k = p_in->shape[p_in->ndim - 1], rows = k ? p_in->size / k : 0, n = out->size;
    char *memory = rg_scratch(frame, (size_t)(room_for(p_in, 0) + 8 * (rows + 2 * n)));
    if (!memory)
        return RG_ERROR_MEMORY;
    double *cdf = (double *)memory; /* in place of the probabilities */
    parameter p = read_parameter(p_in, RG_F64, p_in->ndim, p_in->shape, &memory);
    if (!is_distribution(p_in, p))
        return refuse_distribution(frame);
    for (int64_t r = 0; r < rows; r++) {
        double *row = cdf + r * k;
        for (int64_t j = 1; j < k; j++)
            row[j] += row[j - 1];
        for (int64_t j = 0; j < k; j++)
            row[j] = j + 1 < k ? row[j] / row[k - 1] : row[j];
        row[k - 1] = row[k - 1] / row[k - 1];
    }
    int64_t *row_of = (int64_t *)memory + rows, strides[RG_NDIM], *to = (int64_t *)out->data;
    double *u = (double *)(row_of + n);
    if (rows > 1) {
        for (int64_t r = 0; r < rows; r++)
            ((int64_t *)memory)[r] = r;
        rg_array numbered = rows_of(p_in, (int64_t *)memory);
        rg_c_strides(out->ndim, out->shape, 8, strides);
        rg_move_into(&numbered, out->ndim, out->shape, (char *)row_of, strides);
    }
    numbers_of of = state_of(thunk);
    make_all(&of, RG_CHOOSE(uniform_f64), 1, 0, n, 8, (char *)u);
    for (int64_t i = 0; i < n; i++)
        to[i] = not_above(k, cdf + (rows > 1 ? row_of[i] * k : 0), u[i]);
    return RG_OK;
}

/* Different numbers below n along the last axis. Input: n, or a vector of probabilities. */

static int distinct_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t shape[RG_NDIM];
    return shape_of(frame, thunk, 1, shape);
}

/* The keys of a row: words; with probabilities, -log(u) / p, whose bits are in its order, as it is not negative. */
static void distinct_keys(const numbers_of *of, filler fill, int64_t first, int64_t n, const double *p,
                          uint64_t *keys) {
    uint64_t words[ROOM] __attribute__((aligned(64)));
    for (int64_t i = 0; i < n;) {
        int64_t word = first + i, skip = word % 2, m = rg_least(BATCH_WORDS - skip, n - i);
        fill(of->key, of->call, (uint64_t)(word / 2), (m + skip + 1) / 2, words);
        memcpy(keys + i, words + skip, (size_t)m * sizeof *keys);
        i += m;
    }
    for (int64_t i = 0; i < n && p; i++)
        keys[i] = rg_bits_f64(-log(inside(keys[i])) / p[i]);
}

static int distinct_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *population = thunk->in[1];
    rg_array *out = thunk->out[0];
    int weighed = population->ndim == 1;
    int64_t n = weighed ? population->size : rg_integer(population), k = out->shape[out->ndim - 1], positive = 0;
    if (n < 0 || k > n)
        return rg_fail(frame, RG_ERROR_DOMAIN, "random_distinct: %lld different ones of %lld", (long long)k,
                       (long long)n);
    char *memory = rg_scratch(frame, (size_t)(room_for(population, n) + 40 * n + 64));
    if (!memory)
        return RG_ERROR_MEMORY;
    const double *p = NULL;
    if (weighed) {
        parameter found = read_parameter(population, RG_F64, 1, population->shape, &memory);
        p = found.given;
        for (int64_t j = 0; j < n; j++)
            positive += p[j] > 0;
        if (!is_distribution(population, found) || positive < k)
            return rg_fail(frame, RG_ERROR_DOMAIN, "random_distinct: too few with a probability above 0");
    }
    numbers_of of = state_of(thunk);
    uint64_t *keys = (uint64_t *)memory;
    for (int64_t r = 0; k && r < out->size / k; r++) {
        distinct_keys(&of, RG_CHOOSE(fill), r * n, n, p, keys);
        rg_order(n, keys, k, (int64_t *)out->data + r * k, keys + n);
    }
    return RG_OK;
}

/* The state that a loop draws from: a key mixed of key, call number and "loop" in ASCII by the finaliser of splitmix64
   (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), and call 0. */

static int fork_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t two = 2;
    if (thunk->in[0]->shape[0] < 2)
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "random_fork: a state of other length");
    return rg_output(frame, thunk, 0, 1, &two);
}

static int fork_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    numbers_of of = state_of(thunk);
    const uint64_t words[3] = {of.key, of.call, UINT64_C(0x6C6F6F70)};
    uint64_t h = 0, *to = (uint64_t *)thunk->out[0]->data;
    for (int i = 0; i < 3; i++) {
        h = (h ^ words[i]) + UINT64_C(0x9E3779B97F4A7C15);
        h = (h ^ h >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        h = (h ^ h >> 27) * UINT64_C(0x94D049BB133111EB);
        h ^= h >> 31;
    }
    to[0] = h;
    to[1] = 0;
    return RG_OK;
}

const rg_kernel rg_kernels_random[] = {
    {"random_fork", fork_prepare, fork_run},
    {"random_uniform", draw_0_prepare, uniform_run},
    {"random_normal", draw_0_prepare, normal_run},
    {"random_integers", draw_2_prepare, integers_run},
    {"random_bernoulli", draw_1_prepare, bernoulli_run},
    {"random_binomial", draw_2_prepare, binomial_run},
    {"random_poisson", draw_1_prepare, poisson_run},
    {"random_multinomial", multinomial_prepare, multinomial_run},
    {"random_categorical", categorical_prepare, categorical_run},
    {"random_distinct", distinct_prepare, distinct_run},
    {0},
};
