/* Between the link's bytes and the elements of tensors: what a simulated circuit needs beside et_tables.h.
 *
 * It runs on the host and is not synthesised. */
#ifndef ET_FORMS_H
#define ET_FORMS_H

#include <stddef.h>
#include <stdint.h>
#include <vector>

/* One tensor. */
struct et_form {
    /* On the stream: elements, those of a beat, and the bits of each. */
    int size, lanes, bits;
    /* Its elements: two's complement or not, and their range. */
    bool is_signed;
    long long lo, hi;
    /* In memory: bytes in all and of an element, or bits of a field of a 32-bit word; the lengths of its
     * axes and how far apart neighbours lie in row-major order, the slowest axis first. */
    unsigned bytes;
    int element_bytes, field_bits;
    std::vector<int> lengths, strides;
};

/* Where the elements lie in memory, one after another: their places in row-major order. */
inline std::vector<int> et_order(const et_form &form) {
    std::vector<int> places(1, 0);
    for (size_t axis = 0; axis < form.lengths.size(); axis++) {
        std::vector<int> longer;
        for (size_t i = 0; i < places.size(); i++) {
            for (int turn = 0; turn < form.lengths[axis]; turn++) {
                longer.push_back(places[i] + turn * form.strides[axis]);
            }
        }
        places = longer;
    }
    return places;
}

/* The first bit in memory of element number `i` in the order of memory. */
inline size_t et_first_bit(const et_form &form, size_t i) {
    if (form.field_bits == 0) {
        return i * 8u * (size_t)form.element_bytes;
    }
    const size_t row = form.lengths.empty() ? 1u : (size_t)form.lengths.back();
    const size_t fields = 32u / (size_t)form.field_bits;
    const size_t words = (row + fields - 1u) / fields;
    const size_t column = i % row;
    return (i / row * words + column / fields) * 32u + column % fields * (size_t)form.field_bits;
}

inline int et_width(const et_form &form) {
    return form.field_bits == 0 ? 8 * form.element_bytes : form.field_bits;
}

/* The elements, in row-major order, that lie at `memory`, which is little-endian. */
inline std::vector<long long> et_elements(const et_form &form, const uint8_t *memory) {
    const std::vector<int> order = et_order(form);
    const int width = et_width(form);
    std::vector<long long> found(order.size());
    for (size_t i = 0; i < order.size(); i++) {
        const size_t first = et_first_bit(form, i);
        uint64_t value = 0;
        for (int bit = 0; bit < width; bit++) {
            const size_t at = first + (size_t)bit;
            value |= (uint64_t)(memory[at / 8u] >> (at % 8u) & 1u) << bit;
        }
        if (form.is_signed && width < 64 && (value >> (width - 1) & 1u) != 0u) {
            value |= ~(uint64_t)0 << width;
        }
        found[(size_t)order[i]] = (long long)value;
    }
    return found;
}

/* The bytes of memory that hold `elements`. */
inline std::vector<uint8_t> et_memory(const et_form &form, const std::vector<long long> &elements) {
    const std::vector<int> order = et_order(form);
    const int width = et_width(form);
    std::vector<uint8_t> memory(form.bytes, 0);
    for (size_t i = 0; i < order.size(); i++) {
        const size_t first = et_first_bit(form, i);
        const uint64_t value = (uint64_t)elements[(size_t)order[i]];
        for (int bit = 0; bit < width; bit++) {
            const size_t at = first + (size_t)bit;
            memory[at / 8u] = (uint8_t)(memory[at / 8u] | (value >> bit & 1u) << (at % 8u));
        }
    }
    return memory;
}

/* Whether all lie in the range. */
inline bool et_within(const et_form &form, const std::vector<long long> &elements) {
    for (size_t i = 0; i < elements.size(); i++) {
        if (elements[i] < form.lo || elements[i] > form.hi) {
            return false;
        }
    }
    return true;
}

#endif
