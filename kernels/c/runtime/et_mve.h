/* Half-precision vectors of the M-profile. */
#ifndef ET_MVE_H
#define ET_MVE_H

#include <arm_mve.h>

/* `v` in all lanes, of which the compiler knows nothing more.  On these vectors "less than" holds
 * for NaN; Clang forgets that when it exchanges the sides of "greater than a known number". */
static inline float16x8_t et_lanes(float16_t v) {
    float16x8_t lanes = vdupq_n_f16(v);
    __asm__("" : "+w"(lanes));
    return lanes;
}

#endif
