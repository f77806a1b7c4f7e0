/* One pool of threads, whose work is in chunks that whoever is free claims.

The caller claims chunks too, and waits only for those that another thread has begun: where the other threads do not get
a core, it does all the work itself, and loses nothing. Threads that have nothing to do look for work for a while, as the
next thunk mostly comes soon, and then sleep. One job runs at a time: who comes while the pool is taken, as another
thread of Python's may, works alone.
*/
#define _GNU_SOURCE /* for the set of cores that this process may use */
#include "rg.h"

#if defined(_WIN32) /* one thread */

void rg_parallel(int64_t of, double ns, void (*chunk)(void *context, int64_t number, int64_t of), void *context) {
    (void)ns;
    for (int64_t i = 0; i < of; i++)
        chunk(context, i, of);
}

int rg_threads(void) {
    return 1;
}

void rg_set_threads(int threads) {
    (void)threads;
}

int64_t rg_jobs(void) {
    return 0;
}

#else

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MOST 64          /* threads */
#define WORTH 10000.0    /* nanoseconds of work from which on other threads are asked to help */
#define WAKING 100000.0  /* and from which on sleeping ones are woken */
#define PATIENCE 50000   /* nanoseconds that a thread looks for work before it sleeps */

typedef void (*chunk_of)(void *context, int64_t number, int64_t of);

static struct {
    atomic_int busy;           /* whether a job runs */
    _Atomic uint64_t claims;   /* the number of the job, and below it in 32 bits that of the next chunk */
    _Atomic int64_t left;      /* chunks that are not done yet */
    _Atomic(chunk_of) chunk;
    _Atomic(void *) context;
    _Atomic int64_t of;
    atomic_int sleeping;
    _Atomic int64_t jobs;      /* how many there were */
    int started;               /* threads beside the caller's */
    atomic_int wanted;         /* as many of them help; -1: as many as there are cores for */
    pthread_mutex_t mutex;
    pthread_cond_t work;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .wanted = -1};

static _Thread_local int inside; /* whether this thread is running a chunk */

static inline void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Run chunks of job number `job` for as long as there are any. */
static void help(uint32_t job) {
    for (;;) {
        uint64_t claim = atomic_load_explicit(&pool.claims, memory_order_acquire);
        chunk_of chunk = atomic_load_explicit(&pool.chunk, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool.context, memory_order_relaxed);
        int64_t of = atomic_load_explicit(&pool.of, memory_order_relaxed);
        if ((uint32_t)(claim >> 32) != job || (int64_t)(uint32_t)claim >= of)
            return;
        /* what was read belongs to this job if the claim still is what it was: a job changes it when it begins */
        if (!atomic_compare_exchange_weak_explicit(&pool.claims, &claim, claim + 1, memory_order_acq_rel,
                                                   memory_order_relaxed))
            continue;
        inside = 1;
        chunk(context, (int64_t)(uint32_t)claim, of);
        inside = 0;
        atomic_fetch_sub_explicit(&pool.left, 1, memory_order_release);
    }
}

static void *worker(void *number) {
    uint32_t seen = (uint32_t)(atomic_load(&pool.claims) >> 32);
    int64_t since = now();
    for (int turn = 0;; turn++) {
        uint32_t job = (uint32_t)(atomic_load_explicit(&pool.claims, memory_order_acquire) >> 32);
        if (job != seen) {
            seen = job;
            if ((intptr_t)number < atomic_load_explicit(&pool.wanted, memory_order_relaxed))
                help(job);
            since = now();
            continue;
        }
        rest();
        if (turn % 64 || now() - since < PATIENCE)
            continue;
        pthread_mutex_lock(&pool.mutex);
        atomic_fetch_add(&pool.sleeping, 1);
        while ((uint32_t)(atomic_load(&pool.claims) >> 32) == seen)
            pthread_cond_wait(&pool.work, &pool.mutex);
        atomic_fetch_sub(&pool.sleeping, 1);
        pthread_mutex_unlock(&pool.mutex);
        since = now();
    }
    return NULL;
}

/* After a fork there is only the thread that forked. */
static void forget(void) {
    pool.started = 0;
    atomic_store(&pool.busy, 0);
    atomic_store(&pool.sleeping, 0);
    inside = 0;
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.work, NULL);
}

static int cores(void) {
    const char *said = getenv("OMP_NUM_THREADS");
    int count = said ? atoi(said) : 0;
#if defined(__linux__)
    cpu_set_t set;
    if (count < 1 && !sched_getaffinity(0, sizeof set, &set))
        count = CPU_COUNT(&set);
#else
    if (count < 1)
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return count < 1 ? 1 : count > MOST ? MOST : count;
}

int rg_threads(void) {
    int wanted = atomic_load_explicit(&pool.wanted, memory_order_relaxed);
    if (wanted < 0) {
        wanted = cores() - 1;
        atomic_store_explicit(&pool.wanted, wanted, memory_order_relaxed);
    }
    return wanted + 1;
}

void rg_set_threads(int threads) {
    int wanted = threads < 1 ? -1 : (threads > MOST ? MOST : threads) - 1;
    atomic_store_explicit(&pool.wanted, wanted, memory_order_relaxed);
}

int64_t rg_jobs(void) {
    return atomic_load_explicit(&pool.jobs, memory_order_relaxed);
}

static void start(void) {
    static int asked;
    if (!asked) {
        asked = 1;
        pthread_atfork(NULL, NULL, forget);
    }
    for (; pool.started < rg_threads() - 1; pool.started++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)pool.started))
            return;
        pthread_detach(thread);
    }
}

void rg_parallel(int64_t of, double ns, chunk_of chunk, void *context) {
    int idle = 0;
    if (of < 2 || ns < WORTH || inside || rg_threads() < 2 || !atomic_compare_exchange_strong(&pool.busy, &idle, 1)) {
        for (int64_t i = 0; i < of; i++)
            chunk(context, i, of);
        return;
    }
    start();
    atomic_fetch_add_explicit(&pool.jobs, 1, memory_order_relaxed);
    uint32_t job = (uint32_t)(atomic_load(&pool.claims) >> 32) + 1;
    /* nobody claims a chunk while there is none */
    atomic_store(&pool.claims, ((uint64_t)(job - 1) << 32) | UINT32_MAX);
    atomic_store_explicit(&pool.chunk, chunk, memory_order_relaxed);
    atomic_store_explicit(&pool.context, context, memory_order_relaxed);
    atomic_store_explicit(&pool.of, of, memory_order_relaxed);
    atomic_store_explicit(&pool.left, of, memory_order_relaxed);
    atomic_store_explicit(&pool.claims, (uint64_t)job << 32, memory_order_release);
    if (ns >= WAKING && atomic_load(&pool.sleeping)) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.work);
        pthread_mutex_unlock(&pool.mutex);
    }
    help(job);
    for (int turn = 0; atomic_load_explicit(&pool.left, memory_order_acquire) > 0; turn++) {
        rest();
        if (turn % 1024 == 1023)
            sched_yield();
    }
    atomic_store_explicit(&pool.busy, 0, memory_order_release);
}

#endif
