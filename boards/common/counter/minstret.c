/* RISC-V's counter of retired instructions. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

void et_counter_init(void) {}

uint32_t et_counter(void) {
    unsigned long value; /* as wide as the register */
    __asm__ volatile("csrr %0, minstret" : "=r"(value)::"memory");
    return (uint32_t)value;
}
