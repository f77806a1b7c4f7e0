/* Frames in which nothing waits for values, as one row of calls.

A call is a thunk, or an instruction on lines: of a group of elementwise steps over arrays that lie one element after the
other, where all are equally long or single numbers, and few enough that what is computed on the way stays in the nearest
cache. So nothing is looked up again in each run: what a pass over blocks finds out anew, or asks of its plan, is longer
than the work is, where there are few elements. Or it stands before the calls of some thunks, which it skips where it has
done what they do: see once.h.

Pointers are read where they stand, in slots: they differ from run to run.
*/
#include "straight.h"
#include "around.h"
#include "groups.h"
#include "instructions.h"
#include "once.h"

#include <stdlib.h>
#include <string.h>

#define INPUTS 4
#define ONE_STEP 32768 /* elements up to which one step is a call */
#define LINE 8192      /* bytes up to which several steps are: of what each computes */
#define SHORT 1000 /* nanoseconds up to which a run is short */
#define ONCE -1

typedef struct {
    rg_instruction instruction;
    rg_step run;
    rg_thunk *thunk;
    int64_t n;
    const rg_loop_of *more;
    char *const *out, *const *in[INPUTS];
    unsigned single;
    int32_t nin; /* 0 where the thunk is run, ONCE where `once` is, and n calls after it are skipped */
    const rg_once *once;
} call;

struct rg_straight {
    call *calls;
    char **pointers; /* to registers: what calls point to */
    rg_buffer registers;
    rg_once *onces; /* room for as many as there may be */
    int64_t ncalls, npointers, nonces, traffic;
};

/* How long the lines are that a group computes; 0 where it does not go along lines. */
static int64_t line_of(const rg_thunk *thunk, const group *g) {
    if (g->nreductions || !g->nsteps || !g->nstores)
        return 0;
    int64_t n = thunk->out[0]->size;
    for (int64_t i = 0; i < g->nstores; i++)
        if (thunk->out[i]->size != n || !thunk->out[i]->contiguous || g->stores[STORE * i] < g->nleaves)
            return 0;
    for (int64_t i = 0; i < g->nleaves; i++)
        if (thunk->in[i]->size != 1 && (thunk->in[i]->size != n || !thunk->in[i]->contiguous))
            return 0;
    return (g->nsteps == 1 ? n <= ONE_STEP : n * g->size <= LINE) ? n : 0;
}

/* Which step writes into which store: for each value the store's number, from 1 on. An output may lie in the memory of
   any leaf, as pointers differ from run to run. */
static void choose_stores(const group *g, int64_t *store_of) {
    memset(store_of, 0, sizeof *store_of * (size_t)(g->nleaves + g->nsteps));
    for (int64_t i = 0; i < g->nstores; i++) {
        int64_t value = g->stores[STORE * i], is_last = 1;
        for (int64_t k = 0; k < g->nleaves; k++)
            is_last &= !is_read_after(g, k, value);
        if (is_last && !store_of[value])
            store_of[value] = i + 1;
    }
}

static void copy_bytes(int64_t n, void *out, const void *const *in, unsigned single, const rg_loop_of *more) {
    (void)single, (void)more;
    memcpy(out, in[0], (size_t)n);
}

/* What a group takes, in nanoseconds; other thunks take what nobody knows. */
static double time_of(const rg_thunk *thunk, const group *g) {
    int ndim = 0;
    int64_t shape[RG_NDIM];
    for (int64_t i = 0; i < g->nleaves; i++)
        rg_broadcast(&ndim, shape, thunk->in[i]);
    return 0.01 * (double)(g->cost * rg_size(ndim, shape));
}

static int64_t register_bytes(const group *g, int64_t n) {
    return (n * g->size + 63) / 64 * 64;
}

/* Add the calls of a group. */
static void add_group(struct rg_straight *s, rg_thunk *thunk, const group *g, int64_t n) {
    int64_t store_of[VALUES], bytes = register_bytes(g, n);
    char *const *values[VALUES];
    char is_one[VALUES], *cells = s->registers.data + g->nregisters * bytes;
    choose_stores(g, store_of);
    for (int64_t i = 0; i < g->nleaves; i++) {
        values[i] = &thunk->in[i]->data;
        is_one[i] = thunk->in[i]->size == 1;
    }
    for (int64_t j = 0; j < g->nsteps; j++) {
        const int64_t *step = g->steps + STEP * j;
        int64_t value = g->nleaves + j;
        call *c = &s->calls[s->ncalls++];
        *c = (call){.instruction = (rg_instruction)(uintptr_t)step[0], .thunk = thunk};
        c->more = (const rg_loop_of *)(uintptr_t)step[1];
        c->nin = (int32_t)step[2];
        is_one[value] = 1;
        for (int64_t k = 0; k < INPUTS; k++) {
            int64_t given = step[3 + (k < step[2] ? k : 0)]; /* what is not read is something */
            c->in[k] = values[given];
            if (k < step[2]) {
                c->single |= (unsigned)is_one[given] << k;
                is_one[value] &= is_one[given];
            }
        }
        c->n = is_one[value] ? 1 : n;
        if (c->n == 1)
            c->single = 0;
        if (store_of[value])
            c->out = &thunk->out[store_of[value] - 1]->data;
        else {
            char **pointer = &s->pointers[s->npointers++];
            *pointer = is_one[value] ? cells + 16 * j : s->registers.data + step[8] * bytes;
            c->out = pointer;
        }
        values[value] = c->out;
    }
    for (int64_t i = 0; i < g->nstores; i++) {
        int64_t value = g->stores[STORE * i];
        if (store_of[value] == i + 1)
            continue;
        call *c = &s->calls[s->ncalls++];
        *c = (call){.instruction = copy_bytes, .thunk = thunk, .out = &thunk->out[i]->data, .nin = 1};
        c->n = n * rg_itemsize[thunk->out[i]->dtype];
        for (int64_t k = 0; k < INPUTS; k++)
            c->in[k] = values[value];
    }
}

/* Memory for the calls and the pointers: as many as there may be, whatever shapes are. */
static struct rg_straight *room(rg_frame *frame) {
    struct rg_straight *s = frame->straight;
    if (s)
        return s;
    int64_t calls = 0, pointers = 0;
    for (int64_t t = 0; t < frame->nthunks; t++) {
        group g = {0};
        if (rg_is_pass(&frame->thunks[t]))
            g = read_group(frame->thunks[t].params);
        calls += 1 + g.nsteps + g.nstores;
        pointers += g.nsteps;
    }
    s = frame->straight = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    int64_t onces = frame->nthunks / 2;
    s->calls = malloc((size_t)(calls + onces + 1) * sizeof *s->calls);
    s->pointers = malloc((size_t)(pointers + 1) * sizeof *s->pointers);
    s->onces = malloc((size_t)(onces + 1) * sizeof *s->onces);
    frame->allocations++;
    return s->calls && s->pointers && s->onces ? s : NULL;
}

static int make_registers(rg_frame *frame, struct rg_straight *s) {
    size_t most = 0;
    for (int64_t t = 0; t < frame->nthunks; t++) {
        if (!rg_is_pass(&frame->thunks[t]))
            continue;
        group g = read_group(frame->thunks[t].params);
        int64_t n = line_of(&frame->thunks[t], &g);
        size_t bytes = n ? (size_t)(g.nregisters * register_bytes(&g, n) + 16 * g.nsteps) : 0;
        most = bytes > most ? bytes : most;
    }
    if (most <= s->registers.capacity)
        return RG_OK;
    rg_release(s->registers.data);
    s->registers.capacity = (most + 63) / 64 * 64;
    s->registers.data = rg_allocate(s->registers.capacity);
    frame->allocations++;
    if (s->registers.data)
        return RG_OK;
    s->registers.capacity = 0;
    return rg_fail(frame, RG_ERROR_MEMORY, "no memory for %zu bytes", most);
}

/* The next thunk that is run in each call; NULL where there is none. */
static rg_thunk *next_of(const rg_frame *frame, const rg_thunk *thunk) {
    for (int64_t t = thunk - frame->thunks + 1; t < frame->nthunks; t++)
        if (!frame->thunks[t].early)
            return &frame->thunks[t];
    return NULL;
}

/* Add a call for the two or three thunks from `first` on, where one can be; `last` is set to the last of them then. */
static int add_once(rg_frame *frame, struct rg_straight *s, rg_thunk *first, rg_thunk **last) {
    rg_thunk *second = next_of(frame, first), *third = second ? next_of(frame, second) : NULL;
    if (!second)
        return RG_OK;
    rg_once *once = &s->onces[s->nonces];
    *once = (rg_once){.thunks = {first, second, third}};
    int error = rg_find_once(frame, once);
    if (once->count) {
        s->calls[s->ncalls++] = (call){.once = once, .thunk = second, .nin = ONCE};
        s->nonces++;
        *last = once->thunks[once->count - 1];
    }
    return error;
}

int rg_straighten(rg_frame *frame) {
    frame->is_straight = frame->is_short = 0;
    double time = 0;
    for (int64_t t = 0; t < frame->nthunks; t++)
        if (frame->thunks[t].dynamic || frame->thunks[t].pending)
            return RG_OK;
    struct rg_straight *s = room(frame);
    if (!s)
        return rg_fail(frame, RG_ERROR_MEMORY, "no memory for calls");
    int error = make_registers(frame, s);
    if (error)
        return error;
    s->ncalls = s->npointers = s->nonces = s->traffic = 0;
    call *once = NULL;
    rg_thunk *last = NULL; /* of those that it may skip */
    for (int64_t t = 0; t < frame->nthunks; t++) {
        rg_thunk *thunk = &frame->thunks[t];
        if (thunk->early)
            continue;
        if (!last) {
            once = &s->calls[s->ncalls];
            error = add_once(frame, s, thunk, &last);
            if (error)
                return error;
        }
        const int is_pass = rg_is_pass(thunk);
        group g = {0};
        if (is_pass)
            g = read_group(thunk->params);
        time += is_pass ? time_of(thunk, &g) : SHORT;
        int64_t n = is_pass && !last ? line_of(thunk, &g) : 0;
        if (n) {
            add_group(s, thunk, &g, n);
            s->traffic += thunk->traffic;
        } else
            s->calls[s->ncalls++] = (call){.run = thunk->run, .thunk = thunk};
        if (thunk == last) {
            once->n = &s->calls[s->ncalls] - once - 1;
            last = NULL;
        }
    }
    frame->is_straight = 1;
    frame->is_short = time < SHORT;
    return RG_OK;
}

static inline int run_calls(rg_frame *frame, const call *c, const call *end) {
    for (; c < end; c++) {
        const void *in[INPUTS];
        switch (c->nin) {
        case ONCE: {
            int done, error = c->once->run(frame, c->once, &done);
            if (error)
                return rg_failed(frame, c->thunk, error);
            c += done ? c->n : 0;
            continue;
        }
        case 0: {
            int error = c->run(frame, c->thunk);
            if (error)
                return rg_failed(frame, c->thunk, error);
            continue;
        }
        case 1:
            in[0] = *c->in[0];
            break;
        case 2:
            in[0] = *c->in[0], in[1] = *c->in[1];
            break;
        default:
            in[0] = *c->in[0], in[1] = *c->in[1], in[2] = *c->in[2], in[3] = *c->in[3];
        }
        c->instruction(c->n, *c->out, in, c->single, c->more);
    }
    return RG_OK;
}

int rg_run_straight(rg_frame *frame) {
    const struct rg_straight *s = frame->straight;
    frame->traffic += s->traffic;
    return run_calls(frame, s->calls, s->calls + s->ncalls);
}

static void move_value(const rg_moved *m) {
    if (m->bytes)
        memmove(m->target, m->made->data, m->bytes);
    else if (m->made->size) {
        rg_array to = *m->made;
        int64_t step = rg_itemsize[to.dtype];
        for (int d = to.ndim - 1; d >= 0; step *= to.shape[d--])
            to.strides[d] = step;
        to.contiguous = 1;
        to.data = m->target;
        rg_copy(m->made, &to);
    }
}

int rg_run_steps(rg_frame *frame, rg_steps *steps, int64_t n, int64_t *taken, int *ended) {
    const struct rg_straight *s = frame->straight;
    int is_straight = frame->is_straight && !frame->profiled;
    const call *first = is_straight ? s->calls : NULL, *last = is_straight ? first + s->ncalls : NULL;
    int64_t nmoved = steps->nmoved;
    rg_mover *const movers = steps->movers, *const end = movers + steps->nmovers;
    *taken = *ended = 0;
    while (*taken < n && !*ended) {
        for (rg_mover *m = movers; m < end; m++) {
            *m->pointer = m->at;
            m->at = m->at == m->last ? m->first : m->at + m->step;
        }
        if (is_straight ? run_calls(frame, first, last) : rg_run(frame))
            return -1;
        ++*taken;
        for (const rg_moved *m = steps->moved; m < steps->moved + nmoved; m++)
            move_value(m);
        if (steps->ends)
            *ended = *steps->ends->data;
    }
    if (is_straight)
        frame->traffic += *taken * s->traffic;
    return RG_OK;
}

void rg_free_straight(rg_frame *frame) {
    struct rg_straight *s = frame->straight;
    if (!s)
        return;
    rg_release(s->registers.data);
    free(s->onces);
    free(s->pointers);
    free(s->calls);
    free(s);
    frame->straight = NULL;
}
