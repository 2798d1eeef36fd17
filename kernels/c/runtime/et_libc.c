/* The four functions that a compiler may call on its own, for images without a C library. */
#include <stddef.h>
#include <stdint.h>

/* Otherwise a compiler recognises the loops below and makes each function call itself. */
#if defined(__clang__)
#define NO_IDIOMS __attribute__((no_builtin("memcpy", "memmove", "memset", "memcmp")))
#else
#define NO_IDIOMS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

NO_IDIOMS void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0u) {
        for (; n >= 4u; n -= 4u, t += 4, f += 4) {
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
        }
    }
    while (n-- > 0u) {
        *t++ = *f++;
    }
    return to;
}

NO_IDIOMS void *memmove(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((uintptr_t)t <= (uintptr_t)f) {
        while (n-- > 0u) {
            *t++ = *f++;
        }
    } else {
        while (n-- > 0u) {
            t[n] = f[n];
        }
    }
    return to;
}

NO_IDIOMS void *memset(void *to, int value, size_t n) {
    uint8_t *t = to;
    while (n-- > 0u) {
        *t++ = (uint8_t)value;
    }
    return to;
}

NO_IDIOMS int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (; n > 0u; n--, x++, y++) {
        if (*x != *y) {
            return *x < *y ? -1 : 1;
        }
    }
    return 0;
}

#if defined(__ARM_EABI__)
/* The names under which Clang calls them on Arm. */
NO_IDIOMS void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t n) { (void)memcpy(to, from, n); }
NO_IDIOMS void __aeabi_memcpy4(void *restrict to, const void *restrict from, size_t n) { (void)memcpy(to, from, n); }
NO_IDIOMS void __aeabi_memcpy8(void *restrict to, const void *restrict from, size_t n) { (void)memcpy(to, from, n); }
NO_IDIOMS void __aeabi_memmove(void *to, const void *from, size_t n) { (void)memmove(to, from, n); }
NO_IDIOMS void __aeabi_memmove4(void *to, const void *from, size_t n) { (void)memmove(to, from, n); }
NO_IDIOMS void __aeabi_memmove8(void *to, const void *from, size_t n) { (void)memmove(to, from, n); }
NO_IDIOMS void __aeabi_memset(void *to, size_t n, int value) { (void)memset(to, value, n); }
NO_IDIOMS void __aeabi_memset4(void *to, size_t n, int value) { (void)memset(to, value, n); }
NO_IDIOMS void __aeabi_memset8(void *to, size_t n, int value) { (void)memset(to, value, n); }
NO_IDIOMS void __aeabi_memclr(void *to, size_t n) { (void)memset(to, 0, n); }
NO_IDIOMS void __aeabi_memclr4(void *to, size_t n) { (void)memset(to, 0, n); }
NO_IDIOMS void __aeabi_memclr8(void *to, size_t n) { (void)memset(to, 0, n); }
#endif
