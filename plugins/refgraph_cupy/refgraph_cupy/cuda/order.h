// The order of sorting, of all dtypes: NaN comes after all numbers; complex numbers go by their real part, then by their
// imaginary part.

namespace rg {
template <typename T> RG_DEVICE bool precedes(T x, T y) { return x < y; }
RG_DEVICE bool precedes(float32 x, float32 y) { return x < y || (y != y && x == x); }
RG_DEVICE bool precedes(float64 x, float64 y) { return x < y || (y != y && x == x); }

template <typename T> RG_DEVICE bool is_nan(T x) { return x != x; }

#ifdef RG_HALF
RG_DEVICE bool precedes(float16 x, float16 y) { return precedes((float32)x, (float32)y); }
RG_DEVICE bool is_nan(float16 x) { return is_nan((float32)x); }
#endif

#ifdef RG_COMPLEX
#define RG_ORDER_OF_COMPLEX(T)                                                                                         \
    RG_DEVICE bool is_nan(T x) { return is_nan(x.real()) || is_nan(x.imag()); }                                        \
    RG_DEVICE bool precedes(T x, T y) {                                                                                \
        if (x.real() < y.real())                                                                                       \
            return !is_nan(x.imag()) || is_nan(y.imag());                                                              \
        if (x.real() > y.real())                                                                                       \
            return is_nan(y.imag()) && !is_nan(x.imag());                                                              \
        if (x.real() == y.real() || (is_nan(x.real()) && is_nan(y.real())))                                            \
            return precedes(x.imag(), y.imag());                                                                       \
        return is_nan(y.real());                                                                                       \
    }
RG_ORDER_OF_COMPLEX(complex64)
RG_ORDER_OF_COMPLEX(complex128)
#endif
} // namespace rg
