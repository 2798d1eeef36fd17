/* What a board provides to the link server. */
#ifndef ET_PORT_H
#define ET_PORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Clocks, pins, UART and counter; called once, before anything else. */
void et_port_init(void);

/* The next received byte, waiting for it; negative when no byte will ever come (host: end of input). */
int et_getchar(void);

/* Sends one byte.  A zero byte ends a frame, so that a buffering port flushes after it. */
void et_putchar(uint8_t byte);

/* A free-running counter, modulo 2^32; constantly 0 where the board has none. */
uint32_t et_counter(void);

/* The lowest address of the stack, word aligned; a null pointer where it is unknown. */
uint32_t *et_stack_low(void);

/* The caller's stack pointer; unused where et_stack_low() is null. */
uint32_t *et_stack_pointer(void);

#ifdef __cplusplus
}
#endif

#endif
