/* What the executor and its kernels share: arrays, thunks, frames.

A program is a row of thunks over slots. A slot is an `rg_array`: where a value lies and how. A frame is everything that
one call needs: the slots, the thunks with pointers into them, and the memory of what is computed on the way, which is
grown when it has to be and kept from call to call. Programs are read only; frames belong to one call at a time.

A kernel is a pair of functions, and a name by which programs find it:

    prepare(frame, thunk)   reads the shapes of the inputs (and the values of those that the thunk was said to read the
                            shape from), refuses what does not fit, and says with `rg_output` what shape the outputs
                            have. It is called again only when a shape, a stride or such a value changed, so this is
                            also where a way to compute is chosen; `thunk->state` keeps it (`rg_state`).
    run(frame, thunk)       computes. Everything but `data` is as it was in `prepare`; `data` may differ in each call.

Both answer 0, or what `rg_fail` answers. Neither holds Python's lock, so neither may touch Python.
*/
#ifndef RG_H
#define RG_H

#include <stddef.h>
#include <stdint.h>

#define RG_NDIM 8 /* axes that an array may have */

enum rg_dtype {
    RG_BOOL, RG_I8, RG_I16, RG_I32, RG_I64, RG_U8, RG_U16, RG_U32, RG_U64,
    RG_F16, RG_F32, RG_F64, RG_C64, RG_C128, RG_NDTYPES
};

static const int8_t rg_itemsize[RG_NDTYPES] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 8, 16};

typedef struct rg_array {
    char *data;
    int64_t shape[RG_NDIM], strides[RG_NDIM]; /* strides in bytes, of either sign; 0 where it is broadcast */
    int64_t size;                             /* elements */
    int32_t ndim, dtype;
    int32_t contiguous; /* whether elements lie one after the other in C order, as far as there are any */
    int32_t buffer;     /* the frame's buffer that it lies in, or may lie in; -1 where there is none */
    int32_t home;       /* whose memory it lies in: an rg_home */
} rg_array;

enum rg_home {
    RG_BUFFER,  /* the frame's buffer */
    RG_OUTSIDE, /* an input, a constant, or an output of the program whose memory is given before each run */
    RG_VIEW     /* that of another slot: who computes it sets `data` */
};

typedef struct rg_frame rg_frame;
typedef struct rg_thunk rg_thunk;
typedef int (*rg_step)(rg_frame *, rg_thunk *);

typedef struct rg_kernel {
    const char *name;
    rg_step prepare, run;
} rg_kernel;

struct rg_thunk {
    rg_step prepare, run;
    rg_array **in, **out;
    const int64_t *params; /* what the program says of it: for each kernel in an order of its own */
    void *state;           /* what `prepare` keeps for `run`, of this frame */
    size_t state_size;
    int32_t nin, nout;
    int32_t node;    /* the number of the application that it computes, for errors and profiles */
    int32_t early;   /* whether its values follow from shapes alone, so that it is run right after it was prepared */
    int32_t dynamic; /* whether it is prepared in each run, as its shape depends on values that are not early */
    int32_t pending; /* whether it could not be prepared yet */
    int64_t traffic; /* bytes of the operands that a run reads and writes, where `prepare` says so: of passes over blocks */
    uint64_t cycles, runs; /* taken and counted where the frame is profiled */
    rg_frame *inner[2]; /* frames of programs that it runs: freed with it, and profiled as the frame that it is in */
    void (*discard)(rg_frame *, rg_thunk *); /* what to do before `state` is freed, if anything */
};

typedef struct rg_buffer {
    char *data;
    size_t capacity;
} rg_buffer;

enum rg_error {
    RG_OK,
    RG_ERROR_VALUE,
    RG_ERROR_INDEX,
    RG_ERROR_DOMAIN,
    RG_ERROR_MEMORY,
    RG_ERROR_PYTHON,   /* something of Python's was raised, and is kept */
    RG_ERROR_MISSING,  /* what is needed to compute it is not there */
    RG_ERROR_ELSEWHERE /* nothing is wrong, but the kernel does not compute this case: the interpreter runs the call */
};

struct rg_frame {
    rg_array *slots;
    rg_thunk *thunks;
    rg_array **places; /* the inputs' slots, then the outputs', of each thunk */
    rg_buffer *buffers;
    char *known; /* for each slot whether its shape is known, while the frame is being prepared */
    int64_t nslots, nthunks, nbuffers;
    rg_buffer scratch; /* memory for one run of one thunk: `rg_scratch` */
    int32_t prepared;  /* whether the thunks are prepared for the shapes at hand */
    int32_t pending;   /* whether some of them have to wait until a dynamic one has run */
    int32_t changed;   /* set by `rg_output` and `rg_view` where a shape is not what it was */
    int32_t failed;    /* the number of the thunk that failed; -1 for none */
    int32_t error;     /* what it answered: an rg_error */
    int32_t profiled;
    int32_t is_straight; /* whether a run goes through `straight`: see straight.h */
    int32_t is_short;    /* whether a run takes a microsecond or so, as far as is known when it is prepared */
    struct rg_straight *straight;
    int64_t allocations; /* how often memory was taken from the system, since the frame was made */
    int64_t bytes;       /* held */
    int64_t traffic;     /* what passes over blocks have read and written, since the frame was made */
    char message[400];
    rg_frame *within; /* the frame of an inner program that failed, if that is why the thunk did */
    int64_t step, steps; /* of the steps of a loop the one that failed, and how many there were to be; steps is 0 for others */
    void *python; /* of the binding: what thunks that call Python need */
    void (*detach)(rg_frame *); /* gives up `python` */
};

/* Say that a thunk fails: a kind of error, and a message as of printf. */
int rg_fail(rg_frame *, int kind, const char *format, ...);

/* In `prepare`: the shape of output k. It is contiguous, in memory of the frame's or of the caller's. */
int rg_output(rg_frame *, rg_thunk *, int k, int ndim, const int64_t *shape);

/* In `prepare`: output k is a view of input i, with this shape and these strides; `run` sets its `data`. */
int rg_view(rg_frame *, rg_thunk *, int k, int i, int ndim, const int64_t *shape, const int64_t *strides);

/* In `prepare`: output k lies at `data`, in memory that the kernel keeps until the next call. */
int rg_borrow(rg_frame *, rg_thunk *, int k, char *data, int ndim, const int64_t *shape, const int64_t *strides);

/* In `prepare`: memory that is kept for `run`, not set to anything; what was in it before is kept as far as it fits. */
void *rg_state(rg_frame *, rg_thunk *, size_t bytes);

/* In `run`: memory until it returns, aligned to 64 bytes, not set to anything. NULL where there is none: answer
   RG_ERROR_MEMORY by rg_fail. */
void *rg_scratch(rg_frame *, size_t bytes);

/* Memory that begins at a multiple of 64 bytes, NULL where there is none; and what gives it back. */
void *rg_allocate(size_t bytes);
void rg_release(void *);

/* What `shape` says of the elements, and whether strides are those of C order. */
int64_t rg_size(int ndim, const int64_t *shape);
int rg_is_contiguous(int ndim, const int64_t *shape, const int64_t *strides, int64_t itemsize);

/* Join the shape of an array to one that is being found, by broadcasting. 0, or -1 where they do not fit. */
int rg_broadcast(int *ndim, int64_t *shape, const rg_array *);

/* Whether the bytes of two arrays may overlap. */
int rg_overlap(const rg_array *, const rg_array *);

/* Copy between arrays of one dtype and shape, whatever their strides; blocked where both orders differ. */
void rg_copy(const rg_array *from, rg_array *to);

/* Call `chunk(context, number, of)` for each number below `of`, on several threads where that pays: `ns` is what all
   take on one, as far as is known. Which thread takes which is not settled; what is answered must not depend on it. */
void rg_parallel(int64_t of, double ns, void (*chunk)(void *context, int64_t number, int64_t of), void *context);

/* How many threads `rg_parallel` may use. */
int rg_threads(void);
void rg_set_threads(int);

/* How often work was shared among threads, since this was loaded. */
int64_t rg_jobs(void);

/* Programs. A template says what frames are made from; the binding fills it. */
typedef struct rg_template {
    rg_array *slots;       /* dtype, ndim, buffer and home are set; of constants all is */
    rg_thunk *thunks;  /* all but in, out and state */
    int32_t *places; /* for each thunk its inputs' slots, then its outputs' */
    int64_t nslots, nthunks, nbuffers;
    void *python; /* of the binding: what it needs to attach */
    int (*attach)(rg_frame *, void *python); /* sets `python` and `detach` of a new frame; NULL where it needs neither */
} rg_template;

/* A template with its ends. */
typedef struct rg_program {
    rg_template made;
    int32_t *inputs, *outputs; /* their slots */
    char *fresh;               /* for each output whether it is computed where its slot's `data` points to before the run */
    int64_t nin, nout;
} rg_program;

rg_frame *rg_new_frame(const rg_template *);
void rg_free_frame(rg_frame *);
void rg_trim_frame(rg_frame *); /* give what values lie in back to the system, that of inner programs and loops too */

/* Ticks of the counter that `cycles` is read from. */
uint64_t rg_ticks(void);

/* Let a slot be an array that is like another one, from some axis on, at `data`. Whether its shape and strides are what
   they were. */
int rg_bind(rg_array *slot, const rg_array *like, int from, char *data);

/* Prepare the thunks that do not wait for a dynamic one. Needs the inputs' shapes, not their data. */
int rg_prepare(rg_frame *);

/* Run all thunks. Inputs have data, and so have outputs that are prepared. */
int rg_run(rg_frame *);

/* The tables of kernels, one for each file of them; each ends with a row of nulls. */
#define RG_TABLE(area) extern const rg_kernel rg_kernels_##area[]

#endif
