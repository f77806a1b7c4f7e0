/* All tables of kernels. */
#ifndef RG_KERNELS_H
#define RG_KERNELS_H

#include "rg.h"

extern const rg_kernel **rg_tables; /* ends with NULL */

#endif
