/* For boards that are ready for use out of reset. */
#include "et_drivers.h"

void et_board_init(void) {}
