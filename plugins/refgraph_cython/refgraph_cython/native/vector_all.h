/* All of vector mathematics. */
#include "vector_exp.h"
#include "vector_gamma.h"
#include "vector_trig.h"
