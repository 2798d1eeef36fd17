/* The tables through which the link server reaches a generated model.
 *
 * The generated et_tables.c defines them; they belong to the harness, not to what an application links.
 */
#ifndef ET_TABLES_H
#define ET_TABLES_H

#include <stdint.h>

#include "et_sizes.h" /* generated: ET_MAX_INPUT_BYTES, ET_MAX_OUTPUT_BYTES */

#ifdef __cplusplus
extern "C" {
#endif

/* One entry of the program.
 *
 * `in` holds the entry's inputs one after another, little-endian, each element in its C storage type and
 * without padding; `out` receives the outputs likewise.  Neither pointer is aligned.  `run` returns 0 when
 * done; any other value means that the input was refused and nothing has changed.
 *
 * `run` encloses the et_ call, and nothing else, in et_count_start() and et_count_stop().
 */
typedef struct {
    uint32_t input_bytes;
    uint32_t output_bytes;
    int (*run)(const uint8_t *in, uint8_t *out);
} et_entry_t;

/* One tensor that outlives a call: learned or streaming state.  `data` is unused with ET_STATE_HOOKS. */
typedef struct {
    void *data;
    uint32_t bytes;
} et_tensor_t;

extern const et_entry_t et_entries[];
extern const uint32_t et_entry_count;
extern const et_tensor_t et_state[];
extern const uint32_t et_state_count;
extern const uint8_t et_model_hash[32];
extern const char et_version[];

/* Puts every state tensor to its initial value. */
void et_init(void);

#ifdef ET_STATE_HOOKS
/* Where state is not in this program's memory: bytes of a tensor, as they would lie there. */
void et_read_state(uint32_t tensor, uint32_t offset, uint8_t *to, uint32_t n);
void et_write_state(uint32_t tensor, uint32_t offset, const uint8_t *from, uint32_t n);
#endif

/* Provided by et_link.c, for `run`: the instruction (on silicon: cycle) counter around one call. */
void et_count_start(void);
void et_count_stop(void);

/* Copies n bytes between buffers that do not overlap, whatever their alignment. */
void et_copy(void *to, const void *from, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
