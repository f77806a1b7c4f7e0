// What the bodies of kernels are written in: the dtypes under NumPy's names, and functions of all of them.
//
// The texts of refgraph's rows are C; where a function of C's means something of integers, bools or complex numbers as
// well, NumPy's meaning of it is here. The compiler picks by dtype.

typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long long int64;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;
typedef float float32;
typedef double float64;

#define RG_DEVICE static __device__ __forceinline__
#define RG_SPECIAL __device__ __forceinline__
#define RG_CALLED static __device__ __noinline__

// Neighbours in memory that are moved as one.
template <typename T, int N> struct alignas(sizeof(T) * N) Lanes {
    T at[N];
};

// --- functions of C's, of other dtypes than C has them for

#define RG_INTEGERS(DO) DO(bool) DO(int8) DO(int16) DO(int32) DO(int64) DO(uint8) DO(uint16) DO(uint32) DO(uint64)

#define RG_OF_INTEGERS(T)                                                                                              \
    RG_DEVICE T fabs(T x) { return x < T(0) ? T(0 - x) : x; }                                                          \
    RG_DEVICE T floor(T x) { return x; }                                                                               \
    RG_DEVICE T ceil(T x) { return x; }                                                                                \
    RG_DEVICE T trunc(T x) { return x; }                                                                               \
    RG_DEVICE T rint(T x) { return x; }                                                                                \
    RG_DEVICE T round(T x) { return x; }                                                                               \
    RG_DEVICE bool isnan(T) { return false; }                                                                          \
    RG_DEVICE bool isinf(T) { return false; }                                                                          \
    RG_DEVICE bool isfinite(T) { return true; }                                                                        \
    RG_DEVICE bool signbit(T x) { return x < T(0); }                                                                   \
    RG_DEVICE T fmax(T x, T y) { return x >= y ? x : y; }                                                              \
    RG_DEVICE T fmin(T x, T y) { return x <= y ? x : y; }                                                              \
    RG_DEVICE T creal(T x) { return x; }                                                                               \
    RG_DEVICE T cimag(T) { return T(0); }                                                                              \
    RG_DEVICE T conj(T x) { return x; }

namespace rg {
RG_INTEGERS(RG_OF_INTEGERS)

#define RG_OF_REALS(T)                                                                                                 \
    RG_DEVICE T fabs(T x) { return ::fabs(x); }                                                                        \
    RG_DEVICE T floor(T x) { return ::floor(x); }                                                                      \
    RG_DEVICE T ceil(T x) { return ::ceil(x); }                                                                        \
    RG_DEVICE T trunc(T x) { return ::trunc(x); }                                                                      \
    RG_DEVICE T rint(T x) { return ::rint(x); }                                                                        \
    RG_DEVICE T round(T x) { return ::round(x); }                                                                      \
    RG_DEVICE bool isnan(T x) { return x != x; }                                                                       \
    RG_DEVICE bool isinf(T x) { return x - x != 0 && x == x; }                                                         \
    RG_DEVICE bool isfinite(T x) { return x - x == 0; }                                                                \
    RG_DEVICE bool signbit(T x) { return RG_SIGNBIT(x); }                                                              \
    RG_DEVICE T fmax(T x, T y) { return x >= y || y != y ? x : y; }                                                    \
    RG_DEVICE T fmin(T x, T y) { return x <= y || y != y ? x : y; }                                                    \
    RG_DEVICE T creal(T x) { return x; }                                                                               \
    RG_DEVICE T cimag(T) { return 0; }                                                                                 \
    RG_DEVICE T conj(T x) { return x; }                                                                                \
    RG_DEVICE T carg(T x) { return ::atan2(T(0), x); }
RG_OF_REALS(float32)
RG_OF_REALS(float64)

// --- what rows mean that have no text in C

// NumPy's remainder has the sign of the divisor, and its quotient is rounded down; of integers both are 0 of 0.
#define RG_DIVISIONS(T)                                                                                                \
    RG_DEVICE T mod(T x, T y) {                                                                                        \
        if (y == 0 || y == T(-1))                                                                                      \
            return 0;                                                                                                  \
        T r = x % y;                                                                                                   \
        return r != 0 && (r < 0) != (y < 0) ? T(r + y) : r;                                                            \
    }                                                                                                                  \
    RG_DEVICE T floor_div(T x, T y) {                                                                                  \
        if (y == 0)                                                                                                    \
            return 0;                                                                                                  \
        if (y == T(-1) && T(-1) < T(0))                                                                                \
            return T(0 - x);                                                                                           \
        T q = x / y;                                                                                                   \
        return x % y != 0 && (x < 0) != (y < 0) ? T(q - 1) : q;                                                        \
    }                                                                                                                  \
    RG_DEVICE T fmod(T x, T y) { return y == 0 || (y == T(-1) && T(-1) < T(0)) ? T(0) : T(x % y); }
RG_DIVISIONS(int8)
RG_DIVISIONS(int16)
RG_DIVISIONS(int32)
RG_DIVISIONS(int64)

#define RG_DIVISIONS_OF_UNSIGNED(T)                                                                                    \
    RG_DEVICE T mod(T x, T y) { return y == 0 ? T(0) : T(x % y); }                                                     \
    RG_DEVICE T floor_div(T x, T y) { return y == 0 ? T(0) : T(x / y); }                                               \
    RG_DEVICE T fmod(T x, T y) { return y == 0 ? T(0) : T(x % y); }
RG_DIVISIONS_OF_UNSIGNED(uint8)
RG_DIVISIONS_OF_UNSIGNED(uint16)
RG_DIVISIONS_OF_UNSIGNED(uint32)
RG_DIVISIONS_OF_UNSIGNED(uint64)

#define RG_DIVISIONS_OF_REALS(T)                                                                                       \
    RG_DEVICE T fmod(T x, T y) { return ::fmod(x, y); }                                                                \
    RG_DEVICE T mod(T x, T y) {                                                                                        \
        T r = ::fmod(x, y);                                                                                            \
        if (y == 0)                                                                                                    \
            return r;                                                                                                  \
        if (r == 0)                                                                                                    \
            return ::copysign(T(0), y);                                                                                \
        return (y < 0) != (r < 0) ? r + y : r;                                                                         \
    }                                                                                                                  \
    RG_DEVICE T floor_div(T x, T y) {                                                                                  \
        if (y == 0)                                                                                                    \
            return x / y;                                                                                              \
        T r = ::fmod(x, y), q = (x - r) / y;                                                                           \
        if (r != 0 && (y < 0) != (r < 0))                                                                              \
            q -= 1;                                                                                                    \
        if (q == 0)                                                                                                    \
            return ::copysign(T(0), x / y);                                                                            \
        T z = ::floor(q);                                                                                              \
        return q - z > T(0.5) ? z + 1 : z;                                                                             \
    }
RG_DIVISIONS_OF_REALS(float32)
RG_DIVISIONS_OF_REALS(float64)

template <typename T> RG_DEVICE T reciprocal(T x) { return x == T(0) ? T(0) : T(T(1) / x); }

// Euclid's (Knuth, The Art of Computer Programming 2, 4.5.2).
template <typename T> RG_DEVICE T gcd(T x, T y) {
    x = fabs(x), y = fabs(y);
    while (y != 0) {
        T r = x % y;
        x = y, y = r;
    }
    return x;
}
template <typename T> RG_DEVICE T lcm(T x, T y) {
    T d = gcd(x, y);
    return d == 0 ? T(0) : fabs(T(x / d * y));
}

template <typename T> RG_DEVICE uint8 bitwise_count(T x) {
    uint64 bits = (uint64)fabs(x);
    uint8 n = 0;
    for (; bits; bits &= bits - 1)
        n++;
    return n;
}

// x to the power y, y >= 0, by squaring (Knuth 2, 4.6.3); it wraps.
template <typename T> RG_DEVICE T power(T x, T y) {
    uint64 z = 1, b = (uint64)x, n = (uint64)y;
    for (; n; n >>= 1, b *= b)
        z = n & 1 ? z * b : z;
    return (T)z;
}

// The standard normal distribution, of erfc(-x / sqrt(2)) / 2 and, far left, what the rounding of its argument makes of
// it: with t = x / sqrt(2), which is rounded by d, it is erfc(-t) (1 - 2 t d) / 2.
RG_DEVICE float32 ndtr(float32 x) {
    const float32 ratio = 0.70710676908493042f, t = x * ratio, half = 0.5f * ::erfcf(-t);
    return t < -1 && half > 0 ? half - 2 * t * (::fmaf(x, ratio, -t) + x * 1.21016172e-8f) * half : half;
}

RG_DEVICE float64 squared(float64 x) { return x * x; }

// x = m 2^e with 1/2 <= |m| < 1.
template <typename T> RG_DEVICE T mantissa(T x) {
    int e;
    return ::frexp(x, &e);
}
template <typename T> RG_DEVICE int32 exponent(T x) {
    int e = 0;
    ::frexp(x, &e);
    return x - x == 0 ? e : 0;
}
template <typename T> RG_DEVICE T scaled(T x, int64 y) {
    return ::ldexp(x, (int)(y < -9999 ? -9999 : y > 9999 ? 9999 : y));
}

RG_DEVICE float32 spacing(float32 x) {
    if (x - x != 0)
        return x - x;
    return x < 0 ? ::nextafterf(x, -INFINITY) - x : ::nextafterf(x, INFINITY) - x;
}
RG_DEVICE float64 spacing(float64 x) {
    if (x - x != 0)
        return x - x;
    return x < 0 ? ::nextafter(x, -(float64)INFINITY) - x : ::nextafter(x, (float64)INFINITY) - x;
}

// --- dtypes as others: what is out of range is cut as x86 does, and so NumPy

template <typename To, typename From> RG_DEVICE To as(From x) { return (To)x; }

template <typename From> RG_DEVICE int64 whole(From x, From low, From high, int64 beyond) {
    return x >= low && x < high ? (int64)x : beyond;
}
#define RG_CUT(T)                                                                                                      \
    template <> RG_SPECIAL int64 as<int64, T>(T x) { \
        return whole<T>(x, T(-0x1p63), T(0x1p63), (int64)(1ull << 63));                                                \
    }                                                                                                                  \
    template <> RG_SPECIAL int32 as<int32, T>(T x) { \
        return (int32)(x > T(-2147483649.0) && x < T(0x1p31) ? (int32)x : (int32)(1u << 31));                          \
    }                                                                                                                  \
    template <> RG_SPECIAL int16 as<int16, T>(T x) { return (int16)as<int32, T>(x); } \
    template <> RG_SPECIAL int8 as<int8, T>(T x) { return (int8)as<int32, T>(x); } \
    template <> RG_SPECIAL uint16 as<uint16, T>(T x) { return (uint16)as<int32, T>(x); } \
    template <> RG_SPECIAL uint8 as<uint8, T>(T x) { return (uint8)as<int32, T>(x); } \
    template <> RG_SPECIAL uint32 as<uint32, T>(T x) { \
        return x >= T(0x1p31) ? (uint32)as<int32, T>(x - T(0x1p31)) ^ (1u << 31) : (uint32)as<int32, T>(x);            \
    }                                                                                                                  \
    template <> RG_SPECIAL uint64 as<uint64, T>(T x) { \
        return x >= T(0x1p63) ? (uint64)as<int64, T>(x - T(0x1p63)) ^ (1ull << 63) : (uint64)as<int64, T>(x);          \
    }                                                                                                                  \
    template <> RG_SPECIAL bool as<bool, T>(T x) { return x != 0; }
RG_CUT(float32)
RG_CUT(float64)

#ifdef RG_HALF
#define RG_FROM_HALF(T)                                                                                                \
    template <> RG_SPECIAL T as<T, float16>(float16 x) { return as<T, float32>((float32)x); }
RG_INTEGERS(RG_FROM_HALF)
#define RG_TO_HALF(T)                                                                                                  \
    template <> RG_SPECIAL float16 as<float16, T>(T x) { return (float16)(float32)x; }
RG_INTEGERS(RG_TO_HALF)

// The next number towards y: numbers of one sign are in the order of their bits.
RG_DEVICE float16 nextafter(float16 x, float16 y) {
    const float32 from = (float32)x, to = (float32)y;
    if (from != from || from == to)
        return from != from ? x : y;
    unsigned short bits;
    memcpy(&bits, &x, 2);
    bits = from == 0 ? (to < 0) << 15 | 1 : (from < to) == (from > 0) ? bits + 1 : bits - 1;
    memcpy(&x, &bits, 2);
    return to != to ? y : x;
}
RG_DEVICE float16 spacing(float16 x) { // upwards, where that of wider numbers is away from 0
    const float32 from = (float32)x;
    if (from - from != 0)
        return (float16)(from - from);
    return (float16)((float32)nextafter(x, (float16)INFINITY) - from);
}
#endif
} // namespace rg
