// What stands for CUDA's language where a kernel is compiled for the host, to be tested without a device.
//
// Threads of a block are run one after the other; where they wait for each other, each is a fiber (ucontext), and
// all get to a barrier before one goes on. Nothing here is fast.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static
#ifdef RG_HALF
typedef _Float16 float16;
#endif
#ifdef RG_COMPLEX
#include <cupy/complex.cuh>
#endif
#define RG_SIGNBIT(x) (__builtin_signbit(x) != 0)

struct rg_dim3 {
    unsigned x, y, z;
};
static rg_dim3 threadIdx, blockIdx, blockDim, gridDim;

#ifdef RG_BARRIERS
#define RG_STACK (64 * 1024)
static ucontext_t *rg_fibers, rg_scheduler;
static int rg_now, rg_ended;

static inline void __syncthreads() {
    swapcontext(&rg_fibers[rg_now], &rg_scheduler);
}
#endif

static inline void rg_place(rg_dim3 *at, rg_dim3 of, unsigned n) {
    at->x = n % of.x, at->y = n / of.x % of.y, at->z = n / of.x / of.y;
}

#ifdef RG_BARRIERS
static void (*rg_body)(const void *);
static const void *rg_given;
static char *rg_over;

static void rg_thread() {
    rg_body(rg_given);
    rg_over[rg_now] = 1;
    swapcontext(&rg_fibers[rg_now], &rg_scheduler);
}

static void rg_block(unsigned n) {
    char *stacks = (char *)malloc((size_t)n * RG_STACK);
    rg_fibers = (ucontext_t *)calloc(n, sizeof(ucontext_t));
    rg_over = (char *)calloc(n, 1);
    for (unsigned t = 0; t < n; t++) {
        getcontext(&rg_fibers[t]);
        rg_fibers[t].uc_stack.ss_sp = stacks + (size_t)t * RG_STACK;
        rg_fibers[t].uc_stack.ss_size = RG_STACK;
        rg_fibers[t].uc_link = NULL;
        makecontext(&rg_fibers[t], rg_thread, 0);
    }
    for (unsigned left = n; left;) {
        left = 0;
        for (unsigned t = 0; t < n; t++)
            if (!rg_over[t]) {
                rg_now = (int)t;
                rg_place(&threadIdx, blockDim, t);
                swapcontext(&rg_scheduler, &rg_fibers[t]);
                left += !rg_over[t];
            }
    }
    free(stacks), free(rg_fibers), free(rg_over);
}
#else
static void (*rg_body)(const void *);
static const void *rg_given;
static void rg_block(unsigned n) {
    for (unsigned t = 0; t < n; t++) {
        rg_place(&threadIdx, blockDim, t);
        rg_body(rg_given);
    }
}
#endif

// Makes a kernel callable: its arguments are one struct.
#define RG_MADE(name)                                                                             \
    static void name##_body(const void *given) { rg::name(*(const rg::Arguments *)given); }                                    \
    extern "C" void name##_on_host(const void *given, const unsigned *grid, const unsigned *block) {                   \
        gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};                              \
        rg_body = name##_body, rg_given = given;                                                                       \
        for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)                                                     \
            for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)                                                 \
                for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)                                             \
                    rg_block(blockDim.x * blockDim.y * blockDim.z);                                                    \
    }
