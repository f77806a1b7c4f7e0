/* Copies between arrays of one dtype, whatever their order.

A copy is brought into a normal form first: axes of length 1 left out, the others in the order of the target's strides,
and neighbours joined where both sides allow it. What remains is one of three: runs that lie together on both sides,
which memcpy takes; a transposition, where the axis along which the source lies together is not that of the target; or
lines with strides.
*/
#include "moving.h"
#include "turning.h"

#define PARALLEL_BYTES (1 << 20) /* below this a copy is over before a second thread would begin */
#define SMALL_RUN 64             /* bytes up to which a run is copied by words, as a call to memcpy would cost more */

typedef struct {
    int ndim;
    int64_t shape[RG_LOOPS], from_strides[RG_LOOPS], to_strides[RG_LOOPS];
    int64_t itemsize;
    const char *from;
    char *to;
    int across; /* the axis along which the source lies closest, where that is not the target's: else -1 */
} moves;

static int64_t magnitude(int64_t n) {
    return n < 0 ? -n : n;
}

/* The axes in the order of the target's strides, without those of length 1. */
static void order_axes(moves *m, int ndim, const int64_t *shape, const int64_t *from, const int64_t *to) {
    m->ndim = 0;
    for (int a = 0; a < ndim; a++) {
        if (shape[a] == 1)
            continue;
        int at = m->ndim++;
        for (; at > 0 && magnitude(m->to_strides[at - 1]) < magnitude(to[a]); at--) {
            m->shape[at] = m->shape[at - 1];
            m->from_strides[at] = m->from_strides[at - 1];
            m->to_strides[at] = m->to_strides[at - 1];
        }
        m->shape[at] = shape[a];
        m->from_strides[at] = from[a];
        m->to_strides[at] = to[a];
    }
}

static void join_axes(moves *m) {
    int last = 0;
    for (int a = 1; a < m->ndim; a++) {
        if (m->to_strides[last] == m->to_strides[a] * m->shape[a] &&
            m->from_strides[last] == m->from_strides[a] * m->shape[a]) {
            m->shape[last] *= m->shape[a];
        } else {
            last++;
            m->shape[last] = m->shape[a];
        }
        m->to_strides[last] = m->to_strides[a];
        m->from_strides[last] = m->from_strides[a];
    }
    if (m->ndim)
        m->ndim = last + 1;
}

/* An axis along which the source lies closer together than along the target's innermost, if that is worth tiles. */
static int find_across(const moves *m) {
    int last = m->ndim - 1, found = -1;
    if (last < 1 || magnitude(m->from_strides[last]) <= m->itemsize)
        return -1;
    for (int a = 0; a < last; a++) {
        int64_t stride = magnitude(m->from_strides[a]);
        if (stride && stride < magnitude(m->from_strides[found < 0 ? last : found]))
            found = a;
    }
    return found >= 0 && m->shape[found] >= 4 && m->shape[last] >= 4 ? found : -1;
}

/* Let a longer axis be the innermost, where lines would be so short that starting them is most of the work. */
static void lengthen_lines(moves *m) {
    int last = m->ndim - 1;
    int is_run = m->from_strides[last] == m->itemsize && m->to_strides[last] == m->itemsize;
    if (last < 1 || m->across >= 0 || is_run || m->shape[last] >= 8 || m->shape[last - 1] <= m->shape[last])
        return;
    int64_t shape = m->shape[last], from = m->from_strides[last], to = m->to_strides[last];
    m->shape[last] = m->shape[last - 1];
    m->from_strides[last] = m->from_strides[last - 1];
    m->to_strides[last] = m->to_strides[last - 1];
    m->shape[last - 1] = shape;
    m->from_strides[last - 1] = from;
    m->to_strides[last - 1] = to;
}

/* Lines: n elements with strides. One function for each size of element. */

#define LINE(size, type)                                                                                               \
    static void line_##size(int64_t n, const char *from, int64_t f, char *to, int64_t t) {                             \
        if (f == 0) {                                                                                                  \
            type value = *(const type *)from;                                                                          \
            if (t == size)                                                                                             \
                for (int64_t i = 0; i < n; i++)                                                                        \
                    ((type *)to)[i] = value;                                                                           \
            else                                                                                                       \
                for (int64_t i = 0; i < n; i++)                                                                        \
                    *(type *)(to + i * t) = value;                                                                     \
        } else if (t == size) {                                                                                        \
            for (int64_t i = 0; i < n; i++)                                                                            \
                ((type *)to)[i] = *(const type *)(from + i * f);                                                       \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                                            \
                *(type *)(to + i * t) = *(const type *)(from + i * f);                                                 \
        }                                                                                                              \
    }
RG_EACH_SIZE(LINE)

static void line(int64_t itemsize, int64_t n, const char *from, int64_t f, char *to, int64_t t) {
    switch (itemsize) {
    case 1:
        line_1(n, from, f, to, t);
        return;
    case 2:
        line_2(n, from, f, to, t);
        return;
    case 4:
        line_4(n, from, f, to, t);
        return;
    case 8:
        line_8(n, from, f, to, t);
        return;
    default:
        line_16(n, from, f, to, t);
    }
}

/* Bytes that lie together on both sides. */
static void run_of(int64_t bytes, const char *from, char *to) {
    if (bytes > SMALL_RUN || bytes % 4) {
        memcpy(to, from, (size_t)bytes);
        return;
    }
    int64_t at = 0;
    for (; at + 8 <= bytes; at += 8)
        memcpy(to + at, from + at, 8);
    if (at < bytes)
        memcpy(to + at, from + at, 4);
}

void rg_line(int64_t itemsize, int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride) {
    if (n <= 0)
        return;
    if (from_stride == itemsize && to_stride == itemsize)
        run_of(n * itemsize, from, to);
    else
        line(itemsize, n, from, from_stride, to, to_stride);
}

/* The innermost axis, or two where these are transposed. */
static void innermost(const moves *m, const int64_t *shape, const char *from, char *to) {
    int last = m->ndim - 1;
    int64_t f = m->from_strides[last], t = m->to_strides[last];
    if (m->across >= 0)
        rg_turn(m->itemsize, shape[m->across], shape[last], from, m->from_strides[m->across], f, to,
                m->to_strides[m->across], t);
    else
        rg_line(m->itemsize, shape[last], from, f, to, t);
}

/* What of the first axis lies from `begin` to before `end`. */
static void move_part(const moves *m, int64_t begin, int64_t end) {
    int64_t shape[RG_LOOPS], at[RG_LOOPS] = {0};
    int axes[RG_LOOPS], outer = 0;
    memcpy(shape, m->shape, sizeof shape);
    shape[0] = end - begin;
    for (int a = 0; a < m->ndim - 1; a++)
        if (a != m->across)
            axes[outer++] = a;
    const char *from = m->from + begin * m->from_strides[0];
    char *to = m->to + begin * m->to_strides[0];
    for (;;) {
        innermost(m, shape, from, to);
        int k = outer - 1;
        for (; k >= 0; k--) {
            int a = axes[k];
            from += m->from_strides[a];
            to += m->to_strides[a];
            if (++at[k] < shape[a])
                break;
            from -= shape[a] * m->from_strides[a];
            to -= shape[a] * m->to_strides[a];
            at[k] = 0;
        }
        if (k < 0)
            return;
    }
}

static void move_chunk(void *context, int64_t number, int64_t of) {
    const moves *m = context;
    int64_t n = m->shape[0];
    move_part(m, n * number / of, n * (number + 1) / of);
}

void rg_move(int ndim, const int64_t *shape, int64_t itemsize, const char *from, const int64_t *from_strides, char *to,
             const int64_t *to_strides) {
    int64_t size = 1;
    for (int a = 0; a < ndim; a++)
        size *= shape[a];
    if (size == 0)
        return;
    moves m = {.itemsize = itemsize, .from = from, .to = to};
    order_axes(&m, ndim, shape, from_strides, to_strides);
    if (m.ndim == 0) {
        memcpy(to, from, (size_t)itemsize);
        return;
    }
    join_axes(&m);
    m.across = find_across(&m);
    lengthen_lines(&m);
    int64_t bytes = size * itemsize;
    if (bytes < PARALLEL_BYTES) {
        move_part(&m, 0, m.shape[0]);
        return;
    }
    int is_run = m.from_strides[m.ndim - 1] == itemsize && m.to_strides[m.ndim - 1] == itemsize;
    rg_parallel(rg_least(m.shape[0], 16), is_run ? 0.1 * (double)bytes : (double)size, move_chunk, &m);
}

int rg_stretch(const rg_array *array, int ndim, const int64_t *shape, int64_t *strides) {
    int added = ndim - array->ndim;
    if (added < 0)
        return -1;
    for (int a = 0; a < ndim; a++) {
        int64_t n = a < added ? 1 : array->shape[a - added];
        if (n != 1 && n != shape[a])
            return -1;
        strides[a] = n == 1 ? 0 : array->strides[a - added];
    }
    return 0;
}

void rg_move_into(const rg_array *from, int ndim, const int64_t *shape, char *to, const int64_t *to_strides) {
    int64_t strides[RG_NDIM];
    rg_stretch(from, ndim, shape, strides);
    rg_move(ndim, shape, rg_itemsize[from->dtype], from->data, strides, to, to_strides);
}

/* Widening: through 64-bit integers, or through double precision, which hold every value on the way. */

#define WIDE 64 /* elements that are converted at a time */

#define EACH_INTEGER(DO) \
    DO(RG_BOOL, uint8_t) \
    DO(RG_I8, int8_t)    \
    DO(RG_I16, int16_t)  \
    DO(RG_I32, int32_t)  \
    DO(RG_I64, int64_t)  \
    DO(RG_U8, uint8_t)   \
    DO(RG_U16, uint16_t) \
    DO(RG_U32, uint32_t) \
    DO(RG_U64, uint64_t)

#define EACH_FLOAT(DO)   \
    DO(RG_F16, _Float16) \
    DO(RG_F32, float)    \
    DO(RG_F64, double)

#define READ_INTEGERS(dtype, type)                                                                                     \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++)                                                                                \
            wide[i] = (int64_t)*(const type *)(from + i * f);                                                          \
        return;
#define WRITE_INTEGERS(dtype, type)                                                                                    \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++)                                                                                \
            *(type *)(to + i * t) = (type)wide[i];                                                                     \
        return;
#define READ_REALS(dtype, type)                                                                                        \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++)                                                                                \
            wide[i] = (double)*(const type *)(from + i * f);                                                           \
        return;
#define WRITE_REALS(dtype, type)                                                                                       \
    case dtype:                                                                                                        \
        for (int64_t i = 0; i < n; i++)                                                                                \
            *(type *)(to + i * t) = (type)wide[i];                                                                     \
        return;

static void read_integers(int dtype, int64_t n, const char *from, int64_t f, int64_t *wide) {
    switch (dtype) { EACH_INTEGER(READ_INTEGERS) }
}

static void write_integers(int dtype, int64_t n, const int64_t *wide, char *to, int64_t t) {
    switch (dtype) { EACH_INTEGER(WRITE_INTEGERS) }
}

static void read_reals(int dtype, int64_t n, const char *from, int64_t f, double *wide) {
    switch (dtype) { EACH_INTEGER(READ_REALS) EACH_FLOAT(READ_REALS) }
}

static void write_reals(int dtype, int64_t n, const double *wide, char *to, int64_t t) {
    switch (dtype) { EACH_FLOAT(WRITE_REALS) }
}

/* The dtype of the parts of a complex one; others are their own. */
static int part_of(int dtype) {
    return dtype == RG_C64 ? RG_F32 : dtype == RG_C128 ? RG_F64 : dtype;
}

static void widen_line(int source, int64_t n, const char *from, int64_t f, int target, char *to, int64_t t) {
    int64_t integers[WIDE];
    double reals[WIDE];
    int part = part_of(target);
    for (int64_t i = 0; i < n; i += WIDE) {
        int64_t m = rg_least(WIDE, n - i);
        const char *source_at = from + i * f;
        char *target_at = to + i * t;
        if (target < RG_F16) {
            read_integers(source, m, source_at, f, integers);
            write_integers(target, m, integers, target_at, t);
            continue;
        }
        read_reals(part_of(source), m, source_at, f, reals);
        write_reals(part, m, reals, target_at, t);
        if (part == target)
            continue;
        if (source == RG_C64 || source == RG_C128)
            read_reals(part_of(source), m, source_at + rg_itemsize[part_of(source)], f, reals);
        else
            memset(reals, 0, sizeof reals);
        write_reals(part, m, reals, target_at + rg_itemsize[part], t);
    }
}

void rg_widen_into(const rg_array *from, int dtype, int ndim, const int64_t *shape, char *to,
                   const int64_t *to_strides) {
    if (from->dtype == dtype) {
        rg_move_into(from, ndim, shape, to, to_strides);
        return;
    }
    int64_t strides[RG_NDIM], at[RG_NDIM] = {0};
    rg_stretch(from, ndim, shape, strides);
    if (rg_size(ndim, shape) == 0)
        return;
    const char *source = from->data;
    int last = ndim - 1;
    for (;;) {
        widen_line(from->dtype, ndim ? shape[last] : 1, source, ndim ? strides[last] : 0, dtype, to,
                   ndim ? to_strides[last] : 0);
        int a = last - 1;
        for (; a >= 0; a--) {
            source += strides[a];
            to += to_strides[a];
            if (++at[a] < shape[a])
                break;
            source -= shape[a] * strides[a];
            to -= shape[a] * to_strides[a];
            at[a] = 0;
        }
        if (a < 0)
            return;
    }
}

void rg_copy(const rg_array *from, rg_array *to) {
    if (from->contiguous && to->contiguous && from->size * rg_itemsize[from->dtype] < PARALLEL_BYTES)
        memmove(to->data, from->data, (size_t)(from->size * rg_itemsize[from->dtype]));
    else
        rg_move(from->ndim, from->shape, rg_itemsize[from->dtype], from->data, from->strides, to->data, to->strides);
}

static int copy_prepare(rg_frame *frame, rg_thunk *thunk) {
    return rg_output(frame, thunk, 0, thunk->in[0]->ndim, thunk->in[0]->shape);
}

static int copy_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    rg_copy(thunk->in[0], thunk->out[0]);
    return RG_OK;
}

const rg_kernel rg_kernels_copy[] = {
    {"copy", copy_prepare, copy_run}, /* the input, contiguous, in memory of its own */
    {0},
};
