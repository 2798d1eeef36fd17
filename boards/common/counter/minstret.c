/* RISC-V's counter of retired instructions. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

void et_counter_init(void) {}

uint32_t et_counter(void) {
    uint32_t value;
    __asm__ volatile("csrr %0, minstret" : "=r"(value)::"memory");
    return value;
}
