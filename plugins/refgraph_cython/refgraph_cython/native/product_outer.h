/* Products of two vectors, added to a matrix: for one type of numbers and one instruction set, after product_tiles.h.

They take as long as the matrix takes to come from memory and to go back there, so it is gone through once, as it lies.
*/

/* w += x d^T, for rows of w that lie one after the other: in vectors that are aligned, so that none is in two lines of
   the cache. Those that reach from one row into the next have two factors. x is multiplied by alpha; `d` is repeated
   behind its end. n is no less than LANES. */
static void NAME(add_outer)(int64_t rows, int64_t n, REAL alpha, const REAL *x, int64_t x_step, const REAL *d, REAL *w) {
    int64_t j = (int64_t)(-(uintptr_t)w % RG_BYTES / sizeof(REAL)); /* where in the row the next vector begins */
    REAL now = alpha * x[0];
    NAME(store_some)(w, NAME(load_some)(w, j) + now * NAME(load_some)(d, j), j);
    for (int64_t i = 0;; i++) {
        VECTOR by = now - (VECTOR){0};
        for (; j + 4 * LANES <= n; j += 4 * LANES) {
            RG_UNROLL(4)
            for (int u = 0; u < 4; u++) {
                VECTOR v = NAME(load)(w + j + u * LANES) + by * NAME(load)(d + j + u * LANES);
                memcpy(w + j + u * LANES, &v, sizeof v);
            }
        }
        for (; j + LANES <= n; j += LANES) {
            VECTOR v = NAME(load)(w + j) + by * NAME(load)(d + j);
            memcpy(w + j, &v, sizeof v);
        }
        if (i + 1 == rows)
            break;
        now = alpha * x[(i + 1) * x_step];
        if (j < n) {
            NAME(bits) first, a, b;
            VECTOR next = now - (VECTOR){0}, v;
            memcpy(&first, NAME(ones) + LANES - (n - j), sizeof first);
            memcpy(&a, &by, sizeof a);
            memcpy(&b, &next, sizeof b);
            a = (a & first) | (b & ~first);
            memcpy(&by, &a, sizeof by);
            v = NAME(load)(w + j) + by * NAME(load)(d + j);
            memcpy(w + j, &v, sizeof v);
            j += LANES;
        }
        w += n;
        j -= n;
    }
    NAME(store_some)(w + j, NAME(load_some)(w + j, n - j) + now * NAME(load_some)(d + j, n - j), n - j);
}

/* c += alpha a b of m x 1 and 1 x n. room: memory for n + LANES elements. */
static void NAME(by_outer)(int64_t m, int64_t n, REAL alpha, const REAL *a, int64_t a_row, const REAL *b, REAL *c,
                           int64_t c_row, REAL *room) {
    memcpy(room, b, (size_t)n * sizeof *b);
    memcpy(room + n, b, LANES * sizeof *b);
    int64_t rows = c_row == n ? m : 1;
    for (int64_t i = 0; i < m; i += rows)
        NAME(add_outer)(rows, n, alpha, a + i * a_row, a_row, room, c + i * c_row);
}

/* out = w d of the old w, and w += alpha a d^T, in one pass: of m x n, whose rows lie one after the other. A row has two
   sums, as each term waits for the one before. */
static void NAME(by_outer_and_dots)(int64_t m, int64_t n, REAL alpha, const REAL *a, int64_t a_row, const REAL *d,
                                    REAL *w, REAL *out) {
    for (int64_t i = 0; i < m; i++, w += n) {
        VECTOR sums[4] = {{0}}, by = alpha * a[i * a_row] - (VECTOR){0};
        int64_t j = 0;
        for (; j + 2 * LANES <= n; j += 2 * LANES) {
            RG_UNROLL(2)
            for (int u = 0; u < 2; u++) {
                VECTOR y = NAME(load)(d + j + u * LANES), v = NAME(load)(w + j + u * LANES);
                sums[u] += v * y;
                v += by * y;
                memcpy(w + j + u * LANES, &v, sizeof v);
            }
        }
        for (int64_t some; j < n; j += some) {
            some = n - j < LANES ? n - j : LANES;
            VECTOR y = NAME(load_some)(d + j, some), v = NAME(load_some)(w + j, some);
            sums[0] += v * y;
            NAME(store_some)(w + j, v + by * y, some);
        }
        REAL totals[4];
        sums[0] += sums[1];
        sums[1] = (VECTOR){0};
        NAME(put_totals)(sums, 1, 0, totals);
        out[i] = totals[0];
    }
}
