/* Products of matrices in tiles of registers, without packing: for one type of numbers and one instruction set.

    c = alpha a b + adds c,   b and c with rows of neighbours

A tile is some rows of c by some vectors; for each k an element of each row of a meets the vectors of row k of b. Where
vectors reach beyond the last column their lanes there are computed from what lies behind it, and not stored; at the end
of b only what is there is read. No packing pays as long as a has few rows, or few columns (S. Heinecke et al.,
"LIBXSMM: accelerating small matrix multiplications by runtime code generation", 2016, for the way of tiles).
*/
#define LANES (RG_BYTES / (int)sizeof(REAL))
#define ROWS (RG_BYTES == 64 ? 8 : 4)
#define NAME(name) RG_JOINED(RG_JOINED(name, LETTER), RG_ISA)

typedef REAL NAME(vector) __attribute__((vector_size(RG_BYTES)));
#define VECTOR NAME(vector)

static inline __attribute__((always_inline)) VECTOR NAME(load)(const REAL *from) {
    VECTOR v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline __attribute__((always_inline)) VECTOR NAME(load_some)(const REAL *from, int64_t lanes) {
    VECTOR v = {0};
    for (int64_t i = 0; i < lanes; i++)
        v[i] = from[i];
    return v;
}

static inline __attribute__((always_inline)) void NAME(store_some)(REAL *to, VECTOR v, int64_t lanes) {
#if defined(__AVX512F__)
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
    VECTOR sums[8][8];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sums[i][j] = (VECTOR){0};
    int64_t whole = k;
    if (last < LANES) { /* rows of b whose vectors stay inside it */
        int64_t room = b_end - b - vectors * LANES;
        whole = room < 0 ? 0 : b_row > 0 ? room / b_row + 1 : k;
        whole = whole > k ? k : whole;
    }
    const REAL *at = a;
    for (int64_t t = 0; t < whole; t++) {
        VECTOR y[8];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            y[j] = NAME(load)(b + j * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            REAL x = at[i * a_row];
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sums[i][j] += x * y[j];
        }
        at += a_column;
        b += b_row;
    }
    for (int64_t t = whole; t < k; t++) {
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            VECTOR y = j + 1 < vectors ? NAME(load)(b + j * LANES) : NAME(load_some)(b + j * LANES, last);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++)
                sums[i][j] += at[i * a_row] * y;
        }
        at += a_column;
        b += b_row;
    }
    if (adds) { /* all rows are read before any is written: rows that share a vector would wait for one another */
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) {
                const REAL *from = c + i * c_row + j * LANES;
                int some = j + 1 == vectors && last < LANES && from + LANES > c_end;
                VECTOR old = some ? NAME(load_some)(from, last) : NAME(load)(from);
                sums[i][j] = alpha * sums[i][j] + old;
            }
    } else {
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sums[i][j] = alpha * sums[i][j];
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
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
TILE(5, 1) TILE(5, 2) TILE(5, 3)
TILE(6, 1) TILE(6, 2) TILE(6, 3)
TILE(7, 1) TILE(7, 2) TILE(7, 3)
TILE(8, 1) TILE(8, 2) TILE(8, 3)
#endif

typedef void (*NAME(tile_of))(ARGUMENTS);
#define OF(rows, vectors) [rows][vectors] = NAME(tile_##rows##_##vectors)
static const NAME(tile_of) NAME(tiles)[9][9] = {
    OF(1, 1), OF(1, 2), OF(1, 3), OF(1, 4), OF(1, 5), OF(1, 6), OF(1, 7), OF(1, 8),
    OF(2, 1), OF(2, 2), OF(2, 3), OF(2, 4), OF(3, 1), OF(3, 2), OF(3, 3), OF(4, 1), OF(4, 2), OF(4, 3),
#if RG_BYTES == 64
    OF(5, 1), OF(5, 2), OF(5, 3), OF(6, 1), OF(6, 2), OF(6, 3), OF(7, 1), OF(7, 2), OF(7, 3), OF(8, 1), OF(8, 2),
    OF(8, 3),
#endif
};

/* c = alpha a b + adds c, of m x k and k x n. Columns first, so that a strip of b stays in the cache for all rows; where
   b has few rows, rows first, so that c is gone through as it lies. */
static void NAME(by_tiles)(int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_row, int64_t a_column,
                           const REAL *b, int64_t b_row, int adds, REAL *c, int64_t c_row) {
    const REAL *b_end = b + (k - 1) * b_row + n, *c_end = c + (m - 1) * c_row + n;
    int64_t most = m < ROWS ? m : ROWS, wide = (most == 1 ? 8 : most == 2 ? 4 : 3) * LANES;
    int64_t strips = (n + wide - 1) / wide, stacks = (m + ROWS - 1) / ROWS;
    for (int64_t s = 0; s < strips * stacks; s++) {
        int64_t j = (k <= 16 ? s % strips : s / stacks) * wide, i = (k <= 16 ? s / strips : s % stacks) * ROWS;
        int64_t columns = n - j < wide ? n - j : wide, rows = m - i < ROWS ? m - i : ROWS;
        int64_t vectors = (columns + LANES - 1) / LANES;
        NAME(tiles)[rows][vectors](k, a + i * a_row, a_row, a_column, b + j, b_row, b_end, c + i * c_row + j, c_row, c_end,
                                   alpha, adds, columns - (vectors - 1) * LANES);
    }
}

/* The same with the transpose of b, whose rows are the columns of the product: sums along neighbours of both. */
static inline __attribute__((always_inline)) void NAME(dots)(const int rows, const int columns, int64_t k, const REAL *a,
                                                             int64_t a_row, const REAL *b, int64_t b_row, REAL *c,
                                                             int64_t c_row, REAL alpha, int adds) {
    VECTOR sums[5][4];
#pragma GCC unroll 5
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            sums[i][j] = (VECTOR){0};
    int64_t t = 0;
    for (; t + LANES <= k; t += LANES) {
        VECTOR y[4];
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            y[j] = NAME(load)(b + j * b_row + t);
#pragma GCC unroll 5
        for (int i = 0; i < rows; i++) {
            VECTOR x = NAME(load)(a + i * a_row + t);
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++)
                sums[i][j] += x * y[j];
        }
    }
#pragma GCC unroll 5
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) {
            REAL sum = 0;
            for (int l = 0; l < LANES; l++)
                sum += sums[i][j][l];
            for (int64_t r = t; r < k; r++)
                sum += a[i * a_row + r] * b[j * b_row + r];
            REAL *to = c + i * c_row + j;
            *to = alpha * sum + (adds ? *to : 0);
        }
}

static void NAME(by_dots)(int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_row, const REAL *b,
                          int64_t b_row, int adds, REAL *c, int64_t c_row) {
    for (int64_t j = 0; j < n; j += 4) {
        for (int64_t i = 0; i < m; i += 5) {
            const REAL *x = a + i * a_row, *y = b + j * b_row;
            REAL *to = c + i * c_row + j;
            int64_t rows = m - i < 5 ? m - i : 5, columns = n - j < 4 ? n - j : 4;
            if (rows == 5 && columns == 4)
                NAME(dots)(5, 4, k, x, a_row, y, b_row, to, c_row, alpha, adds);
            else if (columns == 4)
                for (int64_t r = 0; r < rows; r++)
                    NAME(dots)(1, 4, k, x + r * a_row, a_row, y, b_row, to + r * c_row, c_row, alpha, adds);
            else
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t q = 0; q < columns; q++)
                        NAME(dots)(1, 1, k, x + r * a_row, a_row, y + q * b_row, b_row, to + r * c_row + q, c_row, alpha, adds);
        }
    }
}

#undef LANES
#undef ROWS
#undef NAME
#undef VECTOR
#undef ARGUMENTS
#undef PASSED
#undef TILE
#undef OF
