/* AXI4-Stream: under Vitis HLS its own, elsewhere just enough to simulate. */
#ifndef ET_STREAM_H
#define ET_STREAM_H

#include <ap_int.h>

#if defined(__SYNTHESIS__) || defined(__VITIS_HLS__)

#include <ap_axi_sdata.h>
#include <hls_stream.h>

template <int W> using et_beat = ap_axiu<W, 0, 0, 0>;
template <typename T> using et_stream = hls::stream<T>;

#else

#include <cstdio>
#include <cstdlib>
#include <deque>

/* The members of ap_axiu<W, 0, 0, 0>. */
template <int W> struct et_beat {
    ap_uint<W> data;
    ap_uint<W / 8> keep;
    ap_uint<W / 8> strb;
    ap_uint<1> last;
};

/* First in, first out, without a bound. */
template <typename T> class et_stream {
  public:
    bool empty() const { return beats.empty(); }
    void write(const T &beat) { beats.push_back(beat); }
    T read() {
        if (beats.empty()) {
            std::fputs("a stream is read that is empty\n", stderr);
            std::abort();
        }
        const T beat = beats.front();
        beats.pop_front();
        return beat;
    }

  private:
    std::deque<T> beats;
};

#endif

#endif
