/* ESP32-C3: watchdogs off.  The ROM has set the clocks and the pins of UART 0. */
#include <stdint.h>

#include "et_drivers.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

void et_board_init(void) {
    REGISTER(0x600080A8u) = 0x50D83AA1u; /* RTC_CNTL_WDTWPROTECT: the key that permits writing */
    REGISTER(0x60008090u) = 0u;          /* RTC_CNTL_WDTCONFIG0 */
    REGISTER(0x600080B0u) = 0x8F1D312Au; /* RTC_CNTL_SWD_WPROTECT */
    REGISTER(0x600080ACu) |= 1u << 31;   /* RTC_CNTL_SWD_CONF: feed the super watchdog automatically */
    REGISTER(0x6001F064u) = 0x50D83AA1u; /* TIMG0_WDTWPROTECT */
    REGISTER(0x6001F048u) = 0u;          /* TIMG0_WDTCONFIG0 */
}
