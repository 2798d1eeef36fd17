/* For RISC-V boards whose interrupt controller is not driven: waiting is spinning. */
#include <stdint.h>

#include "et_drivers.h"
#include "et_port.h"

extern uint32_t et_stack_bottom[];

uint32_t *et_stack_low(void) { return et_stack_bottom; }

void et_wait_init(void) {}

void et_wait(void) {}
