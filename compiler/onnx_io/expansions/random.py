"""Random numbers, in unsigned integers of 32 bits, whose products ONNX takes modulo 2^32."""

import numpy as np

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import UNSIGNED_WORD, Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import INEXPRESSIBLE, expands
from edgetrain.compiler.types import FLOAT32, UINT32

INEXPRESSIBLE["round_stochastic"] = "no standard operator reads the bits of a float"


@expands("random")
def random(e: Emitter, node: Node, step: str, sample: str | None = None) -> str:
    given, shape = node.attributes, node.attributes["shape"]
    index = e.constant(np.arange(np.prod(shape, dtype=int), dtype=np.uint32).reshape(shape))
    if sample is not None:
        if node.inputs[1].type.shape:
            sample = e.node("Reshape", sample, e.integers(-1, *[1] * len(shape)))
        size = _word(e, int(np.prod(shape, dtype=int)))
        index = e.node("Add", e.node("Mul", _unsigned(e, sample), size), index)
    bits = _bits(e, node, step, index)
    numbers = {"normal": _normal, "uniform": _uniform, "rademacher": _rademacher}
    z = numbers[given["distribution"]](e, bits)
    return e.node("Mul", z, e.number(given["scale"], FLOAT32))


def _bits(e: Emitter, node: Node, step: str, index: str) -> str:
    key = _word(e, scrambled(node.attributes["seed"]) ^ node.attributes["stream"])
    of_step = _scramble(e, e.node("BitwiseXor", _scramble(e, key), _unsigned(e, step)))
    of_index = _scramble(e, e.node("BitwiseXor", key, index))
    return _scramble(e, e.node("BitwiseXor", of_index, of_step))


def _normal(e: Emitter, bits: str) -> str:
    total = e.node("BitwiseAnd", bits, _word(e, 0xFF))
    for place in (8, 16, 24):
        byte = e.node("BitwiseAnd", _shifted(e, bits, place), _word(e, 0xFF))
        total = e.node("Add", total, byte)
    centred = e.node("Sub", _signed(e, total), _integer(e, 510))
    thrice = e.node("Mul", e.node("Mul", centred, centred), _integer(e, 3))
    cubic = e.node("Add", thrice, _integer(e, 3453432))
    # No quotient is negative here: it is rounded down.
    z = e.node("Mul", centred, e.node("Div", cubic, _integer(e, 256)))
    return _over(e, z, 21)


def _uniform(e: Emitter, bits: str) -> str:
    twice = e.node("Mul", _signed(e, _shifted(e, bits, 8)), _integer(e, 2))
    return _over(e, e.node("Sub", twice, _integer(e, 2**24 - 1)), 24)


def _rademacher(e: Emitter, bits: str) -> str:
    twice = e.node("Mul", _signed(e, _shifted(e, bits, 31)), _integer(e, 2))
    return _over(e, e.node("Sub", _integer(e, 1), twice), 0)


def _over(e: Emitter, z: str, fraction: int) -> str:
    """z·2^-fraction as a float."""
    number = e.node("Cast", z, to=element_type(FLOAT32))
    return e.node("Mul", number, e.number(2.0**-fraction, FLOAT32))


_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))


def _scramble(e: Emitter, x: str) -> str:
    for shift, factor in _ROUNDS:
        x = e.node("BitwiseXor", x, _shifted(e, x, shift))
        x = e.node("Mul", x, _word(e, factor))
    return e.node("BitwiseXor", x, _shifted(e, x, 16))


def scrambled(x: int) -> int:
    """The same of a number that is known now."""
    for shift, factor in _ROUNDS:
        x = (x ^ x >> shift) * factor % 2**32
    return x ^ x >> 16


def _shifted(e: Emitter, x: str, by: int) -> str:
    return e.node("BitShift", x, _word(e, by), direction="RIGHT")


def _word(e: Emitter, value: int) -> str:
    return e.constant(np.array(value, np.uint32))


def _integer(e: Emitter, value: int) -> str:
    return e.constant(np.array(value, np.int64))


def _unsigned(e: Emitter, x: str) -> str:
    return e.node("Cast", x, to=UNSIGNED_WORD)


def _signed(e: Emitter, x: str) -> str:
    return e.node("Cast", x, to=element_type(UINT32))


@expands("where_small")
def where_small(e: Emitter, node: Node, y: str, x: str) -> str:
    scalar = node.inputs[1].type.scalar
    small = e.node("LessOrEqual", e.node("Abs", x), e.number(node.attributes["most"], scalar))
    return e.node("Where", small, y, e.number(0, node.inputs[0].type.scalar))


@expands("other_label")
def other_label(e: Emitter, node: Node, label: str, step: str, sample: str | None = None) -> str:
    classes = node.attributes["classes"]
    index = _word(e, 0) if sample is None else _unsigned(e, sample)
    bits = _signed(e, _bits(e, node, step, index))
    # A product of integers that are not negative: its high word by a quotient rounded down.
    product = e.node("Mul", bits, _integer(e, classes - 1))
    further = e.node("Add", e.node("Div", product, _integer(e, 2**32)), _integer(e, 1))
    return e.node("Mod", e.node("Add", label, further), _integer(e, classes))
