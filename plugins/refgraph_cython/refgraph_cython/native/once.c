/* Two products of one matrix and the pass between them, in one pass over the matrix.

Some rows at a time are multiplied by the vector, then the elements that come of it are passed over, then these rows times
what was computed are added to sums, while they are in a cache. So a matrix that has room in none comes from memory once,
not twice. Rows are shared out in parts, which depend on the shape alone, and each part has sums of its own.
*/
#include "once.h"
#include "around.h"
#include "products.h"

#include <stdlib.h>
#include <string.h>

#define LEAST (1 << 20)  /* bytes of the matrix: a smaller one is found in the cache of a core when it is read again */
#define BLOCK (1 << 18)  /* of rows that are in that cache, beside whatever else */
#define PART (1 << 19)   /* that are worth a part of their own */
#define NS_A_BYTE 0.015

typedef struct {
    const rg_once *once;
    rg_vector_product first, second;
} both;

static char *row_of(const rg_vector_product *second, int64_t row, int64_t size) {
    return second->matrix.data + row * second->matrix.row * size;
}

#define FOR_REAL(DO)                                                                                                   \
    if (once->first->out[0]->dtype == RG_F32) {                                                                        \
        DO(f32, float)                                                                                                 \
    } else {                                                                                                           \
        DO(f64, double)                                                                                                \
    }

static void multiply(void *context, int64_t part, int64_t from, int64_t n) {
    const both *p = context;
    const rg_once *once = p->once;
    const rg_vector_product *a = &p->first, *b = &p->second;
    (void)part;
#define MULTIPLY(letter, real)                                                                                         \
    rg_by_dots_##letter((rg_part){0, 1}, 1, n, a->terms, 1, (const real *)a->vector->data, a->terms,                   \
                        (const real *)row_of(b, from, sizeof(real)), b->matrix.row, 0,                                 \
                        (real *)once->first->out[0]->data + from, n);
    FOR_REAL(MULTIPLY)
}

static void add(void *context, int64_t part, int64_t from, int64_t n) {
    const both *p = context;
    const rg_once *once = p->once;
    const rg_vector_product *b = &p->second;
#define ADD(letter, real)                                                                                              \
    rg_by_tiles_##letter((rg_part){0, 1}, 1, b->size, n, 1, (const real *)b->vector->data + from * b->step, b->terms,  \
                         b->step, (const real *)row_of(b, from, sizeof(real)), b->matrix.row, 1,                       \
                         (real *)once->sums + part * b->size, b->size);
    FOR_REAL(ADD)
}

static int is_among(const rg_array *array, rg_array *const *arrays, int n) {
    for (int i = 0; i < n; i++)
        if (arrays[i] == array)
            return 1;
    return 0;
}

/* Whether the rows that the first product goes through are those of the second, and their elements lie together. */
static int is_of_one(const rg_vector_product *a, const rg_vector_product *b) {
    return a->terms == b->size && a->size == b->terms && a->step == 1 && a->matrix.row == 1 && b->matrix.column == 1 &&
           a->matrix.column == b->matrix.row;
}

int rg_find_once(rg_once *once, rg_thunk *first, rg_thunk *pass, rg_thunk *second) {
    rg_vector_product a, b;
    int dtype = first->out[0]->dtype;
    if (!rg_is_pass(pass) || !rg_by_vector(first, &a) || !rg_by_vector(second, &b) || !is_of_one(&a, &b))
        return 0;
    if ((dtype != RG_F32 && dtype != RG_F64) || b.whole->dtype != dtype || second->out[0]->dtype != dtype)
        return 0;
    if (!is_among(first->out[0], pass->in, pass->nin) || !is_among(b.vector, pass->out, pass->nout))
        return 0;
    int64_t row = b.size * rg_itemsize[dtype], bytes = row * b.terms, rows = BLOCK / row / 4 * 4;
    if (bytes < LEAST)
        return 0;
    int64_t parts = bytes / PART < RG_PARTS ? bytes / PART : RG_PARTS;
    parts = rg_split_pass(pass, b.terms, rows < 4 ? 4 : rows, parts);
    if (!parts)
        return 0;
    size_t room = (size_t)(parts * row);
    if (room > once->room) {
        free(once->sums);
        once->sums = malloc(room);
        once->room = once->sums ? room : 0;
        if (!once->sums)
            return -1;
    }
    once->first = first, once->pass = pass, once->second = second, once->parts = parts;
    return 1;
}

int rg_run_once(rg_frame *frame, const rg_once *once, int *done) {
    both p = {.once = once};
    rg_by_vector(once->first, &p.first);
    rg_by_vector(once->second, &p.second);
    *done = p.first.matrix.data == p.second.matrix.data;
    for (int k = 0; k < once->pass->nout; k++)
        *done &= !rg_overlap(once->pass->out[k], p.first.whole) && !rg_overlap(once->pass->out[k], p.first.vector);
    if (!*done)
        return RG_OK;
    int64_t row = p.second.size * rg_itemsize[once->first->out[0]->dtype];
    memset(once->sums, 0, (size_t)(once->parts * row));
    rg_around around = {multiply, add, &p, NS_A_BYTE * (double)(row * p.second.terms)};
    int error = rg_run_around(frame, once->pass, &around);
    return error ? error : rg_sum_products(frame, once->second, once->parts, once->sums);
}
