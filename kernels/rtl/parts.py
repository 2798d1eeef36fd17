"""What a circuit is made of, in numbers from which its size can be estimated before synthesis.

Each kind of part is counted in bits or pieces of which a synthesiser makes about the same: `sum`,
`comparison`, `choice`, `product` are bits of results, or operands; `table` is a bit of a
function of at most six; `row` a bit of an adder, or added to it; `ram` a look-up table used as
memory, `rom` a bit of constants in logic, `block` half a block RAM, `dsp` a multiplier.
"""

from collections import Counter

from edgetrain.compiler.expr import Apply, Const
from edgetrain.compiler.types import Int

_DSP_BITS = 9
"""From so many bits of the product of two values on, Yosys takes a DSP slice."""
_BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Bits and words of half a block RAM (AMD, UltraScale Architecture Memory Resources, UG573)."""


def parts_of(node: Apply) -> Counter[str]:
    """Of one operation on integers."""
    own = node.type
    kinds = [a.type for a in node.args]
    assert isinstance(own, Int)
    bits = [kind.bits for kind in kinds if isinstance(kind, Int)]
    match node.op:
        case "add" | "sub":
            return Counter(sum=own.bits)
        case "lt" | "le" | "eq":
            return Counter(comparison=max(bits))
        case "min" | "max":
            return Counter(comparison=max(bits), choice=own.bits)
        case "select":
            return Counter(choice=own.bits)
        case "mul" | "mul_wrap":
            return _product(node, bits)
        case "shl" | "shr" if not isinstance(node.args[1], Const):
            return Counter(choice=own.bits * bits[1])
        case "popcount":
            return Counter(sum=bits[0])
        case "div":
            return Counter(sum=bits[0] * bits[1])
    return Counter()


def _product(node: Apply, bits: list[int]) -> Counter[str]:
    constant = next((a for a in node.args if isinstance(a, Const)), None)
    if constant is not None:
        digits = bin(abs(int(constant.value)) ^ 3 * abs(int(constant.value))).count("1")
        return Counter(sum=max(0, digits - 1) * sum(bits))
    own = node.type
    assert isinstance(own, Int)
    if own.bits >= _DSP_BITS and min(bits) > 1:
        return Counter(dsp=-(-bits[0] // 17) * -(-bits[1] // 17))
    return Counter(product=bits[0] * bits[1])


def memory_parts(width: int, words: int, ports: int, block: bool) -> Counter[str]:
    """Of a memory that is written; each port that reads has a copy."""
    if block:
        return Counter(block=ports * _halves(width, words))
    deep, bits = (32, 14) if words <= 32 else (64, 7)
    return Counter(ram=8 * ports * -(-width // bits) * -(-words // deep))


def table_parts(width: int, words: int, block: bool) -> Counter[str]:
    """Of a table of constants."""
    if block:
        return Counter(block=_halves(width, words))
    return Counter(rom=width * words)


def _halves(width: int, words: int) -> int:
    return min(-(-width // bits) * -(-words // deep) for bits, deep in _BLOCK_SHAPES)
