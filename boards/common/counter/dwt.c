/* The cycle counter of Cortex-M3 and above.  QEMU has none. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define DEMCR (*(volatile uint32_t *)0xE000EDFCu)
#define CONTROL (*(volatile uint32_t *)0xE0001000u)
#define CYCLES (*(volatile uint32_t *)0xE0001004u)

void et_counter_init(void) {
    DEMCR |= 1u << 24; /* TRCENA */
    CONTROL |= 1u;
}

uint32_t et_counter(void) { return CYCLES; }
