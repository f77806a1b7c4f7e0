/* Matrix products: by BLAS, and by kernels of our own where these are faster. */
#include "blas.h"
#include "once.h"
#include "products.h"
#include "products_typed.h"

#include <complex.h>
#include <stdlib.h>
#include <string.h>

typedef float _Complex complex64;
typedef double _Complex complex128;

rg_blas rg_blas_of;
int rg_way_of_all = -1;

#define LARGE 400000000  /* products of numbers: what takes more is left to BLAS */
#define DOTTED (1 << 17) /* elements of the matrix on the left, which is to stay in a cache, where rows are multiplied */
#define FEW_TERMS 32     /* of each sum, up to which rows are turned rather, but for very few rows on the left */
#define MANY_TERMS 24    /* of each sum, from which on products with short rows are turned */
#define LANES 64         /* bytes of a vector, at most */

/* A matrix in memory: strides in elements. */
typedef struct {
    char *data;
    int64_t rows, columns, row, column;
} matrix;

static int is_blas(int dtype) {
    return dtype == RG_F32 || dtype == RG_F64 || dtype == RG_C64 || dtype == RG_C128;
}

/* Whether BLAS can take it: one axis has unit stride, the other steps at least that far. */
static int fits(const matrix *m) {
    int by_rows = (m->column == 1 || m->columns == 1) && (m->row >= m->columns || m->rows == 1);
    int by_columns = (m->row == 1 || m->rows == 1) && (m->column >= m->rows || m->columns == 1);
    return by_rows || by_columns;
}

/* c = alpha a b + beta c, where c is contiguous in rows. */
static int by_blas(rg_frame *frame, int dtype, const matrix *a, const matrix *b, const matrix *c, const void *alpha,
                   const void *beta) {
    if (!rg_blas_of.gemm[dtype - RG_F32] && rg_blas_of.load())
        return rg_fail(frame, RG_ERROR_MISSING, "BLAS cannot be loaded: import scipy.linalg.cython_blas says why");
    /* BLAS has columns: c^T = b^T a^T */
    int m = (int)c->columns, n = (int)c->rows, k = (int)a->columns;
    int b_is_rows = (b->column == 1 || b->columns == 1) && (b->row >= b->columns || b->rows == 1);
    int a_is_rows = (a->column == 1 || a->columns == 1) && (a->row >= a->columns || a->rows == 1);
    char tb = b_is_rows ? 'N' : 'T', ta = a_is_rows ? 'N' : 'T';
    int ldb = (int)(b_is_rows ? (b->rows == 1 ? b->columns : b->row) : (b->columns == 1 ? b->rows : b->column));
    int lda = (int)(a_is_rows ? (a->rows == 1 ? a->columns : a->row) : (a->columns == 1 ? a->rows : a->column));
    int ldc = (int)(c->rows == 1 ? c->columns : c->row);
    ldb = ldb < 1 ? 1 : ldb, lda = lda < 1 ? 1 : lda, ldc = ldc < 1 ? 1 : ldc;
    void (*gemm)(char *, char *, int *, int *, int *, const void *, void *, int *, void *, int *, const void *, void *,
                 int *) = rg_blas_of.gemm[dtype - RG_F32];
    gemm(&tb, &ta, &m, &n, &k, alpha, b->data, &ldb, a->data, &lda, beta, c->data, &ldc);
    return RG_OK;
}

/* Whether kernels of our own are faster than BLAS, and which: benchmarks/products.py measures it. Products of large
   matrices are left to BLAS, as it packs them. */

enum way { BLAS, TILES, TURNED_TILES, DOTS, TURNING, OUTER };

static enum way way_of(int dtype, const matrix *a, const matrix *b, const matrix *c, int adds) {
    int64_t m = c->rows, n = c->columns, k = a->columns;
    int is_large = (double)m * (double)n * (double)k > LARGE;
    if (dtype != RG_F32 && dtype != RG_F64)
        return BLAS;
    if (rg_way_of_all >= 0)
        return (enum way)rg_way_of_all;
    if (b->column == 1) { /* rows of b are neighbours */
        if (k == 1 && adds && n * rg_itemsize[dtype] >= 2 * LANES)
            return OUTER;
        int64_t row = n * rg_itemsize[dtype];
        if (adds && a->row == 1 && m > 1 && (row < LANES ? k >= MANY_TERMS : row < 2 * LANES && k >= 2 * MANY_TERMS))
            return TURNED_TILES;
        return is_large && n > 16 ? BLAS : TILES;
    }
    if (b->row != 1 && k != 1)
        return BLAS;
    int is_dotted = (a->column == 1 || k == 1) && m <= DOTTED / k;
    if (k < FEW_TERMS ? m > 2 : 4 * m >= 3 * k || (!is_dotted && m > FEW_TERMS))
        return is_large ? BLAS : TURNING;
    return is_dotted ? DOTS : BLAS;
}

/* A product by kernels of our own, of which threads may take parts. */
typedef struct {
    enum way way;
    int dtype, adds;
    matrix a, b, c;
    const void *alpha;
    char *room;
    size_t bytes; /* of the room that a part has */
} own;

#define PARTS 16
#define WORTH_NS 100000 /* what a product takes at least that is shared among threads: a smaller one is as long on the
                           way between the caches of two cores */

static void own_part(void *context, int64_t number, int64_t of) {
    const own *p = context;
    const matrix *a = &p->a, *b = &p->b, *c = &p->c;
    int64_t m = c->rows, n = c->columns, k = a->columns;
    rg_part part = {number, of};
    void *room = p->room ? p->room + (size_t)number * p->bytes : NULL;
#define BY_OWN(letter, real)                                                                                           \
    const real alpha = *(const real *)p->alpha, *x = (const real *)a->data, *y = (const real *)b->data;                \
    real *z = (real *)c->data;                                                                                         \
    if (p->way == TILES)                                                                                               \
        rg_by_tiles_##letter(part, m, n, k, alpha, x, a->row, a->column, y, b->row, p->adds, z, c->row);               \
    else if (p->way == TURNED_TILES)                                                                                   \
        rg_by_turned_tiles_##letter(m, n, k, alpha, x, a->column, y, b->row, z, c->row, room);                         \
    else if (p->way == DOTS)                                                                                           \
        rg_by_dots_##letter(part, m, n, k, alpha, x, a->row, y, b->column, p->adds, z, c->row);                        \
    else if (p->way == TURNING)                                                                                        \
        rg_by_turning_##letter(part, m, n, k, alpha, x, a->row, a->column, y, b->column, p->adds, z, c->row, room);    \
    else                                                                                                               \
        rg_by_outer_##letter(m, n, alpha, x, a->row, y, z, c->row, room);
    if (p->dtype == RG_F32) {
        BY_OWN(f32, float)
    } else {
        BY_OWN(f64, double)
    }
#undef BY_OWN
}

static int by_own(rg_frame *frame, own *p) {
    int64_t m = p->c.rows, n = p->c.columns, k = p->a.columns, size = rg_itemsize[p->dtype], parts = 1;
    double ns = 0.002 * (double)(m * n * k * size);
    if ((p->way == TILES || p->way == DOTS || p->way == TURNING) && ns >= WORTH_NS)
        parts = PARTS;
    p->bytes = 0;
    if (p->way == OUTER)
        p->bytes = (size_t)(n * size + LANES);
    else if (p->way == TURNING || p->way == TURNED_TILES)
        p->bytes = (size_t)((p->way == TURNING ? k : n) * 64 * size);
    parts = rg_threads() > 1 ? parts : 1;
    p->room = p->bytes ? rg_scratch(frame, p->bytes * (size_t)parts) : NULL;
    if (p->bytes && !p->room)
        return RG_ERROR_MEMORY;
    if (parts > 1)
        rg_parallel(parts, ns, own_part, p);
    else
        own_part(p, 0, 1);
    return RG_OK;
}

static int is_number(int dtype, const void *value, double wanted) {
    return dtype == RG_F32 ? *(const float *)value == (float)wanted : *(const double *)value == wanted;
}

/* Elements that lie together, multiplied by a number. */
static void multiply(int dtype, int64_t size, const void *by, char *data) {
    if (dtype == RG_F32)
        for (int64_t i = 0; i < size; i++)
            ((float *)data)[i] *= *(const float *)by;
    else
        for (int64_t i = 0; i < size; i++)
            ((double *)data)[i] *= *(const double *)by;
}

static const double one_f64[2] = {1, 0}, zero[2] = {0, 0};
static const float one_f32[2] = {1, 0};

static const void *one(int dtype) {
    return dtype == RG_F32 || dtype == RG_C64 ? (const void *)one_f32 : (const void *)one_f64;
}

static int tidy(rg_frame *frame, matrix *m, int dtype, char **memory, size_t *left) {
    (void)frame;
    if (fits(m))
        return RG_OK;
    int64_t size = rg_itemsize[dtype];
    rg_array from = {.data = m->data, .ndim = 2, .dtype = dtype, .shape = {m->rows, m->columns}, .strides = {m->row * size, m->column * size}, .size = m->rows * m->columns};
    rg_array to = from;
    to.data = *memory;
    to.strides[0] = m->columns * size;
    to.strides[1] = size;
    to.contiguous = 1;
    rg_copy(&from, &to);
    size_t used = ((size_t)(from.size * size) + 63) / 64 * 64;
    *memory += used;
    *left -= used;
    m->data = to.data, m->row = m->columns, m->column = 1;
    return RG_OK;
}

/* A matrix and a column as a row and a matrix, whose product has the same elements in a row. */
static void turn(matrix *a, matrix *b) {
    matrix row = {b->data, 1, b->rows, b->rows, b->row};
    *b = (matrix){a->data, a->columns, a->rows, a->column, a->row};
    *a = row;
}

static int product(rg_frame *frame, int dtype, matrix a, matrix b, matrix c, const void *alpha, const void *beta, int adds) {
    int64_t k = a.columns, size = rg_itemsize[dtype];
    if (c.rows == 0 || c.columns == 0)
        return RG_OK;
    if (k == 0 && !adds) {
        memset(c.data, 0, (size_t)(c.rows * c.columns * size));
        return RG_OK;
    }
    if (!is_blas(dtype)) {
        rg_matrix left = {a.data, a.row, a.column}, right = {b.data, b.row, b.column}, out = {c.data, c.row, 1};
        rg_product_typed(dtype, c.rows, c.columns, k, &left, &right, &out);
        return RG_OK;
    }
    if (c.columns == 1 && c.rows > 1 && c.row != 1)
        b.column = 1; /* as it has one column only */
    else if (c.columns == 1 && c.rows > 1) {
        turn(&a, &b);
        c = (matrix){c.data, 1, c.rows, c.rows, 1};
    }
    enum way way = way_of(dtype, &a, &b, &c, adds);
    if (way != BLAS && k) {
        if (adds && !is_number(dtype, beta, 1))
            multiply(dtype, c.rows * c.columns, beta, c.data);
        own p = {way, dtype, adds, a, b, c, alpha, NULL, 0};
        return by_own(frame, &p);
    }
    size_t need = 0;
    if (!fits(&a))
        need += ((size_t)(a.rows * a.columns * size) + 63) / 64 * 64;
    if (!fits(&b))
        need += ((size_t)(b.rows * b.columns * size) + 63) / 64 * 64;
    char *memory = need ? rg_scratch(frame, need) : NULL;
    if (need && !memory)
        return RG_ERROR_MEMORY;
    tidy(frame, &a, dtype, &memory, &need);
    tidy(frame, &b, dtype, &memory, &need);
    return by_blas(frame, dtype, &a, &b, &c, alpha, beta);
}

int rg_product(rg_frame *frame, int dtype, int64_t m, int64_t n, int64_t k, const rg_matrix *a, const rg_matrix *b,
               const rg_matrix *c) {
    matrix left = {a->data, m, k, a->row, a->column}, right = {b->data, k, n, b->row, b->column};
    matrix out = {c->data, m, n, c->row, c->column};
    return product(frame, dtype, left, right, out, one(dtype), zero, 0);
}

/* The last two axes as a matrix; a vector is a row on the left and a column on the right. */
static matrix left_of(const rg_array *x) {
    int64_t size = rg_itemsize[x->dtype];
    int n = x->ndim;
    if (n == 0)
        return (matrix){x->data, 1, 1, 1, 1};
    if (n == 1)
        return (matrix){x->data, 1, x->shape[0], x->shape[0], x->strides[0] / size};
    return (matrix){x->data, x->shape[n - 2], x->shape[n - 1], x->strides[n - 2] / size, x->strides[n - 1] / size};
}

static matrix right_of(const rg_array *y) {
    int64_t size = rg_itemsize[y->dtype];
    int n = y->ndim;
    if (n == 1)
        return (matrix){y->data, y->shape[0], 1, y->strides[0] / size, 1};
    return left_of(y);
}

/* Refuse to compute what steps over parts of elements, as a field of records may: strides are counted in elements. */
static int by_elements(rg_frame *frame, const rg_array *x, const rg_array *y) {
    const rg_array *both[2] = {x, y};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < both[i]->ndim; d++)
            if (both[i]->strides[d] % rg_itemsize[both[i]->dtype])
                return rg_fail(frame, RG_ERROR_ELSEWHERE, "strides are no multiples of the size of an element");
    return RG_OK;
}

/* dot of at most two axes each: inputs x, y. */

static int dot_shape(rg_frame *frame, rg_thunk *thunk, const rg_array *x, const rg_array *y, int *ndim, int64_t *shape) {
    (void)thunk;
    matrix a = left_of(x), b = right_of(y);
    *ndim = 0;
    if (a.columns != b.rows)
        return rg_fail(frame, RG_ERROR_VALUE, "shapes do not fit");
    if (x->ndim == 2)
        shape[(*ndim)++] = a.rows;
    if (y->ndim == 2)
        shape[(*ndim)++] = b.columns;
    return RG_OK;
}

static int dot_prepare(rg_frame *frame, rg_thunk *thunk) {
    int ndim;
    int64_t shape[RG_NDIM];
    int error = dot_shape(frame, thunk, thunk->in[0], thunk->in[1], &ndim, shape);
    error = error ? error : by_elements(frame, thunk->in[0], thunk->in[1]);
    return error ? error : rg_output(frame, thunk, 0, ndim, shape);
}

static matrix flat(char *data, const matrix *a, const matrix *b) {
    return (matrix){data, a->rows, b->columns, b->columns, 1};
}

static int dot_run(rg_frame *frame, rg_thunk *thunk) {
    matrix a = left_of(thunk->in[0]), b = right_of(thunk->in[1]);
    int dtype = thunk->out[0]->dtype;
    return product(frame, dtype, a, b, flat(thunk->out[0]->data, &a, &b), one(dtype), zero, 0);
}

/* matmul of stacks: inputs x, y of two axes or more. */

static int matmul_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0], *y = thunk->in[1];
    matrix a = left_of(x), b = right_of(y);
    if (a.columns != b.rows)
        return rg_fail(frame, RG_ERROR_VALUE, "shapes do not fit");
    rg_array stacks[2] = {*x, *y};
    int ndim = 0;
    int64_t shape[RG_NDIM];
    for (int i = 0; i < 2; i++) {
        stacks[i].ndim = stacks[i].ndim > 2 ? stacks[i].ndim - 2 : 0;
        if (rg_broadcast(&ndim, shape, &stacks[i]))
            return rg_fail(frame, RG_ERROR_VALUE, "stacks do not broadcast");
    }
    if (x->ndim > 1)
        shape[ndim++] = a.rows;
    if (y->ndim > 1)
        shape[ndim++] = b.columns;
    int error = by_elements(frame, x, y);
    return error ? error : rg_output(frame, thunk, 0, ndim, shape);
}

static int stacked(rg_frame *frame, const rg_array *x, const rg_array *y, const rg_array *out, const void *alpha, const void *beta, int adds) {
    matrix a = left_of(x), b = right_of(y);
    int ends = (x->ndim > 1) + (y->ndim > 1), n = out->ndim - ends;
    int64_t count = rg_size(n, out->shape), index[RG_NDIM] = {0}, each = a.rows * b.columns * rg_itemsize[out->dtype];
    for (int64_t s = 0; s < count; s++) {
        a.data = x->data, b.data = y->data;
        for (int d = 0; d < n; d++) {
            int dx = d - (n - (x->ndim - 2)), dy = d - (n - (y->ndim - 2));
            if (dx >= 0 && x->shape[dx] != 1)
                a.data += index[d] * x->strides[dx];
            if (dy >= 0 && y->shape[dy] != 1)
                b.data += index[d] * y->strides[dy];
        }
        int error = product(frame, out->dtype, a, b, flat(out->data + s * each, &a, &b), alpha, beta, adds);
        if (error)
            return error;
        for (int d = n - 1; d >= 0 && ++index[d] == out->shape[d]; d--)
            index[d] = 0;
    }
    return RG_OK;
}

static int matmul_run(rg_frame *frame, rg_thunk *thunk) {
    return stacked(frame, thunk->in[0], thunk->in[1], thunk->out[0], one(thunk->out[0]->dtype), zero, 0);
}

/* beta c + alpha x y: inputs c, alpha, x, y, beta. params: whether they are stacks. */

static int gemm_prepare(rg_frame *frame, rg_thunk *thunk) {
    rg_array *x = thunk->in[2], *y = thunk->in[3], whole = {0};
    matrix a = left_of(x), b = right_of(y);
    int64_t shape[RG_NDIM];
    int ndim = 0;
    if (a.columns != b.rows)
        return rg_fail(frame, RG_ERROR_VALUE, "shapes do not fit");
    if (thunk->params[0]) {
        rg_array stacks[2] = {*x, *y};
        for (int i = 0; i < 2; i++) {
            stacks[i].ndim = stacks[i].ndim > 2 ? stacks[i].ndim - 2 : 0;
            if (rg_broadcast(&ndim, shape, &stacks[i]))
                return rg_fail(frame, RG_ERROR_VALUE, "stacks do not broadcast");
        }
    }
    if (x->ndim > 1)
        shape[ndim++] = a.rows;
    if (y->ndim > 1)
        shape[ndim++] = b.columns;
    whole.ndim = ndim;
    memcpy(whole.shape, shape, sizeof shape);
    int joined = whole.ndim;
    if (rg_broadcast(&joined, shape, thunk->in[0]))
        return rg_fail(frame, RG_ERROR_VALUE, "shapes do not broadcast");
    if (joined != whole.ndim || memcmp(shape, whole.shape, (size_t)joined * sizeof *shape))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "the product is smaller than what it is added to");
    int error = by_elements(frame, x, y);
    return error ? error : rg_output(frame, thunk, 0, joined, shape);
}

static int gemm_run(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *c = thunk->in[0];
    rg_array *out = thunk->out[0];
    if (out->data != c->data && out->size) {
        rg_array from = *out;
        int more = out->ndim - c->ndim;
        from.data = c->data;
        for (int d = 0; d < out->ndim; d++)
            from.strides[d] = d < more || c->shape[d - more] == 1 ? 0 : c->strides[d - more];
        from.contiguous = rg_is_contiguous(from.ndim, from.shape, from.strides, rg_itemsize[from.dtype]);
        rg_copy(&from, out);
    }
    return stacked(frame, thunk->in[2], thunk->in[3], out, thunk->in[1]->data, thunk->in[4]->data, 1);
}

int rg_by_vector(const rg_thunk *thunk, rg_vector_product *p) {
    int adds = thunk->run == gemm_run, at = adds ? 2 : 0;
    if (thunk->run != dot_run && (!adds || thunk->params[0]))
        return 0;
    const rg_array *x = thunk->in[at], *y = thunk->in[at + 1];
    matrix a = left_of(x), b = right_of(y);
    int turns = b.columns == 1 && a.rows > 1;
    if (turns)
        turn(&a, &b);
    *p = (rg_vector_product){.vector = turns ? y : x, .whole = turns ? x : y, .alpha = adds ? thunk->in[1] : NULL};
    p->terms = a.columns, p->size = b.columns, p->step = a.column;
    p->matrix = (rg_matrix){b.data, b.row, b.column};
    return a.rows == 1 && b.columns > 1;
}

int rg_by_outer(const rg_thunk *thunk, rg_outer_product *p) {
    if (thunk->run != gemm_run || thunk->params[0])
        return 0;
    matrix a = left_of(thunk->in[2]), b = right_of(thunk->in[3]);
    *p = (rg_outer_product){thunk->in[3], a.data, a.row};
    return a.columns == 1 && way_of(thunk->out[0]->dtype, &a, &b, &b, 1) == OUTER;
}

int rg_sum_products(rg_frame *frame, const rg_thunk *thunk, int64_t parts, char *sums) {
    static const float ones_f32[RG_PARTS] = {[0 ... RG_PARTS - 1] = 1};
    static const double ones_f64[RG_PARTS] = {[0 ... RG_PARTS - 1] = 1};
    rg_array *out = thunk->out[0], *in[5];
    int64_t size = rg_itemsize[out->dtype];
    int dtype = out->dtype, last = out->ndim - 1, at = thunk->run == gemm_run ? 2 : 0;
    rg_array ones = {.dtype = dtype, .ndim = out->ndim, .shape = {1}, .strides = {size}};
    ones.data = dtype == RG_F32 ? (char *)ones_f32 : (char *)ones_f64;
    ones.shape[last] = parts, ones.strides[last] = size;
    rg_array rows = {.dtype = dtype, .ndim = 2, .shape = {parts, out->size}, .strides = {out->size * size, size}};
    rows.data = sums;
    for (int i = 0; i < thunk->nin; i++)
        in[i] = i == at ? &ones : i == at + 1 ? &rows : thunk->in[i];
    rg_thunk given = *thunk;
    given.in = in;
    return thunk->run(frame, &given);
}

const rg_kernel rg_kernels_matmul[] = {
    {"dot", dot_prepare, dot_run},
    {"matmul", matmul_prepare, matmul_run},
    {"gemm", gemm_prepare, gemm_run},
    {0},
};
