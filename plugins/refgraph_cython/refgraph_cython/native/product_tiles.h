/* Products of matrices in tiles of registers, without packing: for one type of numbers and one instruction set.

    c = alpha a b + adds c,   b and c with rows of neighbours

A tile is some rows of c by some vectors; for each k an element of each row of a meets the vectors of row k of b. Where
vectors reach beyond the last column their lanes there are computed from what lies behind it, and not stored; at the end
of b only what is there is read. No packing pays as long as a has few rows, or few columns (S. Heinecke et al.,
"LIBXSMM: accelerating small matrix multiplications by runtime code generation", 2016, for the way of tiles).
*/
#define LANES (RG_BYTES / (int)sizeof(REAL))
#define ROWS (RG_BYTES == 64 ? 12 : 4) /* of a tile, at most */
#define NAME(name) RG_JOINED(RG_JOINED(name, LETTER), RG_ISA)

typedef REAL NAME(vector) __attribute__((vector_size(RG_BYTES)));
#define VECTOR NAME(vector)
typedef PLACE NAME(bits) __attribute__((vector_size(RG_BYTES)));
typedef REAL NAME(part) __attribute__((vector_size(16)));

/* All bits in the first half, none in the second: from some place on, a mask of the first lanes. */
static const PLACE NAME(ones)[2 * LANES] = {[0 ... LANES - 1] = -1};

static inline __attribute__((always_inline)) VECTOR NAME(load)(const REAL *from) {
    VECTOR v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline __attribute__((always_inline)) VECTOR NAME(load_some)(const REAL *from, int64_t lanes) {
#if RG_BYTES == 64
    if (sizeof(REAL) == 4)
        return (VECTOR)_mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1), from);
    return (VECTOR)_mm512_maskz_loadu_pd((__mmask8)((1u << lanes) - 1), from);
#else
    VECTOR v = {0};
    for (int64_t i = 0; i < lanes; i++)
        v[i] = from[i];
    return v;
#endif
}

static inline __attribute__((always_inline)) void NAME(store_some)(REAL *to, VECTOR v, int64_t lanes) {
#if RG_BYTES == 64
    if (sizeof(REAL) == 4)
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << lanes) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(to, (__mmask8)((1u << lanes) - 1), (__m512d)v);
#else
    for (int64_t i = 0; i < lanes; i++)
        to[i] = v[i];
#endif
}

#define ARGUMENTS                                                                                                      \
    int64_t k, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b, int64_t b_row, const REAL *b_end,          \
        REAL *c, int64_t c_row, const REAL *c_end, REAL alpha, int adds, int64_t last

static inline __attribute__((always_inline)) void NAME(tile)(const int rows, const int vectors, ARGUMENTS) {
    VECTOR sums[12][8];
    RG_UNROLL(12)
    for (int i = 0; i < rows; i++)
        RG_UNROLL(8)
        for (int j = 0; j < vectors; j++)
            sums[i][j] = (VECTOR){0};
    int64_t whole = k;
    if (last < LANES) { /* rows of b whose vectors stay inside it */
        int64_t room = b_end - b - vectors * LANES;
        whole = room < 0 ? 0 : b_row > 0 ? room / b_row + 1 : k;
        whole = whole > k ? k : whole;
    }
    const REAL *at = a;
    int64_t t = 0;
    if (rows * vectors <= 4) { /* a sum waits for the one before, so there are four of each, of every fourth term */
        VECTOR more[3][4];
        RG_UNROLL(3)
        for (int u = 0; u < 3; u++)
            RG_UNROLL(4)
            for (int q = 0; q < rows * vectors; q++)
                more[u][q] = (VECTOR){0};
        for (; t + 4 <= whole; t += 4) {
            RG_UNROLL(4)
            for (int u = 0; u < 4; u++) {
                RG_UNROLL(4)
                for (int i = 0; i < rows; i++)
                    RG_UNROLL(4)
                    for (int j = 0; j < vectors; j++) {
                        VECTOR term = at[i * a_row] * NAME(load)(b + j * LANES);
                        if (u == 0)
                            sums[i][j] += term;
                        else
                            more[u - 1][i * vectors + j] += term;
                    }
                at += a_column;
                b += b_row;
            }
        }
        RG_UNROLL(4)
        for (int i = 0; i < rows; i++)
            RG_UNROLL(4)
            for (int j = 0; j < vectors; j++)
                sums[i][j] = (sums[i][j] + more[0][i * vectors + j]) +
                             (more[1][i * vectors + j] + more[2][i * vectors + j]);
    }
    for (; t < whole; t++) {
        VECTOR y[8];
        RG_UNROLL(8)
        for (int j = 0; j < vectors; j++)
            y[j] = NAME(load)(b + j * LANES);
        RG_UNROLL(12)
        for (int i = 0; i < rows; i++) {
            REAL x = at[i * a_row];
            RG_UNROLL(8)
            for (int j = 0; j < vectors; j++)
                sums[i][j] += x * y[j];
        }
        at += a_column;
        b += b_row;
    }
    for (; t < k; t++) {
        RG_UNROLL(8)
        for (int j = 0; j < vectors; j++) {
            VECTOR y = j + 1 < vectors ? NAME(load)(b + j * LANES) : NAME(load_some)(b + j * LANES, last);
            RG_UNROLL(12)
            for (int i = 0; i < rows; i++)
                sums[i][j] += at[i * a_row] * y;
        }
        at += a_column;
        b += b_row;
    }
    if (adds) { /* all rows are read before any is written: rows that share a vector would wait for one another */
        RG_UNROLL(12)
        for (int i = 0; i < rows; i++)
            RG_UNROLL(8)
            for (int j = 0; j < vectors; j++) {
                const REAL *from = c + i * c_row + j * LANES;
                int some = j + 1 == vectors && last < LANES && from + LANES > c_end;
                VECTOR old = some ? NAME(load_some)(from, last) : NAME(load)(from);
                sums[i][j] = alpha * sums[i][j] + old;
            }
    } else {
        RG_UNROLL(12)
        for (int i = 0; i < rows; i++)
            RG_UNROLL(8)
            for (int j = 0; j < vectors; j++)
                sums[i][j] = alpha * sums[i][j];
    }
    RG_UNROLL(12)
    for (int i = 0; i < rows; i++)
        RG_UNROLL(8)
        for (int j = 0; j < vectors; j++) {
            REAL *to = c + i * c_row + j * LANES;
            if (j + 1 == vectors && last < LANES)
                NAME(store_some)(to, sums[i][j], last);
            else
                memcpy(to, &sums[i][j], sizeof(VECTOR));
        }
}

#define PASSED k, a, a_row, a_column, b, b_row, b_end, c, c_row, c_end, alpha, adds, last
#define TILE(rows, vectors)                                                                                            \
    static __attribute__((noinline)) void NAME(tile_##rows##_##vectors)(ARGUMENTS) {                                   \
        NAME(tile)(rows, vectors, PASSED);                                                                             \
    }
TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4) TILE(1, 5) TILE(1, 6) TILE(1, 7) TILE(1, 8)
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4)
TILE(3, 1) TILE(3, 2) TILE(3, 3)
TILE(4, 1) TILE(4, 2) TILE(4, 3)
#if RG_BYTES == 64
TILE(2, 5) TILE(2, 6) TILE(2, 7) TILE(2, 8)
TILE(3, 4) TILE(3, 5) TILE(3, 6) TILE(3, 7) TILE(3, 8)
TILE(4, 4) TILE(4, 5) TILE(4, 6)
TILE(5, 4) TILE(6, 4)
TILE(9, 1) TILE(9, 2) TILE(10, 1) TILE(10, 2) TILE(11, 1) TILE(11, 2) TILE(12, 1) TILE(12, 2)
TILE(5, 1) TILE(5, 2) TILE(5, 3)
TILE(6, 1) TILE(6, 2) TILE(6, 3)
TILE(7, 1) TILE(7, 2) TILE(7, 3)
TILE(8, 1) TILE(8, 2) TILE(8, 3)
#endif

typedef void (*NAME(tile_of))(ARGUMENTS);
#define OF(rows, vectors) [rows][vectors] = NAME(tile_##rows##_##vectors)
static const NAME(tile_of) NAME(tiles)[13][9] = {
    OF(1, 1), OF(1, 2), OF(1, 3), OF(1, 4), OF(1, 5), OF(1, 6), OF(1, 7), OF(1, 8),
    OF(2, 1), OF(2, 2), OF(2, 3), OF(2, 4), OF(3, 1), OF(3, 2), OF(3, 3), OF(4, 1), OF(4, 2), OF(4, 3),
#if RG_BYTES == 64
    OF(5, 1), OF(5, 2), OF(5, 3), OF(6, 1), OF(6, 2), OF(6, 3), OF(7, 1), OF(7, 2), OF(7, 3), OF(8, 1), OF(8, 2),
    OF(8, 3), OF(2, 5), OF(2, 6), OF(2, 7), OF(2, 8), OF(3, 4), OF(3, 5), OF(3, 6), OF(3, 7), OF(3, 8), OF(4, 4),
    OF(4, 5), OF(4, 6), OF(5, 4), OF(6, 4), OF(9, 1), OF(9, 2), OF(10, 1), OF(10, 2), OF(11, 1), OF(11, 2), OF(12, 1),
    OF(12, 2),
#endif
};

/* c = alpha a b + adds c, of m x k and k x n. Columns first, so that a strip of b stays in the cache for all rows; where
   b has few rows, rows first, so that c is gone through as it lies. Of all tiles those of one part: what is in a tile
   does not depend on how many parts there are. */
static void NAME(by_tiles)(rg_part part, int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_row,
                           int64_t a_column, const REAL *b, int64_t b_row, int adds, REAL *c, int64_t c_row) {
    const REAL *b_end = b + (k - 1) * b_row + n, *c_end = c + (m - 1) * c_row + n;
    int64_t high = ROWS, vectors_of = 3; /* of a tile: as many sums as there are registers for */
    if (RG_BYTES == 64) {
        static const int8_t widths[] = {0, 8, 8, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2};
        high = m <= ROWS ? m : n <= LANES ? ROWS : 8;
        vectors_of = widths[high];
    } else {
        high = m < ROWS ? m : ROWS;
        vectors_of = high == 1 ? 8 : high == 2 ? 4 : 3;
    }
    int64_t wide = vectors_of * LANES;
    int64_t strips = (n + wide - 1) / wide, stacks = (m + high - 1) / high;
    int64_t end = strips * stacks * (part.number + 1) / part.of;
    for (int64_t s = strips * stacks * part.number / part.of; s < end; s++) {
        int64_t j = (k <= 16 ? s % strips : s / stacks) * wide, i = (k <= 16 ? s / strips : s % stacks) * high;
        int64_t columns = n - j < wide ? n - j : wide, rows = m - i < high ? m - i : high;
        int64_t vectors = (columns + LANES - 1) / LANES;
        NAME(tiles)[rows][vectors](k, a + i * a_row, a_row, a_column, b + j, b_row, b_end, c + i * c_row + j, c_row, c_end,
                                   alpha, adds, columns - (vectors - 1) * LANES);
    }
}

/* The same with the transpose of b, whose rows are the columns of the product: sums along neighbours of both. */

/* The sums of the lanes of four vectors, alpha times, as or added to four neighbours. */
static inline __attribute__((always_inline)) void NAME(put_totals)(const VECTOR *sums, REAL alpha, int adds, REAL *to) {
    REAL old[4] = {0}, totals[4];
    union {
        VECTOR whole;
        NAME(part) parts[RG_BYTES / 16];
    } of[4];
    NAME(part) p[4];
    RG_UNROLL(4)
    for (int j = 0; j < 4; j++) {
        of[j].whole = sums[j];
        p[j] = of[j].parts[0];
        RG_UNROLL(4)
        for (int q = 1; q < RG_BYTES / 16; q++)
            p[j] += of[j].parts[q];
    }
    NAME(transposed_totals)(p, totals);
    if (adds)
        memcpy(old, to, sizeof old);
    for (int j = 0; j < 4; j++)
        old[j] += alpha * totals[j];
    memcpy(to, old, sizeof old);
}

static inline __attribute__((always_inline)) void NAME(dots)(const int rows, const int columns, int64_t k, const REAL *a,
                                                             int64_t a_row, const REAL *b, int64_t b_row, REAL *c,
                                                             int64_t c_row, REAL alpha, int adds) {
    VECTOR sums[6][4];
    RG_UNROLL(6)
    for (int i = 0; i < rows; i++)
        RG_UNROLL(4)
        for (int j = 0; j < 4; j++)
            sums[i][j] = (VECTOR){0};
    int64_t t = 0;
    for (; t + LANES <= k; t += LANES) {
        VECTOR y[4];
        RG_UNROLL(4)
        for (int j = 0; j < columns; j++)
            y[j] = NAME(load)(b + j * b_row + t);
        RG_UNROLL(6)
        for (int i = 0; i < rows; i++) {
            VECTOR x = NAME(load)(a + i * a_row + t);
            RG_UNROLL(4)
            for (int j = 0; j < columns; j++)
                sums[i][j] += x * y[j];
        }
    }
    if (t < k) {
        VECTOR y[4];
        RG_UNROLL(4)
        for (int j = 0; j < columns; j++)
            y[j] = NAME(load_some)(b + j * b_row + t, k - t);
        RG_UNROLL(6)
        for (int i = 0; i < rows; i++) {
            VECTOR x = NAME(load_some)(a + i * a_row + t, k - t);
            RG_UNROLL(4)
            for (int j = 0; j < columns; j++)
                sums[i][j] += x * y[j];
        }
    }
    RG_UNROLL(6)
    for (int i = 0; i < rows; i++) {
        REAL few[4] = {0};
        if (columns == 4) {
            NAME(put_totals)(sums[i], alpha, adds, c + i * c_row);
            continue;
        }
        NAME(put_totals)(sums[i], alpha, 0, few);
        for (int j = 0; j < columns; j++)
            c[i * c_row + j] = few[j] + (adds ? c[i * c_row + j] : 0);
    }
}

#define DOTTED                                                                                                         \
    int64_t k, const REAL *a, int64_t a_row, const REAL *b, int64_t b_row, REAL *c, int64_t c_row, REAL alpha, int adds
#define DOTS(rows, columns)                                                                                            \
    static __attribute__((noinline)) void NAME(dots_##rows##_##columns)(DOTTED) {                                      \
        NAME(dots)(rows, columns, k, a, a_row, b, b_row, c, c_row, alpha, adds);                                       \
    }
DOTS(1, 1) DOTS(1, 2) DOTS(1, 3) DOTS(1, 4) DOTS(2, 4) DOTS(3, 4)
#if RG_BYTES == 64
DOTS(4, 4) DOTS(5, 4) DOTS(6, 4)
#endif

typedef void (*NAME(dots_of))(DOTTED);
static const NAME(dots_of) NAME(few_dots)[] = {NULL, NAME(dots_1_1), NAME(dots_1_2), NAME(dots_1_3)};
static const NAME(dots_of) NAME(four_dots)[] = {
    NULL, NAME(dots_1_4), NAME(dots_2_4), NAME(dots_3_4),
#if RG_BYTES == 64
    NAME(dots_4_4), NAME(dots_5_4), NAME(dots_6_4),
#endif
};

static void NAME(by_dots)(rg_part part, int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_row, const REAL *b,
                          int64_t b_row, int adds, REAL *c, int64_t c_row) {
    int64_t most = RG_BYTES == 64 ? 6 : 3, stacks = (m + most - 1) / most, high = (m + stacks - 1) / stacks;
    int64_t fours = (n + 3) / 4, end = fours * (part.number + 1) / part.of * 4;
    for (int64_t j = fours * part.number / part.of * 4; j < end; j += 4)
        for (int64_t i = 0; i < m; i += high) {
            const REAL *x = a + i * a_row, *y = b + j * b_row;
            REAL *to = c + i * c_row + j;
            int64_t rows = m - i < high ? m - i : high;
            if (n - j >= 4)
                NAME(four_dots)[rows](k, x, a_row, y, b_row, to, c_row, alpha, adds);
            else
                for (int64_t r = 0; r < rows; r++)
                    NAME(few_dots)[n - j](k, x + r * a_row, a_row, y, b_row, to + r * c_row, c_row, alpha, adds);
        }
}

