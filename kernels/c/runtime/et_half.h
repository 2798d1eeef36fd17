/* IEEE half precision as bits, for programs that keep such numbers and compute with none. */
#ifndef ET_HALF_H
#define ET_HALF_H

#include "et_ops.h"

/* Every floating-point unit of the M-profile converts: to nearest, ties to even, and subnormals as they
 * are, with FPSCR as a reset leaves it.  Elsewhere integers do the same. */
#ifndef ET_HALF_INSTRUCTIONS
#if defined(__GNUC__) && defined(__ARM_FP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define ET_HALF_INSTRUCTIONS 1
#else
#define ET_HALF_INSTRUCTIONS 0
#endif
#endif

typedef union {
    float number;
    uint32_t bits;
} et_single;

/* The equal float; of a NaN some NaN. */
static inline float et_widen_f16(et_half a) {
    et_single wide;
#if ET_HALF_INSTRUCTIONS
    wide.bits = a;
    __asm__("vcvtb.f32.f16 %0, %1" : "=t"(wide.number) : "t"(wide.number));
#else
    /* Exponent and fraction, to be moved to where a float has them; its exponent's bias is larger by 112. */
    uint32_t size = (uint32_t)a & 0x7FFFu;
    uint32_t more = size == 0u ? 0u : size < 0x7C00u ? 112u : 224u;
    while (size < 0x400u && size != 0u) {
        size <<= 1;
        more--;
    }
    wide.bits = ((uint32_t)a & 0x8000u) << 16 | (size + (more << 10)) << 13;
#endif
    return wide.number;
}

/* The nearest, ties to even, too large a number becoming infinity; of a NaN some NaN. */
static inline et_half et_narrow_f32(float a) {
    et_single wide;
#if ET_HALF_INSTRUCTIONS
    __asm__("vcvtb.f16.f32 %0, %1" : "=t"(wide.number) : "t"(a));
    return (et_half)wide.bits;
#else
    wide.number = a;
    const uint32_t sign = wide.bits >> 16 & 0x8000u;
    uint32_t size = wide.bits & 0x7FFFFFFFu;
    uint32_t drop = 13;
    if (size >= 0x47800000u) { /* 2^16 and more */
        return (et_half)(sign | (size > 0x7F800000u ? 0x7E00u : 0x7C00u));
    }
    if (size >= 0x38800000u) { /* 2^-14 and more: exponents alike but for the bias */
        size -= 112u << 23;
    } else if (size >= 0x33000000u) { /* 2^-25 and more: a multiple of 2^-24 */
        drop = 126u - (size >> 23);
        size = (size & 0x7FFFFFu) | 0x800000u;
    } else {
        return (et_half)sign;
    }
    const uint32_t odd = size >> drop & 1u;
    return (et_half)(sign | (size + (1u << (drop - 1u)) - 1u + odd) >> drop);
#endif
}

#endif
