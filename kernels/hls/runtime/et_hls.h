/* Integer primitives over the types of ap_int.h.  T, the working type, holds the result and every operand. */
#ifndef ET_HLS_H
#define ET_HLS_H

#include <ap_int.h>

template <typename T> inline T et_min_ap(const T a, const T b) { return b < a ? b : a; }
template <typename T> inline T et_max_ap(const T a, const T b) { return a < b ? b : a; }

/* Operands of the bitwise ones are never negative. */
template <typename T> inline T et_and_ap(const T a, const T b) { return a & b; }
template <typename T> inline T et_or_ap(const T a, const T b) { return a | b; }
template <typename T> inline T et_xor_ap(const T a, const T b) { return a ^ b; }

/* Of numbers below 2^32, modulo 2^32. */
template <typename T> inline T et_mul_wrap_ap(const T a, const T b) { return ap_uint<32>(a * b); }

/* a * 2^n, which T is known to hold.  The amount keeps its own type, which is unsigned: a signed one would
 * be a shift either way. */
template <typename T, typename N> inline T et_shl_ap(const T a, const N n) { return a << n; }

/* Towards minus infinity. */
template <typename T, typename N> inline T et_shr_ap(const T a, const N n) { return a >> n; }

/* How many bits are 1. */
template <typename T> inline T et_popcount_ap(const T a) {
    T count = 0;
    for (int bit = 0; bit < T::width; bit++) {
#pragma HLS UNROLL
        count += T(ap_uint<1>(a[bit]));
    }
    return count;
}

#endif
