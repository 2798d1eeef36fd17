/* ST's USART of the STM32F4 and its elders; clock and pins are the board's business. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define STATUS REGISTER(0x0u) /* bit 5: received, bit 7: transmitter empty */
#define DATA REGISTER(0x4u)
#define BAUDRATE REGISTER(0x8u)
#define CONTROL_1 REGISTER(0xCu)

void et_uart_init(void) {
    BAUDRATE = (ET_UART_CLOCK + ET_UART_BAUD / 2u) / ET_UART_BAUD; /* 16-fold oversampling */
    CONTROL_1 = 0x202Cu; /* on, transmitter, receiver, interrupt on reception */
    (void)DATA;          /* also tells QEMU to look for input now that the receiver is on */
}

int et_getchar(void) {
    while ((STATUS & 0x20u) == 0u) {
        et_wait();
    }
    return (int)(DATA & 0xFFu);
}

void et_putchar(uint8_t byte) {
    while ((STATUS & 0x80u) == 0u) {
    }
    DATA = byte;
}
