/* Nordic's UART of the nRF51 and nRF52 (without DMA); the board selects its pins. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define TASK_START_RECEIVE REGISTER(0x000u)
#define TASK_START_TRANSMIT REGISTER(0x008u)
#define EVENT_RECEIVED REGISTER(0x108u)
#define EVENT_TRANSMITTED REGISTER(0x11Cu)
#define INTERRUPT_SET REGISTER(0x304u)
#define ENABLE REGISTER(0x500u)
#define RECEIVED REGISTER(0x518u)
#define TRANSMIT REGISTER(0x51Cu)
#define BAUDRATE REGISTER(0x524u)

void et_uart_init(void) {
    /* Steps of 16 MHz / 2^32, of which the hardware takes the upper 20 bits. */
    BAUDRATE = (uint32_t)((((uint64_t)ET_UART_BAUD << 32) / 16000000u + 0x800u) & 0xFFFFF000u);
    ENABLE = 4u;
    INTERRUPT_SET = 1u << 2; /* received */
    EVENT_RECEIVED = 0u;
    TASK_START_RECEIVE = 1u;
    TASK_START_TRANSMIT = 1u;
}

int et_getchar(void) {
    while (EVENT_RECEIVED == 0u) {
        et_wait();
    }
    EVENT_RECEIVED = 0u;
    return (int)(RECEIVED & 0xFFu);
}

void et_putchar(uint8_t byte) {
    EVENT_TRANSMITTED = 0u;
    TRANSMIT = byte;
    while (EVENT_TRANSMITTED == 0u) {
    }
}
