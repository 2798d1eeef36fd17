/* The link on a process's standard input and output. */
#include <stddef.h>
#include <stdio.h>

#include "et_port.h"

void et_port_init(void) {}

int et_getchar(void) {
    const int byte = getchar();
    return byte == EOF ? -1 : byte;
}

void et_putchar(uint8_t byte) {
    (void)putchar(byte);
    if (byte == 0u) {
        (void)fflush(stdout);
    }
}

/* Weak: a simulator that is linked in counts its cycles. */
__attribute__((weak)) uint32_t et_counter(void) { return 0; }

uint32_t *et_stack_low(void) { return NULL; }

uint32_t *et_stack_pointer(void) { return NULL; }
