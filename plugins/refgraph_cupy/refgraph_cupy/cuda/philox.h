// Philox4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC11, 2011), and numbers of given ranges made of its words. refgraph/ops/philox.py says which words are whose.

namespace rg {
struct Words {
    uint32 at[4];
    // The 64-bit words: two.
    __device__ uint64 pair(int i) const { return at[2 * i] | (uint64)at[2 * i + 1] << 32; }
};

RG_DEVICE Words philox(uint64 key, uint64 call, uint64 number) {
    uint32 c0 = (uint32)number, c1 = (uint32)(number >> 32), c2 = (uint32)call, c3 = (uint32)(call >> 32);
    uint32 k0 = (uint32)key, k1 = (uint32)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64 p0 = (uint64)c0 * 0xD2511F53u, p1 = (uint64)c2 * 0xCD9E8D57u;
        c0 = (uint32)(p1 >> 32) ^ c1 ^ k0, c1 = (uint32)p1;
        c2 = (uint32)(p0 >> 32) ^ c3 ^ k1, c3 = (uint32)p0;
    }
    return {{c0, c1, c2, c3}};
}

// A sheet is a further supply of blocks.
RG_DEVICE uint64 on_sheet(uint64 number, uint64 sheet) { return number + (sheet << 48); }

// Numbers of [0, 1), and of (0, 1), from the top bits of 64-bit words.
RG_DEVICE float64 unit(uint64 word) { return (float64)(int64)(word >> 11) * 0x1p-53; }
RG_DEVICE float64 inside(uint64 word) { return ((float64)(int64)(word >> 12) + 0.5) * 0x1p-52; }

// The high half of a product; `low` becomes the low half.
RG_DEVICE uint64 product(uint64 x, uint64 y, uint64 &low) {
    const uint64 x0 = (uint32)x, x1 = x >> 32, y0 = (uint32)y, y1 = y >> 32;
    const uint64 middle = x1 * y0 + (x0 * y0 >> 32), cross = x0 * y1 + (uint32)middle;
    low = x * y;
    return x1 * y1 + (middle >> 32) + (cross >> 32);
}

// A number below r: of 64 random bits, or of 128 where there are many; 0 stands for 2^64.
RG_DEVICE uint64 below(uint64 r, uint64 key, uint64 call, uint64 number, int which, uint64 word) {
    uint64 low, rest;
    if (r == 0)
        return word;
    const uint64 high = product(word, r, low);
    if (r <= 1ull << 32)
        return high;
    return high + (low > ~product(philox(key, call, on_sheet(number, 1)).pair(which), r, rest));
}

// Two normal numbers, by the method of Box and Muller: u and t are of (0, 1), bits 0 and 1 are the signs. The angle, or
// what it lacks of a right one, is at most pi / 4, where sine and cosine are exact to a rounding.
RG_DEVICE void point(float64 u, float64 t, uint64 signs, float64 *z) {
    const bool is_small = t < 0.5;
    float64 sine, cosine;
    ::sincos((is_small ? t : 1 - t) * 1.5707963267948966, &sine, &cosine);
    const float64 r = ::sqrt(-2 * ::log(u));
    z[0] = r * (is_small ? cosine : sine) * (signs & 1 ? -1 : 1);
    z[1] = r * (is_small ? sine : cosine) * (signs & 2 ? -1 : 1);
}
} // namespace rg
