/* Nordic's TIMER with 32 bits, at the full 16 MHz. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_COUNTER_BASE + (offset)))
#define TASK_START REGISTER(0x000u)
#define TASK_CAPTURE REGISTER(0x040u)
#define BITMODE REGISTER(0x508u)
#define PRESCALER REGISTER(0x510u)
#define CAPTURED REGISTER(0x540u)

void et_counter_init(void) {
    BITMODE = 3u;
    PRESCALER = 0u;
    TASK_START = 1u;
}

uint32_t et_counter(void) {
    TASK_CAPTURE = 1u;
    return CAPTURED;
}
