/* Two halves packed in a word, as PULP's Xfvec computes with them.  With ET_XPULP the packed
 * instructions are used, which only PULP's GCC knows; otherwise the same is spelled out. */
#ifndef ET_XPULP_H
#define ET_XPULP_H

#include "et_ops.h"

typedef et_half et_halves __attribute__((vector_size(4), aligned(2), may_alias));
typedef short et_mask __attribute__((vector_size(4)));

static inline et_halves et_load_halves(const et_half *p) { return *(const et_halves *)p; }
static inline et_halves et_load_first(const et_half *p) {
    const et_halves v = {p[0], 0};
    return v;
}
static inline void et_store_halves(et_half *p, et_halves v) { *(et_halves *)p = v; }
static inline et_halves et_both(et_half a) {
    const et_halves v = {a, a};
    return v;
}

#if defined(ET_XPULP)
static inline et_halves et_add_halves(et_halves a, et_halves b) {
    et_halves r;
    __asm__("vfadd.h %0, %1, %2" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
static inline et_halves et_sub_halves(et_halves a, et_halves b) {
    et_halves r;
    __asm__("vfsub.h %0, %1, %2" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
static inline et_halves et_mul_halves(et_halves a, et_halves b) {
    et_halves r;
    __asm__("vfmul.h %0, %1, %2" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
static inline et_halves et_fma_halves(et_halves a, et_halves b, et_halves c) {
    __asm__("vfmac.h %0, %1, %2" : "+f"(c) : "f"(a), "f"(b));
    return c;
}
#else
static inline et_halves et_add_halves(et_halves a, et_halves b) {
    const et_halves r = {(et_half)(a[0] + b[0]), (et_half)(a[1] + b[1])};
    return r;
}
static inline et_halves et_sub_halves(et_halves a, et_halves b) {
    const et_halves r = {(et_half)(a[0] - b[0]), (et_half)(a[1] - b[1])};
    return r;
}
static inline et_halves et_mul_halves(et_halves a, et_halves b) {
    const et_halves r = {(et_half)(a[0] * b[0]), (et_half)(a[1] * b[1])};
    return r;
}
static inline et_halves et_fma_halves(et_halves a, et_halves b, et_halves c) {
    const et_halves r = {et_fma_f16(a[0], b[0], c[0]), et_fma_f16(a[1], b[1], c[1])};
    return r;
}
#endif

static inline et_mask et_lt_halves(et_halves a, et_halves b) {
    const et_mask r = {(short)-(a[0] < b[0]), (short)-(a[1] < b[1])};
    return r;
}
static inline et_mask et_le_halves(et_halves a, et_halves b) {
    const et_mask r = {(short)-(a[0] <= b[0]), (short)-(a[1] <= b[1])};
    return r;
}
static inline et_mask et_eq_halves(et_halves a, et_halves b) {
    const et_mask r = {(short)-(a[0] == b[0]), (short)-(a[1] == b[1])};
    return r;
}
static inline et_halves et_select_halves(et_mask m, et_halves a, et_halves b) {
    const et_halves r = {m[0] ? a[0] : b[0], m[1] ? a[1] : b[1]};
    return r;
}

#endif
