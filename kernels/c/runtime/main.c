#include "et_link.h"
#include "et_port.h"
#include "et_tables.h"

int main(void) {
    et_port_init();
    et_init();
    et_link_serve();
    return 0;
}
