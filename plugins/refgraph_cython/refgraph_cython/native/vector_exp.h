/* Exponentials, logarithms and their kin, for one number each, written so that compilers make vectors of them.

    y = rg_exp_f32(x, &rare)

Nothing here branches, calls or reads a table at a place that depends on x: a loop over an array becomes one of SIMD
instructions, on any target. `rare` is or-ed with nonzero where an answer does not hold and libm has to be asked; no
function here does so, and it stands in the signatures since others do (vector_trig.h).

Errors are below 2.5 units in the last place over the whole domain, denormal numbers included; tools/accuracy.py
measures them. Special values are those of C, annex F. The coefficients are fits of our own (tools/fit_exp.py).

What holds with and without fused multiply-add: compilers may contract a product and a sum into one where they like
(-ffp-contract=fast). The formulas below are good either way. Where the error of a product itself is needed, a factor is
cut so that the product is exact, or `rg_product_*` computes it.

Sources: J.-M. Muller and others, "Handbook of Floating-Point Arithmetic", 2nd edition, 2018 (HFA below); J.-M. Muller,
"Elementary Functions", 3rd edition, 2016; NIST Digital Library of Mathematical Functions (DLMF).
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

/* (2^r - 1) / r for |r| <= 1 / 2. Error 2^-28.9. */
static const float rg_exp2_f32_q[6] = {
    0.693147182f, 0.240226477f, 0.0555033237f, 0.00961843692f,
    0.00133988762f, 0.000153533765f};

/* (2^r - 1) / r for |r| <= 1 / 2. Error 2^-28.9. */
static const double rg_exp2_wide_q[6] = {
    0.6931472028612247, 0.24022647914224993, 0.05550332465098147, 0.009618437295521443,
    0.001339887560534607, 0.00015353376485882452};

/* (2^r - 1) / r for |r| <= 1 / 2. Error 2^-58.0. */
static const double rg_exp2_f64_q[11] = {
    0.6931471805599453, 0.2402265069591013, 0.055504108664820084, 0.009618129107594117,
    0.001333355814677471, 0.00015403530457113926, 1.5252733493061185e-05, 1.3215435281637557e-06,
    1.0178199593785624e-07, 7.073783332092201e-09, 4.434768620372492e-10};

/* erf(x) / x - 1 in x^2, for |x| <= 1. Error 2^-29.6. */
static const float rg_erf_f32_q[7] = {
    0.128379166f, -0.37612626f, 0.112835854f, -0.0268538129f,
    0.00518832821f, -0.000801019778f, 7.85387747e-05f};

/* log(erfc(x)) for x >= 1, as part of erf(x). Error 2^-29.8. */
static const float rg_log_erfc_f32_q[7] = {
    -0.000341591396f, -1.1270889f, -0.638145328f, -0.103106327f,
    0.0218378566f, -0.00294760591f, 0.000186373785f};

/* erf(x) / x - 1 in x^2, for |x| <= 1. Error 2^-56.9. */
static const double rg_erf_f64_q[12] = {
    0.12837916709551256, -0.3761263890318352, 0.11283791670944185, -0.026866170643111597,
    0.005223977606119715, -0.0008548325929378773, 0.00012055293578917283, -1.492471234196851e-05,
    1.6447132074226744e-06, -1.6206317657115439e-07, 1.371099736756755e-08, -7.779500223584706e-10};

/* log(erfc(x)) for x >= 1, as part of erf(x). Error 2^-59.5. */
static const double rg_log_erfc_f64_q[19] = {
    -1.796128345231628e-07, -1.1283773293339163, -0.6366284886138407, -0.10274725292615186,
    0.019078156376405656, 0.0002804880699012788, -0.0017690004611733456, 0.0006411728444559165,
    -4.4822779143729466e-05, -7.03663218377186e-05, 4.503716846282693e-05, -1.651384437589853e-05,
    4.3270125215200226e-06, -8.505679252436929e-07, 1.257040339991893e-07, -1.3626614815026854e-08,
    1.025695422529578e-09, -4.796019119872298e-11, 1.049618765106144e-12};

/* exp(x^2) erfc(x) / q in q - 101 / 512 with q = 1 / (1.5 + x), for x >= 3 / 4. Error 2^-29.7. */
static const double rg_erfc_f32_q[10] = {
    0.7729678220966808, 1.2772240727520503, 1.0777546090759396, -0.5355746727046442,
    -1.9356140993778754, 0.729164879981187, 4.424195056804252, -3.527865283190233,
    -9.109147401665101, 14.180687954639836};

/* exp(x^2) erfc(x) / q in q - 101 / 512 with q = 1 / (1.5 + x), for x >= 3 / 4. Error 2^-59.7. */
static const double rg_erfc_f64_q[24] = {
    0.7729678214654307, 1.2772240327707867, 1.0777557796890056, -0.5355513323517501,
    -1.9360144009849736, 0.7261977383970125, 4.475016527016835, -3.4807198539174355,
    -11.497403439202113, 20.278479858081866, 21.77278614053149, -102.09160191143455,
    42.64464936693264, 377.1722147634434, -786.2658183563796, -439.75278003048214,
    4658.698877939991, -6615.8969761351145, -11167.67135321154, 55042.70393924521,
    -49359.50938987983, -142086.99256440823, 402582.6078013072, -311781.0044277578};

/* ((1 - h)^(-1/3) - 1) / h for |h| <= 0.1022. Error 2^-18.5. */
static const float rg_cbrt_f32_q[3] = {
    0.333327621f, 0.223477349f, 0.174702242f};

/* ((1 - h)^(-1/3) - 1) / h for |h| <= 0.1022. Error 2^-32.3. */
static const double rg_cbrt_f64_q[6] = {
    0.3333333455893687, 0.22222225560638162, 0.1728299173205672, 0.14401750859576976,
    0.12667508907167965, 0.11309830471825792};

/* (log(1 + f) - f + f^2 / 2) / f^3 for 1 / sqrt(2) <= 1 + f <= sqrt(2), for float. Error 2^-32.8. */
static const double rg_log_wide_q[10] = {
    0.3333333236674169, -0.249999669691905, 0.20000090474716756, -0.16669405735739798,
    0.14285118470665756, -0.12424396735927107, 0.1103620046010844, -0.10819576648340853,
    0.10632034224022278, -0.05976868179164067};

/* ((log((1 + s) / (1 - s)) - 2 s) / s^3 - 2 / 3) / s^2 in s^2, for |s| as in log. Error 2^-66.3. */
static const double rg_pow_f64_q[7] = {
    0.40000000000002256, 0.28571428570100044, 0.22222222519827167, 0.1818178437637901,
    0.15386756869930296, 0.13256829208580326, 0.13196216294167445};
/* End of the coefficients. */

/* Polynomials, coefficients lowest first; the number is the degree. Short ones by Horner's rule, long ones as the sum
   of the even and of the odd terms, each by Horner's rule in x^2, since a processor computes both at the same time:
   J.-M. Muller, "Elementary Functions". */
#define RG_POLY0(x, c) ((c)[0])
#define RG_POLY1(x, c) ((c)[0] + (x) * RG_POLY0(x, (c) + 1))
#define RG_POLY2(x, c) ((c)[0] + (x) * RG_POLY1(x, (c) + 1))
#define RG_POLY3(x, c) ((c)[0] + (x) * RG_POLY2(x, (c) + 1))
#define RG_POLY4(x, c) ((c)[0] + (x) * RG_POLY3(x, (c) + 1))
#define RG_POLY5(x, c) ((c)[0] + (x) * RG_POLY4(x, (c) + 1))
#define RG_POLY6(x, c) ((c)[0] + (x) * RG_POLY5(x, (c) + 1))
#define RG_POLY7(x, c) ((c)[0] + (x) * RG_POLY6(x, (c) + 1))
#define RG_TERMS0(z, c) ((c)[0])
#define RG_TERMS1(z, c) ((c)[0] + (z) * RG_TERMS0(z, (c) + 2))
#define RG_TERMS2(z, c) ((c)[0] + (z) * RG_TERMS1(z, (c) + 2))
#define RG_TERMS3(z, c) ((c)[0] + (z) * RG_TERMS2(z, (c) + 2))
#define RG_TERMS4(z, c) ((c)[0] + (z) * RG_TERMS3(z, (c) + 2))
#define RG_TERMS5(z, c) ((c)[0] + (z) * RG_TERMS4(z, (c) + 2))
#define RG_TERMS6(z, c) ((c)[0] + (z) * RG_TERMS5(z, (c) + 2))
#define RG_TERMS7(z, c) ((c)[0] + (z) * RG_TERMS6(z, (c) + 2))
#define RG_TERMS8(z, c) ((c)[0] + (z) * RG_TERMS7(z, (c) + 2))
#define RG_TERMS9(z, c) ((c)[0] + (z) * RG_TERMS8(z, (c) + 2))
#define RG_TERMS10(z, c) ((c)[0] + (z) * RG_TERMS9(z, (c) + 2))
#define RG_TERMS11(z, c) ((c)[0] + (z) * RG_TERMS10(z, (c) + 2))
#define RG_POLY8(x, c) (RG_TERMS4((x) * (x), c) + (x) * RG_TERMS3((x) * (x), (c) + 1))
#define RG_POLY9(x, c) (RG_TERMS4((x) * (x), c) + (x) * RG_TERMS4((x) * (x), (c) + 1))
#define RG_POLY10(x, c) (RG_TERMS5((x) * (x), c) + (x) * RG_TERMS4((x) * (x), (c) + 1))
#define RG_POLY11(x, c) (RG_TERMS5((x) * (x), c) + (x) * RG_TERMS5((x) * (x), (c) + 1))
#define RG_POLY12(x, c) (RG_TERMS6((x) * (x), c) + (x) * RG_TERMS5((x) * (x), (c) + 1))
#define RG_POLY13(x, c) (RG_TERMS6((x) * (x), c) + (x) * RG_TERMS6((x) * (x), (c) + 1))
#define RG_POLY14(x, c) (RG_TERMS7((x) * (x), c) + (x) * RG_TERMS6((x) * (x), (c) + 1))
#define RG_POLY15(x, c) (RG_TERMS7((x) * (x), c) + (x) * RG_TERMS7((x) * (x), (c) + 1))
#define RG_POLY16(x, c) (RG_TERMS8((x) * (x), c) + (x) * RG_TERMS7((x) * (x), (c) + 1))
#define RG_POLY17(x, c) (RG_TERMS8((x) * (x), c) + (x) * RG_TERMS8((x) * (x), (c) + 1))
#define RG_POLY18(x, c) (RG_TERMS9((x) * (x), c) + (x) * RG_TERMS8((x) * (x), (c) + 1))
#define RG_POLY19(x, c) (RG_TERMS9((x) * (x), c) + (x) * RG_TERMS9((x) * (x), (c) + 1))
#define RG_POLY20(x, c) (RG_TERMS10((x) * (x), c) + (x) * RG_TERMS9((x) * (x), (c) + 1))
#define RG_POLY21(x, c) (RG_TERMS10((x) * (x), c) + (x) * RG_TERMS10((x) * (x), (c) + 1))
#define RG_POLY22(x, c) (RG_TERMS11((x) * (x), c) + (x) * RG_TERMS10((x) * (x), (c) + 1))
#define RG_POLY23(x, c) (RG_TERMS11((x) * (x), c) + (x) * RG_TERMS11((x) * (x), (c) + 1))

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

/* Adding this number rounds to an integer, which then stands in the low bits of the sum (HFA). */
#define RG_ROUND_F32 0x1.8p23f
#define RG_ROUND_F64 0x1.8p52

/* log(2) in two pieces. The first has zeros at its end, as many as k has bits, so k times it is exact. */
#define RG_LN2_F32 0x1.62e4p-1f
#define RG_LN2_LOW_F32 0x1.7f7d1cp-20f
#define RG_LN2_F64 0x1.62e42fefa38p-1
#define RG_LN2_LOW_F64 0x1.ef35793c7673p-45
#define RG_WHOLE_LN2 0x1.62e42fefa39efp-1
#define RG_LOG2E_F32 0x1.715476p+0f
#define RG_LOG2E_F64 0x1.71547652b82fep+0

/* x = k log(2) + r with |r| <= log(2) / 2: W. J. Cody and W. Waite, "Software Manual for the Elementary Functions",
   1980. The low bits of `shifted` are k + bias. `high` - `low` is what r was rounded from. */
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

/* exp(r) - 1 less what is called `high` in r. */
static inline double rg_expm1_rest_f64(rg_reduced_f64 x)
{
    return x.r * x.r * RG_POLY10(x.r, rg_expm1_f64_q) - x.low;
}

static inline double rg_small_expm1_f64(rg_reduced_f64 x)
{
    return x.high + rg_expm1_rest_f64(x);
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

/* (exp(x) - 1) / 2, or / 4, for x that is not far below 0, as 2^k (exp(r) - 1) + (2^k - 1) with 2^k / 2, or / 4, in
   place of 2^k. So sinh, which is half of an exponential, does not overflow before it should. */
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

static inline float rg_quarter_expm1_f32(float x)
{
    rg_reduced_f32 to = rg_reduce_exp_f32(x, 125.0f);
    float power = rg_power_of_2_f32(to.shifted);
    return power * rg_small_expm1_f32(to.r) + (power - 0.25f);
}

static inline double rg_quarter_expm1_f64(double x)
{
    rg_reduced_f64 to = rg_reduce_exp_f64(x, 1021.0);
    double power = rg_power_of_2_f64(to.shifted);
    return power * rg_small_expm1_f64(to) + (power - 0.25);
}

/* exp(x) - 1. */
static inline float rg_expm1_f32(float x, int32_t *rare)
{
    (void)rare;
    float y = __builtin_copysignf(2.0f * rg_half_expm1_f32(x), x);
    y = __builtin_fabsf(x) < 1e-30f ? x : y; /* halves of denormal numbers are rounded */
    y = x > 89.0f ? __builtin_inff() : y;
    return x < -20.0f ? -1.0f : y;
}

static inline double rg_expm1_f64(double x, int64_t *rare)
{
    (void)rare;
    double y = __builtin_copysign(2.0 * rg_half_expm1_f64(x), x);
    y = __builtin_fabs(x) < 1e-300 ? x : y;
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

/* 2^x. x - k is exact; apart from that it is as exp. */
static inline float rg_exp2_f32(float x, int32_t *rare)
{
    (void)rare;
    int small = x < -124.0f;
    float shifted = x + (RG_ROUND_F32 + 126.0f);
    float r = x - (shifted - (RG_ROUND_F32 + 126.0f));
    float power = rg_power_of_2_f32(shifted + (small ? 64.0f : 0.0f));
    float y = ((1.0f + r * RG_POLY5(r, rg_exp2_f32_q)) * power) * (small ? 0x1p-63f : 2.0f);
    y = x > 128.0f ? __builtin_inff() : y;
    return x < -151.0f ? 0.0f : y;
}

static inline double rg_exp2_f64(double x, int64_t *rare)
{
    (void)rare;
    int small = x < -1020.0;
    double shifted = x + (RG_ROUND_F64 + 1022.0);
    double r = x - (shifted - (RG_ROUND_F64 + 1022.0));
    double power = rg_power_of_2_f64(shifted + (small ? 512.0 : 0.0));
    double y = ((1.0 + r * RG_POLY10(r, rg_exp2_f64_q)) * power) * (small ? 0x1p-511 : 2.0);
    y = x > 1024.0 ? __builtin_inf() : y;
    return x < -1076.0 ? 0.0 : y;
}

/* sinh(x) = (h + h / (h + 1)) / 2 with h = exp(|x|) - 1, and the sign of x: DLMF 4.28.1. */
static inline float rg_sinh_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), h = rg_quarter_expm1_f32(a);
    float y = 2.0f * (h + h / (4.0f * h + 1.0f));
    return __builtin_copysignf(a > 89.5f ? __builtin_inff() : y, x);
}

static inline double rg_sinh_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), h = rg_quarter_expm1_f64(a);
    double y = 2.0 * (h + h / (4.0 * h + 1.0));
    return __builtin_copysign(a > 710.6 ? __builtin_inf() : y, x);
}

/* cosh(x) = exp(|x|) / 2 + 1 / (2 exp(|x|)): DLMF 4.28.2. From exp(|x|) / 4, which does not overflow where cosh does
   not. */
static inline float rg_cosh_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x);
    rg_reduced_f32 to = rg_reduce_exp_f32(a, 125.0f);
    float e = rg_small_exp_f32(to.r) * rg_power_of_2_f32(to.shifted);
    return a > 89.5f ? __builtin_inff() : 2.0f * e + 0.125f / e;
}

static inline double rg_cosh_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x);
    rg_reduced_f64 to = rg_reduce_exp_f64(a, 1021.0);
    double e = rg_small_exp_f64(to.r) * rg_power_of_2_f64(to.shifted);
    return a > 710.6 ? __builtin_inf() : 2.0 * e + 0.125 / e;
}

/* x = 2^e (1 + f) with 1 / sqrt(2) <= 1 + f < sqrt(2), for positive finite x: subtracting the bits of 1 / sqrt(2)
   carries into the exponent where the fraction is large. */
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
   the bits are put into those of 2^52 (HFA). */
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

/* log(1 + f) - f. In double it follows s = f / (2 + f), where log(1 + f) = log((1 + s) / (1 - s)) = 2 s + s^3 q(s^2),
   and f - s f in place of 2 s keeps the digits of f: K. C. Ng's log of fdlibm, 1993. */
static inline float rg_log_rest_f32(float f)
{
    return f * f * (f * RG_POLY7(f, rg_log_f32_q) - 0.5f);
}

static inline double rg_log_rest_f64(double f)
{
    double s = f / (2.0 + f), z = s * s;
    return s * (z * RG_POLY6(z, rg_log_f64_q) - f);
}

/* log(2^e (1 + f)). */
static inline float rg_log_of_split_f32(rg_split_f32 x)
{
    return x.e * RG_LN2_F32 + (x.f + (rg_log_rest_f32(x.f) + x.e * RG_LN2_LOW_F32));
}

static inline double rg_log_of_split_f64(rg_split_f64 x)
{
    return x.e * RG_LN2_F64 + (x.f + (rg_log_rest_f64(x.f) + x.e * RG_LN2_LOW_F64));
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

/* log(1 + exp(x)) as the larger of x and 0, and log(1 + e) with e = exp(-|x|), which lies in [0, 1]: with 1 + f = 1 + e,
   or half of that where e is above sqrt(2) - 1, and s = f / (2 + f), log(1 + f) is that of (1 + s) / (1 - s) (NIST DLMF
   4.6.4), which is 2 s = f - s f and a rest. As f is exact, what is rounded in s counts for less.
   `half` is 1 or 0 by its bits: of a choice compilers make two of all that follows.
   It has two parts, with e between them: instruction_loops.h runs them one after the other. */
#define RG_SQRT_2_LESS_1 0.41421356237309503

static inline float rg_softplus_begin_f32(float x, int32_t *rare)
{
    (void)rare;
    return rg_exp_below_f32(-__builtin_fabsf(x));
}

static inline float rg_softplus_end_f32(float x, float e, int32_t *rare)
{
    static const float q[5] = {2.0f / 3.0f, 2.0f / 5.0f, 2.0f / 7.0f, 2.0f / 9.0f, 2.0f / 11.0f};
    (void)rare;
    float above = x > 0.0f ? x : 0.0f;
    float half = rg_of_bits_f32(rg_bits_f32(1.0f) & -(uint32_t)(e > (float)RG_SQRT_2_LESS_1));
    float f = (e - half) * (1.0f - 0.5f * half), s = (e - half) / (e + (2.0f + half)), z = s * s;
    return above + (half * (float)RG_WHOLE_LN2 + (f - s * (f - z * RG_POLY4(z, q))));
}

static inline double rg_softplus_begin_f64(double x, int64_t *rare)
{
    (void)rare;
    return rg_exp_below_f64(-__builtin_fabs(x));
}

static inline double rg_softplus_end_f64(double x, double e, int64_t *rare)
{
    (void)rare;
    double above = x > 0.0 ? x : 0.0;
    double half = rg_of_bits_f64(rg_bits_f64(1.0) & -(uint64_t)(e > RG_SQRT_2_LESS_1));
    double f = (e - half) * (1.0 - 0.5 * half), s = (e - half) / (e + (2.0 + half)), z = s * s;
    return above + (half * RG_WHOLE_LN2 + (f - s * (f - z * RG_POLY6(z, rg_log_f64_q))));
}

static inline float rg_softplus_f32(float x, int32_t *rare)
{
    return rg_softplus_end_f32(x, rg_softplus_begin_f32(x, rare), rare);
}

static inline double rg_softplus_f64(double x, int64_t *rare)
{
    return rg_softplus_end_f64(x, rg_softplus_begin_f64(x, rare), rare);
}

/* The logarithm to base 2: e and the rest stand side by side, so it is exact for powers of 2. */
static inline float rg_log2_f32(float x, int32_t *rare)
{
    (void)rare;
    rg_split_f32 split = rg_split_f32_of(x);
    return rg_log_ends_f32(x, split.e + (split.f + rg_log_rest_f32(split.f)) * RG_LOG2E_F32);
}

static inline double rg_log2_f64(double x, int64_t *rare)
{
    (void)rare;
    rg_split_f64 split = rg_split_f64_of(x);
    return rg_log_ends_f64(x, split.e + (split.f + rg_log_rest_f64(split.f)) * RG_LOG2E_F64);
}

/* The first half of the digits of a number; the product of two such is exact. */
static inline float rg_upper_f32(float x)
{
    return rg_of_bits_f32(rg_bits_f32(x) & 0xfffff000u);
}

static inline double rg_upper_f64(double x)
{
    return rg_of_bits_f64(rg_bits_f64(x) & 0xfffffffff8000000u);
}

/* log10(2) in two pieces, the first of which times e is exact, and 1 / log(10) in two pieces, the first of which has
   half of the digits. */
#define RG_LOG10_2_F32 0x1.344p-2f
#define RG_LOG10_2_LOW_F32 0x1.3509f8p-18f
#define RG_LOG10_2_F64 0x1.34413509f78p-2
#define RG_LOG10_2_LOW_F64 0x1.fef311f12b358p-46
#define RG_LOG10E_F32 0x1.bccp-2f
#define RG_LOG10E_LOW_F32 -0x1.09d5b2p-15f
#define RG_LOG10E_F64 0x1.bcb7b18p-2
#define RG_LOG10E_LOW_F64 -0x1.6c8d78e6acaa4p-29

/* The logarithm to base 10. People count digits by it, so it has to be exact for powers of 10: log(1 + f) and its
   factor 1 / log(10) are cut in two, and so is log10(2), and only the last sum rounds by more than a trifle. */
static inline float rg_log10_f32(float x, int32_t *rare)
{
    (void)rare;
    rg_split_f32 split = rg_split_f32_of(x);
    float rest = rg_log_rest_f32(split.f), high = rg_upper_f32(split.f + rest), low = (split.f - high) + rest;
    float large = split.e * RG_LOG10_2_F32, middle = high * RG_LOG10E_F32, sum = large + middle;
    float small = (high + low) * RG_LOG10E_LOW_F32 + split.e * RG_LOG10_2_LOW_F32 + low * RG_LOG10E_F32;
    return rg_log_ends_f32(x, sum + (((large - sum) + middle) + small));
}

static inline double rg_log10_f64(double x, int64_t *rare)
{
    (void)rare;
    rg_split_f64 split = rg_split_f64_of(x);
    double rest = rg_log_rest_f64(split.f), high = rg_upper_f64(split.f + rest), low = (split.f - high) + rest;
    double large = split.e * RG_LOG10_2_F64, middle = high * RG_LOG10E_F64, sum = large + middle;
    double small = (high + low) * RG_LOG10E_LOW_F64 + split.e * RG_LOG10_2_LOW_F64 + low * RG_LOG10E_F64;
    return rg_log_ends_f64(x, sum + (((large - sum) + middle) + small));
}

/* asinh(x) = log1p(a + a^2 / (1 + sqrt(1 + a^2))) with a = |x|, and the sign of x: DLMF 4.37.16. Where a^2 would
   overflow it is log(2 a). */
static inline float rg_asinh_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), z = a * a;
    int large = a > 0x1p60f;
    z = a + z / (1.0f + __builtin_sqrtf(1.0f + z));
    float y = rg_log1p_inside_f32(large ? a : z) + (large ? (float)RG_WHOLE_LN2 : 0.0f);
    return __builtin_copysignf(a < __builtin_inff() ? y : a, x);
}

static inline double rg_asinh_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), z = a * a;
    int large = a > 0x1p500;
    z = a + z / (1.0 + __builtin_sqrt(1.0 + z));
    double y = rg_log1p_inside_f64(large ? a : z) + (large ? RG_WHOLE_LN2 : 0.0);
    return __builtin_copysign(a < __builtin_inf() ? y : a, x);
}

/* acosh(x) = log1p(t + sqrt(t (t + 2))) with t = x - 1, which is exact near 1: DLMF 4.37.19. */
static inline float rg_acosh_f32(float x, int32_t *rare)
{
    (void)rare;
    float t = x - 1.0f;
    int large = x > 0x1p60f;
    float z = t + __builtin_sqrtf(t * (t + 2.0f));
    float y = rg_log1p_inside_f32(large ? x : z) + (large ? (float)RG_WHOLE_LN2 : 0.0f);
    y = x < __builtin_inff() ? y : __builtin_inff();
    return x >= 1.0f ? y : __builtin_nanf("");
}

static inline double rg_acosh_f64(double x, int64_t *rare)
{
    (void)rare;
    double t = x - 1.0;
    int large = x > 0x1p500;
    double z = t + __builtin_sqrt(t * (t + 2.0));
    double y = rg_log1p_inside_f64(large ? x : z) + (large ? RG_WHOLE_LN2 : 0.0);
    y = x < __builtin_inf() ? y : __builtin_inf();
    return x >= 1.0 ? y : __builtin_nan("");
}

/* atanh(x) = log1p(2 a / (1 - a)) / 2 with a = |x|, and the sign of x: DLMF 4.37.24. */
static inline float rg_atanh_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x);
    float y = 0.5f * rg_log1p_inside_f32(2.0f * a / (1.0f - a));
    y = a < 1.0f ? y : a == 1.0f ? __builtin_inff() : __builtin_nanf("");
    return __builtin_copysignf(y, x);
}

static inline double rg_atanh_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x);
    double y = 0.5 * rg_log1p_inside_f64(2.0 * a / (1.0 - a));
    y = a < 1.0 ? y : a == 1.0 ? __builtin_inf() : __builtin_nan("");
    return __builtin_copysign(y, x);
}

/* The sum of two numbers, of which the second is what the first lacks. */
typedef struct rg_double_f64 {
    double high, low;
} rg_double_f64;

/* a b without an error: by a fused multiply-add, or by halves of the digits (T. J. Dekker, 1971). Adding 0 in a fused
   way keeps compilers from contracting the product into a sum that it goes to, where it would be another number. */
static inline rg_double_f64 rg_product_f64(double a, double b)
{
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__ARM_FEATURE_FMA)
    double high = __builtin_fma(a, b, 0.0);
    return (rg_double_f64){high, __builtin_fma(a, b, -high)};
#else
    double high = a * b, a1 = rg_upper_f64(a), a2 = a - a1, b1 = rg_upper_f64(b), b2 = b - b1;
    return (rg_double_f64){high, (((a1 * b1 - high) + a1 * b2) + a2 * b1) + a2 * b2};
#endif
}

/* 2^x to the digits of float, and some, for x in the range of the exponents of double. */
static inline double rg_exp2_wide(double x)
{
    double shifted = x + (RG_ROUND_F64 + 1023.0);
    double r = x - (shifted - (RG_ROUND_F64 + 1023.0));
    return (1.0 + r * RG_POLY5(r, rg_exp2_wide_q)) * rg_power_of_2_f64(shifted);
}

/* erf(x) = x + x p(x^2) for |x| < 1, and from there 1 - erfc(|x|) with log(erfc) a polynomial, and the sign of x. */
static inline float rg_erf_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), z = a * a;
    rg_reduced_f32 to = rg_reduce_exp_f32(RG_POLY6(a, rg_log_erfc_f32_q), 127.0f);
    float y = 1.0f - rg_small_exp_f32(to.r) * rg_power_of_2_f32(to.shifted);
    y = a > 4.0f ? 1.0f : y;
    return __builtin_copysignf(a < 1.0f ? a + a * RG_POLY6(z, rg_erf_f32_q) : y, x);
}

static inline double rg_erf_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), z = a * a;
    rg_reduced_f64 to = rg_reduce_exp_f64(RG_POLY18(a, rg_log_erfc_f64_q), 1023.0);
    double y = 1.0 - rg_small_exp_f64(to.r) * rg_power_of_2_f64(to.shifted);
    y = a > 6.0 ? 1.0 : y;
    return __builtin_copysign(a < 1.0 ? a + a * RG_POLY11(z, rg_erf_f64_q) : y, x);
}

#define RG_ERFC_MIDDLE 0x1.94p-3 /* 101 / 512 */

/* erfc(x) = 1 - erf(x) for |x| < 3/4. From there exp(-a^2) q p(q - middle) with a = |x| and q = 1 / (1.5 + a): q p is
   the scaled function exp(a^2) erfc(a), smooth in q up to infinity (M. Shepherd and J. Laframboise, 1981). In float
   it is computed in double. In double a^2 needs more digits than a number has: with `upper` the first half of those
   of a, it is upper^2 + (a - upper) (a + upper). The middle is chosen so that rounding its first coefficients loses
   next to nothing (S. Gal's method of accurate tables). Also what q lost is made good: the scaled function grows
   about like q^(1 + 1.4 q). */
static inline float rg_erfc_f32(float x, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x);
    double wide = a, q = 1.0 / (1.5 + wide);
    float y = (float)(q * RG_POLY9(q - RG_ERFC_MIDDLE, rg_erfc_f32_q) * rg_exp2_wide(wide * wide * -RG_LOG2E_F64));
    y = a > 10.2f ? 0.0f : y;
    y = x < 0.0f ? 2.0f - y : y;
    return a < 0.75f ? 0.5f - (x * RG_POLY6(x * x, rg_erf_f32_q) + (x - 0.5f)) : y;
}

static inline double rg_erfc_f64(double x, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), upper = rg_upper_f64(a);
    int small = a > 26.0;
    rg_reduced_f64 to = rg_reduce_exp_f64(-upper * upper, 1023.0);
    to.low += (a - upper) * (a + upper);
    to.r = to.high - to.low;
    double power = rg_power_of_2_f64(to.shifted + (small ? 512.0 : 0.0));

    double sum = 1.5 + a, q = 1.0 / sum;
    rg_double_f64 one = rg_product_f64(q, sum);
    double lost = ((1.0 - one.high) - one.low) - q * (a - (sum - 1.5));
    double t = q - RG_ERFC_MIDDLE, part = t * RG_POLY22(t, rg_erfc_f64_q + 1), p = rg_erfc_f64_q[0] + part;
    rg_double_f64 scaled = rg_product_f64(q, p);
    scaled.low += q * ((rg_erfc_f64_q[0] - p) + part);

    double small_part = scaled.high * (rg_expm1_rest_f64(to) + (1.0 + 1.4 * q) * lost) + scaled.low;
    double y = scaled.high + (scaled.high * to.high + small_part);
    y = (y * power) * (small ? 0x1p-512 : 1.0);
    y = a > 27.3 ? 0.0 : y;
    y = x < 0.0 ? 2.0 - y : y;
    return a < 0.75 ? 0.5 - (x * RG_POLY11(x * x, rg_erf_f64_q) + (x - 0.5)) : y;
}

/* From where a third of the bits is subtracted, chosen so that 1 - a y^3 below is as small as it can be: 0.1022. In
   double it is about the upper half of the bits. */
#define RG_CBRT_F32 0x54a1f5c0u
#define RG_CBRT_F64 1430186240.0

/* The cube root. A third of the bits gives the inverse root y to 3.5 % (as in W. Kahan's root, which K. C. Ng wrote
   down for BSD), a polynomial in 1 - a y^3 more digits of it. t is half of the digits of a y^2, so t^2 is exact, and
   a / t^2 against t says what is missing: t (1 + u)^(1/3) with t (1 + u) = a / t^2, and 1 / t is y. */
static inline float rg_cbrt_f32(float x, int32_t *rare)
{
    (void)rare;
    float size = __builtin_fabsf(x);
    int small = size < 0x1p-126f;
    float a = small ? size * 0x1p24f : size;
    float third = (float)(int32_t)rg_bits_f32(a) * (1.0f / 3.0f);
    float y = rg_of_bits_f32(RG_CBRT_F32 - (uint32_t)(int32_t)third);
    float h = 1.0f - (a * y) * (y * y);
    y += y * h * RG_POLY2(h, rg_cbrt_f32_q);
    float t = rg_upper_f32((a * y) * y);
    float missing = a / (t * t) - t;
    t += missing * (1.0f / 3.0f - (1.0f / 9.0f) * y * missing);
    t *= small ? 0x1p-8f : 1.0f;
    t = size < __builtin_inff() ? t : size;
    return __builtin_copysignf(size == 0.0f ? 0.0f : t, x);
}

static inline double rg_cbrt_f64(double x, int64_t *rare)
{
    (void)rare;
    double size = __builtin_fabs(x);
    int small = size < 0x1p-1022;
    double a = small ? size * 0x1p54 : size;
    double upper = rg_of_bits_f64((rg_bits_f64(a) >> 32) | 0x4330000000000000u) - 0x1p52;
    double y = rg_of_bits_f64(rg_bits_f64((0x1p52 + RG_CBRT_F64) - upper * (1.0 / 3.0)) << 32);
    double h = 1.0 - (a * y) * (y * y);
    y += y * h * RG_POLY5(h, rg_cbrt_f64_q);
    double t = rg_upper_f64((a * y) * y);
    double missing = a / (t * t) - t;
    t += missing * (1.0 / 3.0 - (1.0 / 9.0) * y * missing);
    t *= small ? 0x1p-18 : 1.0;
    t = size < __builtin_inf() ? t : size;
    return __builtin_copysign(size == 0.0 ? 0.0 : t, x);
}

/* sqrt(x^2 + y^2), of numbers that are multiplied by a power of 2 so that the larger is between 1 and 4. It is
   infinite where either is, even beside a NaN. */
static inline float rg_hypot_f32(float x, float y, int32_t *rare)
{
    (void)rare;
    float a = __builtin_fabsf(x), b = __builtin_fabsf(y), larger = a > b ? a : b;
    float power = larger > 0x1p126f ? 0x1p126f : larger;
    power = rg_of_bits_f32(rg_bits_f32(power < 0x1p-126f ? 0x1p-126f : power) & 0x7f800000u);
    float inverse = rg_of_bits_f32((254u << 23) - rg_bits_f32(power));
    float z = __builtin_sqrtf((a * inverse) * (a * inverse) + (b * inverse) * (b * inverse)) * power;
    return ((a == __builtin_inff()) | (b == __builtin_inff())) ? __builtin_inff() : z;
}

static inline double rg_hypot_f64(double x, double y, int64_t *rare)
{
    (void)rare;
    double a = __builtin_fabs(x), b = __builtin_fabs(y), larger = a > b ? a : b;
    double power = larger > 0x1p1022 ? 0x1p1022 : larger;
    power = rg_of_bits_f64(rg_bits_f64(power < 0x1p-1022 ? 0x1p-1022 : power) & 0x7ff0000000000000u);
    double inverse = rg_of_bits_f64(((uint64_t)2046 << 52) - rg_bits_f64(power));
    double z = __builtin_sqrt((a * inverse) * (a * inverse) + (b * inverse) * (b * inverse)) * power;
    return ((a == __builtin_inf()) | (b == __builtin_inf())) ? __builtin_inf() : z;
}

/* `power`, which is |x|^y, with the sign of x^y, or NaN where x is negative and y is no integer: C, F.10.4.4. `far`
   is how far y is from an even integer, so 1 where y is odd. The sum that rounds half of y holds below 2^23, or 2^52;
   above that y is even. */
static inline float rg_pow_signed_f32(float x, float y, float power)
{
    float b = __builtin_fabsf(y);
    b = b > 0x1p24f ? 0x1p24f : b;
    float far = __builtin_fabsf(b - 2.0f * ((0.5f * b + 0x1p23f) - 0x1p23f));
    float result = far == 1.0f ? __builtin_copysignf(power, x) : power;
    float finite = far * (1.0f - far) == 0.0f ? result : __builtin_nanf("");
    return x < 0.0f ? (x > -__builtin_inff() ? finite : result) : result;
}

static inline double rg_pow_signed_f64(double x, double y, double power)
{
    double b = __builtin_fabs(y);
    b = b > 0x1p53 ? 0x1p53 : b;
    double far = __builtin_fabs(b - 2.0 * ((0.5 * b + 0x1p52) - 0x1p52));
    double result = far == 1.0 ? __builtin_copysign(power, x) : power;
    double finite = far * (1.0 - far) == 0.0 ? result : __builtin_nan("");
    return x < 0.0 ? (x > -__builtin_inf() ? finite : result) : result;
}

/* x^y = 2^(y log2(|x|)), in double, where log2 has some digits more than float has for numbers as large as 150. x^0
   and 1^y are 1 even for a NaN: 1 in place of that x, and 0 in place of that y, make it so. */
static inline float rg_pow_f32(float x, float y, int32_t *rare)
{
    (void)rare;
    float size = __builtin_fabsf(x);
    double a = y == 0.0f ? 1.0f : size, b = size == 1.0f ? 0.0f : y;
    rg_split_f64 split = rg_split_bits_f64(rg_shifted_bits_f64(a), 1023.0);
    double f = split.f, rest = f * f * (f * RG_POLY9(f, rg_log_wide_q) - 0.5);
    double log2 = split.e + (f + rest) * RG_LOG2E_F64;
    log2 = a < __builtin_inf() ? log2 : a;
    log2 = a == 0.0 ? -__builtin_inf() : log2;
    double exponent = b * log2, power = rg_exp2_wide(exponent);
    power = exponent > 200.0 ? __builtin_inf() : power;
    power = exponent < -200.0 ? 0.0 : power;
    return rg_pow_signed_f32(x, y, (float)power);
}

/* 2/3 in two pieces. */
#define RG_TWO_THIRDS 0x1.5555555555555p-1
#define RG_TWO_THIRDS_LOW 0x1.5555555555555p-55

/* log(x) to about 66 digits of base 2 for positive finite x. With s = f / (2 + f) it is e log(2) + 2 s + s^3 (2/3 +
   ...), where what is not small enough to be rounded is the sum of two numbers. */
static inline rg_double_f64 rg_log_double_f64(double x)
{
    rg_split_f64 split = rg_split_f64_of(x);
    double f = split.f, sum = 2.0 + f, inverse = 1.0 / sum;

    double s = f * inverse;
    rg_double_f64 back = rg_product_f64(s, sum);
    double s_low = (((f - back.high) - back.low) - s * (f - (sum - 2.0))) * inverse;

    rg_double_f64 square = rg_product_f64(s, s);
    square.low += 2.0 * s * s_low;
    rg_double_f64 cube = rg_product_f64(s, square.high);
    cube.low += s * square.low + s_low * square.high;

    double part = square.high * RG_POLY6(square.high, rg_pow_f64_q), factor = RG_TWO_THIRDS + part;
    double factor_low = ((RG_TWO_THIRDS - factor) + part) + RG_TWO_THIRDS_LOW;
    rg_double_f64 rest = rg_product_f64(cube.high, factor);
    rest.low += cube.high * factor_low + cube.low * factor;

    double small = 2.0 * s + rest.high;
    double small_low = ((2.0 * s - small) + rest.high) + (2.0 * s_low + rest.low);
    double large = split.e * RG_LN2_F64, log = large + small;
    return (rg_double_f64){log, ((large - log) + small) + (small_low + split.e * RG_LN2_LOW_F64)};
}

/* x^y = exp(y log(|x|)), where the logarithm and its product with y are sums of two numbers. */
static inline double rg_pow_f64(double x, double y, int64_t *rare)
{
    (void)rare;
    double size = __builtin_fabs(x), a = y == 0.0 ? 1.0 : size, b = size == 1.0 ? 0.0 : y;
    rg_double_f64 log = rg_log_double_f64(a);
    log.high = a < __builtin_inf() ? log.high : a;
    log.high = a == 0.0 ? -__builtin_inf() : log.high;
    rg_double_f64 exponent = rg_product_f64(b, log.high);
    exponent.low += b * log.low;

    int small = exponent.high < -707.0;
    rg_reduced_f64 to = rg_reduce_exp_f64(exponent.high, 1022.0);
    to.low -= exponent.low;
    to.r = to.high - to.low;
    double scale = rg_power_of_2_f64(to.shifted + (small ? 512.0 : 0.0));
    double power = ((1.0 + rg_small_expm1_f64(to)) * scale) * (small ? 0x1p-511 : 2.0);
    power = exponent.high > 710.0 ? __builtin_inf() : power;
    power = exponent.high < -746.0 ? 0.0 : power;
    return rg_pow_signed_f64(x, y, power);
}

#endif
