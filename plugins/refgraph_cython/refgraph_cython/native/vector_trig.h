/* Sine, cosine and tangent and their inverses, for one number each, written so that compilers make vectors of them.

    y = rg_sin_f32(x, &rare)

As in vector_exp.h nothing branches, calls or reads a table at a place that depends on x. `rare` is or-ed with nonzero
where an answer does not hold and libm has to be asked: for sine, cosine and tangent of numbers so large that pi needs
more digits than there are pieces of it here, 2^24 in float and 2^21 in double, and of the few doubles that are nearer
to a zero or a pole than that.

Errors are below 2.5 units in the last place over the whole domain; tools/accuracy.py measures them. Special values are
those of C, annex F. The coefficients are fits of our own (tools/fit_trig.py).

Sources: J.-M. Muller, "Elementary Functions", 3rd edition, 2016; W. J. Cody and W. Waite, "Software Manual for the
Elementary Functions", 1980; NIST Digital Library of Mathematical Functions (DLMF).
*/
#ifndef RG_VECTOR_TRIG_H
#define RG_VECTOR_TRIG_H

#include "vector_exp.h"

/* Coefficients, printed by tools/fit_trig.py. */
/* pi. The first pieces times a number of 21 bits are exact. */
#define RG_PI_F64 0x1.921fb54400000p+1
#define RG_PI_MIDDLE_F64 0x1.0b4611a600000p-33
#define RG_PI_LOW_F64 0x1.3198a2e037073p-68

/* pi. The first piece times a number of 24 bits is exact. */
#define RG_PI_WIDE 0x1.921fb54000000p+1
#define RG_PI_LOW_WIDE 0x1.10b4611a62633p-29

/* pi / 2 as the nearest number, and what that lacks. */
#define RG_HALF_PI_F64 0x1.921fb54442d18p+0
#define RG_HALF_PI_LOW_F64 0x1.1a62633145c07p-54

/* The same in float. */
#define RG_HALF_PI_F32 0x1.921fb60000000p+0f
#define RG_HALF_PI_LOW_F32 -0x1.777a5c0000000p-25f

/* 1 / pi. */
#define RG_INVERSE_PI 0x1.45f306dc9c883p-2

/* (sin(x) / x - 1) / x^2 in x^2, for |x| <= pi / 4. Error 2^-28.0. */
static const float rg_sin_f32_q[3] = {
    -0.166666552f, 0.00833215844f, -0.000195149638f};

/* (cos(x) - 1 + x^2 / 2) / x^4 in x^2, for |x| <= pi / 4. Error 2^-33.0. */
static const float rg_cos_f32_q[3] = {
    0.0416666456f, -0.0013887313f, 2.44327948e-05f};

/* (asin(x) / x - 1) / x^2 in x^2, for |x| <= 0.7071. Error 2^-28.7. */
static const float rg_asin_f32_q[8] = {
    0.166666225f, 0.0750271007f, 0.0440766253f, 0.0360368155f,
    -0.00827220082f, 0.110881343f, -0.140699506f, 0.126506165f};

/* (atan(x) / x - 1) / x^2 in x^2, for |x| <= 1. Error 2^-28.5. */
static const float rg_atan_f32_q[9] = {
    -0.333332986f, 0.199985474f, -0.142642409f, 0.109521799f,
    -0.084034346f, 0.0579573587f, -0.0311776362f, 0.0109145045f,
    -0.00179360143f};

/* (sin(x) / x - 1) / x^2 in x^2, for |x| <= pi / 4. Error 2^-57.9. */
static const double rg_sin_f64_q[6] = {
    -0.1666666666666663, 0.008333333333322063, -0.00019841269829542932, 2.7557313604670882e-06,
    -2.505074506375431e-08, 1.5896069137465083e-10};

/* (cos(x) - 1 + x^2 / 2) / x^4 in x^2, for |x| <= pi / 4. Error 2^-64.0. */
static const double rg_cos_f64_q[6] = {
    0.041666666666666595, -0.0013888888888872978, 2.480158728880047e-05, -2.755731416409768e-07,
    2.0875698724625776e-09, -1.1358424348338067e-11};

/* (asin(x) / x - 1) / x^2 in x^2, for |x| <= 0.5. Error 2^-59.8. */
static const double rg_asin_f64_q[13] = {
    0.16666666666666763, 0.07499999999970382, 0.04464285717503195, 0.030381942686654017,
    0.02237221560868942, 0.017351600422736167, 0.013980964448291595, 0.011397696073648836,
    0.01078727853607269, 0.003679104676851615, 0.021775694495644267, -0.02109814971878148,
    0.03269212404549855};

/* (atan(x) / x - 1) / x^2 in x^2, for |x| <= 1. Error 2^-57.6. */
static const double rg_atan_f64_q[20] = {
    -0.3333333333333307, 0.19999999999951465, -0.14285714282575326, 0.11111111007030246,
    -0.09090907003031728, 0.0769227983947691, -0.06666404057274636, 0.05880527804484746,
    -0.052535184787325266, 0.04722321886671381, -0.04219177924276178, 0.0366418871303569,
    -0.029903817146351586, 0.021984798846833145, -0.013900505869677414, 0.007196463110613122,
    -0.0028848971087243394, 0.0008313140992922834, -0.0001521591493762313, 1.322490056960402e-05};

/* (tan(x) / x - 1) / x^2 in x^2, for |x| <= pi / 4. Error 2^-29.6. */
static const float rg_tan_f32_q[7] = {
    0.333333492f, 0.13332659f, 0.0540604889f, 0.0212791432f,
    0.0108439382f, 7.89494879e-05f, 0.00438163429f};
/* End of the coefficients. */

/* Up to where there are pieces enough of pi. */
#define RG_TRIG_LARGE_F32 0x1p24f
#define RG_TRIG_LARGE_F64 0x1p21

/* x = k pi / 2 + r with |r| <= pi / 4, where k stands in the low bits of `shifted`. All steps are exact but the last,
   and but one that rounds what is no smaller than r. Float is computed in double. */
typedef struct rg_turned_f64 {
    double shifted, r;
} rg_turned_f64;

static inline rg_turned_f64 rg_turn_f32(float x, int32_t *rare)
{
    *rare |= __builtin_fabsf(x) > RG_TRIG_LARGE_F32;
    double wide = x, shifted = wide * (2.0 * RG_INVERSE_PI) + RG_ROUND_F64, k = shifted - RG_ROUND_F64;
    return (rg_turned_f64){shifted, (wide - k * (0.5 * RG_PI_WIDE)) - k * (0.5 * RG_PI_LOW_WIDE)};
}

/* Rare are doubles that are large, and those of which so little is left that the end of RG_PI_LOW_F64 can be seen in
   it. The bits of a number take the place of a condition, as not every SIMD has conditions of 64 bits. */
static inline int64_t rg_turn_is_rare(double x, double r)
{
    double a = __builtin_fabs(x);
    uint64_t large = rg_bits_f64(a > RG_TRIG_LARGE_F64 ? 1.0 : 0.0);
    return (int64_t)(large | rg_bits_f64(__builtin_fabs(r) < a * 0x1p-64 ? 1.0 : 0.0));
}

static inline rg_turned_f64 rg_turn_f64(double x, int64_t *rare)
{
    double shifted = x * (2.0 * RG_INVERSE_PI) + RG_ROUND_F64, k = shifted - RG_ROUND_F64;
    double r = (x - k * (0.5 * RG_PI_F64)) - k * (0.5 * RG_PI_MIDDLE_F64);
    r = r - k * (0.5 * RG_PI_LOW_F64);
    *rare |= rg_turn_is_rare(x, r);
    return (rg_turned_f64){shifted, r};
}

/* a where `odd` is 0, and b where all its bits are 1. */
static inline double rg_choose_f64(uint64_t odd, double a, double b)
{
    return rg_of_bits_f64(rg_bits_f64(a) ^ ((rg_bits_f64(a) ^ rg_bits_f64(b)) & odd));
}

/* sin(k pi / 2 + r): by the last two bits of k it is sin(r), cos(r), -sin(r) or -cos(r) (DLMF 4.21.14). The sum in
   sin(r) would make +0 of -0. */
static inline float rg_sin_of_turned_f32(float r, uint32_t k)
{
    float z = r * r, s = __builtin_copysignf(r + r * z * RG_POLY2(z, rg_sin_f32_q), r);
    float c = 1.0f - (0.5f * z - z * z * RG_POLY2(z, rg_cos_f32_q));
    return rg_of_bits_f32(rg_bits_f32(k & 1 ? c : s) ^ ((k & 2) << 30));
}

static inline double rg_sin_of_turned_f64(double r, uint64_t k)
{
    double z = r * r, s = __builtin_copysign(r + r * z * RG_POLY5(z, rg_sin_f64_q), r);
    double c = 1.0 - (0.5 * z - z * z * RG_POLY5(z, rg_cos_f64_q));
    return rg_of_bits_f64(rg_bits_f64(rg_choose_f64(0 - (k & 1), s, c)) ^ ((k & 2) << 62));
}

/* sin(x), and cos(x) = sin(x + pi / 2). */
static inline float rg_sin_f32(float x, int32_t *rare)
{
    rg_turned_f64 to = rg_turn_f32(x, rare);
    return rg_sin_of_turned_f32((float)to.r, (uint32_t)rg_bits_f64(to.shifted));
}

static inline double rg_sin_f64(double x, int64_t *rare)
{
    rg_turned_f64 to = rg_turn_f64(x, rare);
    return rg_sin_of_turned_f64(to.r, rg_bits_f64(to.shifted));
}

static inline float rg_cos_f32(float x, int32_t *rare)
{
    rg_turned_f64 to = rg_turn_f32(x, rare);
    return rg_sin_of_turned_f32((float)to.r, (uint32_t)rg_bits_f64(to.shifted) + 1);
}

static inline double rg_cos_f64(double x, int64_t *rare)
{
    rg_turned_f64 to = rg_turn_f64(x, rare);
    return rg_sin_of_turned_f64(to.r, rg_bits_f64(to.shifted) + 1);
}

/* tan(k pi / 2 + r) is tan(r) where k is even, else -1 / tan(r): DLMF 4.21.14 and 4.21.15. */
static inline float rg_tan_f32(float x, int32_t *rare)
{
    rg_turned_f64 to = rg_turn_f32(x, rare);
    float r = (float)to.r, z = r * r, t = r + r * z * RG_POLY6(z, rg_tan_f32_q);
    return (uint32_t)rg_bits_f64(to.shifted) & 1 ? -1.0f / t : t;
}

/* In double it is sin(r) / cos(r) or -cos(r) / sin(r), where r + `low` is what is left of x. */
static inline double rg_tan_f64(double x, int64_t *rare)
{
    double shifted = x * (2.0 * RG_INVERSE_PI) + RG_ROUND_F64, k = shifted - RG_ROUND_F64;
    double high = x - k * (0.5 * RG_PI_F64), part = k * (0.5 * RG_PI_MIDDLE_F64), middle = high - part;
    double last = k * (0.5 * RG_PI_LOW_F64), r = middle - last, low = ((high - middle) - part) + ((middle - r) - last);
    *rare |= rg_turn_is_rare(x, r);

    double z = r * r, half = 0.5 * z, w = 1.0 - half;
    double s = __builtin_copysign(r + (r * z * RG_POLY5(z, rg_sin_f64_q) + low), r);
    double c = w + (((1.0 - w) - half) + (z * z * RG_POLY5(z, rg_cos_f64_q) - r * low));
    uint64_t last_bit = rg_bits_f64(shifted) & 1, odd = 0 - last_bit;
    double below = rg_of_bits_f64(rg_bits_f64(rg_choose_f64(odd, c, s)) ^ (last_bit << 63));
    return rg_choose_f64(odd, s, c) / below;
}

/* asin(x) / x - 1 for |x| below sqrt(1 / 2) in float, 1 / 2 in double, of z = x^2. */
static inline float rg_asin_rest_f32(float z)
{
    return z * RG_POLY7(z, rg_asin_f32_q);
}

static inline double rg_asin_rest_f64(double z)
{
    return z * RG_POLY12(z, rg_asin_f64_q);
}

/* asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)) where x is large: DLMF 4.24.1 with the half angle of 4.21.21. Outside
   of its domain the root is NaN. In double the result would show what the root loses: with `upper` the first half of
   the digits of the root, that is (z - upper^2 - (root - upper) (root + upper)) / (2 root), where 1 / (2 root) is about
   2 - 2 root near 1 / 2, where it matters. */
static inline float rg_asin_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), z = 0.5f - 0.5f * a, root = __builtin_sqrtf(z);
    int small = a < 0.70710678f;
    float t = small ? a : root, rest = t * rg_asin_rest_f32(small ? a * a : z);
    float y = RG_HALF_PI_F32 - (2.0f * t + (2.0f * rest - RG_HALF_PI_LOW_F32));
    return __builtin_copysignf(small ? t + rest : y, x);
}

static inline double rg_asin_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), z = 0.5 - 0.5 * a, root = __builtin_sqrt(z), upper = rg_upper_f64(root);
    double lost = ((z - upper * upper) - (root - upper) * (root + upper)) * (2.0 - 2.0 * root);
    int small = a < 0.5;
    double t = small ? a : root, rest = t * rg_asin_rest_f64(small ? a * a : z);
    double y = RG_HALF_PI_F64 - (2.0 * t + (2.0 * (rest + lost) - RG_HALF_PI_LOW_F64));
    return __builtin_copysign(small ? t + rest : y, x);
}

/* acos(x) = pi / 2 - asin(x), and 2 asin(sqrt((1 - x) / 2)) where x is large, and pi less that of -x where x is
   negative. */
static inline float rg_acos_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), z = 0.5f - 0.5f * a, root = __builtin_sqrtf(z);
    int small = a < 0.70710678f;
    float t = small ? x : 2.0f * root, rest = t * rg_asin_rest_f32(small ? a * a : z);
    float near = RG_HALF_PI_F32 - (t + (rest - RG_HALF_PI_LOW_F32));
    float far = 2.0f * RG_HALF_PI_F32 - (t + (rest - 2.0f * RG_HALF_PI_LOW_F32));
    return small ? near : x < 0.0f ? far : t + rest;
}

static inline double rg_acos_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), z = 0.5 - 0.5 * a, root = __builtin_sqrt(z);
    int small = a < 0.5;
    double t = small ? x : 2.0 * root, rest = t * rg_asin_rest_f64(small ? a * a : z);
    double near = RG_HALF_PI_F64 - (t + (rest - RG_HALF_PI_LOW_F64));
    double far = 2.0 * RG_HALF_PI_F64 - (t + (rest - 2.0 * RG_HALF_PI_LOW_F64));
    return small ? near : x < 0.0 ? far : t + rest;
}

/* Horner's scheme, as RG_POLY of up to 7 is, for polynomials whose halves would cancel each other. */
#define RG_HORNER8(x, c) ((c)[0] + (x) * RG_POLY7(x, (c) + 1))
#define RG_HORNER9(x, c) ((c)[0] + (x) * RG_HORNER8(x, (c) + 1))
#define RG_HORNER10(x, c) ((c)[0] + (x) * RG_HORNER9(x, (c) + 1))
#define RG_HORNER11(x, c) ((c)[0] + (x) * RG_HORNER10(x, (c) + 1))
#define RG_HORNER12(x, c) ((c)[0] + (x) * RG_HORNER11(x, (c) + 1))
#define RG_HORNER13(x, c) ((c)[0] + (x) * RG_HORNER12(x, (c) + 1))
#define RG_HORNER14(x, c) ((c)[0] + (x) * RG_HORNER13(x, (c) + 1))
#define RG_HORNER15(x, c) ((c)[0] + (x) * RG_HORNER14(x, (c) + 1))
#define RG_HORNER16(x, c) ((c)[0] + (x) * RG_HORNER15(x, (c) + 1))
#define RG_HORNER17(x, c) ((c)[0] + (x) * RG_HORNER16(x, (c) + 1))
#define RG_HORNER18(x, c) ((c)[0] + (x) * RG_HORNER17(x, (c) + 1))
#define RG_HORNER19(x, c) ((c)[0] + (x) * RG_HORNER18(x, (c) + 1))

/* atan(x) = pi / 2 - atan(1 / x) for x > 1: DLMF 4.24.17. */
static inline float rg_atan_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), t = a > 1.0f ? 1.0f / a : a, z = t * t, rest = t * z * RG_HORNER8(z, rg_atan_f32_q);
    float y = a > 1.0f ? RG_HALF_PI_F32 - (t + (rest - RG_HALF_PI_LOW_F32)) : t + rest;
    return __builtin_copysignf(y, x);
}

static inline double rg_atan_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), t = a > 1.0 ? 1.0 / a : a, z = t * t, rest = t * z * RG_HORNER19(z, rg_atan_f64_q);
    double y = a > 1.0 ? RG_HALF_PI_F64 - (t + (rest - RG_HALF_PI_LOW_F64)) : t + rest;
    return __builtin_copysign(y, x);
}

/* The angle of the point (x, y). With t the smaller size divided by the larger it is atan(t), added to or taken from
   0, pi / 2 or pi, with the sign of y: DLMF 4.23(iv), C, F.10.1.4. Two infinities are like two ones, two zeros like
   y = 0 and x = 1. */
static inline float rg_atan2_f32(float y, float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(y), b = __builtin_fabsf(x);
    int steep = a > b, left = __builtin_copysignf(1.0f, x) < 0.0f;
    float larger = steep ? a : b, smaller = steep ? b : a;
    larger = larger == 0.0f ? 1.0f : larger;
    float t = smaller == larger ? 1.0f : smaller / larger;
    float z = t * t, rest = t * z * RG_HORNER8(z, rg_atan_f32_q);
    float quarters = steep ? 1.0f : left ? 2.0f : 0.0f, sign = steep != left ? -1.0f : 1.0f;
    float angle = quarters * RG_HALF_PI_F32 + (sign * t + (sign * rest + quarters * RG_HALF_PI_LOW_F32));
    return __builtin_copysignf(angle, y);
}

static inline double rg_atan2_f64(double y, double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(y), b = __builtin_fabs(x);
    int steep = a > b, left = __builtin_copysign(1.0, x) < 0.0;
    double larger = steep ? a : b, smaller = steep ? b : a;
    larger = larger == 0.0 ? 1.0 : larger;
    double t = smaller == larger ? 1.0 : smaller / larger;
    double z = t * t, rest = t * z * RG_HORNER19(z, rg_atan_f64_q);
    double quarters = steep ? 1.0 : left ? 2.0 : 0.0, sign = steep != left ? -1.0 : 1.0;
    double angle = quarters * RG_HALF_PI_F64 + (sign * t + (sign * rest + quarters * RG_HALF_PI_LOW_F64));
    return __builtin_copysign(angle, y);
}

#endif
