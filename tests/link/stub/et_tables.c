#include "et_tables.h"

#include "edgetrain.h"

static int run_sum(const uint8_t *in, uint8_t *out) {
    static uint8_t x[30];
    static int32_t y[2];
    int status;
    et_copy(x, in, sizeof x);
    et_count_start();
    status = et_sum(x, y);
    et_count_stop();
    et_copy(out, y, sizeof y);
    return status;
}

static int run_echo(const uint8_t *in, uint8_t *out) {
    static uint8_t x[600], y[600];
    et_copy(x, in, sizeof x);
    et_count_start();
    et_echo(x, y);
    et_count_stop();
    et_copy(out, y, sizeof y);
    return 0;
}

static int run_thousand(const uint8_t *in, uint8_t *out) {
    (void)in;
    (void)out;
    et_count_start();
    et_thousand();
    et_count_stop();
    return 0;
}

static int run_trap(const uint8_t *in, uint8_t *out) {
    (void)in;
    (void)out;
    et_trap();
    return 0;
}

#if defined(ET_STUB_FLOAT)
static int run_float(const uint8_t *in, uint8_t *out) {
    static float x[2], y[4];
    et_copy(x, in, sizeof x);
    et_count_start();
    et_float(x, y);
    et_count_stop();
    et_copy(out, y, sizeof y);
    return 0;
}
#endif

const et_entry_t et_entries[] = {
    {30, 8, run_sum},
    {600, 600, run_echo},
    {0, 0, run_thousand},
    {0, 0, run_trap},
#if defined(ET_STUB_FLOAT)
    {8, 16, run_float},
#endif
};
const uint32_t et_entry_count = sizeof et_entries / sizeof et_entries[0];
const et_tensor_t et_state[] = {{&et_calls, 4}, {et_table, 600}};
const uint32_t et_state_count = 2;
