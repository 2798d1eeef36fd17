/* Waiting for the UART with the platform-level interrupt controller, in the first hart's machine mode. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define PLIC(offset) (*(volatile uint32_t *)(0x0C000000u + (offset)))
#define PRIORITY PLIC(4u * ET_UART_IRQ)
#define ENABLE PLIC(0x2000u + 4u * (ET_UART_IRQ / 32u))
#define THRESHOLD PLIC(0x200000u)
#define CLAIM PLIC(0x200004u)

extern uint32_t et_stack_bottom[];

uint32_t *et_stack_low(void) { return et_stack_bottom; }

void et_wait_init(void) {
    /* mstatus.MIE stays 0: a pending interrupt wakes the hart and is not taken. */
    const uint32_t external = 1u << 11;
    PRIORITY = 1u;
    ENABLE |= 1u << (ET_UART_IRQ % 32u);
    THRESHOLD = 0u;
    __asm__ volatile("csrs mie, %0" ::"r"(external));
}

void et_wait(void) {
    __asm__ volatile("wfi");
    const uint32_t claimed = CLAIM;
    if (claimed != 0u) {
        CLAIM = claimed;
    }
}
