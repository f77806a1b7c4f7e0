// Counts of a binomial and of a Poisson distribution: refgraph/ops/rejection.py has the formulas and where they are from.
//
// Small means: the distribution function is summed up until it exceeds a uniform number. Others: transformed rejection,
// where attempt a reads the block of the element's number on sheet a.

namespace rg {
struct Source {
    uint64 key, call, number;
    __device__ Words words(uint64 attempt) const { return philox(key, call, on_sheet(number, attempt)); }
    __device__ float64 uniform() const { return unit(words(0).pair(0)); }
};

#define RG_NEGLIGIBLE 0x1p-64
#define RG_SMALL 10.0

static __device__ const float64 stirling_exact[16] = {
    0.08106146679532733,  0.04134069595540946,  0.027677925684997717, 0.02079067210376584,
    0.016644691189820815, 0.013876128823072431, 0.01189670994589287,  0.010411265261973224,
    0.009255462182709007, 0.008330563433359028, 0.007573675487948517, 0.006942840107208692,
    0.00640899418800478,  0.005951370112759147, 0.005554733551965452, 0.005207655919606591};

// log(k!) - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2): NIST DLMF 5.11.1 at k + 1.
RG_DEVICE float64 stirling(float64 k) {
    if (k < 16)
        return stirling_exact[(int)k];
    const float64 z = 1 / (k + 1), z2 = z * z;
    return z * (1.0 / 12 - z2 * (1.0 / 360 - z2 * (1.0 / 1260 - z2 * (1.0 / 1680 - z2 / 1188))));
}

// The logarithm of the probability of k successes among n, over that of m.
RG_DEVICE float64 log_binomial_ratio(float64 k, float64 m, float64 n, float64 p) {
    const float64 d = m - k, above = k + 1, left = n - k + 1;
    const float64 main = (m + 0.5) * ::log1p(d / above) + (n - m + 0.5) * ::log1p(-d / left) +
                         d * ::log(above * (1 - p) / (left * p));
    return main + stirling(m) + stirling(n - m) - stirling(k) - stirling(n - k);
}

RG_DEVICE float64 log_poisson(float64 k, float64 rate) {
    const float64 d = k + 1 - rate;
    return d - k * ::log1p(d / rate) - 0.5 * ::log(6.283185307179586 * (k + 1)) - stirling(k);
}

RG_DEVICE float64 few_successes(float64 n, float64 p, float64 u) {
    const float64 odds = p / (1 - p);
    float64 chance = ::exp(n * ::log1p(-p)), total = chance, x = 0;
    for (;; total += chance, x += 1) {
        chance *= (n > x ? n - x : 0) / (x + 1) * odds;
        if (!(u >= total && chance > RG_NEGLIGIBLE))
            return x;
    }
}

RG_DEVICE float64 few_events(float64 rate, float64 u) {
    float64 chance = ::exp(-rate), total = chance, x = 0;
    for (;; total += chance, x += 1) {
        chance *= rate / (x + 1);
        if (!(u >= total && chance > RG_NEGLIGIBLE))
            return x;
    }
}

// BTRS: n p >= 10, p <= 1/2.
RG_DEVICE float64 many_successes(const Source &source, float64 n, float64 p) {
    const float64 spread = ::sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
    const float64 center = n * p + 0.5, sure = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread;
    const float64 mode = ::floor((n + 1) * p);
    for (uint64 attempt = 0;; attempt++) {
        const Words words = source.words(attempt);
        const float64 u = inside(words.pair(0)) - 0.5, v = inside(words.pair(1)), us = 0.5 - ::fabs(u);
        const float64 k = ::floor((2 * a / us + b) * u + center);
        if (us >= 0.07 && v <= sure)
            return k;
        if (k >= 0 && k <= n && ::log(v * alpha / (a / (us * us) + b)) <= log_binomial_ratio(k, mode, n, p))
            return k;
    }
}

// PTRS: rate >= 10.
RG_DEVICE float64 many_events(const Source &source, float64 rate) {
    const float64 b = 0.931 + 2.53 * ::sqrt(rate), a = -0.059 + 0.02483 * b;
    const float64 alpha = 1.1239 + 1.1328 / (b - 3.4), sure = 0.9277 - 3.6224 / (b - 2);
    for (uint64 attempt = 0;; attempt++) {
        const Words words = source.words(attempt);
        const float64 u = inside(words.pair(0)) - 0.5, v = inside(words.pair(1)), us = 0.5 - ::fabs(u);
        const float64 k = ::floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= sure)
            return k;
        if (k >= 0 && (us >= 0.013 || v <= us) && ::log(v * alpha / (a / (us * us) + b)) <= log_poisson(k, rate))
            return k;
    }
}

RG_CALLED int64 successes(uint64 key, uint64 call, uint64 number, float64 n, float64 p) {
    const Source source = {key, call, number};
    const float64 q = p > 0.5 ? 1 - p : p;
    const float64 k = n * q < RG_SMALL ? few_successes(n, q, source.uniform()) : many_successes(source, n, q);
    return (int64)(p > 0.5 ? n - k : k);
}

RG_CALLED int64 events(uint64 key, uint64 call, uint64 number, float64 rate) {
    const Source source = {key, call, number};
    return (int64)(rate < RG_SMALL ? few_events(rate, source.uniform()) : many_events(source, rate));
}
} // namespace rg
