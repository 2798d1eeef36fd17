/* Integer primitives with a meaning that C leaves open, or with casts that would hide the formula. */
#ifndef ET_OPS_H
#define ET_OPS_H

#include <stdint.h>

/* Buffers of the arena overlap in turn, whatever their types: their pointers may alias.  GCC and Clang
 * heed the attribute on named types only, others do not know it: build with -fno-strict-aliasing, or
 * what switches that optimisation off elsewhere. */
#if defined(__GNUC__)
#define ET_MAY_ALIAS __attribute__((__may_alias__))
#else
#define ET_MAY_ALIAS
#endif

/* Loads stay behind this, and stores before it.  No instruction, and no meaning but that: it keeps a
 * compiler from loading more than the registers hold. */
#if defined(__GNUC__)
#define ET_IN_ORDER() __asm__ volatile("" ::: "memory")
#else
#define ET_IN_ORDER() ((void)0)
#endif

/* IEEE half precision, where the compiler has it; only programs that compute in FLOAT16 use it (for
 * those that only keep such numbers see et_half.h).  A target must compute in it and not beyond: on x86,
 * GCC needs -fexcess-precision=16 and Clang -Xclang -ffloat16-excess-precision=none. */
#if defined(__FLT16_MANT_DIG__) && !defined(ET_HALF_BITS)
#ifndef ET_HALF
#define ET_HALF
__extension__ typedef _Float16 et_half;
#endif

static inline float et_widen_f16(et_half a) { return (float)a; }
static inline et_half et_narrow_f32(float a) { return (et_half)a; }
static inline et_half et_min_f16(et_half a, et_half b) { return b < a ? b : a; }
static inline et_half et_max_f16(et_half a, et_half b) { return a < b ? b : a; }

/* One rounding; an instruction where the core has it.  In double the product is exact, and so is a
 * sum that comes near the middle between two halves: rounding the others twice does no harm. */
static inline et_half et_fma_f16(et_half a, et_half b, et_half c) {
#if defined(__ARM_FEATURE_FP16_SCALAR_ARITHMETIC) || defined(__riscv_zfh) || defined(__riscv_zhinx)
    return __builtin_fmaf16(a, b, c);
#else
    return (et_half)((double)a * (double)b + (double)c);
#endif
}
#endif

static inline int32_t et_min_32(int32_t a, int32_t b) { return b < a ? b : a; }
static inline int64_t et_min_64(int64_t a, int64_t b) { return b < a ? b : a; }
static inline float et_min_f32(float a, float b) { return b < a ? b : a; }
static inline int32_t et_max_32(int32_t a, int32_t b) { return a < b ? b : a; }
static inline int64_t et_max_64(int64_t a, int64_t b) { return a < b ? b : a; }
static inline float et_max_f32(float a, float b) { return a < b ? b : a; }

/* Operands of the bitwise ones are never negative. */
static inline int32_t et_and_32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a & (uint32_t)b); }
static inline int64_t et_and_64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a & (uint64_t)b); }
static inline int32_t et_or_32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a | (uint32_t)b); }
static inline int64_t et_or_64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a | (uint64_t)b); }
static inline int32_t et_xor_32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a ^ (uint32_t)b); }
static inline int64_t et_xor_64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a ^ (uint64_t)b); }

/* Of numbers below 2^32, modulo 2^32. */
static inline int64_t et_mul_wrap_64(int64_t a, int64_t b) { return (int64_t)((uint32_t)a * (uint32_t)b); }

/* a · 2^n, which is known to fit. */
static inline int32_t et_shl_32(int32_t a, int32_t n) {
    return n < 31 ? a * ((int32_t)1 << n) : (int32_t)((int64_t)a * ((int64_t)1 << n));
}
static inline int64_t et_shl_64(int64_t a, int64_t n) { return a * ((int64_t)1 << n); }

/* Towards minus infinity: C leaves >> of a negative number to the compiler, and >> by the width or more. */
static inline int32_t et_shr_32(int32_t a, int32_t n) {
    const int32_t by = n < 31 ? n : 31;
    return a < 0 ? ~(~a >> by) : a >> by;
}
static inline int64_t et_shr_64(int64_t a, int64_t n) { return a < 0 ? ~(~a >> n) : a >> n; }

static inline int32_t et_popcount_32(int32_t a) {
    uint32_t x = (uint32_t)a;
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return (int32_t)((x * 0x01010101u) >> 24);
}
static inline int64_t et_popcount_64(int64_t a) {
    return (int64_t)et_popcount_32((int32_t)(a & 0xFFFF)) + (int64_t)et_popcount_32((int32_t)((a >> 16) & 0xFFFF));
}

/* One rounding; an instruction where the core has it. */
static inline float et_fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/* Those of every NaN are the same. */
static inline int32_t et_bits_f32(float a) {
    union {
        float f;
        int32_t i;
    } u;
    u.f = a;
    return a == a ? u.i : 0x7FC00000;
}
static inline float et_from_bits_f32(int32_t a) {
    union {
        float f;
        int32_t i;
    } u;
    u.i = a;
    return u.f;
}

/* The square root, correctly rounded: an instruction where the core has one, else digit by digit. */
#ifndef ET_SQRT_INSTRUCTION
#if defined(__GNUC__) && ((defined(__ARM_FP) && (__ARM_FP & 4)) || defined(__riscv_flen) || \
                          defined(__riscv_zfinx) || defined(__SSE2__) || defined(__aarch64__))
#define ET_SQRT_INSTRUCTION 1
#else
#define ET_SQRT_INSTRUCTION 0
#endif
#endif

static inline float et_sqrt_f32(float a) {
#if ET_SQRT_INSTRUCTION
    return __builtin_sqrtf(a);
#else
    const int32_t bits = et_bits_f32(a);
    int32_t exponent = (int32_t)(((uint32_t)bits >> 23) & 0xFFu);
    uint32_t rest = (uint32_t)bits & 0x7FFFFFu;
    if (exponent == 0 && rest == 0u) {
        return a; /* of either sign */
    }
    if (bits < 0) {
        return 0.0f / 0.0f;
    }
    if (exponent == 255) {
        return a; /* infinity or NaN */
    }
    if (exponent == 0) {
        exponent = 1;
        while (rest < 0x800000u) {
            rest <<= 1;
            exponent--;
        }
    } else {
        rest |= 0x800000u;
    }
    if (((uint32_t)exponent & 1u) == 0u) {
        rest <<= 1;
        exponent--;
    }
    /* a = rest * 2^(exponent - 150), the exponent odd: 25 binary digits of the root of
     * rest * 2^25; `twice` is two times those found, `rest` what they leave over the next digit. */
    uint32_t twice = 0u;
    rest <<= 1;
    for (uint32_t digit = 0x1000000u; digit != 0u; digit >>= 1) {
        if (twice + digit <= rest) {
            rest -= twice + digit;
            twice += digit << 1;
        }
        rest <<= 1;
    }
    /* The last digit rounds; a tie would need a root of 25 digits of a number with 25 zeros. */
    const uint32_t root = ((twice >> 1) + 1u) >> 1;
    return et_from_bits_f32((int32_t)(((uint32_t)((exponent + 127) / 2 - 1) << 23) + root));
#endif
}

/* The greatest integer <= a, held within +-2^24; 0 for NaN. */
static inline int32_t et_floor_f32(float a) {
    if (!(a == a)) {
        return 0;
    }
    if (a >= 16777216.0f) {
        return 16777216;
    }
    if (a <= -16777216.0f) {
        return -16777216;
    }
    const int32_t truncated = (int32_t)a;
    return (float)truncated > a ? truncated - 1 : truncated;
}

/* The field of `bits` bits that begins at bit `at` of a word. */
static inline int32_t et_part_u(uint32_t word, uint32_t at, uint32_t bits) {
    return (int32_t)((word >> at) & ((1u << bits) - 1u));
}
static inline int32_t et_part_s(uint32_t word, uint32_t at, uint32_t bits) {
    const int32_t sign = (int32_t)1 << (bits - 1u);
    return (et_part_u(word, at, bits) ^ sign) - sign;
}

/* A word in which that field holds `value`, and all others 0. */
static inline uint32_t et_placed(int32_t value, uint32_t at, uint32_t bits) {
    return ((uint32_t)value & ((1u << bits) - 1u)) << at;
}

/* Field `i`, the first lowest, of a row of words: of 1, 2 or 4 bits, so that none crosses a word. */
static inline int32_t et_field_u(const uint32_t *row, int32_t i, uint32_t bits) {
    const uint32_t at = (uint32_t)i * bits;
    return et_part_u(row[at / 32u], at % 32u, bits);
}
static inline int32_t et_field_s(const uint32_t *row, int32_t i, uint32_t bits) {
    const uint32_t at = (uint32_t)i * bits;
    return et_part_s(row[at / 32u], at % 32u, bits);
}
static inline void et_put_field(uint32_t ET_MAY_ALIAS *row, int32_t i, uint32_t bits, int32_t value) {
    const uint32_t at = (uint32_t)i * bits;
    row[at / 32u] = (row[at / 32u] & ~et_placed(-1, at % 32u, bits)) | et_placed(value, at % 32u, bits);
}

#endif
