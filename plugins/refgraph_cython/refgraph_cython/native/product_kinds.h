/* All kinds of products, for one type of numbers and one instruction set. */
#include "product_tiles.h"
#include "product_outer.h"
#include "product_turning.h"
#undef REAL
#undef LETTER
#undef LANES
#undef ROWS
#undef NAME
#undef VECTOR
#undef ARGUMENTS
#undef PASSED
#undef TILE
#undef OF
#undef DOTTED
#undef DOTS
#undef PLACE
