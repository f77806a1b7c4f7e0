/* Elements that lie together down columns, copied to where they lie together along rows. */
#ifndef RG_TURNING_H
#define RG_TURNING_H

#include <stdint.h>

/* Copy rows by columns elements. Strides are in bytes, and of either sign; those of the source are less down a column
   than along a row. Source and target do not overlap. */
void rg_turn(int64_t itemsize, int64_t rows, int64_t columns, const char *from, int64_t from_row, int64_t from_column,
             char *to, int64_t to_row, int64_t to_column);

#endif
