/* ST's TIM2, the 32-bit timer of the STM32F4, at a fortieth of its clock. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_COUNTER_BASE + (offset)))
#define CONTROL REGISTER(0x00u)
#define EVENT REGISTER(0x14u)
#define COUNT REGISTER(0x24u)
#define PRESCALER REGISTER(0x28u)
#define RELOAD REGISTER(0x2Cu)

void et_counter_init(void) {
    PRESCALER = 39u;
    RELOAD = 0xFFFFFFFFu;
    EVENT = 1u; /* takes the prescaler over */
    CONTROL = 1u;
}

uint32_t et_counter(void) { return COUNT; }
