"""How elements lie in memory, read back by a reader that knows only the description."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.compiler.layout import WORD_BITS, Layout, packed_bits, storage_dtype
from edgetrain.compiler.types import FLOAT32, Float, Int, Scalar, TensorType
from tests.compiler.draws import Array, draw

ORDERS: dict[int, list[tuple[int, ...] | None]] = {
    1: [None, (0,)],
    2: [None, (0, 1), (1, 0)],
    3: [None, (2, 0, 1), (1, 2, 0)],
}
PACKED = [Int(0, 1), Int(-1, 0), Int(-2, 1), Int(0, 3), Int(-1, 1), Int(-8, 7), Int(0, 15)]


def fields(memory: bytes, bits: int, signed: bool, row: int, count: int) -> list[int]:
    """`count` elements from each row of words, the first in the lowest bits."""
    found = []
    words_a_row = -(-row // (WORD_BITS // bits))
    for start in range(0, len(memory), 4 * words_a_row):
        for element in range(row):
            word, place = divmod(element, WORD_BITS // bits)
            at = start + 4 * word
            value = int.from_bytes(memory[at : at + 4], "little") >> (place * bits) & (2**bits - 1)
            found.append(value - 2**bits if signed and value >> (bits - 1) else value)
    assert len(found) == count
    return found


shapes = st.integers(1, 3).flatmap(
    lambda rank: st.tuples(
        st.tuples(*[st.integers(1, 40 if rank < 3 else 6)] * rank), st.sampled_from(ORDERS[rank])
    )
)


@given(shapes, st.sampled_from(PACKED), st.integers(0, 2**32))
def test_packed_elements_are_read_back(
    shape_and_order: tuple[tuple[int, ...], tuple[int, ...] | None], scalar: Int, seed: int
) -> None:
    shape, order = shape_and_order
    bits = packed_bits(scalar)
    assert bits is not None
    kind, layout = TensorType(shape, scalar), Layout(order, bits)
    array = draw(np.random.default_rng(seed), kind)
    memory = layout.arrange(kind, array)
    assert memory.dtype == np.uint32
    assert memory.nbytes == layout.bytes(kind)
    ordered = array.transpose(order or range(array.ndim))
    read = fields(
        memory.astype("<u4").tobytes(), bits, scalar.signed, ordered.shape[-1], array.size
    )
    assert read == ordered.reshape(-1).tolist()
    assert_restored(layout, kind, array)


def assert_restored(layout: Layout, kind: TensorType, array: Array) -> None:
    """What lies in memory is the tensor again, in the type and shape that it had."""
    memory = layout.arrange(kind, array)
    assert (memory.dtype, len(memory)) == (layout.dtype(kind), layout.length(kind))
    restored = layout.restore(kind, memory)
    assert (restored.dtype, restored.shape) == (storage_dtype(kind.scalar), kind.shape)
    assert restored.tobytes() == array.astype(restored.dtype).tobytes()


@given(
    shapes,
    st.sampled_from([Int(-5, 5), Int(0, 300), Int(-(2**40), 0), FLOAT32]),
    st.integers(0, 99),
)
def test_whole_elements_are_read_back(
    shape_and_order: tuple[tuple[int, ...], tuple[int, ...] | None], scalar: Scalar, seed: int
) -> None:
    shape, order = shape_and_order
    kind, layout = TensorType(shape, scalar), Layout(order)
    array = draw(np.random.default_rng(seed), kind)
    memory = layout.arrange(kind, array)
    assert memory.dtype == storage_dtype(scalar)
    assert memory.nbytes == layout.bytes(kind)
    assert memory.tobytes() == array.transpose(order or range(array.ndim)).tobytes()
    assert_restored(layout, kind, array)


def test_a_scalar_is_one_element() -> None:
    kind = TensorType((), Int(-4, 3))
    assert Layout().arrange(kind, np.array(-3, np.int8)).tolist() == [-3]
    assert Layout().bytes(kind) == 1
    assert_restored(Layout(), kind, np.array(-3, np.int8))


@pytest.mark.parametrize(
    ("scalar", "bits"),
    [
        (Int(0, 1), 1),
        (Int(-1, 0), 1),
        (Int(-1, 1), 2),
        (Int(0, 3), 2),
        (Int(0, 4), 4),
        (Int(-8, 7), 4),
        (Int(-9, 0), None),
        (Int(0, 16), None),
        (FLOAT32, None),
    ],
)
def test_fields_are_the_narrowest_that_divide_a_word(scalar: Scalar, bits: int | None) -> None:
    assert packed_bits(scalar) == bits


@pytest.mark.parametrize(
    ("scalar", "name"),
    [
        (Int(0, 255), "uint8"),
        (Int(0, 256), "uint16"),
        (Int(-1, 127), "int8"),
        (Int(-1, 128), "int16"),
        (Int(-(2**31), 0), "int32"),
        (Int(0, 2**32 - 1), "uint32"),
        (Int(0, 2**32), "uint64"),
        (Int(-1, 2**32), "int64"),
        (Int(-(2**63), 2**63 - 1), "int64"),
        (Float(16), "float16"),
        (FLOAT32, "float32"),
    ],
)
def test_storage_is_the_narrowest_type_that_holds_the_range(scalar: Scalar, name: str) -> None:
    assert storage_dtype(scalar) == np.dtype(name)
