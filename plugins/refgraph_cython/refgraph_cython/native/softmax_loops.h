/* softmax and logsoftmax of a line that lies together, or of several lines side by side. */

/* The first operations are on LANES elements, each in the memory that it reads; a copy of a whole one is a register. */
#define LANES_OF(name, type, EXP, RARE, LANES)                                                                         \
    static inline RG_VARIANT(name##_lanes) RG_VARIANT(read_##name)(const type *x) {                                    \
        RG_VARIANT(name##_lanes) v;                                                                                    \
        memcpy(&v, x, sizeof v);                                                                                       \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void RG_VARIANT(write_##name)(type *y, RG_VARIANT(name##_lanes) v) {                                 \
        memcpy(y, &v, sizeof v);                                                                                       \
    }                                                                                                                  \
    static inline RG_VARIANT(name##_lanes)                                                                             \
        RG_VARIANT(greater_##name)(RG_VARIANT(name##_lanes) a, RG_VARIANT(name##_lanes) b) {                           \
        type x[LANES], y[LANES];                                                                                       \
        RG_VARIANT(write_##name)(x, a);                                                                                \
        RG_VARIANT(write_##name)(y, b);                                                                                \
        RG_ONE_VECTOR for (int l = 0; l < LANES; l++)                                                                  \
            y[l] = x[l] > y[l] ? x[l] : y[l];                                                                          \
        return RG_VARIANT(read_##name)(y);                                                                             \
    }                                                                                                                  \
    static inline RG_VARIANT(name##_lanes) RG_VARIANT(exp_##name)(RG_VARIANT(name##_lanes) a) {                        \
        type x[LANES], y[LANES];                                                                                       \
        RARE rare = 0;                                                                                                 \
        RG_VARIANT(write_##name)(x, a);                                                                                \
        RG_ONE_VECTOR for (int l = 0; l < LANES; l++)                                                                  \
            y[l] = EXP(x[l], &rare);                                                                                   \
        return RG_VARIANT(read_##name)(y);                                                                             \
    }                                                                                                                  \
    static inline RG_VARIANT(name##_lanes) RG_VARIANT(all_##name)(type value) {                                        \
        return value - (RG_VARIANT(name##_lanes)){0};                                                                  \
    }                                                                                                                  \
    /* Less than LANES elements, filled up with -inf. */                                                               \
    static inline RG_VARIANT(name##_lanes) RG_VARIANT(part_##name)(int64_t n, const type *x) {                         \
        type part[LANES];                                                                                              \
        for (int l = 0; l < LANES; l++)                                                                                \
            part[l] = -(type)INFINITY;                                                                                 \
        for (int64_t l = 0; l < n; l++)                                                                                \
            part[l] = x[l];                                                                                            \
        return RG_VARIANT(read_##name)(part);                                                                          \
    }                                                                                                                  \
    static inline void RG_VARIANT(write_part_##name)(int64_t n, type *y, RG_VARIANT(name##_lanes) v) {                 \
        type part[LANES];                                                                                              \
        RG_VARIANT(write_##name)(part, v);                                                                             \
        for (int64_t l = 0; l < n; l++)                                                                                \
            y[l] = part[l];                                                                                            \
    }

/* Comparisons leave NaNs out of the greatest element: where there is one, or where all are -inf, the sum is NaN. */
#define LINES_OF(name, type, LANES)                                                                                    \
    static type RG_VARIANT(greatest_##name)(int64_t whole, const type *x, RG_VARIANT(name##_lanes) last) {             \
        RG_VARIANT(name##_lanes) none = RG_VARIANT(all_##name)(-(type)INFINITY), m[4] = {none, none, none, none};      \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 * LANES <= whole; i += 4 * LANES)                                                                 \
            for (int k = 0; k < 4; k++)                                                                                \
                m[k] = RG_VARIANT(greater_##name)(RG_VARIANT(read_##name)(x + i + k * LANES), m[k]);                   \
        for (; i < whole; i += LANES)                                                                                  \
            m[0] = RG_VARIANT(greater_##name)(RG_VARIANT(read_##name)(x + i), m[0]);                                   \
        m[0] = RG_VARIANT(greater_##name)(last, m[0]);                                                                 \
        m[0] = RG_VARIANT(greater_##name)(m[0], m[1]);                                                                 \
        m[2] = RG_VARIANT(greater_##name)(m[2], m[3]);                                                                 \
        m[0] = RG_VARIANT(greater_##name)(m[0], m[2]);                                                                 \
        type lanes[LANES];                                                                                             \
        RG_VARIANT(write_##name)(lanes, m[0]);                                                                         \
        for (int width = LANES / 2; width; width /= 2)                                                                 \
            for (int l = 0; l < width; l++)                                                                            \
                lanes[l] = lanes[l + width] > lanes[l] ? lanes[l + width] : lanes[l];                                  \
        return lanes[0];                                                                                               \
    }                                                                                                                  \
    static type RG_VARIANT(total_##name)(RG_VARIANT(name##_lanes) sums) {                                              \
        type lanes[LANES];                                                                                             \
        RG_VARIANT(write_##name)(lanes, sums);                                                                         \
        for (int width = LANES / 2; width; width /= 2)                                                                 \
            for (int l = 0; l < width; l++)                                                                            \
                lanes[l] += lanes[l + width];                                                                          \
        return lanes[0];                                                                                               \
    }                                                                                                                  \
    static void RG_VARIANT(softmax_##name)(int64_t n, const void *from, void *to) {                                    \
        const type *x = from;                                                                                          \
        type *y = to;                                                                                                  \
        int64_t whole = n / LANES * LANES, rest = n - whole;                                                           \
        RG_VARIANT(name##_lanes) last = RG_VARIANT(part_##name)(rest, x + whole);                                      \
        RG_VARIANT(name##_lanes) m = RG_VARIANT(all_##name)(RG_VARIANT(greatest_##name)(whole, x, last)), sums = {0};  \
        for (int64_t i = 0; i < whole; i += LANES) {                                                                   \
            RG_VARIANT(name##_lanes) e = RG_VARIANT(exp_##name)(RG_VARIANT(read_##name)(x + i) - m);                   \
            RG_VARIANT(write_##name)(y + i, e);                                                                        \
            sums += e;                                                                                                 \
        }                                                                                                              \
        if (rest) {                                                                                                    \
            last = RG_VARIANT(exp_##name)(last - m);                                                                   \
            sums += last;                                                                                              \
        }                                                                                                              \
        RG_VARIANT(name##_lanes) share = RG_VARIANT(all_##name)(1 / RG_VARIANT(total_##name)(sums));                   \
        for (int64_t i = 0; i < whole; i += LANES)                                                                     \
            RG_VARIANT(write_##name)(y + i, RG_VARIANT(read_##name)(y + i) * share);                                   \
        RG_VARIANT(write_part_##name)(rest, y + whole, last *share);                                                   \
    }                                                                                                                  \
    static void RG_VARIANT(logsoftmax_##name)(int64_t n, const void *from, void *to) {                                 \
        const type *x = from;                                                                                          \
        type *y = to;                                                                                                  \
        int64_t whole = n / LANES * LANES, rest = n - whole;                                                           \
        RG_VARIANT(name##_lanes) last = RG_VARIANT(part_##name)(rest, x + whole);                                      \
        RG_VARIANT(name##_lanes) m = RG_VARIANT(all_##name)(RG_VARIANT(greatest_##name)(whole, x, last)), sums = {0};  \
        for (int64_t i = 0; i < whole; i += LANES)                                                                     \
            sums += RG_VARIANT(exp_##name)(RG_VARIANT(read_##name)(x + i) - m);                                        \
        if (rest)                                                                                                      \
            sums += RG_VARIANT(exp_##name)(last - m);                                                                  \
        RG_VARIANT(name##_lanes) less = RG_VARIANT(all_##name)((type)log((double)RG_VARIANT(total_##name)(sums)));     \
        for (int64_t i = 0; i < whole; i += LANES)                                                                     \
            RG_VARIANT(write_##name)(y + i, (RG_VARIANT(read_##name)(x + i) - m) - less);                              \
        RG_VARIANT(write_part_##name)(rest, y + whole, (last - m) - less);                                             \
    }

/* LANES lines of n elements: element i of all of them lies together, at i steps. */
#define ABREAST_OF(name, type, LOG, RARE, LANES)                                                                       \
    static inline RG_VARIANT(name##_lanes) RG_VARIANT(log_##name)(RG_VARIANT(name##_lanes) a) {                        \
        type x[LANES], y[LANES];                                                                                       \
        RARE rare = 0;                                                                                                 \
        RG_VARIANT(write_##name)(x, a);                                                                                \
        RG_ONE_VECTOR for (int l = 0; l < LANES; l++)                                                                  \
            y[l] = LOG(x[l], &rare);                                                                                   \
        return RG_VARIANT(read_##name)(y);                                                                             \
    }                                                                                                                  \
    static RG_VARIANT(name##_lanes) RG_VARIANT(abreast_greatest_##name)(int64_t n, const type *x, int64_t step) {      \
        RG_VARIANT(name##_lanes) m = RG_VARIANT(all_##name)(-(type)INFINITY);                                          \
        for (int64_t i = 0; i < n; i++)                                                                                \
            m = RG_VARIANT(greater_##name)(RG_VARIANT(read_##name)(x + i * step), m);                                  \
        return m;                                                                                                      \
    }                                                                                                                  \
    static void RG_VARIANT(softmax_abreast_##name)(int64_t n, const void *from, int64_t x_step, void *to,              \
                                                   int64_t y_step) {                                                   \
        const type *x = from;                                                                                          \
        type *y = to;                                                                                                  \
        RG_VARIANT(name##_lanes) m = RG_VARIANT(abreast_greatest_##name)(n, x, x_step), sums = {0};                    \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            RG_VARIANT(name##_lanes) e = RG_VARIANT(exp_##name)(RG_VARIANT(read_##name)(x + i * x_step) - m);          \
            RG_VARIANT(write_##name)(y + i * y_step, e);                                                               \
            sums += e;                                                                                                 \
        }                                                                                                              \
        RG_VARIANT(name##_lanes) share = 1 / sums;                                                                     \
        for (int64_t i = 0; i < n; i++)                                                                                \
            RG_VARIANT(write_##name)(y + i * y_step, RG_VARIANT(read_##name)(y + i * y_step) * share);                 \
    }                                                                                                                  \
    static void RG_VARIANT(logsoftmax_abreast_##name)(int64_t n, const void *from, int64_t x_step, void *to,           \
                                                      int64_t y_step) {                                                \
        const type *x = from;                                                                                          \
        type *y = to;                                                                                                  \
        RG_VARIANT(name##_lanes) m = RG_VARIANT(abreast_greatest_##name)(n, x, x_step), sums = {0};                    \
        for (int64_t i = 0; i < n; i++)                                                                                \
            sums += RG_VARIANT(exp_##name)(RG_VARIANT(read_##name)(x + i * x_step) - m);                               \
        RG_VARIANT(name##_lanes) less = RG_VARIANT(log_##name)(sums);                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            RG_VARIANT(write_##name)(y + i * y_step, (RG_VARIANT(read_##name)(x + i * x_step) - m) - less);            \
    }

typedef float RG_VARIANT(f32_lanes) __attribute__((vector_size(RG_BYTES)));
typedef double RG_VARIANT(f64_lanes) __attribute__((vector_size(RG_BYTES)));

LANES_OF(f32, float, rg_exp_f32, int32_t, (RG_BYTES / 4))
LINES_OF(f32, float, (RG_BYTES / 4))
ABREAST_OF(f32, float, rg_log_f32, int32_t, (RG_BYTES / 4))
LANES_OF(f64, double, rg_exp_f64, int64_t, (RG_BYTES / 8))
LINES_OF(f64, double, (RG_BYTES / 8))
ABREAST_OF(f64, double, rg_log_f64, int64_t, (RG_BYTES / 8))

/* Lines that lie together and fit into a vector, of both or one of the results: the other is NULL. */
#if RG_BYTES == 64
#define FEW_OF(name, type, LANES, PS, M, MASK)                                                                         \
    static void RG_VARIANT(few_##name)(int64_t lines, int64_t n, const char *from, int64_t from_line, char *to,        \
                                       int64_t to_line, char *logs, int64_t logs_line) {                               \
        const MASK some = (MASK)((1u << n) - 1);                                                                       \
        for (; lines > 0; lines -= LANES) {                                                                            \
            type greatest[LANES], sums[LANES] = {0}, less[LANES];                                                      \
            int64_t count = lines < LANES ? lines : LANES;                                                             \
            for (int64_t l = 0; l < count; l++) {                                                                      \
                M x = _mm512_mask_loadu_##PS(_mm512_set1_##PS(-(type)INFINITY), some, from + l * from_line);           \
                greatest[l] = _mm512_reduce_max_##PS(x);                                                               \
                M e = (M)RG_VARIANT(exp_##name)((RG_VARIANT(name##_lanes))x - greatest[l]);                            \
                sums[l] = _mm512_reduce_add_##PS(e);                                                                   \
                if (to)                                                                                                \
                    _mm512_mask_storeu_##PS(to + l * to_line, some,                                                    \
                                            _mm512_mul_##PS(e, _mm512_set1_##PS(1 / sums[l])));                        \
            }                                                                                                          \
            if (logs) {                                                                                                \
                RG_VARIANT(write_##name)(less, RG_VARIANT(log_##name)(RG_VARIANT(read_##name)(sums)));                 \
                for (int64_t l = 0; l < count; l++) {                                                                  \
                    M x = _mm512_maskz_loadu_##PS(some, from + l * from_line);                                         \
                    _mm512_mask_storeu_##PS(logs + l * logs_line, some,                                                \
                                            (M)(((RG_VARIANT(name##_lanes))x - greatest[l]) - less[l]));               \
                }                                                                                                      \
                logs += LANES * logs_line;                                                                             \
            }                                                                                                          \
            from += LANES * from_line;                                                                                 \
            if (to)                                                                                                    \
                to += LANES * to_line;                                                                                 \
        }                                                                                                              \
    }
FEW_OF(f32, float, 16, ps, __m512, __mmask16)
FEW_OF(f64, double, 8, pd, __m512d, __mmask8)
#undef FEW_OF
#endif
#undef LANES_OF
#undef LINES_OF
#undef ABREAST_OF
