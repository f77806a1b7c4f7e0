// Complex numbers as NumPy has them, where CuPy's (cupy/complex.cuh) mean something else or are less exact.
//
// What is here is chosen before what CuPy's headers have: it is for these very types, that is a template.

typedef complex<float> complex64;
typedef complex<double> complex128;

namespace rg {
// These have names in this namespace now, which would hide C's.
using ::exp2;
using ::expm1;
using ::log10;
using ::log1p;
using ::log2;

#define RG_OF_COMPLEX(T, R)                                                                                            \
    RG_DEVICE R fabs(T x) { return ::hypot(x.real(), x.imag()); }                                                      \
    RG_DEVICE R creal(T x) { return x.real(); }                                                                        \
    RG_DEVICE R cimag(T x) { return x.imag(); }                                                                        \
    RG_DEVICE R carg(T x) { return ::atan2(x.imag(), x.real()); }                                                      \
    RG_DEVICE T conj(T x) { return T(x.real(), -x.imag()); }                                                           \
    RG_DEVICE bool isnan(T x) { return isnan(x.real()) || isnan(x.imag()); }                                           \
    RG_DEVICE bool isinf(T x) { return isinf(x.real()) || isinf(x.imag()); }                                           \
    RG_DEVICE bool isfinite(T x) { return isfinite(x.real()) && isfinite(x.imag()); }                                  \
    RG_DEVICE T rint(T x) { return T(::rint(x.real()), ::rint(x.imag())); }                                            \
                                                                                                                       \
    /* The order is that of real parts, then of imaginary ones; NaN has none. */                                       \
    RG_DEVICE bool operator<(T x, T y) {                                                                               \
        return (x.real() < y.real() && !isnan(x.imag()) && !isnan(y.imag())) ||                                        \
               (x.real() == y.real() && x.imag() < y.imag());                                                          \
    }                                                                                                                  \
    RG_DEVICE bool operator<=(T x, T y) {                                                                              \
        return (x.real() < y.real() && !isnan(x.imag()) && !isnan(y.imag())) ||                                        \
               (x.real() == y.real() && x.imag() <= y.imag());                                                         \
    }                                                                                                                  \
    RG_DEVICE bool operator>(T x, T y) { return y < x; }                                                               \
    RG_DEVICE bool operator>=(T x, T y) { return y <= x; }                                                             \
    RG_DEVICE T fmax(T x, T y) { return isnan(y) || x >= y ? x : y; }                                                  \
    RG_DEVICE T fmin(T x, T y) { return isnan(y) || x <= y ? x : y; }                                                  \
                                                                                                                       \
    /* R. L. Smith, "Algorithm 116: Complex division", 1962. */                                                        \
    RG_DEVICE T operator/(T x, T y) {                                                                                  \
        const R a = fabs(y.real()), b = fabs(y.imag());                                                                \
        if (a >= b) {                                                                                                  \
            if (a == 0 && b == 0)                                                                                      \
                return T(x.real() / a, x.imag() / a);                                                                  \
            const R ratio = y.imag() / y.real(), scale = R(1) / (y.real() + y.imag() * ratio);                         \
            return T((x.real() + x.imag() * ratio) * scale, (x.imag() - x.real() * ratio) * scale);                    \
        }                                                                                                              \
        const R ratio = y.real() / y.imag(), scale = R(1) / (y.imag() + y.real() * ratio);                             \
        return T((x.real() * ratio + x.imag()) * scale, (x.imag() * ratio - x.real()) * scale);                        \
    }                                                                                                                  \
    RG_DEVICE T reciprocal(T x) {                                                                                      \
        if (fabs(x.imag()) <= fabs(x.real())) {                                                                        \
            const R ratio = x.imag() / x.real(), d = x.real() + x.imag() * ratio;                                      \
            return T(R(1) / d, -ratio / d);                                                                            \
        }                                                                                                              \
        const R ratio = x.real() / x.imag(), d = x.real() * ratio + x.imag();                                          \
        return T(ratio / d, R(-1) / d);                                                                                \
    }                                                                                                                  \
                                                                                                                       \
    /* x / |x|: 0 of 0, and of infinite numbers with one infinite part the direction of that. */                       \
    RG_DEVICE T sign(T x) {                                                                                            \
        if (isnan(x) || (isinf(x.real()) && isinf(x.imag())))                                                          \
            return T(NAN, NAN);                                                                                        \
        if (isinf(x.real()))                                                                                           \
            return T(x.real() > 0 ? 1 : -1, 0);                                                                        \
        if (isinf(x.imag()))                                                                                           \
            return T(0, x.imag() > 0 ? 1 : -1);                                                                        \
        const R length = fabs(x);                                                                                      \
        return length == 0 ? T(0, 0) : T(x.real() / length, x.imag() / length);                                        \
    }                                                                                                                  \
                                                                                                                       \
    RG_DEVICE T exp2(T x) { return ::exp(x * T(R(0.69314718055994530942))); }                                          \
    RG_DEVICE T expm1(T x) {                                                                                           \
        const R half = ::sin(x.imag() / 2);                                                                            \
        return T(::expm1(x.real()) * ::cos(x.imag()) - 2 * half * half, ::exp(x.real()) * ::sin(x.imag()));            \
    }                                                                                                                  \
    RG_DEVICE T scaled_log(T x, R by) {                                                                                \
        const T z = ::log(x);                                                                                          \
        return T(z.real() * by, z.imag() * by);                                                                        \
    }                                                                                                                  \
    RG_DEVICE T log2(T x) { return scaled_log(x, R(1.44269504088896340736)); }                                         \
    RG_DEVICE T log10(T x) { return scaled_log(x, R(0.43429448190325182765)); }                                        \
    RG_DEVICE T log1p(T x) {                                                                                           \
        return T(::log(::hypot(x.real() + 1, x.imag())), ::atan2(x.imag(), x.real() + 1));                             \
    }                                                                                                                  \
    template <> RG_SPECIAL bool as<bool, T>(T x) { return x.real() != 0 || x.imag() != 0; }
RG_OF_COMPLEX(complex64, float32)
RG_OF_COMPLEX(complex128, float64)

RG_DEVICE float64 squared(complex128 x) { return x.real() * x.real() + x.imag() * x.imag(); }
} // namespace rg
