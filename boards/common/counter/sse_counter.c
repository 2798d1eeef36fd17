/* The system counter of Arm's SSE-300: 64 bits, of which the lower half is read. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_COUNTER_BASE + (offset)))
#define CONTROL REGISTER(0x0u)
#define COUNT_LOW REGISTER(0x8u)

void et_counter_init(void) { CONTROL = 1u; }

uint32_t et_counter(void) { return COUNT_LOW; }
