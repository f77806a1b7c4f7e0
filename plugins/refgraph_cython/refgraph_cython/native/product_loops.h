/* Products in tiles, for float32 and float64. */
#define REAL float
#define LETTER f32
#include "product_tiles.h"
#undef REAL
#undef LETTER
#define REAL double
#define LETTER f64
#include "product_tiles.h"
#undef REAL
#undef LETTER
