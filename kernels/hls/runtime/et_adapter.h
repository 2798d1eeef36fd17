/* The engine behind the link: entries over bytes, and state that the engine alone keeps.
 *
 * The generated et_tables.cpp defines the tables declared here. */
#ifndef ET_ADAPTER_H
#define ET_ADAPTER_H

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "et_engine.h"
#include "et_forms.h"
#include "et_tables.h"

/* The states, which are the engine's entries from this one on, two each: to give, and to take. */
extern const unsigned et_first_state;
extern const std::vector<et_form> et_state_forms;
extern const std::vector<const uint8_t *> et_initial;

/* A state as the engine last gave it, or, `changed`, as it is to become before the next call. */
struct et_copy_of_state {
    bool known, changed;
    std::vector<uint8_t> memory;
};

/* Send a tensor. */
template <typename Stream, typename Beat>
void et_send(const et_form &form, const std::vector<long long> &elements, Stream &s, Beat beat) {
    for (int at = 0; at < form.size; at += form.lanes) {
        beat.data = 0;
        for (int lane = 0; lane < form.lanes && at + lane < form.size; lane++) {
            const ap_uint<64> element = (unsigned long long)elements[(size_t)(at + lane)];
            beat.data.range(form.bits * lane + form.bits - 1, form.bits * lane) = element.range(form.bits - 1, 0);
        }
        s.write(beat);
    }
}

/* Receive a tensor; `last`: the answer ends with it. */
template <typename Stream>
std::vector<long long> et_receive(const et_form &form, Stream &m, bool last) {
    std::vector<long long> elements((size_t)form.size);
    for (int at = 0; at < form.size; at += form.lanes) {
        auto beat = m.read();
        if ((beat.last != 0) != (last && at + form.lanes >= form.size)) {
            std::fputs("an answer ends elsewhere than it should\n", stderr);
            std::abort();
        }
        for (int lane = 0; lane < form.lanes && at + lane < form.size; lane++) {
            const ap_uint<64> bits = beat.data.range(form.bits * lane + form.bits - 1, form.bits * lane);
            unsigned long long value = bits.to_uint64();
            if (form.is_signed && form.bits < 64 && (value >> (form.bits - 1) & 1u) != 0u) {
                value |= ~0ULL << form.bits;
            }
            elements[(size_t)(at + lane)] = (long long)value;
        }
    }
    return elements;
}

static std::vector<et_copy_of_state> et_copies;
static et_stream<et_s_beat> et_s;
static et_stream<et_m_beat> et_m;

static void et_call(unsigned entry) {
    et_engine(entry, et_s, et_m);
    if (!et_s.empty()) {
        std::fputs("the engine leaves beats in its stream\n", stderr);
        std::abort();
    }
}

static std::vector<uint8_t> &et_known(uint32_t tensor) {
    et_copy_of_state &copy = et_copies[tensor];
    if (!copy.known) {
        const et_form &form = et_state_forms[tensor];
        et_call(et_first_state + 2u * tensor);
        copy.memory = et_memory(form, et_receive(form, et_m, true));
        copy.known = true;
    }
    return copy.memory;
}

void et_init(void) {
    et_copies.clear();
    for (size_t tensor = 0; tensor < et_state_forms.size(); tensor++) {
        const uint8_t *const initial = et_initial[tensor];
        const et_copy_of_state copy = {
            true, true, std::vector<uint8_t>(initial, initial + et_state_forms[tensor].bytes)};
        et_copies.push_back(copy);
    }
}

void et_read_state(uint32_t tensor, uint32_t offset, uint8_t *to, uint32_t n) {
    std::memcpy(to, et_known(tensor).data() + offset, n);
}

void et_write_state(uint32_t tensor, uint32_t offset, const uint8_t *from, uint32_t n) {
    std::memcpy(et_known(tensor).data() + offset, from, n);
    et_copies[tensor].changed = true;
}

static void et_store_changed(void) {
    for (uint32_t tensor = 0; tensor < et_copies.size(); tensor++) {
        if (et_copies[tensor].changed) {
            const et_form &form = et_state_forms[tensor];
            et_send(form, et_elements(form, et_copies[tensor].memory.data()), et_s, et_s_beat());
            et_call(et_first_state + 2u * tensor + 1u);
            et_copies[tensor].changed = false;
        }
    }
}

/* One call of an entry, which updates states or does not: 1 where an input is out of its range. */
static int et_run(unsigned entry, bool updates, const std::vector<et_form> &inputs,
                  const std::vector<et_form> &outputs, const uint8_t *in, uint8_t *out) {
    std::vector<std::vector<long long> > tensors;
    for (size_t i = 0; i < inputs.size(); i++) {
        tensors.push_back(et_elements(inputs[i], in));
        if (!et_within(inputs[i], tensors.back())) {
            return 1;
        }
        in += inputs[i].bytes;
    }
    et_store_changed();
    for (size_t i = 0; i < inputs.size(); i++) {
        et_send(inputs[i], tensors[i], et_s, et_s_beat());
    }
    et_count_start();
    et_call(entry);
    et_count_stop();
    for (size_t i = 0; updates && i < et_copies.size(); i++) {
        et_copies[i].known = false;
    }
    for (size_t i = 0; i < outputs.size(); i++) {
        const std::vector<uint8_t> memory =
            et_memory(outputs[i], et_receive(outputs[i], et_m, i + 1u == outputs.size()));
        std::memcpy(out, memory.data(), memory.size());
        out += memory.size();
    }
    if (!et_m.empty()) {
        std::fputs("the engine answers more than it should\n", stderr);
        std::abort();
    }
    return 0;
}

#endif
