/* RISC-V vectors. */
#ifndef ET_RVV_H
#define ET_RVV_H

#include <riscv_vector.h>

#endif
