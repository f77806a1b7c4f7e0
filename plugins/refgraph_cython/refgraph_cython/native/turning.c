/* Transposition: by vectors where elements lie together on both sides, else one by one. Both go in blocks, so that the
lines of cache that one side touches are used up before they are lost (Lam, Rothberg, Wolf, "The cache performance and
optimizations of blocked algorithms", ASPLOS 1991). */
#include "turning.h"
#include "moving.h"
#include "variants.h"

#define LINE 64 /* bytes of a line of cache */
#define SIDE 64 /* elements along a row of a block */

/* One by one. */

#define EACH(size, type)                                                                                               \
    static void each_##size(int64_t rows, int64_t columns, const char *from, int64_t from_row, int64_t from_column,    \
                            char *to, int64_t to_row, int64_t to_column) {                                             \
        for (int64_t r = 0; r < rows; r++) {                                                                           \
            const char *source = from + r * from_row;                                                                  \
            char *target = to + r * to_row;                                                                            \
            int64_t c = 0;                                                                                             \
            for (; c + 4 <= columns; c += 4, source += 4 * from_column, target += 4 * to_column) {                     \
                type x = *(const type *)source, y = *(const type *)(source + from_column);                             \
                type z = *(const type *)(source + 2 * from_column), w = *(const type *)(source + 3 * from_column);     \
                *(type *)target = x;                                                                                   \
                *(type *)(target + to_column) = y;                                                                     \
                *(type *)(target + 2 * to_column) = z;                                                                 \
                *(type *)(target + 3 * to_column) = w;                                                                 \
            }                                                                                                          \
            for (; c < columns; c++, source += from_column, target += to_column)                                       \
                *(type *)target = *(const type *)source;                                                               \
        }                                                                                                              \
    }
RG_EACH_SIZE(EACH)

#define CASE_EACH(size, type)                                                                                          \
    case size:                                                                                                         \
        each_##size(rows, columns, from, from_row, from_column, to, to_row, to_column);                                \
        return;

static void each(int64_t itemsize, int64_t rows, int64_t columns, const char *from, int64_t from_row,
                 int64_t from_column, char *to, int64_t to_row, int64_t to_column) {
    switch (itemsize) { RG_EACH_SIZE(CASE_EACH) }
}

static void one_by_one(int64_t itemsize, int64_t rows, int64_t columns, const char *from, int64_t from_row,
                       int64_t from_column, char *to, int64_t to_row, int64_t to_column) {
    int64_t side = rg_most(2 * LINE / itemsize, 16);
    for (int64_t r = 0; r < rows; r += side)
        for (int64_t c = 0; c < columns; c += side)
            each(itemsize, rg_least(side, rows - r), rg_least(side, columns - c), from + r * from_row + c * from_column,
                 from_row, from_column, to + r * to_row + c * to_column, to_row, to_column);
}

/* By vectors: by the longest that are no longer than a row. */

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define BY_VECTORS 1
#endif
#endif

#if BY_VECTORS
#define RG_SOURCE "turning_loops.h"
#include "each_isa.h"

#if RG_SEVERAL
#define WIDER(size)                                                                                                    \
    if (rg_isa() == RG_V4 && bytes >= 64)                                                                              \
        turn_##size##_v4(rows, columns, from, from_row, to, to_row);                                                   \
    else if (rg_isa() >= RG_V3 && bytes >= 32)                                                                         \
        turn_##size##_v3(rows, columns, from, from_row, to, to_row);                                                   \
    else
#else
#define WIDER(size)
#endif

#define CASE_VECTORS(size)                                                                                             \
    case size:                                                                                                         \
        WIDER(size)                                                                                                    \
        turn_##size##_base(rows, columns, from, from_row, to, to_row);                                                 \
        return 1;

/* Copy, if there is a tile at least. Strides are of rows of each side. */
static int by_vectors(int64_t itemsize, int64_t rows, int64_t columns, const char *from, int64_t from_row, char *to,
                      int64_t to_row) {
    int64_t bytes = columns * itemsize;
    if (rows * itemsize < 16 || bytes < 16)
        return 0;
    switch (itemsize) {
        CASE_VECTORS(1)
        CASE_VECTORS(2)
        CASE_VECTORS(4)
        CASE_VECTORS(8)
    default: /* an element of 16 bytes is a vector of its own */
        return 0;
    }
}
#else
#define by_vectors(...) 0
#endif

void rg_turn(int64_t itemsize, int64_t rows, int64_t columns, const char *from, int64_t from_row, int64_t from_column,
             char *to, int64_t to_row, int64_t to_column) {
    if (rows <= 0 || columns <= 0)
        return;
    if (from_row == -itemsize) { /* begin at the other end of all columns */
        from += (rows - 1) * from_row, from_row = itemsize;
        to += (rows - 1) * to_row, to_row = -to_row;
    }
    if (to_column == -itemsize) {
        from += (columns - 1) * from_column, from_column = -from_column;
        to += (columns - 1) * to_column, to_column = itemsize;
    }
    if (from_row != itemsize || to_column != itemsize ||
        !by_vectors(itemsize, rows, columns, from, from_column, to, to_row))
        one_by_one(itemsize, rows, columns, from, from_row, from_column, to, to_row, to_column);
}
