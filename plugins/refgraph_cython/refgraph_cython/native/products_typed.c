/* Products of matrices of integers and truth values, which BLAS does not have. */
#include "products_typed.h"

#include <string.h>

#define COLUMNS 256 /* of the product that are summed side by side */

/* Sums wrap, as those of unsigned integers do: signed ones have the same bits. `times` and `plus` are those of the
   dtype. Where rows of b are neighbours a row of the product is summed at once, term by term; else each element is
   summed alone, which reads columns of b as they lie where these are neighbours. */
#define PRODUCT(name, type, times, plus)                                                                               \
    static type sum_##name(int64_t k, const type *x, int64_t x_stride, const type *y, int64_t y_stride) {              \
        type s = 0;                                                                                                    \
        if (x_stride == 1 && y_stride == 1)                                                                            \
            for (int64_t l = 0; l < k; l++)                                                                            \
                s = (type)plus(s, times(x[l], y[l]));                                                                  \
        else                                                                                                           \
            for (int64_t l = 0; l < k; l++)                                                                            \
                s = (type)plus(s, times(x[l * x_stride], y[l * y_stride]));                                            \
        return s;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    static void row_##name(int64_t n, int64_t k, const type *x, int64_t x_stride, const type *y, int64_t y_stride,     \
                           type *out) {                                                                                \
        memset(out, 0, (size_t)n * sizeof *out);                                                                       \
        for (int64_t l = 0; l < k; l++) {                                                                              \
            const type factor = x[l * x_stride], *line = y + l * y_stride;                                             \
            for (int64_t j = 0; j < n; j++)                                                                            \
                out[j] = (type)plus(out[j], times(factor, line[j]));                                                   \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void product_##name(int64_t m, int64_t n, int64_t k, const rg_matrix *a, const rg_matrix *b,                \
                               const rg_matrix *c) {                                                                   \
        const type *x = (const type *)a->data, *y = (const type *)b->data;                                             \
        type *out = (type *)c->data, sums[COLUMNS];                                                                    \
        for (int64_t i = 0; i < m; i++) {                                                                              \
            if (b->column != 1 || n < 4) {                                                                             \
                for (int64_t j = 0; j < n; j++)                                                                        \
                    out[i * c->row + j] = sum_##name(k, x + i * a->row, a->column, y + j * b->column, b->row);         \
                continue;                                                                                              \
            }                                                                                                          \
            for (int64_t j = 0; j < n; j += COLUMNS) {                                                                 \
                int64_t columns = n - j < COLUMNS ? n - j : COLUMNS;                                                   \
                row_##name(columns, k, x + i * a->row, a->column, y + j, b->row, sums);                                \
                memcpy(out + i * c->row + j, sums, (size_t)columns * sizeof *out);                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

#define TIMES(a, b) ((a) * (b))
#define PLUS(a, b) ((a) + (b))
#define TIMES_16(a, b) ((unsigned)(a) * (b)) /* int, to which C promotes, would overflow */
#define BOTH(a, b) (((a) != 0) & ((b) != 0))
#define EITHER(a, b) ((a) | (b))

PRODUCT(bool, uint8_t, BOTH, EITHER)
PRODUCT(u8, uint8_t, TIMES, PLUS)
PRODUCT(u16, uint16_t, TIMES_16, PLUS)
PRODUCT(u32, uint32_t, TIMES, PLUS)
PRODUCT(u64, uint64_t, TIMES, PLUS)

void rg_product_typed(int dtype, int64_t m, int64_t n, int64_t k, const rg_matrix *a, const rg_matrix *b,
                      const rg_matrix *c) {
    switch (rg_itemsize[dtype]) {
    case 1:
        (dtype == RG_BOOL ? product_bool : product_u8)(m, n, k, a, b, c);
        return;
    case 2:
        product_u16(m, n, k, a, b, c);
        return;
    case 4:
        product_u32(m, n, k, a, b, c);
        return;
    default:
        product_u64(m, n, k, a, b, c);
    }
}
