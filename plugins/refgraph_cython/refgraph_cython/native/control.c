/* Programs within programs: loops and branches. Between two steps of a loop there is no Python. */
#include "straight.h"

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
    if (!thunk->inner[number] && !(thunk->inner[number] = rg_new_frame(&program->made)))
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for an inner program");
    in->frame = thunk->inner[number];
    in->frame->profiled = frame->profiled;
    return RG_OK;
}

static int inner_failed(rg_frame *frame, const inner *in) {
    int error = rg_fail(frame, in->frame->error, "%s", in->frame->message);
    frame->within = in->frame;
    return error;
}

static int same_shape(const rg_array *a, const rg_array *b) {
    return a->ndim == b->ndim && !memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape);
}

/* Loops.

params: the address of the step's rg_program; whether the shapes of what it makes follow from those of what it is given;
numbers of sequences, states, carried values, records; whether there is a condition to end; then for each state: depth,
how many entries to keep (-1: all), whether the new value may be computed in the memory of the one before, the number of
taps, and the taps; for each carried value whether the new one may be computed in the memory of the old; for each record
how many to keep, its rank, and its lengths as far as they are known (-1: not); then for each whole value whether steps
multiply by it, from the right.

inputs: the number of steps; sequences; initial values; carried values; whole values. outputs: states, carried values,
records, and the number of steps taken where there is a condition.

Mostly no shape changes between two steps. Then all that changes is where values lie, and that goes on by constant
distances: a step sets a row of pointers, and runs.
*/

typedef struct kept {
    char *data;       /* entry e lies at data + (e % size) * stride */
    int64_t stride, size, first;
    int64_t keep;     /* the last entries to answer; -1: all */
    int64_t in_place; /* whether a new entry may be computed in the memory of the one before */
    const int64_t *taps;
    int64_t ntaps;
    char *ring;       /* memory of the loop's own, where entries do not lie in the output */
    size_t capacity;
    rg_array entry;   /* the shape of one */
} kept;

typedef struct carry {
    char *memory[2]; /* the value, and where the next one goes, in turns; the second is not used in place */
    size_t capacity[2];
    int64_t in_place, at, next; /* `at` is which of the two is the value */
    rg_array now, final;        /* the shapes of the value, and of the last one */
} carry;

/* A whole value by which steps multiply. Products are fastest where neighbours in a row are neighbours in memory: where
   they are not, as in W^T, a copy in which they are pays after some steps. */
typedef struct factor {
    int64_t input;   /* of the thunk */
    int64_t is_laid; /* whether steps are given the copy */
    char *memory;
    size_t capacity;
} factor;

#define LAID 16 /* steps from which on a copy pays */

typedef struct loop {
    inner step;
    const int64_t *params;
    int64_t settled, nseq, nstates, ncarried, nrecords, until;
    int64_t n, taken;
    int64_t changes; /* whether a carried value changes its shape */
    kept *kept; /* of states, then of records */
    carry *carries;
    factor *factors;
    int64_t nfactors;
    rg_steps steps;
    char is_last;    /* whether the condition to end holds */
    char is_blank;   /* whether items of sequences are zeros */
    char is_outside; /* whether all entries lie in memory of the loop's own until it has run */
} loop;

static char blank[16]; /* an element of zeros: nothing writes it */

static void give_up(rg_frame *frame, char *memory, size_t capacity) {
    rg_release(memory);
    frame->bytes -= (int64_t)capacity;
}

static void loop_discard(rg_frame *frame, rg_thunk *thunk) {
    loop *l = thunk->state;
    if (!l)
        return;
    for (int64_t i = 0; l->kept && i < l->nstates + l->nrecords; i++)
        give_up(frame, l->kept[i].ring, l->kept[i].capacity);
    for (int64_t i = 0; l->carries && i < l->ncarried; i++)
        for (int j = 0; j < 2; j++)
            give_up(frame, l->carries[i].memory[j], l->carries[i].capacity[j]);
    for (int64_t i = 0; i < l->nfactors; i++)
        give_up(frame, l->factors[i].memory, l->factors[i].capacity);
    free(l->kept);
    free(l->carries);
    free(l->factors);
    free(l->steps.movers);
    free(l->steps.moved);
}

static int loop_open(rg_frame *frame, rg_thunk *thunk) {
    const int64_t *p = thunk->params;
    loop *l = thunk->state;
    if (l && l->steps.moved) {
        l->step.frame->profiled = frame->profiled;
        return RG_OK;
    }
    l = rg_state(frame, thunk, sizeof *l);
    if (!l)
        return RG_ERROR_MEMORY;
    thunk->discard = loop_discard;
    l->settled = p[1], l->nseq = p[2], l->nstates = p[3], l->ncarried = p[4], l->nrecords = p[5], l->until = p[6];
    int error = inner_open(frame, thunk, 0, &l->step, (const rg_program *)(uintptr_t)p[0]);
    if (error)
        return error;
    size_t outputs = (size_t)(l->nstates + l->ncarried + l->nrecords) + 1;
    l->kept = calloc(outputs, sizeof *l->kept);
    l->carries = calloc((size_t)l->ncarried + 1, sizeof *l->carries);
    l->steps.movers = calloc((size_t)l->step.program->nin + outputs, sizeof *l->steps.movers);
    l->steps.moved = calloc(outputs, sizeof *l->steps.moved);
    l->factors = calloc((size_t)thunk->nin, sizeof *l->factors);
    if (!l->kept || !l->carries || !l->factors || !l->steps.movers || !l->steps.moved)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for a loop");
    p += 7;
    for (int64_t i = 0; i < l->nstates; i++, p += 4 + p[3]) {
        kept *k = &l->kept[i];
        k->first = p[0], k->keep = p[1], k->in_place = p[2], k->ntaps = p[3], k->taps = p + 4;
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].in_place = *p++;
    l->params = p; /* of the records */
    for (int64_t i = 0; i < l->nrecords; i++)
        p += 2 + p[1];
    for (int64_t i = 1 + l->nseq + l->nstates + l->ncarried; i < thunk->nin; i++)
        if (*p++)
            l->factors[l->nfactors++].input = i;
    return RG_OK;
}

static int room(rg_frame *frame, char **memory, size_t *capacity, size_t bytes) {
    if (bytes <= *capacity && *memory)
        return RG_OK;
    size_t rounded = (bytes + 63) / 64 * 64;
    char *fresh = rg_allocate(rounded);
    if (!fresh)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for %zu bytes", bytes);
    if (*memory && *capacity)
        memcpy(fresh, *memory, *capacity);
    give_up(frame, *memory, *capacity);
    *memory = fresh;
    *capacity = rounded;
    frame->allocations++;
    frame->bytes += (int64_t)rounded;
    return RG_OK;
}

/* An array like another one, from some axis on, contiguous. */
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

static size_t bytes_of(const rg_array *a) {
    return (size_t)(a->size * rg_itemsize[a->dtype]);
}

static kept *record_of(const loop *l, int64_t i) {
    return &l->kept[l->nstates + i];
}

/* The outputs of a step: states, carried values, records. */
static rg_array *made_of(const loop *l, int64_t kept) {
    return output_of(&l->step, kept < l->nstates ? kept : kept + l->ncarried);
}

static rg_array *out_of(const rg_thunk *thunk, const loop *l, int64_t kept) {
    return thunk->out[kept < l->nstates ? kept : kept + l->ncarried];
}

/* Let whole values be what the step is given, and `same` be 0 where one has not the shape and strides that it had. */
static int bind_whole(rg_frame *frame, rg_thunk *thunk, loop *l, int *same) {
    int64_t at = l->step.program->nin - thunk->nin;
    factor *f = l->factors, *end = f + l->nfactors;
    for (int64_t i = 1 + l->nseq + l->nstates + l->ncarried; i < thunk->nin; i++) {
        rg_array x = *thunk->in[i];
        if (f < end && f->input == i) {
            f->is_laid = l->n >= LAID && x.ndim == 2 && x.shape[1] > 1 && x.strides[1] != rg_itemsize[x.dtype];
            if (f->is_laid) {
                int error = room(frame, &f->memory, &f->capacity, bytes_of(&x));
                if (error)
                    return error;
                x = contiguous_like(&x, 0);
                x.data = f->memory;
            }
            f++;
        }
        *same &= rg_bind(input_of(&l->step, at + i), &x, 0, x.data);
    }
    return RG_OK;
}

static void lay_factors(const rg_thunk *thunk, const loop *l) {
    for (int64_t i = 0; i < l->nfactors; i++) {
        const rg_array *x = thunk->in[l->factors[i].input];
        rg_array copy = contiguous_like(x, 0);
        copy.data = l->factors[i].memory;
        if (l->factors[i].is_laid)
            rg_copy(x, &copy);
    }
}

/* Let carried values be what the step is given, with the shapes that they have now. */
static int bind_carried(rg_thunk *thunk, loop *l) {
    int64_t at = l->step.program->nin - (thunk->nin - 1 - l->nseq - l->nstates);
    int same = 1;
    for (int64_t i = 0; i < l->ncarried; i++)
        same &= rg_bind(input_of(&l->step, at++), &l->carries[i].now, 0, l->carries[i].memory[l->carries[i].at]);
    return same;
}

/* Check what is given, and let the step's program know the shapes that it meets first. */
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
        kept *k = &l->kept[i];
        if (initials[i]->shape[0] != k->first)
            return rg_fail(frame, RG_ERROR_VALUE, "%lld initial values of %lld", (long long)initials[i]->shape[0],
                           (long long)k->first);
        k->entry = contiguous_like(initials[i], 1);
        for (int64_t j = 0; j < k->ntaps; j++)
            same &= rg_bind(input_of(&l->step, at++), &k->entry, 0, initials[i]->data);
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].now = l->carries[i].final = contiguous_like(carried[i], 0);
    same &= bind_carried(thunk, l);
    int error = bind_whole(frame, thunk, l, &same);
    if (error || same)
        return error;
    if (rg_prepare(l->step.frame)) {
        if (l->n == 0 && l->nstates + l->ncarried == 0)
            return RG_OK; /* lengths of records are then what is known of them */
        return inner_failed(frame, &l->step);
    }
    return RG_OK;
}

/* Whether the new values of states have the shape of a state. Raises where one has not. */
static int check_states(rg_frame *frame, const loop *l) {
    for (int64_t i = 0; i < l->nstates; i++)
        if (!same_shape(&l->kept[i].entry, output_of(&l->step, i)))
            return rg_fail(frame, RG_ERROR_VALUE, "state %lld changes its shape", (long long)i);
    return RG_OK;
}

/* Take the shapes of records from the step; they are the same in each, but for the first. */
static int check_records(rg_frame *frame, const loop *l, int is_first) {
    for (int64_t i = 0; i < l->nrecords; i++) {
        const rg_array *made = made_of(l, l->nstates + i);
        if (is_first)
            record_of(l, i)->entry = contiguous_like(made, 0);
        else if (!same_shape(&record_of(l, i)->entry, made))
            return rg_fail(frame, RG_ERROR_VALUE, "record %lld changes its shape", (long long)i);
    }
    return RG_OK;
}

/* Let carried values have the shapes that the step makes. Whether those are others. */
static int carry_shapes(const loop *l) {
    int changes = 0;
    for (int64_t i = 0; i < l->ncarried; i++) {
        const rg_array *made = output_of(&l->step, l->nstates + i);
        changes |= !same_shape(&l->carries[i].now, made);
        l->carries[i].now = contiguous_like(made, 0);
    }
    return changes;
}

/* Find out the shapes of what all steps make, where they follow from shapes alone. */
static int loop_check(rg_frame *frame, rg_thunk *thunk, loop *l) {
    int error = check_states(frame, l);
    error = error ? error : check_records(frame, l, 1);
    l->changes = 0;
    if (error || l->n == 0)
        return error;
    for (int64_t t = 1; carry_shapes(l); t++) {
        l->changes = 1;
        if (t >= l->n)
            break;
        bind_carried(thunk, l);
        if (rg_prepare(l->step.frame))
            return inner_failed(frame, &l->step);
        error = check_states(frame, l);
        error = error ? error : check_records(frame, l, 0);
        if (error)
            return error;
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].final = l->carries[i].now;
    return RG_OK;
}

static int64_t entries(const kept *k, int64_t taken) {
    int64_t count = k->first + taken;
    return k->keep < 0 || count < k->keep ? count : k->keep;
}

/* How many records to keep, and their shapes as far as they are known, 0 where they are not. */
static void read_records(loop *l) {
    const int64_t *p = l->params;
    for (int64_t i = 0; i < l->nrecords; i++) {
        kept *r = record_of(l, i);
        int64_t shape[RG_NDIM];
        r->keep = *p++, r->first = 0;
        int ndim = (int)*p++;
        for (int d = 0; d < ndim; d++, p++)
            shape[d] = *p < 0 ? 0 : *p;
        r->entry = *made_of(l, l->nstates + i);
        r->entry.ndim = ndim;
        memcpy(r->entry.shape, shape, sizeof shape);
        r->entry = contiguous_like(&r->entry, 0);
    }
}

/* Say what shapes the outputs have after so many steps. */
static int loop_outputs(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t taken) {
    int error = RG_OK, k = 0;
    for (int64_t i = 0; i < l->nstates + l->nrecords && !error; i++) {
        const rg_array *entry = &l->kept[i].entry;
        int64_t shape[RG_NDIM] = {entries(&l->kept[i], taken)};
        memcpy(shape + 1, entry->shape, (size_t)entry->ndim * sizeof *shape);
        if (i == l->nstates)
            k += (int)l->ncarried;
        error = rg_output(frame, thunk, k++, 1 + entry->ndim, shape);
    }
    for (int64_t i = 0; i < l->ncarried && !error; i++)
        error = rg_output(frame, thunk, (int)(l->nstates + i), l->carries[i].final.ndim, l->carries[i].final.shape);
    if (l->until && !error)
        error = rg_output(frame, thunk, thunk->nout - 1, 0, NULL);
    return error;
}

/* Give entries their memory: the output's own where all are kept and it is known how many there are. */
static int place_entries(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t i, int64_t steps) {
    kept *k = &l->kept[i];
    k->stride = (int64_t)bytes_of(&k->entry);
    if (k->keep < 0 && !l->is_outside) {
        k->data = out_of(thunk, l, i)->data;
        k->size = k->first + steps + 1;
        return RG_OK;
    }
    if (k->keep < 0)
        k->size = k->first + steps;
    else {
        k->size = k->keep > k->first ? k->keep : k->first;
        k->size += !(k->in_place && k->size == 1); /* what is being computed must not overwrite what is read */
    }
    if (k->size < 1)
        k->size = 1;
    int error = room(frame, &k->ring, &k->capacity, (size_t)(k->size * k->stride));
    k->data = k->ring;
    return error;
}

/* Put what there is before the first step where it belongs. */
static int loop_begin(rg_frame *frame, rg_thunk *thunk, loop *l) {
    rg_array **initials = thunk->in + 1 + l->nseq, **carried = initials + l->nstates;
    for (int64_t i = 0; i < l->nstates; i++) {
        const kept *k = &l->kept[i];
        rg_array from = k->entry, to = k->entry;
        memcpy(from.strides, initials[i]->strides + 1, (size_t)from.ndim * sizeof *from.strides);
        from.contiguous = rg_is_contiguous(from.ndim, from.shape, from.strides, rg_itemsize[from.dtype]);
        for (int64_t e = 0; e < k->first; e++) {
            from.data = initials[i]->data + e * initials[i]->strides[0];
            to.data = k->data + e % k->size * k->stride;
            rg_copy(&from, &to);
        }
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        carry *c = &l->carries[i];
        c->at = 0;
        c->now = contiguous_like(carried[i], 0);
        for (int j = 0; j < 2 - !!c->in_place; j++) {
            int error = room(frame, &c->memory[j], &c->capacity[j], bytes_of(&c->now));
            if (error)
                return error;
        }
        rg_array to = c->now;
        to.data = c->memory[0];
        rg_copy(carried[i], &to);
    }
    return RG_OK;
}

static int loop_place(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t steps) {
    int error = RG_OK;
    for (int64_t i = 0; i < l->nstates + l->nrecords && !error; i++)
        error = place_entries(frame, thunk, l, i, steps);
    return error ? error : loop_begin(frame, thunk, l);
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

/* Let a pointer be at a place of `size`, and go on from there. */
static void move_on(loop *l, char **pointer, char *data, int64_t stride, int64_t size, int64_t place) {
    l->steps.movers[l->steps.nmovers++] =
        (rg_mover){pointer, data + place % size * stride, data, data + (size - 1) * stride, stride};
}

/* Let an output of the step lie there. */
static void move_output(loop *l, int64_t output, char *data, int64_t stride, int64_t size, int64_t place) {
    rg_array *made = output_of(&l->step, output);
    char **pointer = &made->data;
    if (!l->step.program->fresh[output]) {
        rg_moved *m = &l->steps.moved[l->steps.nmoved++];
        *m = (rg_moved){made, NULL, made->contiguous ? bytes_of(made) : 0};
        pointer = &m->target;
    }
    move_on(l, pointer, data, stride, size, place);
}

/* Let all pointers be where step t has them. */
static void loop_move(rg_thunk *thunk, loop *l, int64_t t) {
    rg_array **seqs = thunk->in + 1;
    int64_t at = 0;
    l->steps.nmovers = l->steps.nmoved = 0;
    l->steps.ends = l->until ? output_of(&l->step, l->step.program->nout - 1) : NULL;
    for (int64_t i = 0; i < l->nseq; i++) {
        int64_t stride = seqs[i]->strides[0];
        move_on(l, &input_of(&l->step, at++)->data, seqs[i]->data, stride, l->n + 1, t);
    }
    for (int64_t i = 0; i < l->nstates; i++) {
        const kept *k = &l->kept[i];
        for (int64_t j = 0; j < k->ntaps; j++)
            move_on(l, &input_of(&l->step, at++)->data, k->data, k->stride, k->size, k->first + t - k->taps[j]);
        move_output(l, i, k->data, k->stride, k->size, k->first + t);
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        carry *c = &l->carries[i];
        char *other = c->memory[!c->in_place];
        int64_t apart = other - c->memory[0], size = c->in_place ? 1 : 2;
        move_on(l, &input_of(&l->step, at++)->data, c->memory[0], apart, size, t);
        move_output(l, l->nstates + i, c->memory[0], apart, size, t + 1);
    }
    for (int64_t i = 0; i < l->nrecords; i++) {
        const kept *k = record_of(l, i);
        move_output(l, l->nstates + l->ncarried + i, k->data, k->stride, k->size, t);
    }
    if (l->until)
        aim(&l->step, l->step.program->nout - 1, &l->is_last);
}

/* Say that step t failed. */
static int step_failed(rg_frame *frame, const loop *l, int64_t t) {
    l->step.frame->step = t;
    l->step.frame->steps = l->n;
    return inner_failed(frame, &l->step);
}

/* Take steps from *t on, up to one that is not taken; *t is then how many were. Whether it ends is `*ends`. */
static int take_steps(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t *t, int64_t to, int *ends) {
    int64_t taken;
    loop_move(thunk, l, *t);
    if (rg_run_steps(l->step.frame, &l->steps, to - *t, &taken, ends))
        return step_failed(frame, l, *t + taken);
    *t += taken;
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].at = l->carries[i].in_place ? 0 : *t % 2;
    return RG_OK;
}

/* Steps of which each may make other shapes than the one before. */

/* Let an entry that is made have its place: the first record says what shape all have. */
static int meet_entry(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t i, int64_t t, int64_t limit) {
    const rg_array *made = made_of(l, i);
    int is_record = i >= l->nstates;
    if (is_record && t == 0) {
        l->kept[i].entry = contiguous_like(made, 0);
        return place_entries(frame, thunk, l, i, limit);
    }
    if (same_shape(&l->kept[i].entry, made))
        return RG_OK;
    return rg_fail(frame, RG_ERROR_VALUE, "%s %lld changes its shape", is_record ? "record" : "state",
                   (long long)(is_record ? i - l->nstates : i));
}

static char *place_of(const kept *k, int64_t entry) {
    return k->data + entry % k->size * k->stride;
}

/* Let the inputs of step t be where they are. */
static int any_inputs(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t t) {
    rg_array **seqs = thunk->in + 1;
    int64_t at = 0;
    for (int64_t i = 0; i < l->nseq; i++)
        input_of(&l->step, at++)->data = l->is_blank ? blank : seqs[i]->data + t * seqs[i]->strides[0];
    for (int64_t i = 0; i < l->nstates; i++) {
        const kept *k = &l->kept[i];
        for (int64_t j = 0; j < k->ntaps; j++)
            input_of(&l->step, at++)->data = place_of(k, k->first + t - k->taps[j]);
    }
    if ((!bind_carried(thunk, l) || !l->step.frame->prepared) && rg_prepare(l->step.frame))
        return inner_failed(frame, &l->step);
    return RG_OK;
}

/* Let outputs be where they belong. Of those that the step's program computes in memory that is given the shapes are
   known before; then it is run, and others are copied. */
static int any_outputs(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t t, int64_t limit, int is_run) {
    const inner *step = &l->step;
    const char *fresh = step->program->fresh;
    for (int64_t i = 0; i < l->nstates + l->nrecords; i++) {
        int64_t output = i < l->nstates ? i : i + l->ncarried;
        if (fresh[output] == is_run)
            continue;
        int error = meet_entry(frame, thunk, l, i, t, limit);
        if (error)
            return error;
        (is_run ? put : aim)(step, output, place_of(&l->kept[i], l->kept[i].first + t));
    }
    for (int64_t i = 0; i < l->ncarried; i++) {
        carry *c = &l->carries[i];
        const rg_array *made = output_of(step, l->nstates + i);
        if (fresh[l->nstates + i] == is_run)
            continue;
        c->next = !is_run && c->in_place && same_shape(made, &c->now) ? c->at : !c->at;
        int error = room(frame, &c->memory[c->next], &c->capacity[c->next], bytes_of(made));
        if (error)
            return error;
        (is_run ? put : aim)(step, l->nstates + i, c->memory[c->next]);
    }
    return RG_OK;
}

static int take_any_steps(rg_frame *frame, rg_thunk *thunk, loop *l, int64_t *t, int64_t to, int *ends) {
    if (l->until)
        aim(&l->step, l->step.program->nout - 1, &l->is_last);
    for (; *t < to && !*ends; ++*t) {
        int error = any_inputs(frame, thunk, l, *t);
        error = error ? error : any_outputs(frame, thunk, l, *t, to, 0);
        if (error)
            return error;
        if (rg_run(l->step.frame))
            return step_failed(frame, l, *t);
        if ((error = any_outputs(frame, thunk, l, *t, to, 1)))
            return error;
        carry_shapes(l);
        for (int64_t i = 0; i < l->ncarried; i++)
            l->carries[i].at = l->carries[i].next;
        *ends = l->until && *output_of(&l->step, l->step.program->nout - 1)->data;
    }
    return RG_OK;
}

/* Put the entries that are to be answered, and the carried values, where they belong. */
static void loop_answer(rg_thunk *thunk, loop *l, int64_t taken) {
    for (int64_t i = 0; i < l->nstates + l->nrecords; i++) {
        const kept *k = &l->kept[i];
        const rg_array *out = out_of(thunk, l, i);
        if (k->data == out->data || out->size == 0)
            continue;
        int64_t count = entries(k, taken), start = (k->first + taken - count) % k->size;
        int64_t before = count < k->size - start ? count : k->size - start;
        memcpy(out->data, k->data + start * k->stride, (size_t)(before * k->stride));
        memcpy(out->data + before * k->stride, k->data, (size_t)((count - before) * k->stride));
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        memcpy(thunk->out[l->nstates + i]->data, l->carries[i].memory[l->carries[i].at],
               bytes_of(thunk->out[l->nstates + i]));
}

static int scan_prepare(rg_frame *frame, rg_thunk *thunk) {
    int error = loop_open(frame, thunk);
    loop *l = thunk->state;
    if (error || (error = loop_bind(frame, thunk, l)))
        return error;
    read_records(l);
    l->is_outside = 0;
    if (l->step.frame->prepared && (error = loop_check(frame, thunk, l)))
        return error;
    return loop_outputs(frame, thunk, l, l->n);
}

static int scan_run(rg_frame *frame, rg_thunk *thunk) {
    loop *l = thunk->state;
    int64_t t = 0;
    int ends = 0;
    l->step.frame->profiled = frame->profiled;
    int same = 1, error = bind_whole(frame, thunk, l, &same);
    error = error ? error : loop_place(frame, thunk, l, l->n);
    if (!error)
        lay_factors(thunk, l);
    if (!error && l->n)
        error = (l->changes ? take_any_steps : take_steps)(frame, thunk, l, &t, l->n, &ends);
    if (!error)
        loop_answer(thunk, l, l->n);
    return error;
}

/* A loop of which it is known when it has run how many entries there are, or what shapes they have. */

#define ROOM 64 /* steps to make room for at first, where a condition ends the loop */

static int is_known(const loop *l) {
    const int64_t *p = l->params;
    for (int64_t i = 0; i < l->nrecords; i++, p += 2 + p[1])
        for (int64_t d = 0; d < p[1]; d++)
            if (p[2 + d] < 0)
                return 0;
    return 1;
}

/* What shapes records have where no step is taken: as of a step on zeros, if it can be taken. */
static int take_no_step(rg_frame *frame, rg_thunk *thunk, loop *l) {
    int64_t t = 0;
    int ends = 0;
    for (int64_t i = 0; i < l->nseq; i++) {
        rg_array zeros = contiguous_like(thunk->in[1 + i], 1);
        memset(zeros.strides, 0, sizeof zeros.strides);
        rg_bind(input_of(&l->step, i), &zeros, 0, blank);
    }
    l->step.frame->prepared = 0;
    l->is_blank = 1;
    if (take_any_steps(frame, thunk, l, &t, 1, &ends))
        read_records(l);
    l->is_blank = 0;
    l->step.frame->prepared = 0;
    return loop_place(frame, thunk, l, 1);
}

static int grow_entries(rg_frame *frame, loop *l, int64_t limit) {
    int error = RG_OK;
    for (int64_t i = 0; i < l->nstates + l->nrecords && !error; i++) {
        kept *k = &l->kept[i];
        if (k->keep >= 0)
            continue;
        k->size = k->first + limit;
        error = room(frame, &k->ring, &k->capacity, (size_t)(k->size * k->stride));
        k->data = k->ring;
    }
    return error;
}

static int dynamic_prepare(rg_frame *frame, rg_thunk *thunk) {
    int error = loop_open(frame, thunk);
    loop *l = thunk->state;
    if (error || (error = loop_bind(frame, thunk, l)))
        return error;
    read_records(l);
    l->is_outside = 1;
    l->changes = !l->settled;
    if (l->settled && l->step.frame->prepared) {
        error = check_states(frame, l);
        error = error ? error : check_records(frame, l, 1);
        l->changes = carry_shapes(l);
    }
    int64_t limit = l->until && l->n > ROOM ? ROOM : l->n ? l->n : 1, t = 0;
    int ends = 0;
    error = error ? error : loop_place(frame, thunk, l, limit);
    if (!error)
        lay_factors(thunk, l);
    if (!error && l->n == 0 && !l->settled && !is_known(l))
        error = take_no_step(frame, thunk, l);
    while (!error && t < l->n && !ends) {
        if (t == limit) {
            limit = l->n < 2 * t ? l->n : 2 * t;
            error = grow_entries(frame, l, limit);
        }
        if (!error)
            error = (l->changes ? take_any_steps : take_steps)(frame, thunk, l, &t, limit, &ends);
    }
    for (int64_t i = 0; i < l->ncarried; i++)
        l->carries[i].final = l->carries[i].now;
    l->taken = t;
    return error ? error : loop_outputs(frame, thunk, l, t);
}

static int dynamic_run(rg_frame *frame, rg_thunk *thunk) {
    (void)frame;
    loop *l = thunk->state;
    loop_answer(thunk, l, l->taken);
    if (l->until)
        *(int64_t *)thunk->out[thunk->nout - 1]->data = l->taken;
    return RG_OK;
}

/* One of two programs, as a condition says. params: their addresses, then for each whether the shapes of what it makes
   follow from those of what it is given. inputs: the condition, then what both take. A program of which that is not so
   is run when it is prepared. */

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

static int branch_run(rg_frame *frame, rg_thunk *thunk, const inner *in) {
    const char *fresh = in->program->fresh;
    int error = RG_OK;
    for (int i = 1; i < thunk->nin; i++)
        input_of(in, i - 1)->data = thunk->in[i]->data;
    for (int k = 0; k < thunk->nout; k++)
        aim(in, k, thunk->out[k]->data);
    if (rg_run(in->frame))
        return inner_failed(frame, in);
    for (int k = 0; k < thunk->nout && !error; k++)
        if (!fresh[k])
            error = rg_output(frame, thunk, k, output_of(in, k)->ndim, output_of(in, k)->shape);
    for (int k = 0; k < thunk->nout && !error; k++)
        put(in, k, thunk->out[k]->data);
    return error;
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
    int same = in->frame->prepared, is_settled = (int)thunk->params[2 + b->taken];
    for (int i = 1; i < thunk->nin; i++)
        same &= rg_bind(input_of(in, i - 1), thunk->in[i], 0, thunk->in[i]->data);
    if (!same && rg_prepare(in->frame))
        return inner_failed(frame, in);
    for (int k = 0; k < thunk->nout && !error; k++)
        if (is_settled || in->program->fresh[k])
            error = rg_output(frame, thunk, k, output_of(in, k)->ndim, output_of(in, k)->shape);
    return error || is_settled ? error : branch_run(frame, thunk, in);
}

static int ifelse_run(rg_frame *frame, rg_thunk *thunk) {
    const branch *b = thunk->state;
    return thunk->params[2 + b->taken] ? branch_run(frame, thunk, &b->of[b->taken]) : RG_OK;
}

const rg_kernel rg_kernels_control[] = {
    {"scan", scan_prepare, scan_run},
    {"scan_dynamic", dynamic_prepare, dynamic_run},
    {"ifelse", ifelse_prepare, ifelse_run},
    {0},
};
