// The link server's view of a simulated circuit: entries become beats of AXI4-Stream, state words
// of AXI4-Lite.  et_circuit.h, generated, describes the streams, the state and the registers.
//
// The environment variable ET_STALLS, a number other than 0, makes both streams stall at random.  With
// ET_AXI set, lines on standard input drive the interfaces instead of the link, numbers in hex:
// "r OFFSET" and "w OFFSET VALUE" registers, "f BEAT…" a frame, whose answer is a line of beats, and
// "p BEAT…" a part of a frame.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "et_forms.h"
#include "et_port.h"
#include "et_tables.h"

#ifdef ET_CXXRTL
#include "circuit.cpp"
#include "et_pins.h"
typedef cxxrtl_design::p_edgetrain Circuit;
#define PIN(name) PIN_##name // et_pins.h, generated
#else
#include "Vedgetrain.h"
#include "verilated.h"
typedef Vedgetrain Circuit;
#define PIN(name) name
#endif

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

typedef std::vector<uint32_t> Words;

const uint64_t PATIENCE = 2000000000; // cycles of a frame

// Pins of any width, in whichever way the simulator has them.
void put(uint8_t &pin, const Words &words) { pin = static_cast<uint8_t>(words[0]); }
void put(uint16_t &pin, const Words &words) { pin = static_cast<uint16_t>(words[0]); }
void put(uint32_t &pin, const Words &words) { pin = words[0]; }
void put(uint64_t &pin, const Words &words) {
    pin = words[0] | (words.size() > 1 ? static_cast<uint64_t>(words[1]) << 32 : 0);
}
void get(Words &words, uint64_t pin) {
    words[0] = static_cast<uint32_t>(pin);
    if (words.size() > 1) {
        words[1] = static_cast<uint32_t>(pin >> 32);
    }
}
#ifdef ET_CXXRTL
template <size_t BITS> void put(cxxrtl::value<BITS> &pin, const Words &words) {
    for (size_t i = 0; i < pin.chunks; i++) {
        pin.data[i] = words[i] & (i + 1 == pin.chunks ? pin.msb_mask : ~0u);
    }
}
template <size_t BITS> void get(Words &words, const cxxrtl::value<BITS> &pin) {
    for (size_t i = 0; i < pin.chunks; i++) {
        words[i] = pin.data[i];
    }
}
template <size_t BITS> void get(Words &words, const cxxrtl::wire<BITS> &pin) { get(words, pin.curr); }
#else
template <std::size_t N> void put(VlWide<N> &pin, const Words &words) {
    for (std::size_t i = 0; i < N; i++) {
        pin[i] = words[i];
    }
}
template <std::size_t N> void get(Words &words, const VlWide<N> &pin) {
    for (std::size_t i = 0; i < N; i++) {
        words[i] = pin[i];
    }
}
#endif

template <class Pin> void put(Pin &pin, uint32_t value) { put(pin, Words(1, value)); }
template <class Pin> uint32_t get(const Pin &pin) {
    Words words(1);
    get(words, pin);
    return words[0];
}

Circuit circuit;
uint32_t stalls;
uint32_t counted; // cycles of the last frame

// Before the rising edge: combinational outputs follow the inputs.
void settle() {
#ifdef ET_CXXRTL
    circuit.step();
#else
    circuit.eval();
#endif
}

void tick() {
    put(circuit.PIN(aclk), 1);
    settle();
    put(circuit.PIN(aclk), 0);
    settle();
}

bool stalled() {
    if (stalls == 0) {
        return false;
    }
    stalls = stalls * 1664525u + 1013904223u;
    return stalls >> 24 < 96;
}

[[noreturn]] void give_up(const char *what) {
    std::fprintf(stderr, "the circuit does not %s\n", what);
    std::exit(1);
}

uint32_t read_register(uint32_t offset) {
    put(circuit.PIN(s_axi_araddr), offset);
    put(circuit.PIN(s_axi_arvalid), 1);
    put(circuit.PIN(s_axi_rready), 1);
    bool taken = false;
    for (int i = 0; i < 100; i++) {
        settle();
        const bool take = get(circuit.PIN(s_axi_arready)) != 0;
        const bool done = get(circuit.PIN(s_axi_rvalid)) != 0;
        const uint32_t value = get(circuit.PIN(s_axi_rdata));
        tick();
        if (take && !taken) {
            taken = true;
            put(circuit.PIN(s_axi_arvalid), 0);
        }
        if (done) {
            put(circuit.PIN(s_axi_rready), 0);
            return value;
        }
    }
    give_up("answer on AXI4-Lite");
}

void write_register(uint32_t offset, uint32_t value) {
    put(circuit.PIN(s_axi_awaddr), offset);
    put(circuit.PIN(s_axi_wdata), value);
    put(circuit.PIN(s_axi_wstrb), 15);
    put(circuit.PIN(s_axi_awvalid), 1);
    put(circuit.PIN(s_axi_wvalid), 1);
    put(circuit.PIN(s_axi_bready), 1);
    for (int i = 0; i < 100; i++) {
        settle();
        const bool take = get(circuit.PIN(s_axi_awready)) != 0;
        const bool done = get(circuit.PIN(s_axi_bvalid)) != 0;
        tick();
        if (take) {
            put(circuit.PIN(s_axi_awvalid), 0);
            put(circuit.PIN(s_axi_wvalid), 0);
        }
        if (done) {
            put(circuit.PIN(s_axi_bready), 0);
            return;
        }
    }
    give_up("answer on AXI4-Lite");
}

void wait_until_idle() {
    for (int i = 0; i < 1000000; i++) {
        if (read_register(ET_STATUS) == 0) {
            return;
        }
    }
    give_up("become idle");
}

uint64_t read_word(uint32_t tensor, uint32_t address) {
    write_register(ET_STATE_TENSOR, tensor);
    write_register(ET_STATE_ADDRESS, address);
    write_register(ET_STATE_COMMAND, ET_READ_COMMAND);
    wait_until_idle();
    return read_register(ET_STATE_LOW) | static_cast<uint64_t>(read_register(ET_STATE_HIGH)) << 32;
}

void write_word(uint32_t tensor, uint32_t address, uint64_t value) {
    write_register(ET_STATE_TENSOR, tensor);
    write_register(ET_STATE_ADDRESS, address);
    write_register(ET_STATE_LOW, static_cast<uint32_t>(value));
    write_register(ET_STATE_HIGH, static_cast<uint32_t>(value >> 32));
    write_register(ET_STATE_COMMAND, ET_WRITE_COMMAND);
}

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

// Sends a frame and receives its answer; or sends a part of one.
std::vector<Words> transfer(const std::vector<Words> &sent, bool whole) {
    std::vector<Words> received;
    std::size_t next = 0;
    bool offered = false;
    for (uint64_t cycle = 0; cycle < PATIENCE; cycle++) {
        offered = next < sent.size() && (offered || !stalled());
        const bool willing = whole && !stalled();
        put(circuit.PIN(s_axis_tvalid), offered);
        put(circuit.PIN(m_axis_tready), willing);
        if (offered) {
            put(circuit.PIN(s_axis_tdata), sent[next]);
        }
        settle();
        const bool taken = offered && get(circuit.PIN(s_axis_tready)) != 0;
        const bool given = willing && get(circuit.PIN(m_axis_tvalid)) != 0;
        const bool last = get(circuit.PIN(m_axis_tlast)) != 0;
        if (given) {
            received.push_back(Words((ET_M_BITS + 31) / 32));
            get(received.back(), circuit.PIN(m_axis_tdata));
        }
        tick();
        if (taken) {
            next++;
            offered = false;
        }
        if ((given && last) || (!whole && next == sent.size())) {
            put(circuit.PIN(s_axis_tvalid), 0);
            put(circuit.PIN(m_axis_tready), 0);
            return received;
        }
    }
    give_up("answer");
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

// The digits of a number, the lowest word first.
Words parsed(const std::string &text, uint32_t bits) {
    Words words((bits + 31) / 32, 0);
    for (std::size_t i = 0; i < text.size(); i++) {
        const uint32_t digit = static_cast<uint32_t>(std::strtoul(text.substr(i, 1).c_str(), nullptr, 16));
        const std::size_t place = text.size() - 1 - i;
        words.at(place / 8) |= digit << (4 * (place % 8));
    }
    return words;
}

// Serves the interfaces themselves.
void serve() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream fields(line);
        std::string command, field;
        std::vector<std::string> texts;
        fields >> command;
        while (fields >> field) {
            texts.push_back(field);
        }
        if (command == "r") {
            std::printf("%x\n", read_register(parsed(texts.at(0), 32)[0]));
        } else if (command == "w") {
            write_register(parsed(texts.at(0), 32)[0], parsed(texts.at(1), 32)[0]);
            std::printf("\n");
        } else {
            std::vector<Words> beats;
            for (const std::string &text : texts) {
                beats.push_back(parsed(text, ET_S_BITS));
            }
            for (const Words &words : transfer(beats, command == "f")) {
                for (std::size_t i = words.size(); i-- > 0;) {
                    std::printf("%08x", words[i]);
                }
                std::printf(" ");
            }
            std::printf("\n");
        }
        std::fflush(stdout);
    }
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
            serve();
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
