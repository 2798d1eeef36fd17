/* A testbench that checks itself: sends the frames of vectors.txt to the engine, and compares its answers
 * with those that the simulator gave.
 *
 * vectors.txt, of words between blanks: for each call its entry, how many beats it takes and how many it
 * gives; then those that it takes, and those that it is to give, as hexadecimal numbers. */
#include <cstdio>
#include <fstream>
#include <string>

#include "et_engine.h"

template <int W> static ap_uint<W> number(const std::string &digits) {
    ap_uint<W> value = 0;
    for (size_t i = 0; i < digits.size(); i++) {
        const int code = digits[i];
        value = (value << 4) | ap_uint<W>(code <= '9' ? code - '0' : code - 'a' + 10);
    }
    return value;
}

int main() {
    std::ifstream file("vectors.txt");
    unsigned entry = 0, calls = 0, wrong = 0;
    int taken = 0, given = 0;
    std::string word;
    while (file >> entry >> taken >> given) {
        et_stream<et_s_beat> s;
        et_stream<et_m_beat> m;
        for (int i = 0; i < taken; i++) {
            et_s_beat beat;
            file >> word;
            beat.data = number<ET_S_BITS>(word);
            beat.keep = -1;
            beat.strb = -1;
            beat.last = i == taken - 1;
            s.write(beat);
        }
        et_engine(entry, s, m);
        for (int i = 0; i < given; i++) {
            const et_m_beat beat = m.read();
            const bool last = beat.last != 0;
            file >> word;
            if (beat.data != number<ET_M_BITS>(word) || last != (i == given - 1)) {
                std::printf("call %u, entry %u: beat %d is not %s\n", calls, entry, i, word.c_str());
                wrong++;
            }
        }
        calls++;
    }
    if (!file.eof() || calls == 0) {
        std::printf("vectors.txt cannot be read\n");
        return 1;
    }
    std::printf("%u calls, %u beats wrong\n", calls, wrong);
    return wrong != 0;
}
