/* Words of Philox, and numbers made of them. See random.c. */

typedef uint64_t RG_VARIANT(words) __attribute__((vector_size(RG_BYTES)));

/* Products of the low halves of 64-bit lanes, which SIMD has where it may have no others. */
#if defined(__x86_64__) && RG_BYTES == 64
#define LOW_PRODUCT(a, b) ((RG_VARIANT(words))_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#define WAYS 4 /* vectors of blocks that are computed at a time, since each step waits for the one before */
#define ALTERNATE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ALTERNATE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif defined(__x86_64__) && RG_BYTES == 32
#define LOW_PRODUCT(a, b) ((RG_VARIANT(words))_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#define WAYS 3
#define ALTERNATE_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ALTERNATE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#if defined(__x86_64__)
#define LOW_PRODUCT(a, b) ((RG_VARIANT(words))_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
#define LOW_PRODUCT(a, b) (((a)&LOW) * ((b)&LOW))
#endif
#define WAYS 3
#define ALTERNATE_LOW(a, b) __builtin_shufflevector(a, b, 0, 2)
#define ALTERNATE_HIGH(a, b) __builtin_shufflevector(a, b, 1, 3)
#endif
#define LANES ((int)(RG_BYTES / 8))

/* The 64-bit words of `count` blocks from block `first` on; some more are written, up to BATCH blocks. Only the low
   halves of lanes are meant: products read no others, and at the end they are put together. */
static void RG_VARIANT(fill)(uint64_t key, uint64_t call, uint64_t first, int64_t count, uint64_t *out) {
    RG_VARIANT(words) m0, m1, numbers, zero = {0};
    m0 = zero + M0;
    m1 = zero + M1;
    for (int l = 0; l < LANES; l++)
        numbers[l] = first + (uint64_t)l;
    for (int64_t done = 0; done < count; done += LANES * WAYS) {
        RG_VARIANT(words) c0[WAYS], c1[WAYS], c2[WAYS], c3[WAYS];
        for (int w = 0; w < WAYS; w++) {
            c0[w] = numbers + (uint64_t)(done + w * LANES);
            c1[w] = c0[w] >> 32;
            c2[w] = zero + (call & LOW);
            c3[w] = zero + (call >> 32);
        }
        uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
        for (int r = 0; r < ROUNDS; r++, k0 += W0, k1 += W1)
            for (int w = 0; w < WAYS; w++) {
                RG_VARIANT(words) p0 = LOW_PRODUCT(c0[w], m0), p1 = LOW_PRODUCT(c2[w], m1);
                c0[w] = (p1 >> 32) ^ c1[w] ^ k0;
                c2[w] = (p0 >> 32) ^ c3[w] ^ k1;
                c1[w] = p1;
                c3[w] = p0;
            }
        for (int w = 0; w < WAYS; w++) {
            RG_VARIANT(words) even = (c0[w] & LOW) | c1[w] << 32, odd = (c2[w] & LOW) | c3[w] << 32;
            RG_VARIANT(words) low = ALTERNATE_LOW(even, odd), high = ALTERNATE_HIGH(even, odd);
            memcpy(out + 2 * (done + w * LANES), &low, sizeof low);
            memcpy(out + 2 * (done + w * LANES) + LANES, &high, sizeof high);
        }
    }
}

/* Makers: n numbers from words, to an array. `of` says what else they depend on. */

static void RG_VARIANT(uniform_f64)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    double *to = out;
    if (of->open)
        for (int64_t i = 0; i < n; i++)
            to[i] = (double_of(words[i] >> 12) + 0.5) * 0x1p-52;
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = double_of(words[i] >> 11) * 0x1p-53;
}

static void RG_VARIANT(uniform_f32)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    const uint32_t *from = (const uint32_t *)words;
    float *to = out;
    if (of->open)
        for (int64_t i = 0; i < n; i++)
            to[i] = ((float)(int32_t)(from[i] >> 9) + 0.5f) * 0x1p-23f;
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)(int32_t)(from[i] >> 8) * 0x1p-24f;
}

static void RG_VARIANT(uniform_f16)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    const uint32_t *from = (const uint32_t *)words;
    _Float16 *to = out;
    for (int64_t i = 0; i < n; i++)
        to[i] = of->open ? (_Float16)(((float)(int32_t)(from[i] >> 22) + 0.5f) * 0x1p-10f)
                         : (_Float16)((float)(int32_t)(from[i] >> 21) * 0x1p-11f);
}

/* Two normal numbers: u and t are uniform on (0, 1), the signs are bits 0 and 1. The angle, or what it lacks of a right
   one, is at most pi / 4, where the sine and the cosine are polynomials. */
static inline void RG_VARIANT(point)(double u, double t, uint64_t signs, double *first, double *second) {
    int64_t rare = 0;
    double r = __builtin_sqrt(-2 * rg_log_f64(u, &rare)), small = t < 0.5 ? t : 1 - t, angle = small * HALF_PI;
    double s = rg_sin_of_turned_f64(angle, 0), c = rg_sin_of_turned_f64(angle, 1);
    double x = (t < 0.5 ? c : s) * r, y = (t < 0.5 ? s : c) * r;
    *first = rg_of_bits_f64(rg_bits_f64(x) ^ signs << 63);
    *second = rg_of_bits_f64(rg_bits_f64(y) ^ (signs & 2) << 62);
}

/* n pairs from pairs of 64-bit words, or of 32-bit words. */
static void RG_VARIANT(points_of_64)(int64_t n, const uint64_t *words, double *to) {
    for (int64_t i = 0; i < n; i++)
        RG_VARIANT(point)((double_of(words[2 * i] >> 12) + 0.5) * 0x1p-52,
                          (double_of(words[2 * i + 1] >> 12) + 0.5) * 0x1p-52, words[2 * i + 1], to + 2 * i,
                          to + 2 * i + 1);
}

static void RG_VARIANT(points_of_32)(int64_t n, const uint64_t *words, double *to) {
    for (int64_t i = 0; i < n; i++)
        RG_VARIANT(point)((double_of(words[i] & LOW) + 0.5) * 0x1p-32, (double_of(words[i] >> 34) + 0.5) * 0x1p-30,
                          words[i] >> 32, to + 2 * i, to + 2 * i + 1);
}

static void RG_VARIANT(normal_f64)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    (void)of;
    double last[2];
    RG_VARIANT(points_of_64)(n / 2, words, out);
    if (n % 2) {
        RG_VARIANT(points_of_64)(1, words + n - 1, last);
        ((double *)out)[n - 1] = last[0];
    }
}

static void RG_VARIANT(normal_f32)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    (void)of;
    double wide[2 * BATCH_WORDS];
    RG_VARIANT(points_of_32)((n + 1) / 2, words, wide);
    for (int64_t i = 0; i < n; i++)
        ((float *)out)[i] = (float)wide[i];
}

static void RG_VARIANT(normal_f16)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    (void)of;
    double wide[2 * BATCH_WORDS];
    RG_VARIANT(points_of_32)((n + 1) / 2, words, wide);
    for (int64_t i = 0; i < n; i++)
        ((_Float16 *)out)[i] = (_Float16)wide[i];
}

/* start + floor(v choices / 2^64), for at most 2^32 choices. */
#define INTEGERS(type)                                                                                                 \
    static void RG_VARIANT(integers_##type)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {       \
        uint64_t start = of->start, choices = of->choices;                                                             \
        type *to = out;                                                                                                \
        for (int64_t i = 0; i < n; i++)                                                                                \
            to[i] = (type)(start +                                                                                     \
                           (((words[i] >> 32) * choices + ((words[i] & LOW) * choices >> 32)) >> 32));                 \
    }
INTEGERS(uint8_t)
INTEGERS(uint16_t)
INTEGERS(uint32_t)
INTEGERS(uint64_t)
#undef INTEGERS

/* Whether words are below a bound of less than 2^32. */
static void RG_VARIANT(below)(int64_t n, const uint64_t *words, void *out, const numbers_of *of) {
    const uint32_t *from = (const uint32_t *)words;
    uint32_t bound = (uint32_t)of->choices;
    uint8_t *to = out;
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i] < bound;
}

#undef LOW_PRODUCT
#undef WAYS
#undef ALTERNATE_LOW
#undef ALTERNATE_HIGH
#undef LANES
