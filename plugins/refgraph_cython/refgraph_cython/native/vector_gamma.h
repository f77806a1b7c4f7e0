/* The gamma function, its logarithm and the derivative of that, for one number each, written so that compilers make
   vectors of them.

    y = rg_lgamma_f32(x, &rare)

As in vector_exp.h nothing branches, calls or reads a table at a place that depends on x. `rare` is or-ed with nonzero
where an answer does not hold and libm has to be asked: for lgamma and tgamma of negative numbers, of which few ask.
digamma, which libm lacks, answers everywhere.

Errors are below 4 units in the last place; tools/accuracy.py measures them. That of digamma for negative x, where it
is a difference, is in relation to what the difference is taken of, so it is absolute near zeros of the function there.
Special values are those of C, annex F; those of digamma are SciPy's. The coefficients are fits of our own
(tools/fit_trig.py).

Source: NIST Digital Library of Mathematical Functions (DLMF), chapter 5.
*/
#ifndef RG_VECTOR_GAMMA_H
#define RG_VECTOR_GAMMA_H

#include "vector_exp.h"

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

/* log(gamma(x)) / ((x - 1) (x - 2)) = p / q in x - 3/2, for 0.7 <= x <= 2.5. Error 2^-30.7. */
static const float rg_lgamma_f32_p[5] = {
    1040.98486f, 1414.92847f, 629.423401f, 100.436607f,
    4.04932308f};
static const float rg_lgamma_f32_q[6] = {
    2154.6731f, 3579.63306f, 2103.68848f, 516.943909f,
    47.6830215f, 1.0f};

/* x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, for x >= 2. Error 2^-28.7. */
static const float rg_stirling_f32_q[4] = {
    0.0833332911f, -0.00277532241f, 0.000754012726f, -0.000332719646f};

/* psi(x) / (x - its zero) = p / q in x - 3/2, for 0.5 <= x <= 3. Error 2^-30.6. */
static const float rg_digamma_f32_p[5] = {
    5586.79932f, 5609.69434f, 1781.47876f, 196.850876f,
    5.29816198f};
static const float rg_digamma_f32_q[6] = {
    5874.3125f, 8514.97168f, 4180.23047f, 831.996826f,
    60.8819542f, 1.0f};

/* x^2 (log(x) - 1 / (2 x) - psi(x)) in 1 / x^2, for x >= 3. Error 2^-32.7. */
static const float rg_digamma_f32_s[4] = {
    0.0833332911f, -0.00832949765f, 0.0038559984f, -0.00278179301f};

/* (1 / r - pi cot(pi r)) / r in r^2, for |r| <= 1 / 2. Error 2^-30.2. */
static const float rg_cot_f32_q[8] = {
    3.28986812f, 2.16464806f, 2.03455448f, 2.01220036f,
    1.94147658f, 2.48323131f, -0.0548598655f, 6.12801075f};

/* log(gamma(x)) / ((x - 1) (x - 2)) = p / q in x - 3/2, for 0.7 <= x <= 2.5. Error 2^-56.6. */
static const double rg_lgamma_f64_p[9] = {
    1011868.4003499233, 2732733.2382606696, 3025860.236969249, 1767920.0683724906,
    583891.5597981899, 108231.66181197247, 10466.721941708889, 441.907925879354,
    5.115557278191101};
static const double rg_lgamma_f64_q[10] = {
    2094406.4710195684, 6289071.655446579, 7890337.416989493, 5359876.0395188825,
    2135139.479596507, 504661.42561767, 68198.33399443806, 4782.077512405121,
    140.88512287746406, 1.0};

/* x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, for x >= 2. Error 2^-55.6. */
static const double rg_stirling_f64_q[14] = {
    0.08333333333333218, -0.0027777777770683575, 0.0007936506631927499, -0.0005952267689754578,
    0.000841183836681673, -0.0018991726106249167, 0.005994671129960204, -0.02252484715459421,
    0.08471510181843978, -0.27641943729280516, 0.7026903601088895, -1.2618604527384736,
    1.401750013758633, -0.7184817794323815};

/* psi(x) / (x - its zero) = p / q in x - 3/2, for 0.5 <= x <= 3. Error 2^-57.5. */
static const double rg_digamma_f64_p[8] = {
    16261484.349042704, 22839848.065191496, 12327299.207935218, 3266271.0726586925,
    447238.9512011963, 30251.35892831861, 858.6441029695947, 6.443171297465657};
static const double rg_digamma_f64_q[9] = {
    17098348.013885163, 31631345.645016268, 22726662.052397747, 8225284.201921968,
    1614063.195990498, 170732.38182684628, 9009.247837040988, 194.74965938576662,
    1.0};

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

/* log(|gamma(x)|). It is a quotient of polynomials times (x - 1) (x - 2), which keeps the digits near its zeros; from
   2.5 Stirling's (x - 1/2) (log(x) - 1) + (log(2 pi) - 1) / 2 and a rest in 1 / x (DLMF 5.11.1); below 0.7
   lgamma(x + 1) - log(x) (DLMF 5.5.1). log(x) - 1 is computed from the pieces of log(x), so it keeps its digits near
   e. One division serves both the quotient and 1 / x. */
static inline float rg_lgamma_f32(float x, int32_t *rare)
{
    *rare |= x < 0.0f;
    int small = x < 0.7f, large = x >= 2.5f;
    float u = small ? x - 0.5f : x - 1.5f;
    float above = large ? 1.0f : RG_POLY4(u, rg_lgamma_f32_p), below = large ? x : RG_POLY5(u, rg_lgamma_f32_q);
    float t = above / below, middle = ((u - 0.5f) * (u + 0.5f)) * t;

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
    double u = small ? x - 0.5 : x - 1.5;
    double above = large ? 1.0 : RG_POLY8(u, rg_lgamma_f64_p), below = large ? x : RG_POLY9(u, rg_lgamma_f64_q);
    double t = above / below, middle = ((u - 0.5) * (u + 0.5)) * t;

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
    double y = rg_exp2_wide(exponent * RG_LOG2E_F64) / (small ? wide + wide * wide : 1.0);
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
    double y = power / (small ? x + x * x : 1.0);
    return x > 171.7 ? __builtin_inf() : y;
}

/* The digamma function psi. Up to 3 it is a quotient of polynomials times x - its zero, which stands in two pieces, so
   that the digits near it are kept; from there log(x) - 1 / (2 x) and a rest in 1 / x^2 (DLMF 5.11.2). Below 1/2 it is
   psi(1 - x) - pi / tan(pi x) (DLMF 5.5.4), where pi / tan(pi x) = 1 / r less a polynomial, with r = x less the
   integer next to it. It is infinite at 0 and NaN at other poles. */
static inline float rg_digamma_f32(float x, int32_t *rare)
{
    (void)rare;
    int left = x < 0.5f;
    float a = __builtin_fabsf(x), r = a - ((a + 0x1p23f) - 0x1p23f);
    r = (a < 0x1p23f ? r : 0.0f) * __builtin_copysignf(1.0f, x);
    float cot = 1.0f / r - r * RG_POLY7(r * r, rg_cot_f32_q);

    float u = left ? 1.0f - x : x, from_zero = (u - RG_DIGAMMA_ZERO_F32) - RG_DIGAMMA_ZERO_LOW_F32;
    int large = u >= 3.0f;
    float above = large ? 1.0f : RG_POLY4(u - 1.5f, rg_digamma_f32_p) * from_zero;
    float t = above / (large ? u : RG_POLY5(u - 1.5f, rg_digamma_f32_q));
    rg_split_f32 split = rg_split_bits_f32(rg_shifted_bits_f32(u), 127.0f);
    float y = large ? rg_log_of_split_f32(split) - t * (0.5f + t * RG_POLY3(t * t, rg_digamma_f32_s)) : t;
    y = u < __builtin_inff() ? y : u;

    y = left ? y - cot : y;
    return (x < 0.0f) & (r == 0.0f) ? __builtin_nanf("") : y;
}

static inline double rg_digamma_f64(double x, int64_t *rare)
{
    (void)rare;
    int left = x < 0.5;
    double a = __builtin_fabs(x), r = a - ((a + 0x1p52) - 0x1p52);
    r = (a < 0x1p52 ? r : 0.0) * __builtin_copysign(1.0, x);
    double cot = 1.0 / r - r * RG_POLY14(r * r, rg_cot_f64_q);

    double u = left ? 1.0 - x : x, from_zero = (u - RG_DIGAMMA_ZERO_F64) - RG_DIGAMMA_ZERO_LOW_F64;
    int large = u >= 3.0;
    double above = large ? 1.0 : RG_POLY7(u - 1.5, rg_digamma_f64_p) * from_zero;
    double t = above / (large ? u : RG_POLY8(u - 1.5, rg_digamma_f64_q));
    rg_split_f64 split = rg_split_bits_f64(rg_shifted_bits_f64(u), 1023.0);
    double y = large ? rg_log_of_split_f64(split) - t * (0.5 + t * RG_POLY10(t * t, rg_digamma_f64_s)) : t;
    y = u < __builtin_inf() ? y : u;

    y = left ? y - cot : y;
    return (x < 0.0) & (r == 0.0) ? __builtin_nan("") : y;
}

#endif
