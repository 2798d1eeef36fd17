/* Arm's PL011, without its FIFOs. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define DATA REGISTER(0x00u)
#define FLAGS REGISTER(0x18u) /* bit 4: receiver empty, bit 5: transmitter full */
#define DIVISOR_INTEGER REGISTER(0x24u)
#define DIVISOR_FRACTION REGISTER(0x28u)
#define LINE_CONTROL REGISTER(0x2Cu)
#define CONTROL REGISTER(0x30u)
#define INTERRUPT_MASK REGISTER(0x38u)

void et_uart_init(void) {
    const uint32_t divisor = (4u * ET_UART_CLOCK + ET_UART_BAUD / 2u) / ET_UART_BAUD; /* in 64ths */
    DIVISOR_INTEGER = divisor >> 6;
    DIVISOR_FRACTION = divisor & 63u;
    LINE_CONTROL = 0x60u; /* 8 bits; this write takes the divisor over */
    INTERRUPT_MASK = 0x10u;
    CONTROL = 0x301u; /* on, transmitter, receiver */
}

int et_getchar(void) {
    while ((FLAGS & 0x10u) != 0u) {
        et_wait();
    }
    return (int)(DATA & 0xFFu);
}

void et_putchar(uint8_t byte) {
    while ((FLAGS & 0x20u) != 0u) {
    }
    DATA = byte;
}
