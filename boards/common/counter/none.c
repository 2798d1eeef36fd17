/* For boards without a usable counter. */
#include "et_drivers.h"
#include "et_port.h"

void et_counter_init(void) {}

uint32_t et_counter(void) { return 0; }
