// The interfaces driven by lines on standard input, numbers in hex: "r OFFSET" and "w OFFSET VALUE"
// registers, "f BEAT…" a frame, whose answer is a line of beats, and "p BEAT…" a part of a frame.
#ifndef CIRCUIT_LINES_H
#define CIRCUIT_LINES_H

#include <iostream>
#include <sstream>
#include <string>

#include "circuit_bus.h"

namespace {

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

// Until the input ends.
void serve_lines() {
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

#endif
