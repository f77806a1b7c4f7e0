/* Order: sorting, the greatest k, distinct values, places in sorted arrays, counts of integers.

Elements are sorted by keys: unsigned integers in the same order. NaN counts as greater than any number, zeros of both
signs are equal, and complex numbers go by their real part, then by their imaginary part, those with a NaN in NumPy's
order: R + Rj, R + nanj, nan + Rj, nan + nanj. Ties keep their order everywhere.

Few keys are sorted by insertion, some by merging, many by their digits of base 256 from the last to the first (D. E.
Knuth, "The Art of Computer Programming", volume 3, sections 5.2.1, 5.2.4 and 5.2.5).
*/
#include "sorting.h"
#include "lines.h"

#define FEW 16            /* entries that are sorted by insertion */
#define MANY 64           /* entries that are sorted by digits */
#define BLOCK 128         /* keys that are looked at together where only few are wanted */
#define NS_A_COMPARISON 1.5
#define MOST_CHUNKS 8

/* Entries: keys alone, or with a number below them in the same word; keys with numbers; keys of complex numbers. */
typedef struct {
    uint64_t key;
    int64_t number;
} pair;
typedef struct {
    uint64_t high, low;
    int64_t number;
} triple;

#define WORD_LESS(a, b) ((a) < (b))
#define WORD_DIGIT(e, d) ((e) >> 8 * (d)&255)
#define PAIR_LESS(a, b) ((a).key < (b).key || ((a).key == (b).key && (a).number < (b).number))
#define PAIR_DIGIT(e, d) ((e).key >> 8 * (d)&255)
#define TRIPLE_LESS(a, b)                                                                                              \
    ((a).high < (b).high ||                                                                                            \
     ((a).high == (b).high && ((a).low < (b).low || ((a).low == (b).low && (a).number < (b).number))))
#define TRIPLE_DIGIT(e, d) (((d) < 8 ? (e).low : (e).high) >> 8 * ((d) % 8) & 255)

/* sort: n entries, with room for as many. Digits below `first` are in order already. least: the first k, in order. */
#define SORTS(entry, LESS, DIGIT, DIGITS)                                                                              \
    static void insert_##entry(int64_t n, entry *e) {                                                                  \
        for (int64_t i = 1; i < n; i++) {                                                                              \
            entry held = e[i];                                                                                         \
            int64_t j = i;                                                                                             \
            for (; j > 0 && LESS(held, e[j - 1]); j--)                                                                 \
                e[j] = e[j - 1];                                                                                       \
            e[j] = held;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static void merge_##entry(int64_t n, entry *e, entry *spare) {                                                     \
        if (n <= FEW) {                                                                                                \
            insert_##entry(n, e);                                                                                      \
            return;                                                                                                    \
        }                                                                                                              \
        int64_t half = n / 2, i = 0, j = half, to = 0;                                                                 \
        merge_##entry(half, e, spare);                                                                                 \
        merge_##entry(n - half, e + half, spare);                                                                      \
        if (!LESS(e[half], e[half - 1]))                                                                               \
            return;                                                                                                    \
        memcpy(spare, e, (size_t)half * sizeof *e);                                                                    \
        while (i < half && j < n) {                                                                                    \
            int second = LESS(e[j], spare[i]);                                                                         \
            e[to++] = second ? e[j] : spare[i];                                                                        \
            j += second;                                                                                               \
            i += !second;                                                                                              \
        }                                                                                                              \
        memcpy(e + to, spare + i, (size_t)(half - i) * sizeof *e);                                                     \
    }                                                                                                                  \
    static void sort_by_digits_##entry(int64_t n, entry *e, entry *spare, int first) {                                 \
        uint32_t counts[DIGITS][256];                                                                                  \
        entry *from = e, *to = spare;                                                                                  \
        memset(counts, 0, sizeof counts);                                                                              \
        for (int64_t i = 0; i < n; i++)                                                                                \
            for (int d = first; d < DIGITS; d++)                                                                       \
                counts[d][DIGIT(e[i], d)]++;                                                                           \
        for (int d = first; d < DIGITS; d++) {                                                                         \
            uint32_t *places = counts[d], before = 0;                                                                  \
            if (places[DIGIT(e[0], d)] == n)                                                                           \
                continue;                                                                                              \
            for (int b = 0; b < 256; b++) {                                                                            \
                uint32_t count = places[b];                                                                            \
                places[b] = before;                                                                                    \
                before += count;                                                                                       \
            }                                                                                                          \
            for (int64_t i = 0; i < n; i++)                                                                            \
                to[places[DIGIT(from[i], d)]++] = from[i];                                                             \
            entry *swapped = from;                                                                                     \
            from = to;                                                                                                 \
            to = swapped;                                                                                              \
        }                                                                                                              \
        if (from != e)                                                                                                 \
            memcpy(e, from, (size_t)n * sizeof *e);                                                                    \
    }                                                                                                                  \
    static void sort_##entry(int64_t n, entry *e, entry *spare, int first) {                                           \
        if (n < MANY || n > UINT32_MAX)                                                                                \
            merge_##entry(n, e, spare);                                                                                \
        else                                                                                                           \
            sort_by_digits_##entry(n, e, spare, first);                                                                \
    }                                                                                                                  \
    /* The first k entries are a heap with the last of them at its top (Knuth, section 5.2.3). */                      \
    static void sift_##entry(int64_t k, entry *e, int64_t i) {                                                         \
        entry held = e[i];                                                                                             \
        for (int64_t child = 2 * i + 1; child < k; child = 2 * i + 1) {                                                \
            child += child + 1 < k && LESS(e[child], e[child + 1]);                                                    \
            if (!LESS(held, e[child]))                                                                                 \
                break;                                                                                                 \
            e[i] = e[child];                                                                                           \
            i = child;                                                                                                 \
        }                                                                                                              \
        e[i] = held;                                                                                                   \
    }                                                                                                                  \
    static void least_##entry(int64_t n, int64_t k, entry *e, entry *spare, int first) {                               \
        if (n < 4 * k || n < MANY) {                                                                                   \
            sort_##entry(n, e, spare, first);                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = k / 2; i-- > 0;)                                                                              \
            sift_##entry(k, e, i);                                                                                     \
        for (int64_t i = k; i < n && k > 0; i++)                                                                       \
            if (LESS(e[i], e[0])) {                                                                                    \
                e[0] = e[i];                                                                                           \
                sift_##entry(k, e, 0);                                                                                 \
            }                                                                                                          \
        merge_##entry(k, e, spare);                                                                                    \
    }

typedef uint64_t word;
SORTS(word, WORD_LESS, WORD_DIGIT, 8)
SORTS(pair, PAIR_LESS, PAIR_DIGIT, 8)
SORTS(triple, TRIPLE_LESS, TRIPLE_DIGIT, 16)

/* Keys. Floats whose sign is set are in the reverse order of their bits. */

#define NAN_KEY UINT64_MAX

/* Without branches, which would be mispredicted; adding 0 makes +0 of -0. */
#define KEY_OF_BITS(type, bits) ((type)((bits) ^ ((type)(0 - ((bits) >> (8 * sizeof(type) - 1))) | SIGN(type))))
#define SIGN(type) ((type)1 << (8 * sizeof(type) - 1))

static inline uint64_t key_of_f64(double x) {
    uint64_t bits;
    x += 0.0;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? NAN_KEY : KEY_OF_BITS(uint64_t, bits);
}

static inline uint64_t key_of_f32(float x) {
    uint32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? UINT32_MAX : KEY_OF_BITS(uint32_t, bits);
}

static inline uint64_t key_of_f16(uint16_t bits) {
    bits = bits == SIGN(uint16_t) ? 0 : bits;
    return (bits & 0x7fff) > 0x7c00 ? UINT32_MAX : KEY_OF_BITS(uint16_t, bits);
}

#define SAME(x) (x)
#define SIGNED_32(x) ((uint32_t)(x) ^ (uint32_t)1 << 31)
#define SIGNED_64(x) ((uint64_t)(x) ^ (uint64_t)1 << 63)

/* dtypes, their elements, and the elements' keys, which have 32 bits unless the element has 64. */
#define EACH_REAL(DO)                                                                                                  \
    DO(RG_BOOL, uint8_t, SAME)                                                                                         \
    DO(RG_I8, int8_t, SIGNED_32)                                                                                       \
    DO(RG_I16, int16_t, SIGNED_32)                                                                                     \
    DO(RG_I32, int32_t, SIGNED_32)                                                                                     \
    DO(RG_I64, int64_t, SIGNED_64)                                                                                     \
    DO(RG_U8, uint8_t, SAME)                                                                                           \
    DO(RG_U16, uint16_t, SAME)                                                                                         \
    DO(RG_U32, uint32_t, SAME)                                                                                         \
    DO(RG_U64, uint64_t, SAME)                                                                                         \
    DO(RG_F16, uint16_t, key_of_f16)                                                                                   \
    DO(RG_F32, float, key_of_f32)                                                                                      \
    DO(RG_F64, double, key_of_f64)

static int is_complex(int dtype) {
    return dtype == RG_C64 || dtype == RG_C128;
}

static int is_narrow(int dtype) {
    return rg_itemsize[dtype] <= 4;
}

static void keys_of(int dtype, int64_t n, const void *from, uint64_t *keys) {
#define KEYS(row, type, KEY)                                                                                           \
    case row:                                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                                                \
            keys[i] = KEY(((const type *)from)[i]);                                                                    \
        return;
    switch (dtype) { EACH_REAL(KEYS) }
}

/* The key of a complex number, in two words. No number has one of the last words as the key of its real part. */
static inline triple key_of_complex(double re, double im, int64_t number) {
    if (re != re)
        return im != im ? (triple){NAN_KEY, 0, number} : (triple){NAN_KEY - 1, key_of_f64(im), number};
    if (im != im)
        return (triple){NAN_KEY - 2, key_of_f64(re), number};
    return (triple){key_of_f64(re), key_of_f64(im), number};
}

static void triples_of(int dtype, int64_t n, const void *from, triple *e) {
    for (int64_t i = 0; i < n; i++)
        if (dtype == RG_C64)
            e[i] = key_of_complex(((const float *)from)[2 * i], ((const float *)from)[2 * i + 1], i);
        else
            e[i] = key_of_complex(((const double *)from)[2 * i], ((const double *)from)[2 * i + 1], i);
}

/* The order of n elements: the first k numbers; and whether each has another key than the one before it, if `fresh` is
   not NULL. `memory`: 48 n bytes. Where `down`, the greatest come first. NaNs of complex numbers are all one value. */

static void order_of_complex(int dtype, int64_t n, const void *x, int down, int64_t k, int64_t *order, char *fresh,
                             void *memory) {
    triple *e = memory;
    triples_of(dtype, n, x, e);
    for (int64_t i = 0; i < n && down; i++) {
        e[i].high = ~e[i].high;
        e[i].low = ~e[i].low;
    }
    least_triple(n, k, e, e + n, 0);
    for (int64_t i = 0; i < k; i++)
        order[i] = e[i].number;
    for (int64_t i = 0; i < k && fresh; i++) {
        int same = i > 0 && e[i].high == e[i - 1].high && e[i].low == e[i - 1].low;
        fresh[i] = !same && !(i > 0 && e[i - 1].high >= NAN_KEY - 2);
    }
}

static void order_of_words(int64_t n, word *e, int64_t k, int64_t *order, char *fresh, word *spare) {
    for (int64_t i = 0; i < n; i++)
        e[i] = e[i] << 32 | (word)i;
    least_word(n, k, e, spare, 4);
    for (int64_t i = 0; i < k; i++)
        order[i] = (int64_t)(e[i] & UINT32_MAX);
    for (int64_t i = 0; i < k && fresh; i++)
        fresh[i] = i == 0 || e[i] >> 32 != e[i - 1] >> 32;
}

static void order_of_pairs(int64_t n, const uint64_t *keys, int64_t k, int64_t *order, char *fresh, pair *e) {
    for (int64_t i = 0; i < n; i++)
        e[i] = (pair){keys[i], i};
    least_pair(n, k, e, e + n, 0);
    for (int64_t i = 0; i < k; i++)
        order[i] = e[i].number;
    for (int64_t i = 0; i < k && fresh; i++)
        fresh[i] = i == 0 || e[i].key != e[i - 1].key;
}

/* The first k of many elements: keys are made and thrown away block by block, and few are less than the kth so far. */
static void order_of_few(int dtype, int64_t n, const char *x, int down, int64_t k, int64_t *order, pair *e) {
    uint64_t keys[BLOCK], invert = !down ? 0 : is_narrow(dtype) ? UINT32_MAX : UINT64_MAX;
    int64_t held = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = rg_least(BLOCK, n - i);
        uint64_t bound = held == k ? e[0].key : UINT64_MAX;
        int any = held < k;
        keys_of(dtype, m, x + i * rg_itemsize[dtype], keys);
        for (int64_t j = 0; j < m; j++) {
            keys[j] ^= invert;
            any |= keys[j] < bound;
        }
        for (int64_t j = 0; j < m && any; j++) {
            if (held < k) {
                e[held++] = (pair){keys[j], i + j};
                for (int64_t s = k / 2; held == k && s-- > 0;)
                    sift_pair(k, e, s);
            } else if (keys[j] < e[0].key) {
                e[0] = (pair){keys[j], i + j};
                sift_pair(k, e, 0);
            }
        }
    }
    merge_pair(k, e, e + k);
    for (int64_t i = 0; i < k; i++)
        order[i] = e[i].number;
}

static void order_of(int dtype, int64_t n, const void *x, int down, int64_t k, int64_t *order, char *fresh,
                     void *memory) {
    uint64_t *keys = memory;
    if (is_complex(dtype)) {
        order_of_complex(dtype, n, x, down, k, order, fresh, memory);
        return;
    }
    if (n >= BLOCK && k > 0 && n / 4 >= k && !fresh) {
        order_of_few(dtype, n, x, down, k, order, memory);
        return;
    }
    keys_of(dtype, n, x, keys);
    for (int64_t i = 0; i < n && down; i++)
        keys[i] = is_narrow(dtype) ? (uint32_t)~keys[i] : ~keys[i];
    if (is_narrow(dtype) && n <= UINT32_MAX)
        order_of_words(n, keys, k, order, fresh, keys + n);
    else
        order_of_pairs(n, keys, k, order, fresh, (pair *)(keys + n));
}

void rg_order(int64_t n, const uint64_t *keys, int64_t k, int64_t *order, void *memory) {
    order_of_pairs(n, keys, k, order, NULL, memory);
}

/* Work on each line of an array. `memory` is for one line. */

typedef int (*sorter)(void *elements, intptr_t n, void *unused); /* NumPy's */

typedef struct job {
    rg_lines x, out;
    int64_t bytes; /* of memory, for each chunk */
    char *memory;
    void (*line)(const struct job *, char *memory, const char *x, char *out);
    sorter sort;
    int64_t k;
    int32_t dtype, out_dtype, down, by_number;
} job;

static void job_chunk(void *context, int64_t number, int64_t of) {
    const job *j = context;
    rg_lines x = j->x, out = j->out;
    int64_t begin = x.count * number / of, left = x.count * (number + 1) / of - begin;
    int64_t itemsize = rg_itemsize[j->dtype], out_itemsize = rg_itemsize[j->out_dtype];
    char *line = j->memory + number * j->bytes, *found = line + (x.length * itemsize + 15) / 16 * 16;
    char *memory = found + (out.length * out_itemsize + 15) / 16 * 16;
    rg_lines_seek(&x, begin);
    rg_lines_seek(&out, begin);
    for (; left > 0; left--) {
        rg_lines_read(&x, 0, itemsize, 1, line);
        j->line(j, memory, line, found);
        rg_lines_write(&out, 0, out_itemsize, 1, found);
        rg_lines_next(&x, 1);
        rg_lines_next(&out, 1);
    }
}

static int run_job(rg_frame *frame, rg_thunk *thunk, job *j, int64_t axis, int64_t room) {
    const rg_array *x = thunk->in[0], *out = thunk->out[0];
    if (out->size == 0)
        return RG_OK;
    j->dtype = x->dtype;
    j->out_dtype = out->dtype;
    j->x = rg_lines_of((int64_t)1 << axis, 1, &x);
    j->out = rg_lines_of((int64_t)1 << axis, 1, &out);
    int64_t n = j->x.length, lines = n * rg_itemsize[x->dtype] + j->out.length * rg_itemsize[out->dtype];
    j->bytes = (lines + room * n + 127) / 64 * 64;
    int steps = 1;
    while (n >> steps)
        steps++;
    double ns = NS_A_COMPARISON * (double)x->size * steps;
    int64_t chunks = rg_within(1, (int64_t)(ns / 20000), rg_least(j->x.count, MOST_CHUNKS));
    j->memory = rg_scratch(frame, (size_t)(j->bytes * chunks));
    if (!j->memory)
        return RG_ERROR_MEMORY;
    rg_parallel(chunks, ns, job_chunk, j);
    return RG_OK;
}

/* sort. params: the axis, and the address of NumPy's loop; complex numbers are put in the order of their keys. */

static void sort_line(const job *j, char *memory, const char *x, char *out) {
    int64_t n = j->x.length, itemsize = rg_itemsize[j->dtype];
    if (!is_complex(j->dtype)) {
        memcpy(out, x, (size_t)(n * itemsize));
        j->sort(out, n, NULL);
        return;
    }
    triple *e = (triple *)memory;
    triples_of(j->dtype, n, x, e);
    sort_triple(n, e, e + n, 0);
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * itemsize, x + e[i].number * itemsize, (size_t)itemsize);
}

static int same_shape_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

static int sort_run(rg_frame *frame, rg_thunk *thunk) {
    job j = {.line = sort_line, .sort = (sorter)(intptr_t)thunk->params[1]};
    return run_job(frame, thunk, &j, thunk->params[0], is_complex(thunk->in[0]->dtype) ? 48 : 0);
}

/* argsort, and the numbers of the greatest. params: the axis. */

static int64_t *numbers_of_line(const job *j, char *memory, const char *x, int64_t k) {
    int64_t n = j->x.length, *order = (int64_t *)memory;
    order_of(j->dtype, n, x, j->down, k, order, NULL, memory + n * (int64_t)sizeof *order);
    return order;
}

static void argsort_line(const job *j, char *memory, const char *x, char *out) {
    memcpy(out, numbers_of_line(j, memory, x, j->x.length), (size_t)j->x.length * sizeof(int64_t));
}

static int argsort_run(rg_frame *frame, rg_thunk *thunk) {
    job j = {.line = argsort_line};
    return run_job(frame, thunk, &j, thunk->params[0], 56);
}

static void put_integer(int dtype, char *to, int64_t value) {
    switch (rg_itemsize[dtype]) {
    case 1:
        *(int8_t *)to = (int8_t)value;
        return;
    case 2:
        *(int16_t *)to = (int16_t)value;
        return;
    case 4:
        *(int32_t *)to = (int32_t)value;
        return;
    default:
        *(int64_t *)to = value;
    }
}

static void topk_line(const job *j, char *memory, const char *x, char *out) {
    int64_t *order = numbers_of_line(j, memory, x, j->k), size = rg_itemsize[j->out_dtype];
    if (j->by_number)
        sort_word(j->k, (word *)order, (word *)order + j->x.length, 0);
    for (int64_t i = 0; i < j->k; i++)
        put_integer(j->out_dtype, out + i * size, order[i]);
}

/* Inputs: x, and how many, which is negative where the least are wanted. params: the axis, whether best first. */

static int topk_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int64_t shape[RG_NDIM], axis = thunk->params[0], k = rg_integer(thunk->in[1]);
    memcpy(shape, x->shape, sizeof shape);
    if (k == 0 || k > shape[axis] || k < -shape[axis])
        return rg_fail(frame, RG_ERROR_VALUE, "topk: k is %lld, but axis %d has length %lld", (long long)k, (int)axis,
                       (long long)shape[axis]);
    shape[axis] = k < 0 ? -k : k;
    return rg_output(frame, thunk, 0, x->ndim, shape);
}

static int topk_run(rg_frame *frame, rg_thunk *thunk) {
    int64_t k = rg_integer(thunk->in[1]);
    job j = {.line = topk_line, .down = k > 0, .k = k < 0 ? -k : k, .by_number = !thunk->params[1]};
    return run_job(frame, thunk, &j, thunk->params[0], 56);
}

/* Distinct values: where each stands first, in the order of the values; for each element the number of its value, and
   how often each value is there, where wanted. All of it is computed in `prepare`, as it says how many there are.
   params: whether the second and the third output are wanted, and the axis along which slices are compared; -1 for
   none, where elements are. */

typedef struct {
    int64_t count, size; /* values, and elements or slices */
    int64_t numbers[];   /* for each value where it stands first; for each element that of its value; counts */
} distinct;

/* Compare slices of s keys each: less, equal or greater, as the sign. */
static int compare_slices(int64_t s, const triple *a, const triple *b) {
    for (int64_t i = 0; i < s; i++) {
        if (a[i].high != b[i].high)
            return a[i].high < b[i].high ? -1 : 1;
        if (a[i].low != b[i].low)
            return a[i].low < b[i].low ? -1 : 1;
    }
    return 0;
}

static void order_slices(int64_t n, int64_t *order, int64_t *spare, int64_t s, const triple *keys) {
    if (n < 2)
        return;
    int64_t half = n / 2, i = 0, j = half, to = 0;
    order_slices(half, order, spare, s, keys);
    order_slices(n - half, order + half, spare, s, keys);
    memcpy(spare, order, (size_t)half * sizeof *order);
    while (i < half && j < n) {
        int second = compare_slices(s, keys + order[j] * s, keys + spare[i] * s) < 0;
        order[to++] = second ? order[j++] : spare[i++];
    }
    memcpy(order + to, spare + i, (size_t)(half - i) * sizeof *order);
}

/* Slices with a NaN equal no other. */
static int has_nan(int64_t s, const triple *slice, uint64_t nan) {
    for (int64_t i = 0; i < s; i++)
        if (slice[i].high >= nan)
            return 1;
    return 0;
}

/* Answers whether it could: NumPy has orders of its own for slices with NaNs of float16, or complex ones. */
static int order_of_slices(int dtype, int64_t n, int64_t s, const void *x, int64_t *order, char *fresh, char *memory) {
    triple *keys = (triple *)memory;
    int64_t *spare = (int64_t *)(keys + n * s);
    uint64_t *words = (uint64_t *)(spare + n), nan = is_complex(dtype) ? NAN_KEY - 2 : NAN_KEY;
    if (is_complex(dtype))
        triples_of(dtype, n * s, x, keys);
    else
        keys_of(dtype, n * s, x, words);
    for (int64_t i = 0; i < n * s && !is_complex(dtype); i++) {
        int is_nan = dtype >= RG_F16 && words[i] == (is_narrow(dtype) ? UINT32_MAX : NAN_KEY);
        keys[i] = (triple){is_nan ? NAN_KEY : words[i], 0, 0};
    }
    for (int64_t i = 0; i < n * s && (is_complex(dtype) || dtype == RG_F16); i++)
        if (keys[i].high >= nan)
            return 0;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    order_slices(n, order, spare, s, keys);
    for (int64_t i = 0; i < n; i++) {
        const triple *slice = keys + order[i] * s, *before = keys + order[i ? i - 1 : 0] * s;
        fresh[i] = i == 0 || (dtype >= RG_F16 && has_nan(s, slice, nan)) || compare_slices(s, slice, before) != 0;
    }
    return 1;
}

/* The elements of x, with one axis first unless it is -1, one after the other. */
static void gather(const rg_array *x, int64_t axis, char *to) {
    int64_t shape[RG_NDIM], strides[RG_NDIM], together[RG_NDIM];
    int at = 0;
    if (axis >= 0) {
        shape[at] = x->shape[axis];
        strides[at++] = x->strides[axis];
    }
    for (int a = 0; a < x->ndim; a++)
        if (a != axis) {
            shape[at] = x->shape[a];
            strides[at++] = x->strides[a];
        }
    rg_c_strides(x->ndim, shape, rg_itemsize[x->dtype], together);
    rg_move(x->ndim, shape, rg_itemsize[x->dtype], x->data, strides, to, together);
}

static void find_distinct(distinct *d, const int64_t *order, const char *fresh) {
    int64_t n = d->size, *firsts = d->numbers, *values = firsts + n, *counts = values + n;
    d->count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (fresh[i]) {
            counts[d->count] = 0;
            firsts[d->count++] = order[i];
        }
        counts[d->count - 1]++;
        values[order[i]] = d->count - 1;
    }
}

static int unique_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int64_t axis = thunk->params[2], n = axis < 0 ? x->size : x->shape[axis], s = n ? x->size / n : 1;
    if (s == 0)
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "unique: slices without elements");
    distinct *d = rg_state(frame, thunk, sizeof *d + (size_t)(3 * n) * sizeof *d->numbers);
    int64_t room = x->size * rg_itemsize[x->dtype];
    char *line = rg_scratch(frame, (size_t)(room + 9 * n + 64 + (axis < 0 ? 48 * n : 32 * x->size + 8 * n)));
    if (!d || !line)
        return RG_ERROR_MEMORY;
    int64_t *order = (int64_t *)(line + (room + 15) / 16 * 16);
    char *memory = (char *)(order + n), *fresh = memory + (axis < 0 ? 48 * n : 32 * x->size + 8 * n);
    gather(x, axis, line);
    d->size = n;
    if (axis < 0)
        order_of(x->dtype, n, line, 0, n, order, fresh, memory);
    else if (!order_of_slices(x->dtype, n, s, line, order, fresh, memory))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "unique: slices with NaNs");
    find_distinct(d, order, fresh);
    int out = 0, error = rg_output(frame, thunk, out++, 1, &d->count);
    if (!error && thunk->params[0])
        error = axis < 0 ? rg_output(frame, thunk, out++, x->ndim, x->shape) : rg_output(frame, thunk, out++, 1, &n);
    if (!error && thunk->params[1])
        error = rg_output(frame, thunk, out, 1, &d->count);
    return error;
}

static int unique_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    const distinct *d = thunk->state;
    int out = 0;
    memcpy(thunk->out[out++]->data, d->numbers, (size_t)d->count * sizeof *d->numbers);
    if (thunk->params[0])
        memcpy(thunk->out[out++]->data, d->numbers + d->size, (size_t)d->size * sizeof *d->numbers);
    if (thunk->params[1])
        memcpy(thunk->out[out]->data, d->numbers + 2 * d->size, (size_t)d->count * sizeof *d->numbers);
    return RG_OK;
}

/* Where the elements of v go into x. Inputs: x, v, and the order of x unless it is sorted. params: whether to the right
   of equal elements, and the dtype in which they are compared. */

static int search_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *v = thunk->in[1];
    if (thunk->nin > 2 && thunk->in[2]->size != x->size)
        return rg_fail(frame, RG_ERROR_VALUE, "searchsorted: an order of %lld", (long long)thunk->in[2]->size);
    return rg_output(frame, thunk, 0, v->ndim, v->shape);
}

static int is_before(triple a, triple b, int or_equal) {
    if (a.high != b.high)
        return a.high < b.high;
    return a.low < b.low || (or_equal && a.low == b.low);
}

/* An array's keys, through one dtype. `memory`: 24 bytes for each element. */
static void read_keys(const rg_array *x, int dtype, triple *keys, char *memory) {
    int64_t strides[RG_NDIM];
    rg_c_strides(x->ndim, x->shape, rg_itemsize[dtype], strides);
    rg_widen_into(x, dtype, x->ndim, x->shape, memory, strides);
    if (is_complex(dtype)) {
        triples_of(dtype, x->size, memory, keys);
        return;
    }
    uint64_t *words = (uint64_t *)(memory + x->size * 16);
    keys_of(dtype, x->size, memory, words);
    for (int64_t i = 0; i < x->size; i++)
        keys[i] = (triple){words[i], 0, 0};
}

static int search_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *v = thunk->in[1], *order = thunk->nin > 2 ? thunk->in[2] : NULL;
    int right = thunk->params[0] != 0, dtype = (int)thunk->params[1];
    int64_t n = x->size, most = rg_most(n, v->size), *to = (int64_t *)thunk->out[0]->data;
    triple *keys = rg_scratch(frame, (size_t)(2 * n + v->size + most) * sizeof *keys);
    if (!keys)
        return RG_ERROR_MEMORY;
    triple *sorted = keys + n, *wanted = sorted + n;
    read_keys(x, dtype, keys, (char *)(wanted + v->size));
    read_keys(v, dtype, wanted, (char *)(wanted + v->size));
    for (int64_t i = 0; i < n && order; i++) {
        int64_t number = rg_integer_at(order->dtype, order->data + i * order->strides[0]);
        if (number < 0 || number >= n)
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "searchsorted: an order with other numbers");
        sorted[i] = keys[number];
    }
    const triple *among = order ? sorted : keys;
    for (int64_t i = 0; i < v->size; i++) {
        int64_t low = 0, left = n;
        while (left > 0) {
            int64_t half = left / 2;
            int before = is_before(among[low + half], wanted[i], right);
            low += before ? half + 1 : 0;
            left = before ? left - half - 1 : half;
        }
        to[i] = low;
    }
    return RG_OK;
}

/* How often each of 0, 1, ... is there, or the sum of its weights. Inputs: x, the least length, weights. */

static int bincount_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int64_t length = rg_integer(thunk->in[1]);
    if (length < 0)
        return rg_fail(frame, RG_ERROR_VALUE, "bincount: a negative length");
    if (thunk->nin > 2 && thunk->in[2]->size != x->size)
        return rg_fail(frame, RG_ERROR_VALUE, "bincount: %lld weights", (long long)thunk->in[2]->size);
    for (int64_t i = 0; i < x->size; i++) {
        int64_t value = rg_integer_at(x->dtype, x->data + i * x->strides[0]);
        if (value < 0 || value == INT64_MAX)
            return rg_fail(frame, RG_ERROR_VALUE, "bincount: a negative number, or one too large");
        length = rg_most(length, value + 1);
    }
    return rg_output_of(frame, thunk, 0, 1, &length);
}

static int bincount_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *w = thunk->nin > 2 ? thunk->in[2] : NULL;
    rg_array *out = thunk->out[0];
    double *weights = NULL;
    int64_t step = sizeof *weights;
    if (w && !(weights = rg_scratch(frame, (size_t)x->size * sizeof *weights)))
        return RG_ERROR_MEMORY;
    if (w)
        rg_widen_into(w, RG_F64, 1, w->shape, (char *)weights, &step);
    memset(out->data, 0, (size_t)out->size * 8);
    for (int64_t i = 0; i < x->size; i++) {
        int64_t value = rg_integer_at(x->dtype, x->data + i * x->strides[0]);
        if (w)
            ((double *)out->data)[value] += weights[i];
        else
            ((int64_t *)out->data)[value]++;
    }
    return RG_OK;
}

const rg_kernel rg_kernels_sorting[] = {
    {"sort", same_shape_prepare, sort_run},
    {"argsort", same_shape_prepare, argsort_run},
    {"topk", topk_prepare, topk_run},
    {"unique", unique_prepare, unique_run},
    {"searchsorted", search_prepare, search_run},
    {"bincount", bincount_prepare, bincount_run},
    {0},
};
