/* Running sums and products, linear recurrences, products of all others, and how many elements are reduced. */
#include "lines.h"

#include <complex.h>
#include <float.h>
#include <math.h>

#define ACROSS 256       /* elements of a row that are computed before the next row */
#define CHUNK 32768      /* elements that a thread takes at a time, about */
#define NS_AN_ELEMENT 1.0

typedef _Float16 half;
typedef struct {
    float re, im;
} complex64;
typedef struct {
    double re, im;
} complex128;

/* Arithmetic as NumPy does it: float16 is rounded in each step, products of complex numbers are those of the textbook
   (C's would look for infinities among NaNs). */
#define PLUS(type, a, b) ((type)((a) + (b)))
#define TIMES(type, a, b) ((type)((a) * (b)))
#define HALF_PLUS(type, a, b) ((half)((float)(a) + (float)(b)))
#define HALF_TIMES(type, a, b) ((half)((float)(a) * (float)(b)))
#define COMPLEX_PLUS(type, a, b) ((type){(a).re + (b).re, (a).im + (b).im})
#define COMPLEX_TIMES(type, a, b) ((type){(a).re * (b).re - (a).im * (b).im, (a).re * (b).im + (a).im * (b).re})

/* Each dtype that sums and products have: its number, its elements' type, how they are added and multiplied. */
#define EACH_WIDE(DO)                                                                                                  \
    DO(RG_I64, i64, uint64_t, PLUS, TIMES)                                                                             \
    DO(RG_F16, f16, half, HALF_PLUS, HALF_TIMES)                                                                       \
    DO(RG_F32, f32, float, PLUS, TIMES)                                                                                \
    DO(RG_F64, f64, double, PLUS, TIMES)                                                                               \
    DO(RG_C64, c64, complex64, COMPLEX_PLUS, COMPLEX_TIMES)                                                            \
    DO(RG_C128, c128, complex128, COMPLEX_PLUS, COMPLEX_TIMES)

#define EACH_NARROW(DO)                                                                                                \
    DO(RG_I8, i8, uint8_t, PLUS, TIMES)                                                                                \
    DO(RG_I16, i16, uint16_t, PLUS, TIMES)                                                                             \
    DO(RG_I32, i32, uint32_t, PLUS, TIMES)

/* Integers of one size are added and multiplied alike. */
static int kind_of(int dtype) {
    static const int8_t same[RG_NDTYPES] = {[RG_U8] = RG_I8, [RG_U16] = RG_I16, [RG_U32] = RG_I32, [RG_U64] = RG_I64};
    return same[dtype] ? same[dtype] : dtype;
}

/* What follows an element in a running sum, a running product, and a recurrence with coefficients a. */
#define NEXT_RUNNING(dtype, name, type, ADD, MULTIPLY)                                                                 \
    static inline type next_sum_##name(type before, type x, type a) {                                                  \
        (void)a;                                                                                                       \
        return ADD(type, before, x);                                                                                   \
    }                                                                                                                  \
    static inline type next_product_##name(type before, type x, type a) {                                              \
        (void)a;                                                                                                       \
        return MULTIPLY(type, before, x);                                                                              \
    }
#define NEXT_RECURRENCE(dtype, name, type, ADD, MULTIPLY)                                                              \
    static inline type next_recurrence_##name(type before, type x, type a) {                                           \
        type scaled = MULTIPLY(type, a, before);                                                                       \
        return ADD(type, x, scaled);                                                                                   \
    }
EACH_WIDE(NEXT_RUNNING)
EACH_WIDE(NEXT_RECURRENCE)
EACH_NARROW(NEXT_RECURRENCE)

/* Some lines of an array: bytes from element to element, and from line to line. */
typedef struct {
    char *data;
    int64_t along, across;
} walk;

static inline char *at(walk w, int64_t i, int64_t j) {
    return w.data + i * w.along + j * w.across;
}

static inline walk from_line(walk w, int64_t j) {
    return (walk){at(w, 0, j), w.along, w.across};
}

/* w lines y of n elements, n > 0, from those of x and a; y may be x. Lines whose elements are neighbours in y are
   computed row by row; others four at a time, as each step of a line waits for the one before. */
typedef void (*scan_of)(int64_t n, int64_t w, walk x, walk a, walk y);

#define SCAN(name, type, next)                                                                                         \
    static inline type read_##name(walk w, int64_t i, int64_t j) {                                                     \
        return *(const type *)at(w, i, j);                                                                             \
    }                                                                                                                  \
    static void rows_##name(int64_t n, int64_t w, walk x, walk a, walk y) {                                            \
        int together = x.across == (int64_t)sizeof(type) && a.across == (int64_t)sizeof(type);                         \
        for (int64_t j = 0; j < w; j++)                                                                                \
            *(type *)at(y, 0, j) = read_##name(x, 0, j);                                                               \
        for (int64_t i = 1; i < n; i++) {                                                                              \
            const type *before = (const type *)at(y, i - 1, 0);                                                        \
            const type *xs = (const type *)at(x, i, 0), *as = (const type *)at(a, i, 0);                               \
            type *to = (type *)at(y, i, 0);                                                                            \
            for (int64_t j = 0; j < w && together; j++)                                                                \
                to[j] = next(before[j], xs[j], as[j]);                                                                 \
            for (int64_t j = 0; j < w && !together; j++)                                                               \
                to[j] = next(before[j], read_##name(x, i, j), read_##name(a, i, j));                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static inline void lines_##name(int64_t n, int w, walk x, walk a, walk y) {                                        \
        type held[4];                                                                                                  \
        for (int j = 0; j < w; j++)                                                                                    \
            *(type *)at(y, 0, j) = held[j] = read_##name(x, 0, j);                                                     \
        for (int64_t i = 1; i < n; i++)                                                                                \
            for (int j = 0; j < w; j++)                                                                                \
                *(type *)at(y, i, j) = held[j] = next(held[j], read_##name(x, i, j), read_##name(a, i, j));            \
    }                                                                                                                  \
    static void name(int64_t n, int64_t w, walk x, walk a, walk y) {                                                   \
        int64_t j = 0;                                                                                                 \
        if (y.across == (int64_t)sizeof(type) && w > 1) {                                                              \
            rows_##name(n, w, x, a, y);                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
        for (; j + 4 <= w; j += 4)                                                                                     \
            lines_##name(n, 4, from_line(x, j), from_line(a, j), from_line(y, j));                                     \
        for (; j < w; j++)                                                                                             \
            lines_##name(n, 1, from_line(x, j), from_line(a, j), from_line(y, j));                                     \
    }

#define SCAN_RUNNING(dtype, name, type, ADD, MULTIPLY)                                                                 \
    SCAN(sum_##name, type, next_sum_##name)                                                                            \
    SCAN(product_##name, type, next_product_##name)
#define SCAN_RECURRENCE(dtype, name, type, ADD, MULTIPLY) SCAN(recurrence_##name, type, next_recurrence_##name)
EACH_WIDE(SCAN_RUNNING)
EACH_WIDE(SCAN_RECURRENCE)
EACH_NARROW(SCAN_RECURRENCE)

enum { SUM, PRODUCT, RECURRENCE };

static scan_of scan_for(int64_t what, int dtype) {
#define RUNNING(row, name, type, ADD, MULTIPLY)                                                                        \
    case row:                                                                                                          \
        return what == SUM ? sum_##name : what == PRODUCT ? product_##name : recurrence_##name;
#define RECURRING(row, name, type, ADD, MULTIPLY)                                                                      \
    case row:                                                                                                          \
        return recurrence_##name;
    switch (kind_of(dtype)) { EACH_WIDE(RUNNING) EACH_NARROW(RECURRING) }
    return NULL;
}

typedef struct {
    rg_lines lines; /* of x, a and y; x and a are y itself where x is converted into y first */
    scan_of scan;
    int64_t itemsize;
    int32_t reverse, converts;
} scan;

/* Inputs: x, and for recurrences a before it. params: what, the axis, whether from the far end. */

static int scan_prepare(rg_frame *frame, rg_thunk *thunk) {
    int64_t what = thunk->params[0], axis = thunk->params[1];
    const rg_array *x = thunk->in[thunk->nin - 1];
    rg_array *out = thunk->out[0], a = *thunk->in[0];
    int error = rg_output(frame, thunk, 0, x->ndim, x->shape);
    scan *s = rg_state(frame, thunk, sizeof *s);
    if (error || !s)
        return error ? error : RG_ERROR_MEMORY;
    if (a.ndim != x->ndim || a.shape[axis] != x->shape[axis] || rg_stretch(&a, x->ndim, x->shape, a.strides))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "linear_recurrence: coefficients of another shape");
    memcpy(a.shape, x->shape, (size_t)x->ndim * sizeof *x->shape);
    s->converts = x->dtype != out->dtype && kind_of(x->dtype) != kind_of(out->dtype);
    s->reverse = thunk->params[2] != 0;
    s->scan = scan_for(what, out->dtype);
    s->itemsize = rg_itemsize[out->dtype];
    const rg_array *walked[3] = {s->converts ? out : x, s->converts ? out : &a, out};
    s->lines = rg_lines_of((int64_t)1 << axis, 3, walked);
    return RG_OK;
}

static walk walk_of(const rg_lines *lines, int k, int reverse) {
    int64_t step = rg_lines_step(lines, k), across = rg_lines_apart(lines, k);
    walk w = {lines->data[k], step, across};
    return reverse ? (walk){at(w, lines->length - 1, 0), -step, across} : w;
}

static void scan_chunk(void *context, int64_t number, int64_t of) {
    const scan *s = context;
    rg_lines lines = s->lines;
    int64_t begin = lines.count * number / of, left = lines.count * (number + 1) / of - begin;
    rg_lines_seek(&lines, begin);
    while (left > 0) {
        int64_t w = rg_least(rg_least(rg_lines_run(&lines), left), ACROSS);
        s->scan(lines.length, w, walk_of(&lines, 0, s->reverse), walk_of(&lines, 1, s->reverse),
                walk_of(&lines, 2, s->reverse));
        rg_lines_next(&lines, w);
        left -= w;
    }
}

static int scan_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    scan *s = thunk->state;
    const rg_array *x = thunk->in[thunk->nin - 1];
    rg_array *out = thunk->out[0];
    if (out->size == 0)
        return RG_OK;
    if (s->converts)
        rg_widen_into(x, out->dtype, out->ndim, out->shape, out->data, out->strides);
    s->lines.data[0] = s->converts ? out->data : x->data;
    s->lines.data[1] = s->converts ? out->data : thunk->in[0]->data;
    s->lines.data[2] = out->data;
    int64_t chunks = rg_within(1, out->size / CHUNK, rg_least((s->lines.count + 15) / 16, 16));
    rg_parallel(chunks, NS_AN_ELEMENT * (double)out->size, scan_chunk, s);
    return RG_OK;
}

/* For each element the product of all others of its line: of those before it, times that of those after it; or, where
   no digits can have been lost, the product of all divided by it. With further inputs, the elements are numbers
   x + g1 e1 + ... + gm em, where each e e is 0, and what is wanted is the coefficient of e1 ... em. A number is a row
   of coefficients, that of e1 e3 at place 0b101. */

#define MOST_PARTS 8 /* inputs beside x */

#define REAL_QUOTIENT(type, a, b) ((type)((a) / (b)))
#define HALF_QUOTIENT(type, a, b) ((half)((float)(a) / (float)(b)))
#define REAL_SIZE(a) fabs((double)(a))
#define COMPLEX_SIZE(a) hypot((double)(a).re, (double)(a).im)

static complex64 divided_c64(complex64 a, complex64 b) {
    double _Complex z = __builtin_complex(a.re, a.im) / __builtin_complex(b.re, b.im);
    return (complex64){(float)creal(z), (float)cimag(z)};
}

static complex128 divided_c128(complex128 a, complex128 b) {
    double _Complex z = __builtin_complex(a.re, a.im) / __builtin_complex(b.re, b.im);
    return (complex128){creal(z), cimag(z)};
}

#define C64_QUOTIENT(type, a, b) divided_c64(a, b)
#define C128_QUOTIENT(type, a, b) divided_c128(a, b)

#define EACH_CONTINUOUS(DO)                                                                                            \
    DO(RG_F16, f16, half, HALF_PLUS, HALF_TIMES, HALF_QUOTIENT, REAL_SIZE, (half)1, 0x1p-14, 65504.0)                  \
    DO(RG_F32, f32, float, PLUS, TIMES, REAL_QUOTIENT, REAL_SIZE, 1.0f, FLT_MIN, FLT_MAX)                              \
    DO(RG_F64, f64, double, PLUS, TIMES, REAL_QUOTIENT, REAL_SIZE, 1.0, DBL_MIN, DBL_MAX)                              \
    DO(RG_C64, c64, complex64, COMPLEX_PLUS, COMPLEX_TIMES, C64_QUOTIENT, COMPLEX_SIZE, ((complex64){1, 0}), FLT_MIN,  \
       FLT_MAX)                                                                                                        \
    DO(RG_C128, c128, complex128, COMPLEX_PLUS, COMPLEX_TIMES, C128_QUOTIENT, COMPLEX_SIZE, ((complex128){1, 0}),      \
       DBL_MIN, DBL_MAX)

#define OTHERS(dtype, name, type, ADD, MULTIPLY, DIVIDE, SIZE, ONE, least, most)                                       \
    static void others_##name(int64_t n, const void *from, void *to) {                                                 \
        const type *x = from;                                                                                          \
        type *y = to, all = ONE;                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            y[i] = all;                                                                                                \
            all = MULTIPLY(type, all, x[i]);                                                                           \
        }                                                                                                              \
        double size = SIZE(all);                                                                                       \
        if (size >= least && size <= most) {                                                                           \
            for (int64_t i = 0; i < n; i++)                                                                            \
                y[i] = DIVIDE(type, all, x[i]);                                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        type after = ONE;                                                                                              \
        for (int64_t i = n - 1; i >= 0; i--) {                                                                         \
            y[i] = MULTIPLY(type, y[i], after);                                                                        \
            after = MULTIPLY(type, after, x[i]);                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static type coefficient_##name(int place, const type *a, const type *b) {                                          \
        type sum;                                                                                                      \
        memset(&sum, 0, sizeof sum);                                                                                   \
        for (int part = place;; part = (part - 1) & place) { /* all subsets of the bits of place */                    \
            type product = MULTIPLY(type, a[part], b[place ^ part]);                                                   \
            sum = ADD(type, sum, product);                                                                             \
            if (part == 0)                                                                                             \
                return sum;                                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    /* `from`: lines of x, g1, ..., gm, one after the other. `memory`: for (n + 2) 2^m elements. */                    \
    static void others_of_sums_##name(int64_t n, int m, const void *from, void *to, void *memory) {                    \
        int64_t size = (int64_t)1 << m;                                                                                \
        const type *x = from;                                                                                          \
        type *y = to, *before = memory, *after = before + n * size, *number = after + size;                            \
        memset(before, 0, (size_t)((n + 2) * size) * sizeof(type));                                                    \
        before[0] = after[0] = ONE;                                                                                    \
        for (int64_t i = 0; i + 1 < n; i++) {                                                                          \
            number[0] = x[i];                                                                                          \
            for (int k = 0; k < m; k++)                                                                                \
                number[1 << k] = x[(k + 1) * n + i];                                                                   \
            for (int place = 0; place < size; place++)                                                                 \
                before[(i + 1) * size + place] = coefficient_##name(place, before + i * size, number);                 \
        }                                                                                                              \
        for (int64_t i = n - 1; i >= 0; i--) {                                                                         \
            y[i] = coefficient_##name((int)size - 1, before + i * size, after);                                        \
            number[0] = x[i];                                                                                          \
            for (int k = 0; k < m; k++)                                                                                \
                number[1 << k] = x[(k + 1) * n + i];                                                                   \
            for (int place = (int)size - 1; place >= 0; place--) /* reads no place above its own */                    \
                after[place] = coefficient_##name(place, after, number);                                               \
        }                                                                                                              \
    }
EACH_CONTINUOUS(OTHERS)

typedef struct {
    void (*one)(int64_t, const void *, void *);
    void (*several)(int64_t, int, const void *, void *, void *);
} others;

static others others_for(int dtype) {
#define CHOOSE(row, name, ...)                                                                                         \
    case row:                                                                                                          \
        return (others){others_##name, others_of_sums_##name};
    switch (dtype) { EACH_CONTINUOUS(CHOOSE) }
    return (others){0};
}

/* Inputs: x, and g1, ..., gm, all of one dtype and shape. params: the axes, as bits. */

static int others_prepare(rg_frame *frame, rg_thunk *thunk) {
    const rg_array *x = thunk->in[0];
    for (int k = 1; k < thunk->nin; k++) {
        const rg_array *g = thunk->in[k];
        if (g->ndim != x->ndim || memcmp(g->shape, x->shape, (size_t)x->ndim * sizeof *x->shape))
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "product_of_others: inputs of other shapes");
    }
    return rg_output(frame, thunk, 0, x->ndim, x->shape);
}

static int others_run(rg_frame *frame, rg_thunk *thunk) {
    rg_array *out = thunk->out[0];
    int64_t itemsize = rg_itemsize[out->dtype], along = thunk->params[0];
    int m = thunk->nin - 1;
    others way = others_for(out->dtype);
    if (out->size == 0)
        return RG_OK;
    rg_lines lines[MOST_PARTS + 2]; /* of the inputs and the output, each by itself */
    for (int k = 0; k < thunk->nin; k++)
        lines[k] = rg_lines_of(along, 1, (const rg_array *const[1]){thunk->in[k]});
    lines[m + 1] = rg_lines_of(along, 1, (const rg_array *const[1]){out});
    int64_t n = lines[0].length, rooms = m ? (n + 2) << m : 0;
    char *given = rg_scratch(frame, (size_t)((n * (m + 2) + rooms) * itemsize));
    if (!given)
        return RG_ERROR_MEMORY;
    char *found = given + (m + 1) * n * itemsize, *memory = found + n * itemsize;
    for (int64_t left = lines[0].count; left > 0; left--) {
        for (int k = 0; k <= m; k++)
            rg_lines_read(&lines[k], 0, itemsize, 1, given + k * n * itemsize);
        if (m)
            way.several(n, m, given, found, memory);
        else
            way.one(n, given, found);
        rg_lines_write(&lines[m + 1], 0, itemsize, 1, found);
        for (int k = 0; k <= m + 1; k++)
            rg_lines_next(&lines[k], 1);
    }
    return RG_OK;
}

/* How many elements there are along some axes. params: the axes, as bits. */

static int count_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, 0, NULL);
}

static int count_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    int64_t count = 1;
    for (int a = 0; a < thunk->in[0]->ndim; a++)
        count *= thunk->params[0] >> a & 1 ? thunk->in[0]->shape[a] : 1;
    *(int64_t *)thunk->out[0]->data = count;
    return RG_OK;
}

const rg_kernel rg_kernels_cumulative[] = {
    {"scan_along", scan_prepare, scan_run},
    {"product_of_others", others_prepare, others_run},
    {"count", count_prepare, count_run},
    {0},
};
