/* Crystal and UART pins: P0.24 and P0.25 go to the USB interface chip. */
#include <stdint.h>

#include "et_drivers.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

void et_board_init(void) {
    /* The crystal: the internal oscillator is too inaccurate for a UART. */
    REGISTER(0x40000100u) = 0u; /* CLOCK.EVENTS_HFCLKSTARTED */
    REGISTER(0x40000000u) = 1u; /* CLOCK.TASKS_HFCLKSTART */
    while (REGISTER(0x40000100u) == 0u) {
    }
    REGISTER(ET_UART_BASE + 0x50Cu) = 24u; /* transmit */
    REGISTER(ET_UART_BASE + 0x514u) = 25u; /* receive */
}
