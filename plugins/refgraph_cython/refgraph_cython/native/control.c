/* Programs within programs: loops and branches. Between two steps of a loop there is no Python. */
#include "rg.h"

#include <stdlib.h>
#include <string.h>

/* An inner program, with the frame that it runs in: the first thing in the state of a thunk that has one. */

typedef struct inner {
    const rg_program *program;
    rg_frame *frame;
} inner;

static rg_array *input_of(const inner *in, int64_t i) {
    return &in->frame->slots[in->program->inputs[i]];
}

static rg_array *output_of(const inner *in, int64_t i) {
    return &in->frame->slots[in->program->outputs[i]];
}

static int inner_open(rg_frame *frame, rg_thunk *thunk, int number, inner *in, const rg_program *program) {
    in->program = program;
    if (!in->frame && !(in->frame = thunk->inner[number] = rg_new_frame(&program->made)))
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for an inner program");
    in->frame->profiled = frame->profiled;
    return RG_OK;
}

static int inner_failed(rg_frame *frame, const inner *in) {
    return rg_fail(frame, in->frame->error, "%s", in->frame->message);
}

/* Whether it is known what shapes its outputs have, before it has run. */
static int inner_is_known(const inner *in) {
    for (int64_t i = 0; i < in->program->nout; i++)
        if (!in->frame->known[in->program->outputs[i]])
            return 0;
    return 1;
}

static int same_shape(const rg_array *a, const rg_array *b) {
    return a->ndim == b->ndim && !memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape);
}

/* Loops.

params: the address of the step's rg_program; numbers of sequences, states, carried values, records; whether there is a
condition to end; then for each state: depth, how many entries to keep (-1: all), whether the new value may be computed
in the memory of the one before, the number of taps, and the taps; for each carried value whether the new one may be
computed in the memory of the old; for each record how many to keep, its rank, and its lengths as far as they are known
(-1: not).

inputs: the number of steps; sequences; initial values; carried values; whole values. outputs: states, carried values,
records, and the number of steps taken where there is a condition.
*/

typedef struct kept {
    char *data;       /* entry e lies at data + (e % size) * stride */
    int64_t stride, size, first;
    int64_t keep;     /* the last entries to answer; -1: all */
    int64_t in_place; /* whether a new entry may be computed in the memory of the one before */
    const int64_t *taps;
    int64_t ntaps;
    char *ring;       /* memory of the loop's own; NULL where entries lie in the output */
    size_t capacity;
} kept;

typedef struct carry {
    char *data[2]; /* the value, and where the next one goes */
    char *memory;
    size_t capacity;
    int64_t in_place;
} carry;

typedef struct loop {
    inner step;
    const int64_t *params;
    int64_t nseq, nstates, ncarried, nrecords, until;
    int64_t n, taken;
    kept *kept; /* of states, then of records */
    carry *carries;
} loop;

static void loop_discard(rg_thunk *thunk) {
    loop *l = thunk->state;
    if (!l)
        return;
    for (int64_t i = 0; l->kept && i < l->nstates + l->nrecords; i++)
        free(l->kept[i].ring);
    for (int64_t i = 0; l->carries && i < l->ncarried; i++)
        free(l->carries[i].memory);
    free(l->kept);
    free(l->carries);
}

static int loop_open(rg_frame *frame, rg_thunk *thunk) {
    const int64_t *p = thunk->params;
    loop *l = thunk->state;
    if (l && l->kept)
        return RG_OK;
    l = rg_state(frame, thunk, sizeof *l);
    if (!l)
        return RG_ERROR_MEMORY;
    thunk->discard = loop_discard;
    l->nseq = p[1], l->nstates = p[2], l->ncarried = p[3], l->nrecords = p[4], l->until = p[5];
    int error = inner_open(frame, thunk, 0, &l->step, (const rg_program *)(uintptr_t)p[0]);
    if (error)
        return error;
    l->kept = calloc((size_t)(l->nstates + l->nrecords) + 1, sizeof *l->kept);
    l->carries = calloc((size_t)l->ncarried + 1, sizeof *l->carries);
    if (!l->kept || !l->carries)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for a loop");
    p += 6;
    for (int64_t i = 0; i < l->nstates; i++, p += 4 + p[3]) {
        kept *k = &l->kept[i];
        k->first = p[0], k->keep = p[1], k->in_place = p[2], k->ntaps = p[3], k->taps = p + 4;
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].in_place = *p++;
    l->params = p; /* of the records */
    return RG_OK;
}

static int room(rg_frame *frame, char **memory, size_t *capacity, size_t bytes) {
    if (bytes <= *capacity && *memory)
        return RG_OK;
    size_t rounded = (bytes + 63) / 64 * 64;
    char *fresh = aligned_alloc(64, rounded ? rounded : 64);
    if (!fresh)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for %zu bytes", bytes);
    if (*memory && *capacity)
        memcpy(fresh, *memory, *capacity < bytes ? *capacity : bytes);
    free(*memory);
    *memory = fresh;
    *capacity = rounded;
    frame->allocations++;
    return RG_OK;
}

/* An array like another one, with one axis less or more, contiguous. */
static rg_array contiguous_like(const rg_array *like, int from) {
    rg_array a = *like;
    int64_t step = rg_itemsize[like->dtype];
    a.ndim = like->ndim - from;
    memmove(a.shape, like->shape + from, (size_t)a.ndim * sizeof *a.shape);
    for (int d = a.ndim - 1; d >= 0; d--) {
        a.strides[d] = step;
        step *= a.shape[d] > 0 ? a.shape[d] : 1;
    }
    a.size = rg_size(a.ndim, a.shape);
    a.contiguous = 1;
    return a;
}

/* Check what is given, and let the step's program know the shapes that it meets. */
static int loop_bind(rg_frame *frame, rg_thunk *thunk, loop *l) {
    rg_array **seqs = thunk->in + 1, **initials = seqs + l->nseq, **carried = initials + l->nstates;
    int64_t at = 0;
    int same = l->step.frame->prepared;
    l->n = *(const int64_t *)thunk->in[0]->data;
    if (l->n < 0)
        return rg_fail(frame, RG_ERROR_DOMAIN, "a loop of %lld steps", (long long)l->n);
    for (int64_t i = 0; i < l->nseq; i++) {
        if (seqs[i]->shape[0] != l->n)
            return rg_fail(frame, RG_ERROR_VALUE, "a sequence of %lld items for %lld steps",
                           (long long)seqs[i]->shape[0], (long long)l->n);
        same &= rg_bind(input_of(&l->step, at++), seqs[i], 1, seqs[i]->data);
    }
    for (int64_t i = 0; i < l->nstates; i++) {
        rg_array like = contiguous_like(initials[i], 1);
        if (initials[i]->shape[0] != l->kept[i].first)
            return rg_fail(frame, RG_ERROR_VALUE, "%lld initial values of %lld", (long long)initials[i]->shape[0],
                           (long long)l->kept[i].first);
        for (int64_t k = 0; k < l->kept[i].ntaps; k++)
            same &= rg_bind(input_of(&l->step, at++), &like, 0, initials[i]->data);
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        rg_array like = contiguous_like(carried[i], 0);
        same &= rg_bind(input_of(&l->step, at++), &like, 0, carried[i]->data);
    }
    for (int i = 1 + (int)(l->nseq + l->nstates + l->ncarried); i < thunk->nin; i++)
        same &= rg_bind(input_of(&l->step, at++), thunk->in[i], 0, thunk->in[i]->data);
    if (same)
        return RG_OK;
    if (rg_prepare(l->step.frame)) {
        if (l->n == 0 && l->nstates + l->ncarried == 0)
            return RG_OK; /* lengths of records are then what is known of them */
        return inner_failed(frame, &l->step);
    }
    return RG_OK;
}

/* What every step makes has one shape, that of the state or the carried value for which it is the new one. */
static int loop_check(rg_frame *frame, rg_thunk *thunk, loop *l) {
    rg_array **initials = thunk->in + 1 + l->nseq, **carried = initials + l->nstates;
    for (int64_t i = 0; i < l->nstates; i++) {
        rg_array like = contiguous_like(initials[i], 1);
        if (!same_shape(&like, output_of(&l->step, i)))
            return rg_fail(frame, RG_ERROR_VALUE, "state %lld changes its shape", (long long)i);
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        if (!same_shape(carried[i], output_of(&l->step, l->nstates + i)))
            return rg_fail(frame, RG_ERROR_ELSEWHERE, "carried value %lld changes its shape", (long long)i);
    return RG_OK;
}

static int64_t entries(const kept *k, int64_t taken) {
    int64_t count = k->first + taken;
    return k->keep < 0 || count < k->keep ? count : k->keep;
}

/* Say what shapes the outputs have after so many steps. */
static int loop_outputs(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t taken) {
    rg_array **initials = thunk->in + 1 + l->nseq, **carried = initials + l->nstates;
    int64_t shape[RG_NDIM];
    const int64_t *p = l->params;
    int error = RG_OK, k = 0;
    for (int64_t i = 0; i < l->nstates && !error; i++) {
        memcpy(shape, initials[i]->shape, sizeof shape);
        shape[0] = entries(&l->kept[i], taken);
        error = rg_output(frame, thunk, k++, initials[i]->ndim, shape);
    }
    for (int64_t i = 0; i < l->ncarried && !error; i++)
        error = rg_output(frame, thunk, k++, carried[i]->ndim, carried[i]->shape);
    for (int64_t i = 0; i < l->nrecords && !error; i++) {
        rg_array *made = output_of(&l->step, l->nstates + l->ncarried + i);
        kept *r = &l->kept[l->nstates + i];
        r->keep = p[0], r->first = 0;
        int ndim = (int)p[1];
        shape[0] = entries(r, taken);
        for (int d = 0; d < ndim; d++)
            shape[1 + d] = l->step.frame->prepared ? made->shape[d] : p[2 + d] < 0 ? 0 : p[2 + d];
        p += 2 + ndim;
        error = rg_output(frame, thunk, k++, 1 + ndim, shape);
    }
    if (l->until && !error)
        error = rg_output(frame, thunk, k, 0, shape);
    return error;
}

/* Give entries their memory: the output's own where all are kept and it is known how many there are. */
static int loop_place(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t steps, int outside) {
    rg_array **initials = thunk->in + 1 + l->nseq;
    for (int64_t i = 0; i < l->nstates + l->nrecords; i++) {
        kept *k = &l->kept[i];
        const rg_array *made = output_of(&l->step, i < l->nstates ? i : i + l->ncarried);
        int64_t farthest = i < l->nstates ? k->first : 0;
        k->stride = made->size * rg_itemsize[made->dtype];
        if (k->keep < 0 && !outside) {
            k->data = thunk->out[i < l->nstates ? i : i + l->ncarried]->data;
            k->size = k->first + steps + 1;
        } else {
            k->size = k->keep < 0 ? k->first + steps : k->keep > farthest ? k->keep : farthest;
            if (k->keep >= 0 && !(k->in_place && k->size == 1))
                k->size++; /* what is being computed must not overwrite what is read */
            if (k->size < 1)
                k->size = 1;
            int error = room(frame, &k->ring, &k->capacity, (size_t)(k->size * k->stride));
            if (error)
                return error;
            k->data = k->ring;
        }
        if (i < l->nstates) {
            rg_array from = contiguous_like(initials[i], 1), to = from;
            memcpy(from.strides, initials[i]->strides + 1, sizeof from.strides - sizeof *from.strides);
            from.contiguous = rg_is_contiguous(from.ndim, from.shape, from.strides, rg_itemsize[from.dtype]);
            for (int64_t e = 0; e < k->first; e++) {
                from.data = initials[i]->data + e * initials[i]->strides[0];
                to.data = k->data + e % k->size * k->stride;
                rg_copy(&from, &to);
            }
        }
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        carry *c = &l->carries[i];
        rg_array *given = thunk->in[1 + l->nseq + l->nstates + i], to = contiguous_like(given, 0);
        size_t bytes = (size_t)(given->size * rg_itemsize[given->dtype] + 63) / 64 * 64;
        int error = room(frame, &c->memory, &c->capacity, bytes * (c->in_place ? 1 : 2));
        if (error)
            return error;
        c->data[0] = c->memory;
        c->data[1] = c->memory + (c->in_place ? 0 : bytes);
        to.data = c->data[0];
        rg_copy(given, &to);
    }
    return RG_OK;
}

static void put(const inner *step, int64_t output, char *target) {
    rg_array *made = output_of(step, output);
    if (step->program->fresh[output] && made->data == target)
        return;
    rg_array to = contiguous_like(made, 0);
    to.data = target;
    rg_copy(made, &to);
}

static void aim(const inner *step, int64_t output, char *target) {
    if (step->program->fresh[output])
        output_of(step, output)->data = target;
}

/* Take step t. */
static int loop_step(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t t) {
    const inner *step = &l->step;
    rg_array **seqs = thunk->in + 1;
    int64_t at = 0, recorded = l->nstates + l->ncarried;
    for (int64_t i = 0; i < l->nseq; i++)
        input_of(step, at++)->data = seqs[i]->data + t * seqs[i]->strides[0];
    for (int64_t i = 0; i < l->nstates; i++) {
        const kept *k = &l->kept[i];
        for (int64_t j = 0; j < k->ntaps; j++)
            input_of(step, at++)->data = k->data + (k->first + t - k->taps[j]) % k->size * k->stride;
        aim(step, i, k->data + (k->first + t) % k->size * k->stride);
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        input_of(step, at++)->data = l->carries[i].data[0];
        aim(step, l->nstates + i, l->carries[i].data[1]);
    }
    for (int64_t i = 0; i < l->nrecords; i++) {
        const kept *k = &l->kept[l->nstates + i];
        aim(step, recorded + i, k->data + t % k->size * k->stride);
    }
    if (l->until)
        aim(step, recorded + l->nrecords, (char *)&l->taken);
    if (rg_run(step->frame))
        return inner_failed(frame, step);
    for (int64_t i = 0; i < l->nstates; i++) {
        const kept *k = &l->kept[i];
        put(step, i, k->data + (k->first + t) % k->size * k->stride);
    }
    for (int64_t i = 0; i < l->nrecords; i++) {
        const kept *k = &l->kept[l->nstates + i];
        put(step, recorded + i, k->data + t % k->size * k->stride);
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        carry *c = &l->carries[i];
        put(step, l->nstates + i, c->data[1]);
        char *before = c->data[0];
        c->data[0] = c->data[1];
        c->data[1] = before;
    }
    return RG_OK;
}

/* Put the entries that are to be answered, and the carried values, where they belong. */
static void loop_answer(rg_thunk *thunk, loop *l, int64_t taken) {
    for (int64_t i = 0; i < l->nstates + l->nrecords; i++) {
        const kept *k = &l->kept[i];
        const rg_array *out = thunk->out[i < l->nstates ? i : i + l->ncarried];
        if (k->data == out->data)
            continue;
        int64_t count = entries(k, taken), start = k->first + taken - count;
        for (int64_t e = 0; e < count; e++)
            memcpy(out->data + e * k->stride, k->data + (start + e) % k->size * k->stride, (size_t)k->stride);
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        const rg_array *out = thunk->out[l->nstates + i];
        memcpy(out->data, l->carries[i].data[0], (size_t)(out->size * rg_itemsize[out->dtype]));
    }
}

static int scan_prepare(rg_frame *frame, rg_thunk *thunk) {
    int error = loop_open(frame, thunk);
    loop *l = thunk->state;
    if (error || (error = loop_bind(frame, thunk, l)))
        return error;
    if (l->step.frame->prepared && !inner_is_known(&l->step))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "the shape of what a step makes depends on values");
    if (l->step.frame->prepared && (error = loop_check(frame, thunk, l)))
        return error;
    return loop_outputs(frame, thunk, l, l->n);
}

static int scan_run(rg_frame *frame, rg_thunk *thunk) {
    loop *l = thunk->state;
    int error = loop_bind(frame, thunk, l);
    if (!error && (l->step.frame->prepared || l->nstates + l->ncarried))
        error = loop_place(frame, thunk, l, l->n, 0);
    for (int64_t t = 0; t < l->n && !error; t++)
        error = loop_step(frame, thunk, l, t);
    if (!error && (l->n || l->nstates + l->ncarried))
        loop_answer(thunk, l, l->n);
    return error;
}

/* A loop that ends when a condition holds: how many entries there are is known when it has run. */

#define ROOM 64 /* steps to make room for at first */

static int until_prepare(rg_frame *frame, rg_thunk *thunk) {
    int error = loop_open(frame, thunk);
    loop *l = thunk->state;
    if (error || (error = loop_bind(frame, thunk, l)))
        return error;
    if (l->step.frame->prepared && !inner_is_known(&l->step))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "the shape of what a step makes depends on values");
    if (l->step.frame->prepared && (error = loop_check(frame, thunk, l)))
        return error;
    if ((error = loop_outputs(frame, thunk, l, 0)))
        return error;
    int64_t limit = l->n < ROOM ? l->n : ROOM, t = 0;
    const inner *step = &l->step;
    if ((error = loop_place(frame, thunk, l, limit, 1)))
        return error;
    for (int ends = 0; t < l->n && !ends; t++) {
        if (t == limit) {
            limit = l->n < 2 * t ? l->n : 2 * t;
            for (int64_t i = 0; i < l->nstates + l->nrecords && !error; i++) {
                kept *k = &l->kept[i];
                if (k->keep >= 0)
                    continue;
                k->size = k->first + limit;
                error = room(frame, &k->ring, &k->capacity, (size_t)(k->size * k->stride));
                k->data = k->ring;
            }
        }
        if (error || (error = loop_step(frame, thunk, l, t)))
            return error;
        ends = *output_of(step, l->nstates + l->ncarried + l->nrecords)->data;
    }
    if ((error = loop_outputs(frame, thunk, l, t)))
        return error;
    l->taken = t;
    return RG_OK;
}

static int until_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    loop *l = thunk->state;
    loop_answer(thunk, l, l->taken);
    *(int64_t *)thunk->out[thunk->nout - 1]->data = l->taken;
    return RG_OK;
}

/* One of two programs, as a condition says. params: their addresses. inputs: the condition, then what both take. */

typedef struct branch {
    inner of[2];
    int64_t taken;
} branch;

static int is_true(const rg_array *a) {
    for (int i = 0; i < rg_itemsize[a->dtype]; i++) {
        unsigned char byte = (unsigned char)a->data[i];
        int sign = a->dtype >= RG_F16 && (i + 1 == rg_itemsize[a->dtype] || (a->dtype >= RG_C64 && i + 1 == rg_itemsize[a->dtype] / 2));
        if (sign ? byte & 0x7f : byte) /* minus zero is false */
            return 1;
    }
    return 0;
}

static int ifelse_prepare(rg_frame *frame, rg_thunk *thunk) {
    branch *b = thunk->state;
    if (!b && !(b = rg_state(frame, thunk, sizeof *b)))
        return RG_ERROR_MEMORY;
    b->taken = !is_true(thunk->in[0]);
    inner *in = &b->of[b->taken];
    int error = inner_open(frame, thunk, (int)b->taken, in, (const rg_program *)(uintptr_t)thunk->params[b->taken]);
    if (error)
        return error;
    int same = in->frame->prepared;
    for (int i = 1; i < thunk->nin; i++)
        same &= rg_bind(input_of(in, i - 1), thunk->in[i], 0, thunk->in[i]->data);
    if (!same && rg_prepare(in->frame))
        return inner_failed(frame, in);
    if (!inner_is_known(in))
        return rg_fail(frame, RG_ERROR_ELSEWHERE, "the shape of what a branch makes depends on values");
    for (int k = 0; k < thunk->nout && !error; k++)
        error = rg_output(frame, thunk, k, output_of(in, k)->ndim, output_of(in, k)->shape);
    return error;
}

static int ifelse_run(rg_frame *frame, rg_thunk *thunk) {
    branch *b = thunk->state;
    const inner *in = &b->of[b->taken];
    for (int i = 1; i < thunk->nin; i++)
        input_of(in, i - 1)->data = thunk->in[i]->data;
    for (int k = 0; k < thunk->nout; k++)
        aim(in, k, thunk->out[k]->data);
    if (rg_run(in->frame))
        return inner_failed(frame, in);
    for (int k = 0; k < thunk->nout; k++)
        put(in, k, thunk->out[k]->data);
    return RG_OK;
}

const rg_kernel rg_kernels_control[] = {
    {"scan", scan_prepare, scan_run},
    {"scan_until", until_prepare, until_run},
    {"ifelse", ifelse_prepare, ifelse_run},
    {0},
};
