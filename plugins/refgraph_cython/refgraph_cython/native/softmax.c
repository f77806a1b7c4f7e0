/* softmax and logsoftmax along any axes.

With m = max(x) and s = sum(exp(x - m)) these are exp(x - m) / s and (x - m) - log(s), so that nothing overflows and no
logarithm meets 0. Lines that lie together are computed one by one, with a sum in each lane of a vector;
others, and short ones, side by side: as many lines as there are lanes. They are gathered so unless they lie so. float16
is computed in float32 and rounded once.
*/
#include "lines.h"
#include "vector_exp.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define RG_SOURCE "softmax_loops.h"
#include "each_isa.h"

typedef void (*line_of)(int64_t n, const void *x, void *y);
typedef void (*abreast_of)(int64_t n, const void *x, int64_t x_step, void *y, int64_t y_step); /* steps in elements */

/* Short lines, for both results or one of them. */
typedef void (*few_of)(int64_t lines, int64_t n, const char *x, int64_t x_line, char *y, int64_t y_line, char *logs,
                       int64_t logs_line);

#if RG_SEVERAL
#define FEW(name) (rg_isa() == RG_V4 ? few_##name##_v4 : (few_of)NULL)
#else
#define FEW(name) ((few_of)NULL)
#endif

#define SHORT 32          /* elements below which a line is computed beside others */
#define CHUNK 32768       /* elements that a thread takes at a time, about */
#define NS_AN_ELEMENT 0.5 /* of float32; twice that of float64 */

typedef struct {
    rg_lines lines;
    line_of line;
    abreast_of abreast;
    int64_t itemsize, computed; /* of an element, and of what it is computed in */
    int32_t dtype, lanes;
    int32_t one_by_one; /* whether lines are computed so, or else abreast */
    int32_t direct;     /* whether they lie as they are computed */
} softmax;

static void choose_way(softmax *s) {
    const rg_lines *l = &s->lines;
    int is_half = s->dtype == RG_F16, simple = l->inner.ndim == 1 && !is_half, last = l->outer.ndim - 1;
    int together = !is_half && rg_lines_lie_together(l, 0, s->itemsize) && rg_lines_lie_together(l, 1, s->itemsize);
    int few = l->outer.shape[last] < s->lanes / 2;
    s->one_by_one = few || (together && l->length >= SHORT);
    s->direct = s->one_by_one ? together
                              : simple && rg_lines_apart(l, 0) == s->itemsize && rg_lines_apart(l, 1) == s->itemsize;
}

/* params: which results are wanted, and the axes, as bits. */

enum wanted { SOFTMAX, LOGSOFTMAX, BOTH };

typedef struct {
    softmax of[2]; /* for each result */
    few_of few;    /* what computes them, if lines are so short and lie so */
} results;

static void prepare_one(softmax *s, rg_thunk *thunk, int k, int is_log) {
    const rg_array *x = thunk->in[0], *both[2] = {x, thunk->out[k]};
    s->lines = rg_lines_of(thunk->params[1], 2, both);
    s->dtype = x->dtype;
    s->itemsize = rg_itemsize[x->dtype];
    s->computed = x->dtype == RG_F16 ? (int64_t)sizeof(float) : s->itemsize;
    s->lanes = (int32_t)(rg_vector_bytes() / s->computed);
    if (x->dtype == RG_F64) {
        s->line = is_log ? RG_CHOOSE(logsoftmax_f64) : RG_CHOOSE(softmax_f64);
        s->abreast = is_log ? RG_CHOOSE(logsoftmax_abreast_f64) : RG_CHOOSE(softmax_abreast_f64);
    } else {
        s->line = is_log ? RG_CHOOSE(logsoftmax_f32) : RG_CHOOSE(softmax_f32);
        s->abreast = is_log ? RG_CHOOSE(logsoftmax_abreast_f32) : RG_CHOOSE(softmax_abreast_f32);
    }
    choose_way(s);
}

static int softmax_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    int wanted = (int)thunk->params[0];
    results *r = rg_state(frame, thunk, sizeof *r);
    if (!r)
        return RG_ERROR_MEMORY;
    for (int k = 0; k < thunk->nout; k++) {
        int error = rg_output(frame, thunk, k, x->ndim, x->shape);
        if (error)
            return error;
        prepare_one(&r->of[k], thunk, k, wanted == LOGSOFTMAX || k == 1);
    }
    const softmax *s = &r->of[0];
    const rg_lines *l = &s->lines;
    int fit = x->dtype != RG_F16 && l->outer.ndim == 1 && l->length <= s->lanes &&
              rg_lines_lie_together(l, 0, s->itemsize) && rg_lines_lie_together(l, 1, s->itemsize);
    r->few = !fit ? NULL : x->dtype == RG_F64 ? FEW(f64) : FEW(f32);
    return RG_OK;
}

/* Lines between arrays and memory: element i of line l is at i * across + l * apart elements there. */

#define COPY(name, type, held, TO, FROM)                                                                               \
    static void name(int64_t lines, int64_t n, char *data, int64_t line, int64_t step, char *memory, int64_t across,   \
                     int64_t apart) {                                                                                  \
        for (int64_t l = 0; l < lines; l++)                                                                            \
            for (int64_t i = 0; i < n; i++) {                                                                          \
                type *x = (type *)(data + l * line + i * step);                                                        \
                held *m = (held *)memory + i * across + l * apart;                                                     \
                TO = FROM;                                                                                           \
            }                                                                                                          \
    }
COPY(read_f16, _Float16, float, *m, *x)
COPY(read_f32, float, float, *m, *x)
COPY(read_f64, double, double, *m, *x)
COPY(write_f16, _Float16, float, *x, (_Float16)*m)
COPY(write_f32, float, float, *x, *m)
COPY(write_f64, double, double, *x, *m)

typedef void (*copier)(int64_t, int64_t, char *, int64_t, int64_t, char *, int64_t, int64_t);

/* Copy some lines of array k, as they are computed, to memory or from there. `spare`: for lines of several axes. */
static void copy_lines(const softmax *s, const rg_lines *lines, int k, int64_t n, char *memory, char *spare) {
    copier copy = s->dtype == RG_F16   ? (k ? write_f16 : read_f16)
                  : s->dtype == RG_F32 ? (k ? write_f32 : read_f32)
                                       : (k ? write_f64 : read_f64);
    int64_t length = lines->length, across = s->one_by_one ? 1 : s->lanes, apart = s->one_by_one ? length : 1;
    char *data = lines->data[k];
    int64_t line = rg_lines_apart(lines, k), step = rg_lines_step(lines, k);
    int simple = lines->inner.ndim == 1;
    if (!simple) {
        data = spare;
        line = length * s->itemsize;
        step = s->itemsize;
        if (k == 0)
            rg_lines_read(lines, 0, s->itemsize, n, spare);
    }
    copy(n, length, data, line, step, memory, across, apart);
    if (!simple && k == 1)
        rg_lines_write(lines, 1, s->itemsize, n, spare);
}

/* Some lines of a run, as many as there are lanes or fewer. */
static void compute(const softmax *s, const rg_lines *lines, int64_t n, char *memory) {
    int64_t length = lines->length;
    if (s->direct && s->one_by_one) {
        for (int64_t i = 0; i < n; i++)
            s->line(length, lines->data[0] + i * rg_lines_apart(lines, 0),
                    lines->data[1] + i * rg_lines_apart(lines, 1));
        return;
    }
    if (s->direct && n == s->lanes) {
        s->abreast(length, lines->data[0], rg_lines_step(lines, 0) / s->itemsize, lines->data[1],
                   rg_lines_step(lines, 1) / s->itemsize);
        return;
    }
    char *spare = memory + length * s->lanes * s->computed;
    if (!s->one_by_one && n < s->lanes)
        memset(memory, 0, (size_t)(length * s->lanes * s->computed));
    copy_lines(s, lines, 0, n, memory, spare);
    for (int64_t i = 0; i < n && s->one_by_one; i++)
        s->line(length, memory + i * length * s->computed, memory + i * length * s->computed);
    if (!s->one_by_one)
        s->abreast(length, memory, s->lanes, memory, s->lanes);
    copy_lines(s, lines, 1, n, memory, spare);
}

/* The memory that a chunk needs. */
static int64_t memory_of(const softmax *s) {
    if (s->direct && s->one_by_one)
        return 0;
    int64_t bytes = s->lines.length * s->lanes * (s->computed + (s->lines.inner.ndim > 1 ? s->itemsize : 0));
    return (bytes + 63) / 64 * 64;
}

typedef struct {
    const softmax *state;
    char *memory;
    int64_t bytes; /* of it, for each chunk */
} job;

static void softmax_chunk(void *context, int64_t number, int64_t of) {
    const job *j = context;
    const softmax *s = j->state;
    rg_lines lines = s->lines;
    int64_t begin = lines.count * number / of, left = lines.count * (number + 1) / of - begin;
    rg_lines_seek(&lines, begin);
    while (left > 0) {
        int64_t n = rg_least(rg_lines_run(&lines), left);
        if (!s->direct || !s->one_by_one)
            n = rg_least(n, s->lanes);
        compute(s, &lines, n, j->memory + number * j->bytes);
        rg_lines_next(&lines, n);
        left -= n;
    }
}

static int run_one(rg_frame *frame, rg_thunk *thunk, int k) {
    softmax *s = &((results *)thunk->state)->of[k];
    int64_t size = thunk->out[k]->size;
    s->lines.data[0] = thunk->in[0]->data;
    s->lines.data[1] = thunk->out[k]->data;
    int64_t chunks = rg_within(1, size / CHUNK, rg_least(s->lines.count, 16));
    job j = {s, NULL, memory_of(s)};
    if (j.bytes && !(j.memory = rg_scratch(frame, (size_t)(j.bytes * chunks))))
        return RG_ERROR_MEMORY;
    rg_parallel(chunks, NS_AN_ELEMENT * (double)size * (s->dtype == RG_F64 ? 2 : 1), softmax_chunk, &j);
    return RG_OK;
}

/* Several short lines of the results. */
typedef struct {
    const results *results;
    char *data[3]; /* of x, softmax and logsoftmax; NULL where there is none */
} few_job;

static void few_chunk(void *context, int64_t number, int64_t of) {
    const few_job *j = context;
    const rg_lines *l = &j->results->of[0].lines;
    int64_t begin = l->count * number / of, end = l->count * (number + 1) / of;
    int64_t x_line = rg_lines_apart(l, 0), line = rg_lines_apart(l, 1);
    j->results->few(end - begin, l->length, j->data[0] + begin * x_line, x_line,
                    j->data[1] ? j->data[1] + begin * line : NULL, line,
                    j->data[2] ? j->data[2] + begin * line : NULL, line);
}

static int softmax_run(rg_frame *frame, rg_thunk *thunk) {
    results *r = thunk->state;
    int64_t size = thunk->out[0]->size;
    int wanted = (int)thunk->params[0];
    if (size == 0)
        return RG_OK;
    if (r->few) {
        few_job j = {r, {thunk->in[0]->data, NULL, NULL}};
        if (wanted != LOGSOFTMAX)
            j.data[1] = thunk->out[0]->data;
        if (wanted != SOFTMAX)
            j.data[2] = thunk->out[thunk->nout - 1]->data;
        int64_t chunks = rg_within(1, size / CHUNK, rg_least(r->of[0].lines.count, 16));
        rg_parallel(chunks, NS_AN_ELEMENT * (double)size * thunk->nout, few_chunk, &j);
        return RG_OK;
    }
    int error = run_one(frame, thunk, 0);
    return error || thunk->nout == 1 ? error : run_one(frame, thunk, 1);
}

const rg_kernel rg_kernels_softmax[] = {
    {"softmax", softmax_prepare, softmax_run},
    {0},
};
