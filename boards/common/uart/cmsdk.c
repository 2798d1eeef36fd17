/* Arm's CMSDK APB UART. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define DATA REGISTER(0x0u)
#define STATE REGISTER(0x4u) /* bit 0: transmitter full, bit 1: receiver full */
#define CONTROL REGISTER(0x8u)
#define INTERRUPT_CLEAR REGISTER(0xCu)
#define DIVIDER REGISTER(0x10u)

void et_uart_init(void) {
    DIVIDER = ET_UART_CLOCK / ET_UART_BAUD;
    CONTROL = 0xBu; /* transmitter, receiver, interrupt on reception */
    (void)DATA;     /* also tells QEMU to look for input now that the receiver is on */
}

int et_getchar(void) {
    while ((STATE & 2u) == 0u) {
        et_wait();
    }
    const int byte = (int)(DATA & 0xFFu);
    INTERRUPT_CLEAR = 2u;
    return byte;
}

void et_putchar(uint8_t byte) {
    while ((STATE & 1u) != 0u) {
    }
    DATA = byte;
}
