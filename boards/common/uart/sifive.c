/* SiFive's UART, as in the FE310. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define TRANSMIT REGISTER(0x0u) /* bit 31: full */
#define RECEIVE REGISTER(0x4u)  /* bit 31: empty; reading takes the byte */
#define TRANSMIT_CONTROL REGISTER(0x8u)
#define RECEIVE_CONTROL REGISTER(0xCu)
#define INTERRUPT_ENABLE REGISTER(0x10u)
#define DIVIDER REGISTER(0x18u)

void et_uart_init(void) {
    DIVIDER = ET_UART_CLOCK / ET_UART_BAUD - 1u;
    TRANSMIT_CONTROL = 1u;
    RECEIVE_CONTROL = 1u; /* on; watermark 0: pending while there is any byte */
    INTERRUPT_ENABLE = 2u;
}

int et_getchar(void) {
    for (;;) {
        const uint32_t got = RECEIVE;
        if ((got >> 31) == 0u) {
            return (int)(got & 0xFFu);
        }
        et_wait();
    }
}

void et_putchar(uint8_t byte) {
    while ((TRANSMIT >> 31) != 0u) {
    }
    TRANSMIT = byte;
}
