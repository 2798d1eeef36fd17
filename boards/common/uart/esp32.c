/* Espressif's UART, as in the ESP32-C3, on the crystal. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

#define REGISTER(offset) (*(volatile uint32_t *)(ET_UART_BASE + (offset)))
#define FIFO REGISTER(0x00u)
#define CLOCK_DIVIDER REGISTER(0x14u) /* bits 0..11, and sixteenths in bits 20..23 */
#define STATUS REGISTER(0x1Cu)        /* bits 0..9: bytes received; 16..25: bytes to send */
#define CLOCK_CONFIG REGISTER(0x78u)  /* bits 20, 21: source, 3 is the crystal */

void et_uart_init(void) {
    const uint32_t divider = 16u * ET_UART_CLOCK / ET_UART_BAUD;
    CLOCK_CONFIG |= 3u << 20;
    CLOCK_DIVIDER = (divider >> 4) | ((divider & 15u) << 20);
}

int et_getchar(void) {
    while ((STATUS & 0x3FFu) == 0u) {
        et_wait();
    }
    return (int)(FIFO & 0xFFu);
}

void et_putchar(uint8_t byte) {
    while (((STATUS >> 16) & 0x3FFu) >= 120u) {
    }
    FIFO = byte;
}
