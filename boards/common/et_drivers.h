/* The parts of a port; each board's sources provide one of each. */
#ifndef ET_DRIVERS_H
#define ET_DRIVERS_H

void et_board_init(void);   /* clocks, watchdogs and pins */
void et_wait_init(void);    /* makes the interrupt ET_UART_IRQ able to end et_wait() */
void et_uart_init(void);    /* 8 data bits, no parity, one stop bit, ET_UART_BAUD; interrupts on reception */
void et_counter_init(void); /* starts the counter */

/* Sleeps until the UART's interrupt is pending; returns at once where ET_UART_IRQ is not defined.
 * No handler ever runs.  A core that spins instead starves the emulator around it on a busy machine. */
void et_wait(void);

#endif
