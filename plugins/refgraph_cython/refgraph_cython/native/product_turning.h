/* Products with a matrix of short rows, or with its transpose: for one type of numbers and one instruction set, after
product_tiles.h. */

#define BESIDE 64 /* short rows that are turned at a time */

/* A part of c = alpha a b^T + adds c of m x k and k x n, for few terms or many rows: rows of b are turned first, so that
   sums are side by side. room: memory for k * BESIDE elements. */
static void NAME(by_turning)(rg_part part, int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_row, int64_t a_column,
                             const REAL *b, int64_t b_row, int adds, REAL *c, int64_t c_row, REAL *room) {
    const int64_t size = sizeof *b, pieces = (n + BESIDE - 1) / BESIDE;
    const int64_t from = pieces * part.number / part.of * BESIDE, to = pieces * (part.number + 1) / part.of * BESIDE;
    for (int64_t j = from; j < to; j += BESIDE) {
        int64_t wide = n - j < BESIDE ? n - j : BESIDE;
        rg_turn(size, k, wide, (const char *)(b + j * b_row), size, b_row * size, (char *)room, BESIDE * size, size);
        NAME(by_tiles)((rg_part){0, 1}, m, wide, k, alpha, a, a_row, a_column, room, BESIDE, adds, c + j, c_row);
    }
}

/* c += alpha a b of m x k and k x n, for rows of c that are shorter than a vector, and columns of a that are neighbours:
   c^T = b^T a^T has long ones, and is turned. room: memory for n * BESIDE elements. */
static void NAME(by_turned_tiles)(int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t a_column,
                                  const REAL *b, int64_t b_row, REAL *c, int64_t c_row, REAL *room) {
    for (int64_t i = 0; i < m; i += BESIDE) {
        int64_t high = m - i < BESIDE ? m - i : BESIDE;
        NAME(by_tiles)((rg_part){0, 1}, n, high, k, alpha, b, 1, b_row, a + i, a_column, 0, room, BESIDE);
        for (int64_t l = 0; l < high; l++)
            for (int64_t j = 0; j < n; j++)
                c[(i + l) * c_row + j] += room[j * BESIDE + l];
    }
}
#undef BESIDE
