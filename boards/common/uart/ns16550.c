/* The 16550, with byte-wide registers one byte apart. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint8_t *)(ET_UART_BASE + (offset)))
#define DATA REGISTER(0u)
#define INTERRUPT_ENABLE REGISTER(1u)
#define FIFO_CONTROL REGISTER(2u)
#define LINE_CONTROL REGISTER(3u)
#define LINE_STATUS REGISTER(5u) /* bit 0: received, bit 5: transmitter empty */

void et_uart_init(void) {
    const uint32_t divisor = ET_UART_CLOCK / (16u * ET_UART_BAUD);
    LINE_CONTROL = 0x83u; /* 8 bits; the first two registers are the divisor for now */
    DATA = (uint8_t)(divisor & 0xFFu);
    INTERRUPT_ENABLE = (uint8_t)(divisor >> 8);
    LINE_CONTROL = 0x03u;
    FIFO_CONTROL = 0xC7u; /* on and cleared; interrupt at 14 bytes, or when the line falls silent */
    INTERRUPT_ENABLE = 0x01u;
}

int et_getchar(void) {
    while ((LINE_STATUS & 0x01u) == 0u) {
        et_wait();
    }
    return (int)DATA;
}

void et_putchar(uint8_t byte) {
    while ((LINE_STATUS & 0x20u) == 0u) {
    }
    DATA = byte;
}
