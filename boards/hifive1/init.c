/* The 16 MHz crystal, and the pins of UART 0. */
#include <stdint.h>

#include "et_drivers.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

void et_board_init(void) {
    REGISTER(0x10008004u) = 1u << 30; /* PRCI.hfxosccfg: crystal on */
    while ((REGISTER(0x10008004u) >> 31) == 0u) {
    }
    REGISTER(0x1000800Cu) = 1u << 8; /* PRCI.plloutdiv: by one */
    REGISTER(0x10008008u) = 7u << 16; /* PRCI.pllcfg: the core on the PLL, bypassed, from the crystal */
    REGISTER(0x1001203Cu) &= ~(3u << 16); /* GPIO.iof_sel: UART 0 on pins 16 and 17 */
    REGISTER(0x10012038u) |= 3u << 16;    /* GPIO.iof_en */
}
