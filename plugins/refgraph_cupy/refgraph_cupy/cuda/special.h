// What special functions are written in: complex numbers in the type that xsf has for them, on the device and the host.

namespace rg {
namespace special {
typedef std::complex<double> Complex;
RG_DEVICE Complex given(complex128 z) { return Complex(z.real(), z.imag()); }
RG_DEVICE complex128 found(Complex z) { return complex128(z.real(), z.imag()); }

// Bessel functions of order 0 and 1, J or (`second`) Y, at x > 25: Hankel's expansion, DLMF 10.17.3 and 10.17.4. The
// phase is rounded as SciPy (to 1.17) rounds it, which is felt where x is huge.
RG_CALLED float64 hankel(int order, bool second, float64 x) {
    float64 p = 1, q = 0, term = 1;
    for (int k = 1; k <= 24 && ::fabs(term) > 1e-18; k++) {
        term *= (4 * order - (2 * k - 1) * (2 * k - 1)) / (8 * k * x);
        (k & 1 ? q : p) += (k & 2) ? -term : term; // signs + - - +
    }
    const float64 phase = x - (2 * order + 1) * 0.78539816339744830962, c = ::cos(phase), s = ::sin(phase);
    return (second ? p * s + q * c : p * c - q * s) / ::sqrt(1.57079632679489661923 * x);
}

// Spherical Bessel functions of the first kind: downward by DLMF 10.51.1 from where the ratio of neighbours is known as
// a continued fraction (W. Lentz, 1976), to order 0 or 1, whichever is larger.
RG_CALLED float64 spherical(float64 order, float64 x) {
    if (order < 0 || x != x)
        return NAN;
    if (x == 0 || x - x != 0)
        return x == 0 && order == 0 ? 1 : 0;
    const float64 first = ::sin(x) / x;
    if (order == 0)
        return first;
    if (::fabs(x) < 8.7e-309) // so has SciPy, whose factor 1 / x overflows
        return NAN;
    if (::fabs(x) > order) { // upward is stable
        float64 before = first, z = (first - ::cos(x)) / x;
        for (float64 n = 1; n < order; n++) {
            const float64 next = (2 * n + 1) * z / x - before;
            before = z, z = next;
        }
        return z;
    }
    float64 f = (2 * order + 3) / x, c = f, d = 0;
    for (float64 n = order + 2; n < order + 1000; n++) {
        const float64 b = (2 * n + 1) / x;
        d = 1 / (b - d), c = b - 1 / c;
        f *= c * d;
        if (::fabs(c * d - 1) < 1e-16)
            break;
    }
    float64 z = 1e-250, after = z / f;
    for (float64 n = order; n > 0; n--) {
        const float64 before = (2 * n + 1) / x * z - after;
        after = z, z = before;
    }
    if (::fabs(z) >= ::fabs(after))
        return 1e-250 / z * first;
    return 1e-250 / after * ((first - ::cos(x)) / x);
}
} // namespace special
} // namespace rg
