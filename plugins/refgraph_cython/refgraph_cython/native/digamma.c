/* The digamma function psi of negative numbers, where it is a difference of two numbers that are nearly equal around its
   zeros: in pairs of doubles, so that the digits are kept there.

   (T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18, 1971.) */
#include "digamma.h"

#include <math.h>

/* high + low, where low is less than half a unit in the last place of high. */
typedef struct {
    double high, low;
} pair;

/* Printed by tools/fit_digamma.py. */
static const pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
static const pair pi_squared = {0x1.3bd3cc9be45dep+3, 0x1.692b71366cc04p-51};

/* B(2k) / (2k), k = 1, 2, ... */
static const pair bernoulli[17] = {
    {0x1.5555555555555p-4, 0x1.5555555555555p-58},
    {-0x1.1111111111111p-7, -0x1.1111111111111p-63},
    {0x1.0410410410410p-8, 0x1.0410410410410p-62},
    {-0x1.1111111111111p-8, -0x1.1111111111111p-64},
    {0x1.f07c1f07c1f08p-8, -0x1.f07c1f07c1f08p-63},
    {-0x1.5995995995996p-6, 0x1.9a99a99a99a9ap-60},
    {0x1.5555555555555p-4, 0x1.5555555555555p-58},
    {-0x1.c5e5e5e5e5e5ep-2, -0x1.7979797979798p-56},
    {0x1.86e7f9b9fe6e8p+1, -0x1.9180646019180p-57},
    {-0x1.a74ca514ca515p+4, 0x1.ad759ad759ad7p-51},
    {0x1.1975cc0ed7304p+8, -0x1.28cfc4a33f129p-46},
    {-0x1.c2f0566566566p+11, -0x1.5995995995996p-43},
    {0x1.ac572aaaaaaabp+15, -0x1.5555555555555p-39},
    {-0x1.dc0b1a5cfbe16p+19, -0x1.73ef85973ef86p-35},
    {0x1.31fad7cbf3c00p+24, -0x1.e8188007a0620p-31},
    {-0x1.c280563b8bcbdp+28, 0x1.0d0d0d0d0d0d1p-26},
    {0x1.7892edfdf5555p+33, 0x1.5555555555555p-21},
};

/* 2 zeta(2k), k = 1, 2, ... */
static const pair zeta[26] = {
    {0x1.a51a6625307d3p+1, 0x1.1873d8912200cp-54},
    {0x1.151322ac7d848p+1, 0x1.b5f91211196e5p-54},
    {0x1.0470984c09245p+1, -0x1.c209343d2bfc4p-53},
    {0x1.010b36af86397p+1, -0x1.741a635b224a6p-55},
    {0x1.00412e33a5bb9p+1, 0x1.f86047cc150c0p-53},
    {0x1.001020a5b2cd3p+1, 0x1.066e420bc2e16p-57},
    {0x1.00040392bcad4p+1, -0x1.ea9e1e7bc7595p-53},
    {0x1.00010064cdeb2p+1, 0x1.7879d0156affep-54},
    {0x1.0000400b2654ep+1, -0x1.7668daca3c667p-54},
    {0x1.000010013c594p+1, 0x1.19ba621f86dedp-53},
    {0x1.000004002319bp+1, 0x1.d8ef97539f490p-54},
    {0x1.0000010003e5ap+1, -0x1.0f704af898ebap-62},
    {0x1.00000040006edp+1, -0x1.d2664cdfcc62cp-54},
    {0x1.00000010000c5p+1, -0x1.2fa51d46ae36ep-55},
    {0x1.0000000400016p+1, -0x1.f554507aa9318p-55},
    {0x1.0000000100002p+1, 0x1.b8fd913d3546ap-53},
    {0x1.0000000040000p+1, 0x1.148ad65290e5ap-53},
    {0x1.0000000010000p+1, 0x1.eb9e5ffb2f6bep-57},
    {0x1.0000000004000p+1, 0x1.b4fcffcb3e803p-60},
    {0x1.0000000001000p+1, 0x1.846e5516ef4d6p-63},
    {0x1.0000000000400p+1, 0x1.59453d64c2971p-66},
    {0x1.0000000000100p+1, 0x1.32e804c9c1701p-69},
    {0x1.0000000000040p+1, 0x1.10ce24410d8a0p-72},
    {0x1.0000000000010p+1, 0x1.e4fc9956e1593p-76},
    {0x1.0000000000004p+1, 0x1.af195f6991412p-79},
    {0x1.0000000000001p+1, 0x1.7f32f9415c27ep-82},
};

static pair tidy(double high, double low) {
    double sum = high + low;
    return (pair){sum, low - (sum - high)};
}

static pair sum_of(double a, double b) {
    double sum = a + b, back = sum - a;
    return (pair){sum, (a - (sum - back)) + (b - back)};
}

static pair add(pair a, pair b) {
    pair sum = sum_of(a.high, b.high), rest = sum_of(a.low, b.low);
    sum = tidy(sum.high, sum.low + rest.high);
    return tidy(sum.high, sum.low + rest.low);
}

static pair negative(pair a) {
    return (pair){-a.high, -a.low};
}

/* The product of the upper parts is rounded by fma, too: else compilers might contract it into a sum that it goes to. */
static pair times(pair a, pair b) {
    double high = fma(a.high, b.high, 0.0), low = fma(a.high, b.high, -high);
    return tidy(high, low + (a.high * b.low + a.low * b.high));
}

static pair over(pair a, pair b) {
    double first = a.high / b.high;
    pair rest = add(a, negative(times(b, (pair){first, 0})));
    double second = rest.high / b.high;
    rest = add(rest, negative(times(b, (pair){second, 0})));
    pair quotient = tidy(first, second);
    return add(quotient, (pair){rest.high / b.high, 0});
}

static pair whole(double a) {
    return (pair){a, 0};
}

/* The sum of n coefficients times powers of z; of those from `paired` on, the powers are so small that doubles do. */
static pair polynomial(const pair *coefficients, int n, int paired, pair z) {
    double small = 0;
    for (int k = n - 1; k >= paired; k--)
        small = small * z.high + coefficients[k].high;
    pair total = whole(small);
    for (int k = paired - 1; k >= 0; k--)
        total = add(times(total, z), coefficients[k]);
    return total;
}

/* log(u): of the power of 2 nearest to u, and 2 artanh(s) with s = (m - 1) / (m + 1) for the rest m. */
static pair log_of(pair u) {
    int e;
    double m = frexp(u.high, &e);
    e -= m < 0.70710678118654752;
    u = (pair){ldexp(u.high, -e), ldexp(u.low, -e)};
    pair s = over(add(u, whole(-1)), add(u, whole(1))), z = times(s, s);
    double small = 0;
    for (int k = 22; k > 10; k--)
        small = small * z.high + 1.0 / (2 * k + 1);
    pair series = whole(small);
    for (int k = 10; k >= 0; k--)
        series = add(times(series, z), over(whole(1), whole(2 * k + 1)));
    return add(times(times(whole(2), s), series), times(whole(e), ln2));
}

/* psi(u) for u >= 1: by DLMF 5.5.2 of what is at least 16, and by DLMF 5.11.2 there. */
static pair right_of(pair u) {
    pair passed = whole(0);
    for (; u.high < 16; u = add(u, whole(1)))
        passed = add(passed, over(whole(1), u));
    pair t = over(whole(1), u), z = times(t, t);
    pair series = times(z, polynomial(bernoulli, sizeof bernoulli / sizeof *bernoulli, 6, z));
    pair half = (pair){0.5 * t.high, 0.5 * t.low};
    return add(log_of(u), negative(add(add(half, series), passed)));
}

/* pi cot(pi q) for 0 < q <= 1/4: 1 / q less a series in powers of q (DLMF 4.19.6, 25.6.2). */
static pair cot_of(double q) {
    pair z = times(whole(q), whole(q));
    pair series = polynomial(zeta, sizeof zeta / sizeof *zeta, 13, z);
    return add(over(whole(1), whole(q)), negative(times(whole(q), series)));
}

double rg_digamma_left(double x) {
    double r = x - rint(x), q = fabs(r);
    if (q == 0)
        return NAN;
    pair cot = q <= 0.25 ? cot_of(q) : q < 0.5 ? over(pi_squared, cot_of(0.5 - q)) : whole(0);
    pair y = add(right_of(sum_of(1, -x)), r < 0 ? cot : negative(cot));
    return y.high + y.low;
}
