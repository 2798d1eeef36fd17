// The circuit's interfaces: registers on AXI4-Lite, frames on AXI4-Stream, and state behind registers.
#ifndef CIRCUIT_BUS_H
#define CIRCUIT_BUS_H

#include <cstdio>
#include <cstdlib>

#include "circuit_pins.h"
#include "et_registers.h" // generated

namespace {

const uint64_t PATIENCE = 2000000000; // cycles of a frame

uint32_t stalls; // 0, or the state of the generator by which both streams stall

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

} // namespace

#endif
