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

struct Stream {
    uint32_t size, bytes, bits, lanes;
    bool is_signed;
    int64_t low, high;
};
struct Ports {
    std::vector<Stream> in, out;
};
struct State {
    uint32_t tensor; // as the circuit numbers it
    uint32_t row, bytes, field, bits; // elements a row, bytes of a stored word, bits of a field in it
    bool is_signed;
    std::vector<uint32_t> address; // of each element, in the order in which they are stored
    std::vector<uint64_t> initial;
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

uint64_t field_of(uint64_t value, uint32_t bits) { return bits < 64 ? value & ((uint64_t{1} << bits) - 1) : value; }

int64_t extended(uint64_t value, uint32_t bits, bool is_signed) {
    value = field_of(value, bits);
    return static_cast<int64_t>(is_signed && bits < 64 && value >> (bits - 1) ? value - (uint64_t{1} << bits) : value);
}

uint64_t load(const uint8_t *at, uint32_t bytes) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        value |= static_cast<uint64_t>(at[i]) << (8 * i);
    }
    return value;
}

void store(uint8_t *at, uint32_t bytes, uint64_t value) {
    for (uint32_t i = 0; i < bytes; i++) {
        at[i] = static_cast<uint8_t>(value >> (8 * i));
    }
}

void set_bits(Words &words, uint32_t at, uint32_t bits, uint64_t value) {
    for (uint32_t i = 0; i < bits; i++) {
        words[(at + i) / 32] |= static_cast<uint32_t>(value >> i & 1) << ((at + i) % 32);
    }
}

uint64_t get_bits(const Words &words, uint32_t at, uint32_t bits) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < bits; i++) {
        value |= static_cast<uint64_t>(words[(at + i) / 32] >> ((at + i) % 32) & 1) << i;
    }
    return value;
}

// The beats of an entry's inputs; false where an element is out of its range.
bool packed(const Ports &ports, const uint8_t *in, std::vector<Words> &beats) {
    for (const Stream &s : ports.in) {
        for (uint32_t i = 0; i < s.size; i++, in += s.bytes) {
            const uint64_t stored = load(in, s.bytes);
            const int64_t value = extended(stored, 8 * s.bytes, s.is_signed);
            if (value < s.low || value > s.high) {
                return false;
            }
            if (i % s.lanes == 0) {
                beats.push_back(Words((ET_S_BITS + 31) / 32, 0));
            }
            set_bits(beats.back(), i % s.lanes * s.bits, s.bits, field_of(stored, s.bits));
        }
    }
    return true;
}

void unpacked(const Ports &ports, const std::vector<Words> &beats, uint8_t *out) {
    std::size_t beat = 0;
    for (const Stream &s : ports.out) {
        for (uint32_t i = 0; i < s.size; i++, out += s.bytes) {
            const uint64_t value = get_bits(beats[beat + i / s.lanes], i % s.lanes * s.bits, s.bits);
            store(out, s.bytes, static_cast<uint64_t>(extended(value, s.bits, s.is_signed)));
        }
        beat += (s.size + s.lanes - 1) / s.lanes;
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

// A tensor as a processor would have it in memory, until the next frame changes it.
std::vector<uint8_t> held;
uint32_t held_tensor = ~0u;

// Where element i of a state lies: the stored word, and the lowest bit in it.
void place(const State &s, uint32_t i, uint32_t &word, uint32_t &shift) {
    word = i;
    shift = 0;
    if (s.field != 0) {
        const uint32_t per_word = 32 / s.field;
        word = i / s.row * ((s.row + per_word - 1) / per_word) + i % s.row / per_word;
        shift = i % s.row % per_word * s.field;
    }
}

void hold(uint32_t tensor) {
    if (tensor == held_tensor) {
        return;
    }
    wait_until_idle();
    const State &s = ET_STATES[tensor];
    held.assign(et_state[tensor].bytes, 0);
    for (uint32_t i = 0; i < s.address.size(); i++) {
        uint32_t word, shift;
        place(s, i, word, shift);
        const int64_t value = extended(read_word(s.tensor, s.address[i]), s.bits, s.is_signed);
        const uint64_t field = field_of(static_cast<uint64_t>(value), s.field ? s.field : 8 * s.bytes);
        uint8_t *const at = &held[word * s.bytes];
        store(at, s.bytes, load(at, s.bytes) | field << shift);
    }
    held_tensor = tensor;
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
    for (const Stream &s : ports.out) {
        expected += (s.size + s.lanes - 1) / s.lanes;
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
    et_copy(to, held.data() + offset, n);
}

void et_write_state(uint32_t tensor, uint32_t offset, const uint8_t *from, uint32_t n) {
    const State &s = ET_STATES[tensor];
    hold(tensor);
    et_copy(held.data() + offset, from, n);
    for (uint32_t i = 0; i < s.address.size(); i++) {
        uint32_t word, shift;
        place(s, i, word, shift);
        if (word * s.bytes < offset + n && (word + 1) * s.bytes > offset) {
            const uint64_t stored = load(&held[word * s.bytes], s.bytes) >> shift;
            write_word(s.tensor, s.address[i], field_of(stored, s.bits));
        }
    }
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
            write_word(s.tensor, s.address[i], field_of(s.initial[i], s.bits));
        }
    }
}

uint32_t et_counter(void) { return counted; }

} // extern "C"
