#ifndef ET_SIZES_H
#define ET_SIZES_H
#define ET_MAX_INPUT_BYTES 600
#define ET_MAX_OUTPUT_BYTES 600
#endif
