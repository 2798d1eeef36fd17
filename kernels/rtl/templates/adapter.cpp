// The link server's view of a simulated circuit: entries become beats of AXI4-Stream, state words
// of AXI4-Lite.  et_circuit.h, generated, describes the streams, the state and the registers.
//
// The environment variable ET_STALLS, a number other than 0, makes both streams stall at random.  With
// ET_AXI set, lines on standard input drive the interfaces instead of the link.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "circuit_bus.h"
#include "circuit_lines.h"
#include "et_forms.h"
#include "et_port.h"
#include "et_tables.h"

struct Ports {
    std::vector<et_form> in, out;
};
struct State {
    uint32_t tensor; // as the circuit numbers it
    et_form form;
    std::vector<uint32_t> address; // of each element, in row-major order
    std::vector<long long> initial;
};

static int run(uint32_t entry, const uint8_t *in, uint8_t *out);

#include "et_circuit.h"

namespace {

uint32_t counted; // cycles of all frames

uint64_t field_of(uint64_t value, int bits) { return bits < 64 ? value & ((uint64_t{1} << bits) - 1) : value; }

long long extended(uint64_t value, int bits, bool is_signed) {
    value = field_of(value, bits);
    return static_cast<long long>(is_signed && bits < 64 && value >> (bits - 1) ? value - (uint64_t{1} << bits) : value);
}

std::size_t beats_of(const et_form &form) {
    return static_cast<std::size_t>((form.size + form.lanes - 1) / form.lanes);
}

// Where element i is among the bits of the beats from `first` on: calls `visit` with word, place, bit.
template <class Visit> void each_bit(const et_form &form, std::size_t first, std::size_t i, Visit visit) {
    const std::size_t lanes = static_cast<std::size_t>(form.lanes), bits = static_cast<std::size_t>(form.bits);
    for (std::size_t bit = 0; bit < bits; bit++) {
        const std::size_t at = i % lanes * bits + bit;
        visit(first + i / lanes, at / 32, at % 32, bit);
    }
}

// The beats of an entry's inputs; false where an element is out of its range.
bool packed(const Ports &ports, const uint8_t *in, std::vector<Words> &beats) {
    for (const et_form &form : ports.in) {
        const std::vector<long long> elements = et_elements(form, in);
        if (!et_within(form, elements)) {
            return false;
        }
        in += form.bytes;
        const std::size_t first = beats.size();
        beats.resize(first + beats_of(form), Words((ET_S_BITS + 31) / 32, 0));
        for (std::size_t i = 0; i < elements.size(); i++) {
            const uint64_t value = static_cast<uint64_t>(elements[i]);
            each_bit(form, first, i, [&](std::size_t beat, std::size_t word, std::size_t place, std::size_t bit) {
                beats[beat][word] |= static_cast<uint32_t>(value >> bit & 1) << place;
            });
        }
    }
    return true;
}

void unpacked(const Ports &ports, const std::vector<Words> &beats, uint8_t *out) {
    std::size_t first = 0;
    for (const et_form &form : ports.out) {
        std::vector<long long> elements(static_cast<std::size_t>(form.size));
        for (std::size_t i = 0; i < elements.size(); i++) {
            uint64_t value = 0;
            each_bit(form, first, i, [&](std::size_t beat, std::size_t word, std::size_t place, std::size_t bit) {
                value |= static_cast<uint64_t>(beats[beat][word] >> place & 1) << bit;
            });
            elements[i] = extended(value, form.bits, form.is_signed);
        }
        const std::vector<uint8_t> memory = et_memory(form, elements);
        et_copy(out, memory.data(), form.bytes);
        out += form.bytes;
        first += beats_of(form);
    }
}

// The elements of a tensor, in row-major order, until the next frame changes it.
std::vector<long long> held;
uint32_t held_tensor = ~0u;

void hold(uint32_t tensor) {
    if (tensor == held_tensor) {
        return;
    }
    wait_until_idle();
    const State &s = ET_STATES[tensor];
    held.clear();
    for (const uint32_t address : s.address) {
        held.push_back(extended(read_word(s.tensor, address), s.form.bits, s.form.is_signed));
    }
    held_tensor = tensor;
}

void store(const State &s, std::size_t i, long long value) {
    write_word(s.tensor, s.address[i], field_of(static_cast<uint64_t>(value), s.form.bits));
}

} // namespace

static int run(uint32_t entry, const uint8_t *in, uint8_t *out) {
    const Ports &ports = ET_PORTS[entry];
    std::vector<Words> beats;
    if (!packed(ports, in, beats)) {
        return 1;
    }
    held_tensor = ~0u;
    wait_until_idle();
    write_register(ET_ENTRY, entry);
    std::size_t expected = 0;
    for (const et_form &form : ports.out) {
        expected += beats_of(form);
    }
    const std::vector<Words> answer = transfer(beats, true);
    if (answer.size() != expected) {
        give_up("give the beats that it should");
    }
    unpacked(ports, answer, out);
    et_count_start();
    counted = counted + read_register(ET_CYCLES);
    et_count_stop();
    return 0;
}

extern "C" {

void et_read_state(uint32_t tensor, uint32_t offset, uint8_t *to, uint32_t n) {
    hold(tensor);
    const std::vector<uint8_t> memory = et_memory(ET_STATES[tensor].form, held);
    et_copy(to, memory.data() + offset, n);
}

void et_write_state(uint32_t tensor, uint32_t offset, const uint8_t *from, uint32_t n) {
    const State &s = ET_STATES[tensor];
    hold(tensor);
    std::vector<uint8_t> memory = et_memory(s.form, held);
    et_copy(memory.data() + offset, from, n);
    const std::vector<long long> wanted = et_elements(s.form, memory.data());
    for (std::size_t i = 0; i < wanted.size(); i++) {
        if (wanted[i] != held[i]) {
            store(s, i, wanted[i]);
        }
    }
    held = wanted;
}

void et_init(void) {
    static bool running = false;
    if (!running) {
        const char *const seed = std::getenv("ET_STALLS");
        stalls = seed != nullptr ? static_cast<uint32_t>(std::strtoul(seed, nullptr, 10)) : 0;
        put(circuit.PIN(aresetn), 0);
        for (int i = 0; i < 4; i++) {
            tick();
        }
        put(circuit.PIN(aresetn), 1);
        running = true;
        if (std::getenv("ET_AXI") != nullptr) {
            serve_lines();
            std::exit(0);
        }
    }
    held_tensor = ~0u;
    write_register(ET_CONTROL, ET_RESET_COMMAND);
    wait_until_idle();
    for (uint32_t tensor = 0; tensor < et_state_count; tensor++) {
        const State &s = ET_STATES[tensor];
        for (std::size_t i = 0; i < s.address.size(); i++) {
            store(s, i, s.initial[i]);
        }
    }
}

uint32_t et_counter(void) { return counted; }

} // extern "C"
