#ifndef EDGETRAIN_H
#define EDGETRAIN_H

#include <stdint.h>

extern const uint8_t et_model_hash[32];
extern const char et_version[];

void et_init(void);
int et_sum(const uint8_t x[30], int32_t y[2]); /* the sum, and the number of calls; refuses x[0] = 255 */
void et_echo(const uint8_t x[600], uint8_t y[600]);
void et_thousand(void);
void et_trap(void); /* faults */
/* The four results x0 + x1, x0 · x1, x0 / x1, trunc(x0): library calls where there is no FPU. */
void et_float(const float x[2], float y[4]);

/* State, in program order. */
extern int32_t et_calls;
extern uint8_t et_table[600];

#endif
