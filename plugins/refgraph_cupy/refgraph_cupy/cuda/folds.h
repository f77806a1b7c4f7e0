// Folds: how a reduction takes elements, one after the other, and joins what threads have taken.
//
// `begin` holds nothing, `take` takes an element at a position, `join` another fold of later or of interleaved elements,
// and `done` is the result of n elements. Results depend on the shape alone, not on which thread is first.

namespace rg {
namespace folds {

#define RG_FOLD(name, start, taken)                                                                                    \
    template <typename A> struct name {                                                                                \
        A a;                                                                                                           \
        __device__ void begin() { a = start; }                                                                         \
        __device__ void take(A x, int64) { a = taken; }                                                                \
        __device__ void join(const name &other) {                                                                      \
            const A x = other.a;                                                                                       \
            a = taken;                                                                                                 \
        }                                                                                                              \
        __device__ A done(int64) const { return a; }                                                                   \
    };
RG_FOLD(Sum, A(0), A(a + x))
RG_FOLD(Prod, A(1), A(a * x))
RG_FOLD(All, A(1), A(a && x))
RG_FOLD(Any, A(0), A(a || x))
RG_FOLD(And, A(-1), A(a & x))
RG_FOLD(Or, A(0), A(a | x))
RG_FOLD(Xor, A(0), A(a ^ x))

// The root of a sum, and the sum over the number of elements.
template <typename A> struct Root : Sum<A> {
    __device__ A done(int64) const { return ::sqrt(this->a); }
};
template <typename A> struct Mean : Sum<A> {
    __device__ A done(int64 n) const { return this->a / A((float64)n); }
};

// The first of the best: NaN is better than all else, as in NumPy.
template <typename A, bool Greatest> struct Best {
    A a;
    int64 at; // -1 where there is none yet
    __device__ void begin() { a = A(0), at = -1; }
    __device__ void take(A x, int64 position) {
        const bool nan = x != x, has_nan = a != a;
        const bool better = at < 0 || (nan && !has_nan) || (!has_nan && (Greatest ? x > a : x < a));
        const bool earlier = position < at && (x == a || (nan && has_nan));
        if (better || earlier)
            a = x, at = position;
    }
    __device__ void join(const Best &other) {
        if (other.at >= 0)
            take(other.a, other.at);
    }
    __device__ A done(int64) const { return a; }
};
template <typename A> using Max = Best<A, true>;
template <typename A> using Min = Best<A, false>;
template <typename A> struct ArgMax : Best<A, true> {
    __device__ int64 done(int64) const { return this->at; }
};
template <typename A> struct ArgMin : Best<A, false> {
    __device__ int64 done(int64) const { return this->at; }
};

// log(sum(exp(x))): the greatest element, and the sum of exp(x - greatest).
template <typename A> struct LogSumExp {
    A greatest, sum;
    __device__ void begin() { greatest = -INFINITY, sum = 0; }
    __device__ void add(A x, A weight) {
        if (x == greatest)
            sum += weight;
        else if (x > greatest)
            sum = sum * ::exp(greatest - x) + weight, greatest = x;
        else
            sum += weight * ::exp(x - greatest); // NaN, where x is
    }
    __device__ void take(A x, int64) { add(x, 1); }
    __device__ void join(const LogSumExp &other) {
        if (other.sum != 0)
            add(other.greatest, other.sum);
    }
    __device__ A done(int64) const { return greatest + ::log(sum); }
};

} // namespace folds
} // namespace rg
