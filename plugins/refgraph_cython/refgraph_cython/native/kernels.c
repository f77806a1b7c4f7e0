/* All tables of kernels: one line for each file of them. */
#include "kernels.h"

#define TABLES(TABLE)  \
    TABLE(blocks)      \
    TABLE(control)     \
    TABLE(copy)        \
    TABLE(shape)       \
    TABLE(sum_to)      \
    TABLE(matmul)      \
    TABLE(contraction) \
    TABLE(joining)     \
    TABLE(construct)   \
    TABLE(indexing)    \
    TABLE(positions)   \
    TABLE(softmax)     \
    TABLE(cumulative)  \
    TABLE(sorting)     \
    TABLE(random)

#define DECLARE(area) RG_TABLE(area);
TABLES(DECLARE)

#define ENTRY(area) rg_kernels_##area,
static const rg_kernel *tables[] = {TABLES(ENTRY) NULL};
const rg_kernel **rg_tables = tables;
