/* RP2040 on its 12 MHz crystal, UART 0 on GP0 and GP1. */
#include <stdint.h>

#include "et_drivers.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CLEAR(address) REGISTER((address) + 0x3000u) /* the alias that clears the bits written */

#define RESETS 0x4000C000u
#define CLOCKS 0x40008000u
#define XOSC 0x40024000u
#define IO_BANK0 0x40014000u

void et_board_init(void) {
    REGISTER(XOSC + 0x0Cu) = 47u; /* startup: 1 ms, in units of 256 cycles */
    REGISTER(XOSC) = (0xFABu << 12) | 0xAA0u;
    while ((REGISTER(XOSC + 0x4u) >> 31) == 0u) {
    }
    REGISTER(CLOCKS + 0x30u) = 2u; /* clk_ref from the crystal */
    while (REGISTER(CLOCKS + 0x38u) != 1u << 2) {
    }
    CLEAR(CLOCKS + 0x3Cu) = 1u; /* clk_sys from clk_ref */
    while (REGISTER(CLOCKS + 0x44u) != 1u) {
    }
    REGISTER(CLOCKS + 0x48u) = 1u << 11; /* clk_peri from clk_sys */

    const uint32_t blocks = (1u << 5) | (1u << 8) | (1u << 22); /* IO_BANK0, PADS_BANK0, UART0 */
    CLEAR(RESETS) = blocks;
    while ((REGISTER(RESETS + 8u) & blocks) != blocks) {
    }
    REGISTER(IO_BANK0 + 0x4u) = 2u; /* GP0: UART */
    REGISTER(IO_BANK0 + 0xCu) = 2u; /* GP1: UART */
}
