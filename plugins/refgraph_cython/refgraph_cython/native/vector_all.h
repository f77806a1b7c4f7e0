/* All of vector mathematics. */
#include "vector_exp.h"
