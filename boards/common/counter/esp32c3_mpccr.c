/* The ESP32-C3's own performance counter, set to count instructions. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

void et_counter_init(void) {
    const uint32_t instructions = 2u, on = 1u;
    __asm__ volatile("csrw 0x7E0, %0\n csrw 0x7E1, %1" ::"r"(instructions), "r"(on)); /* mpcer, mpcmr */
}

uint32_t et_counter(void) {
    uint32_t value;
    __asm__ volatile("csrr %0, 0x7E2" : "=r"(value)::"memory");
    return value;
}
