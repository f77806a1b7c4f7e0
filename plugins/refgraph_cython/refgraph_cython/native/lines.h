/* Lines: the elements of arrays along some axes, one line after the other in C order of the other axes. */
#ifndef RG_LINES_H
#define RG_LINES_H

#include "moving.h"

#define RG_LINED 4 /* arrays that may be walked together */

typedef struct rg_axes {
    int ndim;
    int64_t shape[RG_NDIM];
    int64_t strides[RG_LINED][RG_NDIM];
} rg_axes;

typedef struct rg_lines {
    int arrays;
    int64_t count, length; /* lines, and elements in each */
    rg_axes outer, inner;  /* the axes between lines, and those within one; neighbours that lie as one are one */
    int64_t at[RG_NDIM];   /* where the current line is along the outer axes */
    char *data[RG_LINED];  /* where it begins */
} rg_lines;

static inline void rg_lines_add_axis(rg_axes *axes, int arrays, const rg_array *const *all, int a) {
    int at = axes->ndim, joins = at > 0;
    int64_t n = all[0]->shape[a];
    if (n == 1)
        return;
    for (int k = 0; k < arrays && joins; k++)
        joins = axes->strides[k][at - 1] == n * all[k]->strides[a];
    at -= joins;
    axes->shape[at] = joins ? axes->shape[at] * n : n;
    for (int k = 0; k < arrays; k++)
        axes->strides[k][at] = all[k]->strides[a];
    axes->ndim = at + 1;
}

/* The lines of arrays of one shape along the axes whose bits are set in `along`. */
static inline rg_lines rg_lines_of(int64_t along, int arrays, const rg_array *const *all) {
    rg_lines lines = {.arrays = arrays};
    for (int a = 0; a < all[0]->ndim; a++)
        rg_lines_add_axis(along >> a & 1 ? &lines.inner : &lines.outer, arrays, all, a);
    if (lines.outer.ndim == 0) {
        lines.outer.ndim = 1;
        lines.outer.shape[0] = 1;
    }
    if (lines.inner.ndim == 0) {
        lines.inner.ndim = 1;
        lines.inner.shape[0] = 1;
        for (int k = 0; k < arrays; k++)
            lines.inner.strides[k][0] = rg_itemsize[all[k]->dtype];
    }
    lines.count = rg_size(lines.outer.ndim, lines.outer.shape);
    lines.length = rg_size(lines.inner.ndim, lines.inner.shape);
    for (int k = 0; k < arrays; k++)
        lines.data[k] = all[k]->data;
    return lines;
}

/* Go forward by some lines, no more than `rg_lines_run` answers. */
static inline void rg_lines_next(rg_lines *lines, int64_t by) {
    rg_axes *outer = &lines->outer;
    int a = outer->ndim - 1;
    for (;;) {
        for (int k = 0; k < lines->arrays; k++)
            lines->data[k] += by * outer->strides[k][a];
        lines->at[a] += by;
        if (lines->at[a] < outer->shape[a] || a == 0)
            return;
        for (int k = 0; k < lines->arrays; k++)
            lines->data[k] -= outer->shape[a] * outer->strides[k][a];
        lines->at[a] = 0;
        a--;
        by = 1;
    }
}

/* Go to a line, from the first one. */
static inline void rg_lines_seek(rg_lines *lines, int64_t number) {
    rg_axes *outer = &lines->outer;
    for (int a = outer->ndim - 1; a >= 0; a--) {
        lines->at[a] = number % outer->shape[a];
        number /= outer->shape[a];
        for (int k = 0; k < lines->arrays; k++)
            lines->data[k] += lines->at[a] * outer->strides[k][a];
    }
}

/* How many lines there are along the last outer axis, from the current one on. */
static inline int64_t rg_lines_run(const rg_lines *lines) {
    int last = lines->outer.ndim - 1;
    return lines->outer.shape[last] - lines->at[last];
}

/* Bytes from a line of array k to the next one, within a run. */
static inline int64_t rg_lines_apart(const rg_lines *lines, int k) {
    return lines->outer.strides[k][lines->outer.ndim - 1];
}

/* Bytes between neighbours in a line of array k, where the line has one axis only. */
static inline int64_t rg_lines_step(const rg_lines *lines, int k) {
    return lines->inner.strides[k][0];
}

/* Whether each line of array k lies together. */
static inline int rg_lines_lie_together(const rg_lines *lines, int k, int64_t itemsize) {
    return lines->inner.ndim == 1 && rg_lines_step(lines, k) == itemsize;
}

/* Copy n lines of a run of array k to or from memory in which they lie one after the other. */
static inline void rg_lines_copy(const rg_lines *lines, int k, int64_t itemsize, int64_t n, char *memory, int read) {
    int ndim = lines->inner.ndim + 1;
    int64_t shape[RG_NDIM + 1], strides[RG_NDIM + 1], together[RG_NDIM + 1];
    shape[0] = n;
    strides[0] = rg_lines_apart(lines, k);
    memcpy(shape + 1, lines->inner.shape, (size_t)(ndim - 1) * sizeof *shape);
    memcpy(strides + 1, lines->inner.strides[k], (size_t)(ndim - 1) * sizeof *strides);
    rg_c_strides(ndim, shape, itemsize, together);
    if (read)
        rg_move(ndim, shape, itemsize, lines->data[k], strides, memory, together);
    else
        rg_move(ndim, shape, itemsize, memory, together, lines->data[k], strides);
}

static inline void rg_lines_read(const rg_lines *lines, int k, int64_t itemsize, int64_t n, char *to) {
    rg_lines_copy(lines, k, itemsize, n, to, 1);
}

static inline void rg_lines_write(const rg_lines *lines, int k, int64_t itemsize, int64_t n, char *from) {
    rg_lines_copy(lines, k, itemsize, n, from, 0);
}

#endif
