// The simulated circuit and its pins, in whichever way Verilator or CXXRTL has them.
#ifndef CIRCUIT_PINS_H
#define CIRCUIT_PINS_H

#include <cstdint>
#include <vector>

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

namespace {

typedef std::vector<uint32_t> Words;

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

} // namespace

#endif
