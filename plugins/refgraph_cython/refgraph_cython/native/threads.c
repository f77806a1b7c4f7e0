/* Threads: for now there is one. */
#include "rg.h"

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
