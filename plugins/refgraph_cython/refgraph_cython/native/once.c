/* Thunks that read one matrix, in one pass over it.

Of a product, a pass, and a product of the transpose: some rows at a time are multiplied by the vector, then the elements
that come of it are passed over, then these rows times what was computed are added to sums, while they are in a cache. So
a matrix that has room in none comes from memory once, not twice. Rows are shared out in parts, which depend on the shape
alone, and each part has sums of its own.

Of a product and an update: each row is multiplied by the vector and then added to, before the next one is.
*/
#include "once.h"
#include "around.h"
#include "groups.h"
#include "products.h"

#include <string.h>

#define LEAST (1 << 21)  /* bytes of the matrix: a smaller one is found in the cache of a core when it is read again */
#define BLOCK (1 << 18)  /* of rows that are in that cache, beside whatever else */
#define PART (1 << 19)   /* that are worth a part of their own, */
#define ROWS 32          /* and rows that are */
#define SHARED (1 << 24) /* bytes of a matrix from which on several threads update it: less is sooner done by one */
#define NS_A_BYTE 0.015

typedef struct {
    const rg_once *once;
    rg_vector_product first, second;
} both;

static char *row_of(const rg_vector_product *second, int64_t row, int64_t size) {
    return second->matrix.data + row * second->matrix.row * size;
}

#define FOR_REAL(DO)                                                                                                   \
    if (once->thunks[0]->out[0]->dtype == RG_F32) {                                                                        \
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
    rg_by_dots_##letter((rg_part){0, 1}, 1, n, a->terms, a->alpha ? *(const real *)a->alpha->data : 1,                 \
                        (const real *)a->vector->data, a->terms, (const real *)row_of(b, from, sizeof(real)),          \
                        b->matrix.row, a->alpha != NULL, (real *)once->thunks[0]->out[0]->data + from, n);
    FOR_REAL(MULTIPLY)
}

static void add(void *context, int64_t part, int64_t from, int64_t n) {
    const both *p = context;
    const rg_once *once = p->once;
    const rg_vector_product *b = &p->second;
#define ADD(letter, real)                                                                                              \
    rg_by_tiles_##letter((rg_part){0, 1}, 1, b->size, n, 1, (const real *)b->vector->data + from * b->step, b->terms,  \
                         b->step, (const real *)row_of(b, from, sizeof(real)), b->matrix.row, 1,                       \
                         (real *)once->thunks[2]->state + part * b->size, b->size);
    FOR_REAL(ADD)
}

static int is_real(int dtype) {
    return dtype == RG_F32 || dtype == RG_F64;
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

static int run_products(rg_frame *frame, const rg_once *once, int *done) {
    rg_thunk *first = once->thunks[0], *pass = once->thunks[1], *second = once->thunks[2];
    both p = {.once = once};
    rg_by_vector(first, &p.first);
    rg_by_vector(second, &p.second);
    *done = p.first.matrix.data == p.second.matrix.data;
    for (int k = 0; k < pass->nout; k++)
        *done &= !rg_overlap(pass->out[k], p.first.whole) && !rg_overlap(pass->out[k], p.first.vector);
    if (!*done)
        return RG_OK;
    int64_t row = p.second.size * rg_itemsize[first->out[0]->dtype];
    memset(second->state, 0, (size_t)(once->parts * row));
    rg_around around = {multiply, add, &p, NS_A_BYTE * (double)(row * p.second.terms)};
    int error = p.first.alpha ? rg_sum_products(frame, first, 0, NULL) : RG_OK; /* what it is added to */
    error = error ? error : rg_run_around(frame, pass, &around);
    return error ? error : rg_sum_products(frame, second, once->parts, second->state);
}

/* Three thunks. */
static int find_products(rg_frame *frame, rg_once *once) {
    rg_vector_product a, b;
    rg_thunk *first = once->thunks[0], *pass = once->thunks[1], *second = once->thunks[2];
    if (!second || !rg_is_pass(pass) || !rg_by_vector(first, &a) || !rg_by_vector(second, &b) || !is_of_one(&a, &b))
        return RG_OK;
    int dtype = first->out[0]->dtype;
    int stores = (int)read_group(pass->params).nstores; /* reductions come behind them, and are there at the end only */
    if (!is_real(dtype) || second->out[0]->dtype != dtype)
        return RG_OK;
    if (!is_among(first->out[0], pass->in, pass->nin) || !is_among(b.vector, pass->out, stores))
        return RG_OK;
    int64_t row = b.size * rg_itemsize[dtype], bytes = row * b.terms, block = BLOCK / row / 4 * 4;
    int64_t parts = bytes / PART < b.terms / ROWS ? bytes / PART : b.terms / ROWS;
    if (bytes < LEAST || !parts)
        return RG_OK;
    once->parts = rg_split_pass(pass, b.terms, block ? block : 4, parts < RG_PARTS ? parts : RG_PARTS);
    once->count = once->parts ? 3 : 0;
    once->run = run_products;
    return !once->count || rg_state(frame, second, (size_t)(once->parts * row)) ? RG_OK : RG_ERROR_MEMORY;
}

/* Two thunks. */

typedef struct {
    const rg_once *once;
    rg_vector_product product;
    rg_outer_product update;
} updated;

/* A share of the rows. */
static void update_rows(void *context, int64_t number, int64_t chunks) {
    const updated *p = context;
    const rg_once *once = p->once;
    const rg_thunk *update = once->thunks[1];
    int64_t from = p->product.size * number / chunks, to = p->product.size * (number + 1) / chunks;
    int64_t terms = p->product.terms;
#define UPDATE(letter, real)                                                                                           \
    rg_by_outer_and_dots_##letter(to - from, terms, *(const real *)update->in[1]->data,                                \
                                  (const real *)p->update.column + from * p->update.step, p->update.step,              \
                                  (const real *)p->product.vector->data, (real *)update->out[0]->data + from * terms,  \
                                  (real *)once->thunks[0]->out[0]->data + from);
    FOR_REAL(UPDATE)
}

static int run_update(rg_frame *frame, const rg_once *once, int *done) {
    const rg_thunk *update = once->thunks[1];
    updated p = {.once = once};
    rg_by_vector(once->thunks[0], &p.product);
    rg_by_outer(update, &p.update);
    char *w = update->out[0]->data;
    (void)frame;
#define IS_ONE(letter, real) *done = *(const real *)update->in[4]->data == 1;
    FOR_REAL(IS_ONE)
    *done &= update->in[0]->data == w && p.product.matrix.data == w;
    int64_t bytes = p.product.size * p.product.terms * rg_itemsize[update->out[0]->dtype];
    if (*done && bytes >= SHARED)
        rg_parallel(RG_PARTS, 2 * NS_A_BYTE * (double)bytes, update_rows, &p);
    else if (*done)
        update_rows(&p, 0, 1);
    return RG_OK;
}

static void find_update(rg_once *once) {
    rg_vector_product a;
    rg_outer_product b;
    if (!rg_by_vector(once->thunks[0], &a) || a.alpha || !rg_by_outer(once->thunks[1], &b) || a.vector != b.row)
        return;
    const rg_array *w = once->thunks[1]->out[0];
    int is_whole = w->ndim == 2 && w->shape[0] == a.size && w->shape[1] == a.terms && a.matrix.column == a.terms;
    if (!is_whole || a.step != 1 || a.matrix.row != 1 || a.whole->dtype != w->dtype)
        return;
    once->count = 2;
    once->run = run_update;
}

int rg_find_once(rg_frame *frame, rg_once *once) {
    once->count = 0;
    find_update(once);
    return once->count ? RG_OK : find_products(frame, once);
}
