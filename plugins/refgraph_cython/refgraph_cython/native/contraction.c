/* The contraction of two arrays: the product of elements, summed over indices that the result lacks (Einstein, "Die
   Grundlage der allgemeinen Relativitätstheorie", Annalen der Physik 49, 1916, section 5).

   Indices are of four kinds: those of both arrays and of the result (batch), of the first and of the result (rows), of
   the second and of the result (columns), and those that are summed (terms). For each index of the batch there is a
   product of matrices. An axis of length 1 goes with any index and is left out, so that axes may be repeated.

   Inputs: two arrays. Outputs: the result; memory for copies of both inputs, and for a copy of the result.
   params: whether lengths must be equal, so that nothing is repeated; then the index of each axis of the first input, of
   the second, and of the result. Indices are numbers below LETTERS. */
#include "moving.h"
#include "products_typed.h"

#define LETTERS RG_LOOPS

enum part { FIRST, SECOND, RESULT, PARTS };

/* Axes as loops, outermost first: lengths, and for each array the bytes from one index to the next. */
typedef struct {
    int n;
    int64_t length[LETTERS], stride[PARTS][LETTERS];
} loops;

/* How one array is used as a matrix for each index of the batch; `copied` is how it is copied before, or the result
   afterwards. */
typedef struct {
    int is_copied;
    int64_t row, column;              /* bytes */
    int64_t batch[LETTERS];           /* bytes */
    int ndim;
    int64_t shape[LETTERS], from[LETTERS], to[LETTERS];
} operand;

typedef struct {
    int is_swapped; /* whether the first factor is the second input: the result is then the transposed product */
    int64_t m, n, k;
    loops batch;
    operand of[PARTS];
} plan;

static int64_t distance(int64_t stride) {
    return stride < 0 ? -stride : stride;
}

static int64_t size_of(const loops *l) {
    int64_t size = 1;
    for (int a = 0; a < l->n; a++)
        size *= l->length[a];
    return size;
}

static void append(loops *to, const loops *from, int a) {
    to->length[to->n] = from->length[a];
    for (int p = 0; p < PARTS; p++)
        to->stride[p][to->n] = from->stride[p][a];
    to->n++;
}

/* The order in which an array lies in memory. */
static void sort(loops *l, enum part by) {
    loops sorted = {0};
    for (unsigned done = 0; sorted.n < l->n;) {
        int next = -1;
        for (int a = 0; a < l->n; a++)
            if (!(done >> a & 1) && (next < 0 || distance(l->stride[by][a]) > distance(l->stride[by][next])))
                next = a;
        append(&sorted, l, next);
        done |= 1u << next;
    }
    *l = sorted;
}

/* Whether axes of an array are as one, and the bytes from one of its indices to the next. */
static int as_one(const loops *l, enum part p, int64_t itemsize, int64_t *stride) {
    const int64_t *s = l->stride[p];
    *stride = l->n ? s[l->n - 1] : itemsize;
    for (int a = 0; a + 1 < l->n; a++)
        if (s[a] != s[a + 1] * l->length[a + 1])
            return 0;
    return *stride % itemsize == 0;
}

/* Whether a matrix has neighbours along the second axis, and steps over them along the first. */
static int has_lines(int64_t n, int64_t outer, int64_t m, int64_t inner, int64_t itemsize) {
    return (inner == itemsize || m == 1) && (outer >= m * itemsize || n == 1);
}

/* The closest distance of neighbours along some axes. */
static int64_t closest(const loops *l, enum part p) {
    int64_t found = INT64_MAX;
    for (int a = 0; a < l->n; a++)
        if (l->stride[p][a])
            found = rg_least(found, distance(l->stride[p][a]));
    return found;
}

/* Use an array as matrices through a copy: the batch, then rows, then columns; or columns, then rows. */
static void copy_it(operand *o, enum part p, const loops *batch, const loops *rows, const loops *columns,
                    int by_columns, int64_t itemsize) {
    const loops *order[3] = {batch, by_columns ? columns : rows, by_columns ? rows : columns};
    o->is_copied = 1;
    o->ndim = 0;
    for (int i = 0; i < 3; i++)
        for (int a = 0; a < order[i]->n; a++) {
            o->shape[o->ndim] = order[i]->length[a];
            o->from[o->ndim++] = order[i]->stride[p][a];
        }
    rg_c_strides(o->ndim, o->shape, itemsize, o->to);
    memcpy(o->batch, o->to, (size_t)batch->n * sizeof *o->batch);
    o->row = by_columns ? itemsize : size_of(columns) * itemsize;
    o->column = by_columns ? size_of(rows) * itemsize : itemsize;
}

/* Use an array as matrices where it lies, if it can be; the product takes what BLAS takes. */
static void use_factor(operand *o, enum part p, const loops *batch, const loops *rows, const loops *columns,
                       int64_t itemsize) {
    int64_t n = size_of(rows), m = size_of(columns);
    o->is_copied = 0;
    memcpy(o->batch, batch->stride[p], sizeof o->batch);
    int is_matrix = as_one(rows, p, itemsize, &o->row) && as_one(columns, p, itemsize, &o->column);
    for (int a = 0; a < batch->n; a++)
        is_matrix &= o->batch[a] % itemsize == 0;
    if (is_matrix && (has_lines(n, o->row, m, o->column, itemsize) || has_lines(m, o->column, n, o->row, itemsize)))
        return;
    copy_it(o, p, batch, rows, columns, closest(rows, p) < closest(columns, p), itemsize);
}

static void use_result(operand *o, const loops *batch, const loops *rows, const loops *columns, int64_t itemsize) {
    o->is_copied = 0;
    memcpy(o->batch, batch->stride[RESULT], sizeof o->batch);
    int is_matrix = as_one(rows, RESULT, itemsize, &o->row) && as_one(columns, RESULT, itemsize, &o->column);
    if (is_matrix && has_lines(size_of(rows), o->row, size_of(columns), o->column, itemsize))
        return;
    copy_it(o, RESULT, batch, rows, columns, 0, itemsize);
}

/* The length of each index; refused where lengths differ. */
static int find_lengths(rg_frame *frame, const rg_thunk *thunk, int64_t *length) {
    const int64_t *letters = thunk->params + 1;
    for (int i = 0; i < LETTERS; i++)
        length[i] = -1;
    for (int p = FIRST; p < RESULT; p++)
        for (int a = 0; a < thunk->in[p]->ndim; a++) {
            int64_t n = thunk->in[p]->shape[a], *known = &length[*letters++];
            int is_repeated = !thunk->params[0] && (*known == 1 || n == 1);
            if (*known >= 0 && *known != n && !is_repeated)
                return rg_fail(frame, RG_ERROR_VALUE, "an index has lengths %lld and %lld", (long long)*known,
                               (long long)n);
            if (*known < 0 || *known == 1)
                *known = n;
        }
    return RG_OK;
}

/* All indices as loops: those of the result in its order, then the others. What an array lacks has stride 0 in it. */
static void find_loops(const rg_thunk *thunk, const int64_t *length, const rg_array *result, loops *all) {
    int number[LETTERS];
    memset(all, 0, sizeof *all);
    for (int i = 0; i < LETTERS; i++)
        number[i] = -1;
    const rg_array *arrays[PARTS] = {thunk->in[0], thunk->in[1], result};
    const int64_t *letters[PARTS] = {thunk->params + 1};
    letters[SECOND] = letters[FIRST] + arrays[FIRST]->ndim;
    letters[RESULT] = letters[SECOND] + arrays[SECOND]->ndim;
    for (int i = 0; i < PARTS; i++) {
        int p = (i + RESULT) % PARTS;
        for (int a = 0; a < arrays[p]->ndim; a++) {
            int64_t letter = letters[p][a];
            if (length[letter] == 1)
                continue;
            if (number[letter] < 0) {
                number[letter] = all->n;
                all->length[all->n++] = length[letter];
            }
            if (arrays[p]->shape[a] != 1)
                all->stride[p][number[letter]] = arrays[p]->strides[a];
        }
    }
}

/* Whether an array has an index: its stride may be 0 also where it was repeated, which makes no difference. */
static int has(const loops *all, enum part p, int a) {
    return all->stride[p][a] != 0;
}

static void make_plan(plan *made, const rg_thunk *thunk, loops *all, int64_t itemsize) {
    loops kinds[3] = {0}, terms = {0}; /* rows, columns, and the batch */
    memset(&made->batch, 0, sizeof made->batch);
    made->is_swapped = 0;
    for (int a = 0; a < all->n; a++) {
        if (!has(all, RESULT, a)) {
            append(&terms, all, a);
            continue;
        }
        int kind = has(all, FIRST, a) && has(all, SECOND, a) ? 2 : has(all, SECOND, a) ? 1 : 0;
        append(&kinds[kind], all, a);
        made->is_swapped = kind == 0; /* where the last index of the result is one of the first array's */
    }
    made->is_swapped &= kinds[1].n > 0;
    made->batch = kinds[2];
    enum part first = made->is_swapped ? SECOND : FIRST, second = made->is_swapped ? FIRST : SECOND;
    const loops *rows = &kinds[first], *columns = &kinds[second];
    sort(&terms, thunk->in[0]->size >= thunk->in[1]->size ? FIRST : SECOND);
    made->m = size_of(rows), made->n = size_of(columns), made->k = size_of(&terms);
    use_factor(&made->of[first], first, &made->batch, rows, &terms, itemsize);
    use_factor(&made->of[second], second, &made->batch, &terms, columns, itemsize);
    use_result(&made->of[RESULT], &made->batch, rows, columns, itemsize);
}

static int contract_prepare(rg_frame *frame, rg_thunk *thunk) {
    rg_array like = {.ndim = thunk->out[0]->ndim};
    int64_t length[LETTERS], itemsize = rg_itemsize[thunk->out[0]->dtype];
    int error = find_lengths(frame, thunk, length);
    if (error)
        return error;
    const int64_t *letters = thunk->params + 1 + thunk->in[0]->ndim + thunk->in[1]->ndim;
    for (int a = 0; a < like.ndim; a++)
        like.shape[a] = length[letters[a]];
    error = rg_output_of(frame, thunk, 0, like.ndim, like.shape);
    if (error)
        return error;
    plan *made = rg_state(frame, thunk, sizeof *made);
    if (!made)
        return RG_ERROR_MEMORY;
    rg_c_strides(like.ndim, like.shape, itemsize, like.strides);
    loops all;
    find_loops(thunk, length, &like, &all);
    make_plan(made, thunk, &all, itemsize);
    int is_empty = size_of(&all) == 0;
    for (int p = FIRST; p < PARTS && !error; p++) {
        int64_t size = is_empty || !made->of[p].is_copied ? 0 : rg_size(made->of[p].ndim, made->of[p].shape);
        error = rg_output_of(frame, thunk, 1 + p, 1, &size);
    }
    return error;
}

static int multiply(rg_frame *frame, rg_thunk *thunk, const plan *made, char *const *data) {
    int64_t itemsize = rg_itemsize[thunk->out[0]->dtype], at[LETTERS] = {0};
    const operand *of[PARTS] = {&made->of[made->is_swapped ? SECOND : FIRST],
                                &made->of[made->is_swapped ? FIRST : SECOND], &made->of[RESULT]};
    rg_matrix matrices[PARTS];
    for (int p = 0; p < PARTS; p++)
        matrices[p] = (rg_matrix){data[of[p] - made->of], of[p]->row / itemsize, of[p]->column / itemsize};
    for (;;) {
        int error = rg_product(frame, thunk->out[0]->dtype, made->m, made->n, made->k, &matrices[0], &matrices[1],
                               &matrices[2]);
        if (error)
            return error;
        int a = made->batch.n - 1;
        for (; a >= 0; a--) {
            int more = ++at[a] < made->batch.length[a];
            for (int p = 0; p < PARTS; p++)
                matrices[p].data += of[p]->batch[a] * (more ? 1 : 1 - made->batch.length[a]);
            if (more)
                break;
            at[a] = 0;
        }
        if (a < 0)
            return RG_OK;
    }
}

static int contract_run(rg_frame *frame, rg_thunk *thunk) {
    const plan *made = thunk->state;
    rg_array *out = thunk->out[0];
    int64_t itemsize = rg_itemsize[out->dtype];
    if (out->size == 0)
        return RG_OK;
    if (made->k == 0) {
        memset(out->data, 0, (size_t)(out->size * itemsize));
        return RG_OK;
    }
    char *data[PARTS] = {thunk->in[0]->data, thunk->in[1]->data, out->data};
    for (int p = 0; p < PARTS; p++) {
        const operand *o = &made->of[p];
        if (!o->is_copied)
            continue;
        if (p != RESULT)
            rg_move(o->ndim, o->shape, itemsize, data[p], o->from, thunk->out[1 + p]->data, o->to);
        data[p] = thunk->out[1 + p]->data;
    }
    int error = multiply(frame, thunk, made, data);
    const operand *o = &made->of[RESULT];
    if (!error && o->is_copied)
        rg_move(o->ndim, o->shape, itemsize, data[RESULT], o->to, out->data, o->from);
    return error;
}

const rg_kernel rg_kernels_contraction[] = {
    {"contract", contract_prepare, contract_run},
    {0},
};
