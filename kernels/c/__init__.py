"""C99 for microcontrollers and the host: the printers, and the runtime that goes beside them."""
