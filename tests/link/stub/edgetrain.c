/* A model in miniature: three entries and two state tensors, written by hand for the tests of the link. */
#include "edgetrain.h"

const uint8_t et_model_hash[32] = {1, 2, 3, 0, 5, [31] = 255};
const char et_version[] = "0.0-stub";
int32_t et_calls;
uint8_t et_table[600];
static const int8_t et_weights[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static int32_t et_arena[30];

void et_init(void) {
    et_calls = 0;
    for (int i = 0; i < 600; i++) {
        et_table[i] = (uint8_t)(i % 251);
    }
}

int et_sum(const uint8_t x[30], int32_t y[2]) {
    int32_t sum = 0;
    if (x[0] == 255) {
        return 1;
    }
    for (int i = 0; i < 30; i++) {
        et_arena[i] = x[i] * et_weights[i % 16];
    }
    for (int i = 0; i < 30; i++) {
        sum += et_arena[i];
    }
    et_calls++;
    y[0] = sum;
    y[1] = et_calls;
    return 0;
}

void et_echo(const uint8_t x[600], uint8_t y[600]) {
    volatile uint8_t deep[600]; /* for the measurement of the stack */
    for (int i = 0; i < 600; i++) {
        deep[i] = x[i];
    }
    for (int i = 0; i < 600; i++) {
        y[i] = deep[i];
    }
}

/* A thousand instructions and the return, whatever the compiler. */
void et_thousand(void) { __asm__ volatile(".rept 1000\n nop\n .endr"); }

void et_trap(void) { __builtin_trap(); }

#if defined(ET_STUB_FLOAT)
void et_float(const float x[2], float y[4]) {
    y[0] = x[0] + x[1];
    y[1] = x[0] * x[1];
    y[2] = x[0] / x[1];
    y[3] = (float)(int32_t)x[0];
}
#endif
