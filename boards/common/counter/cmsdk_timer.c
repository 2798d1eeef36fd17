/* Arm's CMSDK APB timer: 32 bits, counting down. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define CONTROL (*(volatile uint32_t *)(ET_COUNTER_BASE + 0x0u))
#define VALUE (*(volatile uint32_t *)(ET_COUNTER_BASE + 0x4u))
#define RELOAD (*(volatile uint32_t *)(ET_COUNTER_BASE + 0x8u))

void et_counter_init(void) {
    RELOAD = 0xFFFFFFFFu;
    VALUE = 0xFFFFFFFFu;
    CONTROL = 1u;
}

uint32_t et_counter(void) { return ~VALUE; }
