/* Turning by vectors, for one instruction set: elements that lie together in rows of `from` come to lie together in
columns of it.

A tile is 16 bytes of as many rows as a vector has elements. Vectors are put together from such pieces, so that each lane
of 16 bytes is transposed for itself, and then every vector is a whole line of what is written. A lane is transposed by
perfect shuffles: the vectors of one half are interleaved with those of the other, as often as halving leaves one (H. S.
Stone, "Parallel processing with the perfect shuffle", IEEE Transactions on Computers C-20, 1971).
*/
#define NAME(name) RG_JOINED(name, RG_ISA)

typedef uint64_t NAME(lane) __attribute__((vector_size(16)));
typedef uint64_t NAME(vector) __attribute__((vector_size(RG_BYTES)));

static inline __attribute__((always_inline)) NAME(lane) NAME(piece)(const char *from) {
    NAME(lane) v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* A vector of pieces that lie `step` apart; and EACH_LANE: the numbers of elements for a shuffle, lane after lane of
   `n`. */
static inline __attribute__((always_inline)) NAME(vector) NAME(pieces)(const char *from, int64_t step) {
#if RG_BYTES == 16
#define EACH_LANE(numbers, at, n) numbers(at)
    (void)step;
    return NAME(piece)(from);
#elif RG_BYTES == 32
#define EACH_LANE(numbers, at, n) numbers(at), numbers(at + n)
    return __builtin_shufflevector(NAME(piece)(from), NAME(piece)(from + step), 0, 1, 2, 3);
#else
#define EACH_LANE(numbers, at, n) numbers(at), numbers(at + n), numbers(at + 2 * n), numbers(at + 3 * n)
    return __builtin_shufflevector(
        __builtin_shufflevector(NAME(piece)(from), NAME(piece)(from + step), 0, 1, 2, 3),
        __builtin_shufflevector(NAME(piece)(from + 2 * step), NAME(piece)(from + 3 * step), 0, 1, 2, 3),
        0, 1, 2, 3, 4, 5, 6, 7);
#endif
}

/* Some elements from number i on, of one vector and of the other by turns. */
#define PAIRS_1(i) (i), (i) + ELEMENTS
#define PAIRS_2(i) PAIRS_1(i), PAIRS_1(i + 1)
#define PAIRS_4(i) PAIRS_2(i), PAIRS_2(i + 2)
#define PAIRS_8(i) PAIRS_4(i), PAIRS_4(i + 4)

/* For elements of one size, of which n lie in a lane. Strides are of rows of each side. The last tiles of a row and of
   a column reach back over those before them. */
#define TURN(size, type, n, half)                                                                                      \
    typedef type NAME(elements_##size) __attribute__((vector_size(RG_BYTES)));                                         \
                                                                                                                       \
    static inline __attribute__((always_inline)) void NAME(tile_##size)(const char *from, int64_t f, char *to,         \
                                                                        int64_t t) {                                   \
        enum { ELEMENTS = RG_BYTES / size };                                                                           \
        NAME(elements_##size) v[n], w[n];                                                                              \
        RG_UNROLL(16) for (int j = 0; j < n; j++)                                                                      \
            v[j] = (NAME(elements_##size))NAME(pieces)(from + j * f, n * f);                                           \
        RG_UNROLL(16) for (int done = 1; done < n; done *= 2) {                                                        \
            RG_UNROLL(16) for (int j = 0; j < half; j++) {                                                             \
                w[2 * j] = __builtin_shufflevector(v[j], v[j + half], EACH_LANE(PAIRS_##half, 0, n));                  \
                w[2 * j + 1] = __builtin_shufflevector(v[j], v[j + half], EACH_LANE(PAIRS_##half, half, n));           \
            }                                                                                                          \
            RG_UNROLL(16) for (int j = 0; j < n; j++)                                                                  \
                v[j] = w[j];                                                                                           \
        }                                                                                                              \
        RG_UNROLL(16) for (int j = 0; j < n; j++)                                                                      \
            memcpy(to + j * t, &v[j], RG_BYTES);                                                                       \
    }                                                                                                                  \
                                                                                                                       \
    static void NAME(turn_##size)(int64_t rows, int64_t columns, const char *from, int64_t f, char *to, int64_t t) {   \
        const int64_t wide = RG_BYTES / size, side = rg_most(LINE / size, n);                                          \
        for (int64_t left = 0; left < columns; left += SIDE)                                                           \
            for (int64_t top = 0; top < rows; top += side)                                                             \
                for (int64_t c = left; c < columns && c < left + SIDE; c += wide)                                      \
                    for (int64_t r = top; r < rows && r < top + side; r += n) {                                        \
                        int64_t row = rg_least(r, rows - n), column = rg_least(c, columns - wide);                     \
                        NAME(tile_##size)(from + row * size + column * f, f, to + row * t + column * size, t);         \
                    }                                                                                                  \
    }

TURN(1, uint8_t, 16, 8)
TURN(2, uint16_t, 8, 4)
TURN(4, uint32_t, 4, 2)
TURN(8, uint64_t, 2, 1)

#undef NAME
#undef EACH_LANE
#undef PAIRS_1
#undef PAIRS_2
#undef PAIRS_4
#undef PAIRS_8
#undef TURN
