/* The gamma function, its logarithm and the derivative of that, for one number each, written so that compilers make
   vectors of them.

    y = rg_lgamma_f32(x, &rare)

As in vector_exp.h nothing branches, calls or reads a table at a place that depends on x. `rare` is or-ed with nonzero
where an answer does not hold and libm has to be asked: for negative numbers, of which few ask. For digamma, which libm
lacks, that is `rg_careful_digamma`.

Errors are below 4 units in the last place; tools/accuracy.py measures them. gamma of the integers is exact where it is a
number of the type.
Special values are those of C, annex F; those of digamma are SciPy's. The coefficients are fits of our own
(tools/fit_trig.py).

Source: NIST Digital Library of Mathematical Functions (DLMF), chapter 5.
*/
#ifndef RG_VECTOR_GAMMA_H
#define RG_VECTOR_GAMMA_H

#include "digamma.h"
#include "vector_exp.h"

#include <math.h>

/* Coefficients, printed by tools/fit_trig.py. */
/* (log(2 pi) - 1) / 2. */
#define RG_STIRLING_F64 0x1.acfe390c97d69p-2
#define RG_STIRLING_LOW_F64 0x1.3494bc9001442p-56

/* Where digamma is 0. */
#define RG_DIGAMMA_ZERO_F64 0x1.762d86356be3fp+0
#define RG_DIGAMMA_ZERO_LOW_F64 0x1.b86a722197829p-54

/* The same in float. */
#define RG_DIGAMMA_ZERO_F32 0x1.762d860000000p+0f
#define RG_DIGAMMA_ZERO_LOW_F32 0x1.ab5f200000000p-27f

/* log(gamma(x)) / ((x - 1) (x - 2)) - 7/16 = p / q in x - 3/4, for 0.7 <= x <= 2.5. Error 2^-30.4. */
static const float rg_lgamma_f32_p[5] = {
    0.212999046f, 0.20412533f, -0.153489321f, -0.157134295f,
    -0.0233709682f};
static const float rg_lgamma_f32_q[6] = {
    1.0f, 2.61261606f, 2.2206924f, 0.68509084f,
    0.0588083677f, -0.000124810889f};

/* x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, for x >= 2. Error 2^-28.7. */
static const float rg_stirling_f32_q[4] = {
    0.0833332911f, -0.00277532241f, 0.000754012726f, -0.000332719646f};

/* psi(x) / (x - its zero) - 3/4 = p / q in x - 1/2, for 0.5 <= x <= 3. Error 2^-30.0. */
static const float rg_digamma_f32_p[5] = {
    1.29185152f, 0.985515594f, -0.44363749f, -0.330359429f,
    -0.0338150859f};
static const float rg_digamma_f32_q[6] = {
    1.0f, 3.09160233f, 2.50442886f, 0.665988505f,
    0.0472021848f, -3.44990149e-05f};

/* x^2 (log(x) - 1 / (2 x) - psi(x)) in 1 / x^2, for x >= 3. Error 2^-32.7. */
static const float rg_digamma_f32_s[4] = {
    0.0833332911f, -0.00832949765f, 0.0038559984f, -0.00278179301f};

/* (1 / r - pi cot(pi r)) / r in r^2, for |r| <= 1 / 2. Error 2^-30.2. */
static const float rg_cot_f32_q[8] = {
    3.28986812f, 2.16464806f, 2.03455448f, 2.01220036f,
    1.94147658f, 2.48323131f, -0.0548598655f, 6.12801075f};

/* log(gamma(x)) / ((x - 1) (x - 2)) - 7/16 = p / q in x - 3/4, for 0.7 <= x <= 2.5. Error 2^-56.4. */
static const double rg_lgamma_f64_p[9] = {
    0.21299904458014518, 0.6878771870345082, 0.6310210625875758, -0.13540892881912853,
    -0.5492371196214607, -0.3328806094621125, -0.08311051027064895, -0.008474426287479339,
    -0.0002609329319979072};
static const double rg_lgamma_f64_q[10] = {
    1.0, 4.883761757790947, 9.660959130792028, 9.959618282694741,
    5.740370286298791, 1.846776561630531, 0.31297229061388543, 0.024337207194429028,
    0.000616224260414647, -1.4379107073836382e-07};

/* x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, for x >= 2. Error 2^-55.6. */
static const double rg_stirling_f64_q[14] = {
    0.08333333333333218, -0.0027777777770683575, 0.0007936506631927499, -0.0005952267689754578,
    0.000841183836681673, -0.0018991726106249167, 0.005994671129960204, -0.02252484715459421,
    0.08471510181843978, -0.27641943729280516, 0.7026903601088895, -1.2618604527384736,
    1.401750013758633, -0.7184817794323815};

/* psi(x) / (x - its zero) - 3/4 = p / q in x - 1/2, for 0.5 <= x <= 3. Error 2^-57.1. */
static const double rg_digamma_f64_p[8] = {
    1.2918514879055158, 1.6924954598305808, 0.17976605232663406, -0.5047173302886153,
    -0.24158376159229566, -0.04156764273085937, -0.0028227521263058898, -5.793551637822334e-05};
static const double rg_digamma_f64_q[9] = {
    1.0, 3.638863396171978, 4.2614172040621545, 2.24108801644285,
    0.5838321602975242, 0.07495009193691246, 0.004268257981087249, 7.8337976771119e-05,
    -5.503776751351213e-09};

/* x^2 (log(x) - 1 / (2 x) - psi(x)) in 1 / x^2, for x >= 3. Error 2^-56.9. */
static const double rg_digamma_f64_s[11] = {
    0.08333333333332069, -0.008333333326309748, 0.003968252605053478, -0.004166533320947852,
    0.0075680454587731824, -0.02080420064026872, 0.07591197380072173, -0.30527775224080417,
    1.0829411737373988, -2.680477870014179, 3.2494088052008347};

/* (1 / r - pi cot(pi r)) / r in r^2, for |r| <= 1 / 2. Error 2^-56.8. */
static const double rg_cot_f64_q[15] = {
    3.289868133696453, 2.1646464674222194, 2.034686123985617, 2.00815471046206,
    2.0019892672399844, 2.000487919801762, 2.000223143978934, 1.9984038784051659,
    2.018482292527413, 1.8505283829117931, 2.8617859275598887, -1.4880280126015082,
    11.546979672135397, -14.300211873440455, 16.176978453474167};
/* End of the coefficients. */

/* log(|gamma(x)|). It is 7/16 and a quotient of polynomials, times (x - 1) (x - 2), which keeps the digits near its
   zeros; there adding 0 makes +0 of -0. From 2.5 it is Stirling's (x - 1/2) (log(x) - 1) + (log(2 pi) - 1) / 2 and a
   rest in 1 / x (DLMF 5.11.1), below 0.7 lgamma(x + 1) - log(x) (DLMF 5.5.1). log(x) - 1 is computed from the pieces
   of log(x), so it keeps its digits near e. One division serves both the quotient and 1 / x. */
static inline float rg_lgamma_f32(float x, int32_t *rare)
{
    *rare |= x < 0.0f;
    int small = x < 0.7f, large = x >= 2.5f;
    float s = small ? x + 0.25f : x - 0.75f;
    float above = large ? 1.0f : RG_POLY4(s, rg_lgamma_f32_p), below = large ? x : RG_POLY5(s, rg_lgamma_f32_q);
    float t = above / below, middle = ((s - 0.25f) * (s - 1.25f)) * (0.4375f + t) + 0.0f;

    rg_split_f32 split = rg_split_f32_of(x);
    float whole = split.e * RG_LN2_F32;
    float part = split.f + (rg_log_rest_f32(split.f) + split.e * RG_LN2_LOW_F32);
    float series = (float)RG_STIRLING_F64 + t * RG_POLY3(t * t, rg_stirling_f32_q);
    float y = small ? (middle - part) - whole : middle;
    y = large ? (x - 0.5f) * ((whole - 1.0f) + part) + series : y;
    return x == 0.0f ? __builtin_inff() : y;
}

static inline double rg_lgamma_f64(double x, int64_t *rare)
{
    *rare |= (int64_t)rg_bits_f64(x < 0.0 ? 1.0 : 0.0);
    int small = x < 0.7, large = x >= 2.5;
    double s = small ? x + 0.25 : x - 0.75;
    double above = large ? 1.0 : RG_POLY8(s, rg_lgamma_f64_p), below = large ? x : RG_POLY9(s, rg_lgamma_f64_q);
    double t = above / below, middle = ((s - 0.25) * (s - 1.25)) * (0.4375 + t) + 0.0;

    rg_split_f64 split = rg_split_f64_of(x);
    double whole = split.e * RG_LN2_F64;
    double part = split.f + (rg_log_rest_f64(split.f) + split.e * RG_LN2_LOW_F64);
    double series = RG_STIRLING_F64 + t * RG_POLY13(t * t, rg_stirling_f64_q);
    double y = small ? (middle - part) - whole : middle;
    y = large ? (x - 0.5) * ((whole - 1.0) + part) + series : y;
    return x == 0.0 ? __builtin_inf() : y;
}

/* gamma(x) = exp(lgamma(x)) by Stirling's formula, below 2 gamma(x + 2) / (x (x + 1)). Float is computed in
   double. */
static inline float rg_tgamma_f32(float x, int32_t *rare)
{
    *rare |= x < 0.0f;
    int small = x < 2.0f;
    double wide = x, u = small ? wide + 2.0 : wide, t = 1.0 / u;
    rg_split_f64 split = rg_split_bits_f64(rg_shifted_bits_f64(u), 1023.0);
    double f = split.f, rest = f * f * (f * RG_POLY9(f, rg_log_wide_q) - 0.5);
    double log = split.e * RG_WHOLE_LN2 + (f + rest);
    double exponent = (u - 0.5) * (log - 1.0) + (RG_STIRLING_F64 + t * RG_POLY3(t * t, rg_stirling_f32_q));
    double y = rg_exp2_wide(exponent * RG_LOG2E_F64) / (small ? wide * (wide + 1.0) : 1.0);
    return x > 36.0f ? __builtin_inff() : (float)y;
}

/* In double the exponent, and log(x) in it, are sums of two numbers. What x + 2 loses changes the exponent by about
   log(x + 2) as much. */
static inline double rg_tgamma_f64(double x, int64_t *rare)
{
    *rare |= (int64_t)rg_bits_f64(x < 0.0 ? 1.0 : 0.0);
    int small = x < 2.0;
    double u = small ? x + 2.0 : x, lost = small ? x - (u - 2.0) : 0.0, t = 1.0 / u;
    rg_double_f64 log = rg_log_double_f64(u), product = rg_product_f64(u - 0.5, log.high - 1.0);

    double sum = product.high + RG_STIRLING_F64, back = sum - product.high;
    double sum_low = (product.high - (sum - back)) + (RG_STIRLING_F64 - back);
    double series = t * RG_POLY13(t * t, rg_stirling_f64_q) + RG_STIRLING_LOW_F64;
    double low = ((sum_low + product.low) + ((u - 0.5) * log.low + lost * log.high)) + series;

    rg_reduced_f64 to = rg_reduce_exp_f64(sum, 1022.0);
    to.low -= low;
    to.r = to.high - to.low;
    double power = ((1.0 + rg_small_expm1_f64(to)) * rg_power_of_2_f64(to.shifted)) * 2.0;
    double y = power / (small ? __builtin_copysign(x + x * x, x) : 1.0);
    return x > 171.7 ? __builtin_inf() : y;
}

/* The digamma function psi of what is at least 1/2. Up to 3 it is 3/4 and a quotient of polynomials, times u less its
   zero, which stands in two pieces, so that the digits near it are kept; from there log(u) - 1 / (2 u) and a rest in
   1 / u^2 (DLMF 5.11.2). */
static inline float rg_digamma_right_f32(float u)
{
    int large = u >= 3.0f;
    float from_zero = (u - RG_DIGAMMA_ZERO_F32) - RG_DIGAMMA_ZERO_LOW_F32, s = u - 0.5f;
    float above = large ? 1.0f : RG_POLY4(s, rg_digamma_f32_p), below = large ? u : RG_POLY5(s, rg_digamma_f32_q);
    float t = above / below, series = t * (0.5f + t * RG_POLY3(t * t, rg_digamma_f32_s));
    float log = rg_log_of_split_f32(rg_split_bits_f32(rg_shifted_bits_f32(u), 127.0f));
    log = u < __builtin_inff() ? log : u;
    return large ? log - series : from_zero * (0.75f + t);
}

static inline double rg_digamma_right_f64(double u)
{
    int large = u >= 3.0;
    double from_zero = (u - RG_DIGAMMA_ZERO_F64) - RG_DIGAMMA_ZERO_LOW_F64, s = u - 0.5;
    double above = large ? 1.0 : RG_POLY7(s, rg_digamma_f64_p), below = large ? u : RG_POLY8(s, rg_digamma_f64_q);
    double t = above / below, series = t * (0.5 + t * RG_POLY10(t * t, rg_digamma_f64_s));
    double log = rg_log_of_split_f64(rg_split_bits_f64(rg_shifted_bits_f64(u), 1023.0));
    log = u < __builtin_inf() ? log : u;
    return large ? log - series : from_zero * (0.75 + t);
}

/* psi(x). Below 1/2 it is psi(x + 1) - 1 / x (DLMF 5.5.2), and psi(1 - x) - pi / tan(pi x) where x is negative (DLMF
   5.5.4); with r = x less the integer next to it, pi / tan(pi x) is (1 - r^2 q(r^2)) / r. It is infinite at 0 and NaN
   at other poles. */
static inline float rg_digamma_f32(float x, int32_t *rare)
{
    *rare |= x < 0.0f;
    int left = x < 0.5f, negative = x < 0.0f;
    float a = __builtin_fabsf(x), r = a - ((a + 0x1p23f) - 0x1p23f), z = r * r;
    r = (a < 0x1p23f ? r : 0.0f) * __builtin_copysignf(1.0f, x);
    float cot = (negative ? 1.0f - z * RG_POLY7(z, rg_cot_f32_q) : 1.0f) / r;
    float right = rg_digamma_right_f32(left ? a + 1.0f : x), y = left ? right - cot : right;
    return (r == 0.0f) & negative ? __builtin_nanf("") : y;
}

static inline double rg_digamma_f64(double x, int64_t *rare)
{
    *rare |= (int64_t)rg_bits_f64(x < 0.0 ? 1.0 : 0.0);
    int left = x < 0.5, negative = x < 0.0;
    double a = __builtin_fabs(x), r = a - ((a + 0x1p52) - 0x1p52), z = r * r;
    r = (a < 0x1p52 ? r : 0.0) * __builtin_copysign(1.0, x);
    double cot = (negative ? 1.0 - z * RG_POLY14(z, rg_cot_f64_q) : 1.0) / r;
    double right = rg_digamma_right_f64(left ? a + 1.0 : x), y = left ? right - cot : right;
    return (r == 0.0) & negative ? __builtin_nan("") : y;
}

/* psi(x) of negative x, too: where the difference is less than what it is taken of, by pairs of doubles. That of float
   is as exact in double without them. */
static inline double rg_careful_digamma_f64(double x)
{
    int64_t rare = 0;
    double y = rg_digamma_f64(x, &rare);
    return x < 0.0 && fabs(y) < fmax(1.0, log(1.0 - x)) ? rg_digamma_left(x) : y;
}

static inline float rg_careful_digamma_f32(float x)
{
    int64_t rare = 0;
    return (float)rg_digamma_f64(x, &rare);
}

#endif
