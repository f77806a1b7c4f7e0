/* Exponentials, logarithms and their kin, for one number each, written so that compilers make vectors of them.

    y = rg_exp_f32(x, &rare)

Nothing here branches, calls or reads a table at a place that depends on x: a loop over an array becomes one of SIMD
instructions, on any target. `rare` is or-ed with nonzero where an answer does not hold and libm has to be asked; no
function here does so, and it stands in the signatures since others do (vector_trig.h).

Errors are below 2.5 units in the last place (4 for pow) over the whole domain, denormal numbers included; tools/accuracy.py
measures them. Special values are those of C, annex F. The coefficients are fits of our own (tools/fit_exp.py).

What holds with and without fused multiply-add: compilers may contract a product and a sum into one where they like
(-ffp-contract=fast). The formulas below are good either way. Where the error of a product itself is needed, a factor is
cut so that the product is exact, or `rg_product_*` computes it.

Sources: N. Brisebarre and others, "Handbook of Floating-Point Arithmetic", 2nd edition, 2018 (HFA below); J.-M. Muller,
"Elementary Functions", 3rd edition, 2016 (EF); NIST Digital Library of Mathematical Functions (DLMF).
*/
#ifndef RG_VECTOR_EXP_H
#define RG_VECTOR_EXP_H

#include <stdint.h>

/* Coefficients, printed by tools/fit_exp.py. */
/* (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r). Error 2^-28.3. */
static const float rg_exp_f32_q[5] = {
    0.49999994f, 0.166665211f, 0.0416683927f, 0.00836874451f,
    0.00138145301f};

/* (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r) - 1. Error 2^-32.0. */
static const float rg_expm1_f32_q[6] = {
    0.5f, 0.166666657f, 0.0416663587f, 0.00833338965f,
    0.00139406673f, 0.000198458307f};

/* (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r). Error 2^-57.9. */
static const double rg_exp_f64_q[10] = {
    0.5000000000000011, 0.1666666666666641, 0.04166666666652974, 0.008333333333494994,
    0.0013888888943757694, 0.00019841269505745346, 2.4801492951958667e-05, 2.7557586824842095e-06,
    2.7630305412137947e-07, 2.5000013108889113e-08};

/* (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r) - 1. Error 2^-61.7. */
static const double rg_expm1_f64_q[11] = {
    0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321655,
    0.001388888888896261, 0.00019841269886072038, 2.4801587172250385e-05, 2.7557244255574363e-06,
    2.7557402745308806e-07, 2.510902397800085e-08, 2.0875340136488107e-09};

/* (log(1 + f) - f + f^2 / 2) / f^3 for 1 / sqrt(2) <= 1 + f <= sqrt(2). Error 2^-27.4. */
static const float rg_log_f32_q[8] = {
    0.333333313f, -0.250008196f, 0.200012252f, -0.166233599f,
    0.142017812f, -0.13160184f, 0.127614111f, -0.0763427764f};

/* (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1). Error 2^-59.5. */
static const double rg_log_f64_q[7] = {
    0.6666666666666734, 0.3999999999941471, 0.28571428742379895, 0.22222198574033158,
    0.18183564279449035, 0.1531405180871061, 0.14795936525305173};
/* End of the coefficients. */

/* Polynomials by Horner's rule, coefficients lowest first; the number is the degree. */
#define RG_POLY0(x, c) ((c)[0])
#define RG_POLY1(x, c) ((c)[0] + (x) * (c)[1])
#define RG_POLY2(x, c) ((c)[0] + (x) * RG_POLY1(x, (c) + 1))
#define RG_POLY3(x, c) ((c)[0] + (x) * RG_POLY2(x, (c) + 1))
#define RG_POLY4(x, c) ((c)[0] + (x) * RG_POLY3(x, (c) + 1))
#define RG_POLY5(x, c) ((c)[0] + (x) * RG_POLY4(x, (c) + 1))
#define RG_POLY6(x, c) ((c)[0] + (x) * RG_POLY5(x, (c) + 1))
#define RG_POLY7(x, c) ((c)[0] + (x) * RG_POLY6(x, (c) + 1))
#define RG_POLY8(x, c) ((c)[0] + (x) * RG_POLY7(x, (c) + 1))
#define RG_POLY9(x, c) ((c)[0] + (x) * RG_POLY8(x, (c) + 1))
#define RG_POLY10(x, c) ((c)[0] + (x) * RG_POLY9(x, (c) + 1))
#define RG_POLY11(x, c) ((c)[0] + (x) * RG_POLY10(x, (c) + 1))
#define RG_POLY12(x, c) ((c)[0] + (x) * RG_POLY11(x, (c) + 1))
#define RG_POLY13(x, c) ((c)[0] + (x) * RG_POLY12(x, (c) + 1))
#define RG_POLY14(x, c) ((c)[0] + (x) * RG_POLY13(x, (c) + 1))
#define RG_POLY15(x, c) ((c)[0] + (x) * RG_POLY14(x, (c) + 1))
#define RG_POLY16(x, c) ((c)[0] + (x) * RG_POLY15(x, (c) + 1))
#define RG_POLY17(x, c) ((c)[0] + (x) * RG_POLY16(x, (c) + 1))
#define RG_POLY18(x, c) ((c)[0] + (x) * RG_POLY17(x, (c) + 1))
#define RG_POLY19(x, c) ((c)[0] + (x) * RG_POLY18(x, (c) + 1))
#define RG_POLY20(x, c) ((c)[0] + (x) * RG_POLY19(x, (c) + 1))

/* The bits of a number, and the number of some bits. */
static inline uint32_t rg_bits_f32(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint64_t rg_bits_f64(double x)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float rg_of_bits_f32(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double rg_of_bits_f64(uint64_t bits)
{
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

/* Adding this number rounds to an integer, which then stands in the low bits of the sum (HFA, section 10.4). */
#define RG_ROUND_F32 0x1.8p23f
#define RG_ROUND_F64 0x1.8p52

/* log(2) in two pieces. The first has zeros at its end, as many as k has bits, so k times it is exact. */
#define RG_LN2_F32 0x1.62e4p-1f
#define RG_LN2_LOW_F32 0x1.7f7d1cp-20f
#define RG_LN2_F64 0x1.62e42fefa38p-1
#define RG_LN2_LOW_F64 0x1.ef35793c7673p-45
#define RG_LOG2E_F32 0x1.715476p+0f
#define RG_LOG2E_F64 0x1.71547652b82fep+0

/* x = k log(2) + r with |r| <= log(2) / 2: W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980.
   The low bits of `shifted` are k + bias. `high` - `low` is what r was rounded from. */
typedef struct rg_reduced_f32 {
    float shifted, r;
} rg_reduced_f32;

typedef struct rg_reduced_f64 {
    double shifted, r, high, low;
} rg_reduced_f64;

static inline rg_reduced_f32 rg_reduce_exp_f32(float x, float bias)
{
    float shifted = x * RG_LOG2E_F32 + (RG_ROUND_F32 + bias);
    float k = shifted - (RG_ROUND_F32 + bias);
    return (rg_reduced_f32){shifted, (x - k * RG_LN2_F32) - k * RG_LN2_LOW_F32};
}

static inline rg_reduced_f64 rg_reduce_exp_f64(double x, double bias)
{
    double shifted = x * RG_LOG2E_F64 + (RG_ROUND_F64 + bias);
    double k = shifted - (RG_ROUND_F64 + bias);
    double high = x - k * RG_LN2_F64, low = k * RG_LN2_LOW_F64;
    return (rg_reduced_f64){shifted, high - low, high, low};
}

/* The number whose exponent is the low bits of `shifted`, so 2^k where the bias is 127, or 1023, and where that is a
   normal number. */
static inline float rg_power_of_2_f32(float shifted)
{
    return rg_of_bits_f32(rg_bits_f32(shifted) << 23);
}

static inline double rg_power_of_2_f64(double shifted)
{
    return rg_of_bits_f64(rg_bits_f64(shifted) << 52);
}

/* exp(r) and exp(r) - 1 for |r| <= log(2) / 2. The latter is right to its own last digits near 0. */
static inline float rg_small_exp_f32(float r)
{
    return 1.0f + (r + r * r * RG_POLY4(r, rg_exp_f32_q));
}

static inline double rg_small_exp_f64(double r)
{
    return 1.0 + (r + r * r * RG_POLY9(r, rg_exp_f64_q));
}

static inline float rg_small_expm1_f32(float r)
{
    return r + r * r * RG_POLY5(r, rg_expm1_f32_q);
}

static inline double rg_small_expm1_f64(rg_reduced_f64 x)
{
    return x.high + (x.r * x.r * RG_POLY10(x.r, rg_expm1_f64_q) - x.low);
}

/* exp(x). 2^k is cut in two, as neither 2^128 nor most denormal numbers are of the form that bits can be put together
   to; only the last product rounds. What is computed beyond the bounds is thrown away. */
static inline float rg_exp_f32(float x, int32_t *rare)
{
    (void)rare;
    int small = x < -86.0f;
    rg_reduced_f32 to = rg_reduce_exp_f32(x, 126.0f);
    float power = rg_power_of_2_f32(to.shifted + (small ? 64.0f : 0.0f));
    float y = (rg_small_exp_f32(to.r) * power) * (small ? 0x1p-63f : 2.0f);
    y = x > 89.0f ? __builtin_inff() : y;
    return x < -104.0f ? 0.0f : y;
}

static inline double rg_exp_f64(double x, int64_t *rare)
{
    (void)rare;
    int small = x < -707.0;
    rg_reduced_f64 to = rg_reduce_exp_f64(x, 1022.0);
    double power = rg_power_of_2_f64(to.shifted + (small ? 512.0 : 0.0));
    double y = (rg_small_exp_f64(to.r) * power) * (small ? 0x1p-511 : 2.0);
    y = x > 710.0 ? __builtin_inf() : y;
    return x < -746.0 ? 0.0 : y;
}

/* exp(x) for x <= 0. */
static inline float rg_exp_below_f32(float x)
{
    int small = x < -86.0f;
    rg_reduced_f32 to = rg_reduce_exp_f32(x, 127.0f);
    float power = rg_power_of_2_f32(to.shifted + (small ? 64.0f : 0.0f));
    float y = (rg_small_exp_f32(to.r) * power) * (small ? 0x1p-64f : 1.0f);
    return x < -104.0f ? 0.0f : y;
}

static inline double rg_exp_below_f64(double x)
{
    int small = x < -707.0;
    rg_reduced_f64 to = rg_reduce_exp_f64(x, 1023.0);
    double power = rg_power_of_2_f64(to.shifted + (small ? 512.0 : 0.0));
    double y = (rg_small_exp_f64(to.r) * power) * (small ? 0x1p-512 : 1.0);
    return x < -746.0 ? 0.0 : y;
}

/* 1 / (1 + exp(-x)). For x < 0 it is exp(x) / (1 + exp(x)), which keeps its digits where it is tiny. */
static inline float rg_sigmoid_f32(float x, int32_t *rare)
{
    (void)rare;
    float e = rg_exp_below_f32(-__builtin_fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

static inline double rg_sigmoid_f64(double x, int64_t *rare)
{
    (void)rare;
    double e = rg_exp_below_f64(-__builtin_fabs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/* (exp(x) - 1) / 2, for x that is neither far below 0 nor overflows by more than a bit: of
   exp(x) - 1 = 2^k (exp(r) - 1) + (2^k - 1), halved so that 2^k does not overflow first. */
static inline float rg_half_expm1_f32(float x)
{
    rg_reduced_f32 to = rg_reduce_exp_f32(x, 126.0f);
    float power = rg_power_of_2_f32(to.shifted);
    return power * rg_small_expm1_f32(to.r) + (power - 0.5f);
}

static inline double rg_half_expm1_f64(double x)
{
    rg_reduced_f64 to = rg_reduce_exp_f64(x, 1022.0);
    double power = rg_power_of_2_f64(to.shifted);
    return power * rg_small_expm1_f64(to) + (power - 0.5);
}

/* exp(x) - 1. */
static inline float rg_expm1_f32(float x, int32_t *rare)
{
    (void)rare;
    float y = __builtin_copysignf(2.0f * rg_half_expm1_f32(x), x);
    y = x > 89.0f ? __builtin_inff() : y;
    return x < -20.0f ? -1.0f : y;
}

static inline double rg_expm1_f64(double x, int64_t *rare)
{
    (void)rare;
    double y = __builtin_copysign(2.0 * rg_half_expm1_f64(x), x);
    y = x > 710.0 ? __builtin_inf() : y;
    return x < -40.0 ? -1.0 : y;
}

/* tanh(x) = h / (h + 1) with h = (exp(2 x) - 1) / 2: DLMF 4.28.4. */
static inline float rg_tanh_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x);
    float h = rg_half_expm1_f32(2.0f * a);
    return __builtin_copysignf(a > 10.0f ? 1.0f : h / (h + 1.0f), x);
}

static inline double rg_tanh_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x);
    double h = rg_half_expm1_f64(2.0 * a);
    return __builtin_copysign(a > 20.0 ? 1.0 : h / (h + 1.0), x);
}

/* x = 2^e (1 + f) with 1 / sqrt(2) <= 1 + f < sqrt(2), for positive finite x: subtracting the bits of 1 / sqrt(2) carries
   into the exponent where the fraction is large. */
#define RG_ROOT_HALF_F32 0x3f3504f3u
#define RG_ROOT_HALF_F64 0x3fe6a09e667f3bcdu

typedef struct rg_split_f32 {
    float e, f;
} rg_split_f32;

typedef struct rg_split_f64 {
    double e, f;
} rg_split_f64;

/* The bits of 2^(e + 127) in the exponent's place, and those of the fraction of 1 + f below it. */
static inline uint32_t rg_shifted_bits_f32(float x)
{
    return rg_bits_f32(x) + (0x3f800000u - RG_ROOT_HALF_F32);
}

static inline uint64_t rg_shifted_bits_f64(double x)
{
    return rg_bits_f64(x) + (0x3ff0000000000000u - RG_ROOT_HALF_F64);
}

/* The fraction, and the exponent as a number, less `bias`. There are no instructions for int64 to double everywhere:
   the bits are put into those of 2^52 (HFA, section 10.4). */
static inline rg_split_f32 rg_split_bits_f32(uint32_t bits, float bias)
{
    float fraction = rg_of_bits_f32((bits & 0x7fffffu) + RG_ROOT_HALF_F32);
    return (rg_split_f32){(float)(int32_t)(bits >> 23) - bias, fraction - 1.0f};
}

static inline rg_split_f64 rg_split_bits_f64(uint64_t bits, double bias)
{
    double fraction = rg_of_bits_f64((bits & 0xfffffffffffffu) + RG_ROOT_HALF_F64);
    return (rg_split_f64){rg_of_bits_f64((bits >> 52) | 0x4330000000000000u) - (0x1p52 + bias), fraction - 1.0};
}

static inline rg_split_f32 rg_split_f32_of(float x)
{
    int small = x < 0x1p-126f;
    return rg_split_bits_f32(rg_shifted_bits_f32(small ? x * 0x1p23f : x), small ? 150.0f : 127.0f);
}

static inline rg_split_f64 rg_split_f64_of(double x)
{
    int small = x < 0x1p-1022;
    return rg_split_bits_f64(rg_shifted_bits_f64(small ? x * 0x1p52 : x), small ? 1075.0 : 1023.0);
}

/* log(2^e (1 + f)). In double it follows s = f / (2 + f), where log(1 + f) = log((1 + s) / (1 - s)) = 2 s + s^3 q(s^2),
   and f - s f in place of 2 s keeps the digits of f: K. C. Ng's log of fdlibm, 1993. */
static inline float rg_log_of_split_f32(rg_split_f32 x)
{
    float f = x.f;
    float rest = f * f * (f * RG_POLY7(f, rg_log_f32_q) - 0.5f);
    return x.e * RG_LN2_F32 + (f + (rest + x.e * RG_LN2_LOW_F32));
}

static inline double rg_log_of_split_f64(rg_split_f64 x)
{
    double f = x.f, s = f / (2.0 + f), z = s * s;
    double rest = s * (z * RG_POLY6(z, rg_log_f64_q) - f);
    return x.e * RG_LN2_F64 + (f + (rest + x.e * RG_LN2_LOW_F64));
}

/* A logarithm y of x, or of what it is at 0 and infinity and outside. */
static inline float rg_log_ends_f32(float x, float y)
{
    y = x < __builtin_inff() ? y : __builtin_inff();
    return x > 0.0f ? y : x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
}

static inline double rg_log_ends_f64(double x, double y)
{
    y = x < __builtin_inf() ? y : __builtin_inf();
    return x > 0.0 ? y : x == 0.0 ? -__builtin_inf() : __builtin_nan("");
}

/* log(x). */
static inline float rg_log_f32(float x, int32_t *rare)
{
    (void)rare;
    return rg_log_ends_f32(x, rg_log_of_split_f32(rg_split_f32_of(x)));
}

static inline double rg_log_f64(double x, int64_t *rare)
{
    (void)rare;
    return rg_log_ends_f64(x, rg_log_of_split_f64(rg_split_f64_of(x)));
}

/* log(1 + x) for x > -1. u = 1 + x is rounded, and what it lost is exactly x - (u - 1), as u - 1 is exact (as long as
   the loss counts): split as u is, the loss is added to f. Half of 2^-e is a number for all e. */
static inline float rg_log1p_inside_f32(float x)
{
    float u = 1.0f + x, lost = x - (u - 1.0f);
    uint32_t bits = rg_shifted_bits_f32(u);
    rg_split_f32 split = rg_split_bits_f32(bits, 127.0f);
    split.f += 0.5f * lost * rg_of_bits_f32((255u << 23) - (bits & 0xff800000u));
    return __builtin_copysignf(rg_log_of_split_f32(split), x);
}

static inline double rg_log1p_inside_f64(double x)
{
    double u = 1.0 + x, lost = x - (u - 1.0);
    uint64_t bits = rg_shifted_bits_f64(u);
    rg_split_f64 split = rg_split_bits_f64(bits, 1023.0);
    split.f += 0.5 * lost * rg_of_bits_f64(((uint64_t)2047 << 52) - (bits & 0xfff0000000000000u));
    return __builtin_copysign(rg_log_of_split_f64(split), x);
}

/* log(1 + x). */
static inline float rg_log1p_f32(float x, int32_t *rare)
{
    (void)rare;
    float y = rg_log1p_inside_f32(x);
    y = x < __builtin_inff() ? y : __builtin_inff();
    return x > -1.0f ? y : x == -1.0f ? -__builtin_inff() : __builtin_nanf("");
}

static inline double rg_log1p_f64(double x, int64_t *rare)
{
    (void)rare;
    double y = rg_log1p_inside_f64(x);
    y = x < __builtin_inf() ? y : __builtin_inf();
    return x > -1.0 ? y : x == -1.0 ? -__builtin_inf() : __builtin_nan("");
}

#endif
