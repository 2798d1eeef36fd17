#include "et_link.h"

#include <stddef.h>
#include <stdint.h>

#include "et_port.h"
#include "et_tables.h"

/* Frame: COBS(length u16, sequence u8, command u8, payload, CRC-32 u32) 0x00, all little-endian. */

#define LINK_VERSION 1u
#define HEADER_BYTES 4u
#define CRC_BYTES 4u
#define CHUNK_BYTES 256u /* at least this much payload fits whatever the model's sizes */
#define RUN_REQUEST_BYTES 2u
#define RUN_ANSWER_BYTES 5u
#define NOT_COUNTED 0xFFFFFFFFu
#define ANSWER_BIT 0x80u
#define PAINT 0xA5C3965Au

#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define REQUEST_BYTES (HEADER_BYTES + MAX_OF(ET_MAX_INPUT_BYTES + RUN_REQUEST_BYTES, CHUNK_BYTES) + CRC_BYTES)
#define ANSWER_BYTES (HEADER_BYTES + MAX_OF(ET_MAX_OUTPUT_BYTES + RUN_ANSWER_BYTES, CHUNK_BYTES) + CRC_BYTES)

#if ET_MAX_INPUT_BYTES > 60000 || ET_MAX_OUTPUT_BYTES > 60000
#error "the link's 16-bit length cannot carry this model's inputs or outputs"
#endif

enum { HELLO, ENTRY, TENSOR, RUN, READ_STATE, WRITE_STATE, RESET, STACK, EXIT };
enum { OK, REFUSED, BAD_COMMAND, BAD_ARGUMENT, BAD_FRAME, FAULT };

static uint8_t request[REQUEST_BYTES];
static uint8_t answer[ANSWER_BYTES];
static uint32_t count_begin, count_elapsed, count_overhead;
static uint32_t stack_used;

/* Never inlined: the cost of counting must be the same here as in the model's tables. */
__attribute__((noinline)) void et_count_start(void) { count_begin = et_counter(); }

__attribute__((noinline)) void et_count_stop(void) { count_elapsed = et_counter() - count_begin; }

__attribute__((noinline)) static void just_return(void) { __asm__ volatile(""); }

__attribute__((noinline)) static void one_more(void) { __asm__ volatile("nop"); }

/* The cost of counting and of the call itself, so that a count runs from entry to return. */
static uint32_t measure_overhead(void) {
    uint32_t with_return;
    et_count_start();
    just_return();
    et_count_stop();
    with_return = count_elapsed;
    et_count_start();
    one_more();
    et_count_stop();
    return with_return - (count_elapsed - with_return);
}

void et_copy(void *to, const void *from, uint32_t n) {
    uint8_t *const t = to;
    const uint8_t *const f = from;
    for (uint32_t i = 0; i < n; i++) {
        t[i] = f[i];
    }
}

static uint32_t crc32(const uint8_t *data, uint32_t n) {
    /* Reflected polynomial 0xEDB88320, a nibble at a time. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < n; i++) {
        crc = (crc >> 4) ^ table[(crc ^ data[i]) & 15u];
        crc = (crc >> 4) ^ table[(crc ^ ((uint32_t)data[i] >> 4)) & 15u];
    }
    return ~crc;
}

static void put16(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value & 0xFFu);
    p[1] = (uint8_t)((value >> 8) & 0xFFu);
}

static void put32(uint8_t *p, uint32_t value) {
    put16(p, value & 0xFFFFu);
    put16(p + 2, value >> 16);
}

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] | ((uint32_t)p[1] << 8); }

static uint32_t get32(const uint8_t *p) { return get16(p) | (get16(p + 2) << 16); }

/* Receives one frame into `request`: its length, 0 for a damaged one, -1 at the end of input. */
static int32_t receive(void) {
    uint32_t n = 0;
    uint32_t left = 0;
    int zero_due = 0; /* the block before was shorter than 254, so that a zero follows it */
    int damaged = 0;
    int begun = 0;
    for (;;) {
        const int byte = et_getchar();
        if (byte < 0) {
            return -1;
        }
        if (byte == 0) {
            if (!begun) {
                continue; /* extra delimiters separate a frame from noise before it */
            }
            break;
        }
        begun = 1;
        if (left == 0u) {
            if (zero_due) {
                damaged |= n >= REQUEST_BYTES;
                if (!damaged) {
                    request[n++] = 0;
                }
            }
            left = (uint32_t)byte - 1u;
            zero_due = byte != 0xFF;
        } else {
            damaged |= n >= REQUEST_BYTES;
            if (!damaged) {
                request[n++] = (uint8_t)byte;
            }
            left--;
        }
    }
    if (damaged || left != 0u || n < HEADER_BYTES + CRC_BYTES || get16(request) != n - HEADER_BYTES - CRC_BYTES ||
        get32(request + n - CRC_BYTES) != crc32(request, n - CRC_BYTES)) {
        return 0;
    }
    return (int32_t)n;
}

static void transmit(const uint8_t *frame, uint32_t n) {
    uint32_t at = 0;
    for (;;) {
        uint32_t run = 0;
        while (run < 254u && at + run < n && frame[at + run] != 0u) {
            run++;
        }
        et_putchar((uint8_t)(run + 1u));
        for (uint32_t i = 0; i < run; i++) {
            et_putchar(frame[at + i]);
        }
        at += run;
        if (at >= n) {
            break;
        }
        if (run < 254u) {
            at++; /* the zero that the block stands for; a last zero leaves one empty block to send */
        }
    }
    et_putchar(0);
}

/* Completes a frame around the `n` bytes of payload that are in place; returns the frame's length. */
static uint32_t seal(uint8_t *frame, uint8_t sequence, uint8_t command, uint32_t n) {
    put16(frame, n);
    frame[2] = sequence;
    frame[3] = command;
    put32(frame + HEADER_BYTES + n, crc32(frame, HEADER_BYTES + n));
    return HEADER_BYTES + n + CRC_BYTES;
}

static uint32_t hello(uint8_t *data) {
    uint32_t n = 0;
    put16(data, LINK_VERSION);
    et_copy(data + 2, et_model_hash, 32);
    put16(data + 34, et_entry_count);
    put16(data + 36, et_state_count);
    while (n < 64u && et_version[n] != '\0') {
        data[38u + n] = (uint8_t)et_version[n];
        n++;
    }
    return 38u + n;
}

/* Runs an entry with the free stack painted, and keeps the deepest use over all runs. */
static int run_painted(const et_entry_t *entry, const uint8_t *in, uint8_t *out) {
    /* Volatile, so that neither loop becomes a call whose frame it would overwrite. */
    volatile uint32_t *const low = et_stack_low();
    int status;
    if (low == NULL) {
        return entry->run(in, out);
    }
    volatile uint32_t *const top = et_stack_pointer();
    for (volatile uint32_t *p = low; p < top; p++) {
        *p = PAINT;
    }
    status = entry->run(in, out);
    volatile uint32_t *deepest = low;
    while (deepest < top && *deepest == PAINT) {
        deepest++;
    }
    const uint32_t used = (uint32_t)(top - deepest) * 4u;
    if (used > stack_used) {
        stack_used = used;
    }
    return status;
}

#ifndef ET_STATE_HOOKS
static void read_state(uint32_t tensor, uint32_t offset, uint8_t *to, uint32_t n) {
    et_copy(to, (const uint8_t *)et_state[tensor].data + offset, n);
}

static void write_state(uint32_t tensor, uint32_t offset, const uint8_t *from, uint32_t n) {
    et_copy((uint8_t *)et_state[tensor].data + offset, from, n);
}
#else
#define read_state et_read_state
#define write_state et_write_state
#endif

/* Carries out the request of `n` payload bytes; writes the payload after the status, returns its length. */
static uint8_t execute(uint8_t command, const uint8_t *in, uint32_t n, uint8_t *data, uint32_t *data_bytes) {
    const uint32_t index = n >= 2u ? get16(in) : 0xFFFFFFFFu;
    *data_bytes = 0;
    switch (command) {
    case HELLO:
        *data_bytes = hello(data);
        return OK;
    case ENTRY:
        if (n != 2u || index >= et_entry_count) {
            return BAD_ARGUMENT;
        }
        put32(data, et_entries[index].input_bytes);
        put32(data + 4, et_entries[index].output_bytes);
        *data_bytes = 8;
        return OK;
    case TENSOR:
        if (n != 2u || index >= et_state_count) {
            return BAD_ARGUMENT;
        }
        put32(data, et_state[index].bytes);
        *data_bytes = 4;
        return OK;
    case RUN: {
        if (index >= et_entry_count || n - RUN_REQUEST_BYTES != et_entries[index].input_bytes) {
            return BAD_ARGUMENT;
        }
        count_elapsed = NOT_COUNTED;
        if (run_painted(&et_entries[index], in + RUN_REQUEST_BYTES, data + 4) != 0) {
            return REFUSED;
        }
        put32(data, count_elapsed == NOT_COUNTED ? NOT_COUNTED : count_elapsed - count_overhead);
        *data_bytes = 4u + et_entries[index].output_bytes;
        return OK;
    }
    case READ_STATE:
    case WRITE_STATE: {
        /* tensor u16, offset u32, then: length u16 (read), bytes (write) */
        if (n < 6u || index >= et_state_count) {
            return BAD_ARGUMENT;
        }
        const uint32_t offset = get32(in + 2);
        const uint32_t room = et_state[index].bytes;
        const uint32_t length = command == WRITE_STATE ? n - 6u : (n == 8u ? get16(in + 6) : 0xFFFFFFFFu);
        if (offset > room || length > room - offset) {
            return BAD_ARGUMENT;
        }
        if (command == WRITE_STATE) {
            write_state(index, offset, in + 6, length);
            return OK;
        }
        if (length > CHUNK_BYTES - 1u) {
            return BAD_ARGUMENT;
        }
        read_state(index, offset, data, length);
        *data_bytes = length;
        return OK;
    }
    case RESET:
        et_init();
        stack_used = 0;
        return OK;
    case STACK:
        if (et_stack_low() == NULL) {
            return BAD_COMMAND;
        }
        put32(data, stack_used);
        *data_bytes = 4;
        return OK;
    case EXIT:
        return OK;
    default:
        return BAD_COMMAND;
    }
}

/* An answer to no request in particular. */
static void complain(uint8_t status) {
    uint8_t complaint[HEADER_BYTES + 1u + CRC_BYTES];
    complaint[HEADER_BYTES] = status;
    transmit(complaint, seal(complaint, 0, ANSWER_BIT, 1));
}

void et_link_fault(void) {
    et_putchar(0); /* ends the frame that it may have interrupted */
    complain(FAULT);
}

void et_link_serve(void) {
    uint32_t answer_bytes = 0; /* of the last answer; 0: none yet */

    count_overhead = measure_overhead();

    for (;;) {
        const int32_t n = receive();
        if (n < 0) {
            return;
        }
        if (n == 0) {
            /* Whose it was is unknown.  The host repeats what it waits for, and the last answer stays. */
            complain(BAD_FRAME);
            continue;
        }
        const uint8_t sequence = request[2];
        const uint8_t command = request[3];
        /* A repeated sequence asks for the last answer again and runs nothing; HELLO begins anew. */
        if (command == HELLO || answer_bytes == 0u || answer[2] != sequence) {
            uint32_t data_bytes = 0;
            uint8_t *const payload = answer + HEADER_BYTES;
            payload[0] = execute(command, request + HEADER_BYTES, (uint32_t)n - HEADER_BYTES - CRC_BYTES,
                                 payload + 1, &data_bytes);
            answer_bytes = seal(answer, sequence, (uint8_t)(command | ANSWER_BIT), data_bytes + 1u);
        }
        transmit(answer, answer_bytes);
        if (command == EXIT) {
            return;
        }
    }
}
