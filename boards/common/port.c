#include "et_drivers.h"
#include "et_port.h"

void et_port_init(void) {
    et_board_init();
    et_wait_init();
    et_uart_init();
    et_counter_init();
}
