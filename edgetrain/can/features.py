"""The 57 inputs that the detector sees of a frame, defined once for simulator and firmware.

A feature is a comparison; none needs more than integers.  Per identifier (and once for all unknown
ones) the front end keeps the last two payloads, the time of the last frame and the gap before it.
At the first sight of an identifier its gaps count as its period and its earlier payloads as equal
to the present one, so that nothing looks odd.  docs/can-ids.md lists the inputs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.frames import Frames
from edgetrain.can.table import EXTENDED, PERIOD_LIMIT, IdentifierTable
from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    assume,
    bit_and,
    bit_xor,
    eq,
    le,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    popcount,
    select,
    shift_right,
    sub,
)
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.types import BOOL, Int, TensorType
from edgetrain.executor import NestExecutor, Tensor

Array = NDArray[Any]

IDENTIFIER_BITS = 11
VIOLATIONS = (1, 2, 4, 8, 16)
DISTANCES = (1, 2, 4, 8, 12, 16, 24, 32)
TWENTIETHS = (1, 3, 6, 10, 14, 17, 19, 21, 23, 26, 32, 42)
"""Gap over period, in units of 1/20: .05, .15, .3, .5, .7, .85, .95, 1.05, 1.15, 1.3, 1.6, 2.1."""

COUNT = IDENTIFIER_BITS + 1 + len(VIOLATIONS) + 2 * len(DISTANCES) + 2 * len(TWENTIETHS)

BYTES = 8
TIME = Int(0, 2**62 - 1)
GAP = Int(0, PERIOD_LIMIT - 1)
IDENTIFIER = Int(0, EXTENDED - 1)
KEY = Int(0, 2 * EXTENDED)
PAYLOAD = TensorType((BYTES,), Int(0, 255))

_NO_KEY = 2 * EXTENDED
"""Ends the table of keys: greater than any."""


def _scalar(name: str, scalar: Int) -> Read:
    return Read(name, (), TensorType((), scalar))


def _map(reads: tuple[Read, ...], body: Expr) -> Nest:
    return Nest((), reads, (Out("y", (), body.type, body),))


def key_nest() -> Nest:
    """(id, extended) → the identifier's key in the table."""
    id_, extended = _scalar("id", IDENTIFIER), _scalar("extended", BOOL)
    body = add(id_.value, mul(extended.value, EXTENDED))
    return _map((id_, extended), body)


def position_nest(rows: int) -> Nest:
    """(key, keys) → how many of the `rows` ascending keys, the end mark apart, are smaller."""
    key = _scalar("key", Int(0, 2 * EXTENDED - 1))
    s = Dim("s", rows + 1)
    known = Read("keys", (s,), TensorType((rows + 1,), KEY))
    count = fold("add", lt(known.value, key.value), lift(0), rows + 1)
    # The end mark is never smaller.
    body = assume(count.result, Int(0, rows))
    return Nest((("s", rows + 1),), (key, known), (Out("y", (), body.type, body, count),))


def known_nest(rows: int) -> Nest:
    """(key, position, keys) → whether the key is in the table."""
    key, position = _scalar("key", Int(0, 2 * EXTENDED - 1)), _scalar("at", Int(0, rows))
    found = Read("found", (position.value,), TensorType((rows + 1,), KEY))
    return _map((key, position, found), eq(key.value, found.value))


def row_nest(rows: int) -> Nest:
    """(known, position) → the frame's row; the last for all unknown identifiers."""
    known, position = _scalar("known", BOOL), _scalar("at", Int(0, rows))
    return _map((known, position), select(known.value, position.value, rows))


def payload_nest() -> Nest:
    """(dlc, data) → the payload, zero from byte dlc on."""
    b = Dim("b", BYTES)
    dlc, data = _scalar("dlc", Int(0, 255)), Read("data", (b,), PAYLOAD)
    body = select(lt(b, dlc.value), data.value, 0)
    return Nest((("b", BYTES),), (dlc, data), (Out("y", ("b",), body.type, body),))


def recall_nest() -> Nest:
    """(seen, kept, payload) → an earlier payload; at first sight the present one."""
    b = Dim("b", BYTES)
    seen = _scalar("seen", BOOL)
    kept, payload = Read("kept", (b,), PAYLOAD), Read("payload", (b,), PAYLOAD)
    body = select(seen.value, kept.value, payload.value)
    return Nest((("b", BYTES),), (seen, kept, payload), (Out("y", ("b",), body.type, body),))


def gap_nest() -> Nest:
    """(seen, t, last t, period) → µs since the row's last frame; at first sight the period."""
    seen, now, last = _scalar("seen", BOOL), _scalar("t", TIME), _scalar("last", TIME)
    period = _scalar("period", GAP)
    elapsed = minimum(maximum(sub(now.value, last.value), 0), GAP.hi)
    body = select(seen.value, elapsed, period.value)
    return _map((seen, now, last, period), body)


def recall_gap_nest() -> Nest:
    """(seen, kept gap, period) → the gap before; at first sight the period."""
    seen, kept, period = _scalar("seen", BOOL), _scalar("kept", GAP), _scalar("period", GAP)
    return _map((seen, kept, period), select(seen.value, kept.value, period.value))


def violations_nest() -> Nest:
    """(payload, value, mask) → how many bits that never toggle differ from their value."""
    b = Dim("b", BYTES)
    payload, value, mask = (Read(name, (b,), PAYLOAD) for name in ("payload", "value", "mask"))
    differing = bit_and(bit_xor(payload.value, value.value), mask.value)
    count = fold("add", popcount(differing), lift(0), BYTES)
    out = Out("y", (), count.type, count.result, count)
    return Nest((("b", BYTES),), (payload, value, mask), (out,))


def distance_nest() -> Nest:
    """(payload, earlier) → how many bits differ."""
    b = Dim("b", BYTES)
    payload, earlier = Read("payload", (b,), PAYLOAD), Read("earlier", (b,), PAYLOAD)
    count = fold("add", popcount(bit_xor(payload.value, earlier.value)), lift(0), BYTES)
    out = Out("y", (), count.type, count.result, count)
    return Nest((("b", BYTES),), (payload, earlier), (out,))


_MEASURES = (BOOL, Int(0, 64), Int(0, 64), Int(0, 64), GAP, GAP)
_MEASURE = Int(0, 20 * GAP.hi)


def measures_nest() -> Nest:
    """(known, violations, distance, distance before, gap, gap before) → a vector, gaps ·20."""
    m = Dim("m", len(_MEASURES))
    reads = tuple(_scalar(f"m{i}", scalar) for i, scalar in enumerate(_MEASURES))
    body: Expr = lift(0)
    for i, read in enumerate(reads):
        scaled = mul(read.value, 20) if _MEASURES[i] == GAP else read.value
        body = select(eq(m, i), scaled, body)
    return Nest((("m", len(reads)),), reads, (Out("y", ("m",), body.type, body),))


def comparison_tables() -> tuple[Array, Array, Array, Array]:
    """(bit, source, coefficient, timed), one a feature.

    A feature with a `bit` is that bit of the identifier; any other is measure[source] ≥
    coefficient, the coefficient times the period where `timed`.
    """
    rows = [(1 << bit, 0, 0, 0) for bit in reversed(range(IDENTIFIER_BITS))]
    groups = [((1,), 0), (VIOLATIONS, 1), (DISTANCES, 2), (DISTANCES, 3)]
    rows += [(0, group, bound, 0) for bounds, group in groups for bound in bounds]
    rows += [(0, group, bound, 1) for group in (4, 5) for bound in TWENTIETHS]
    bit, source, coefficient, timed = (np.array(c, np.int64) for c in zip(*rows, strict=True))
    return bit, source, coefficient, timed


def features_nest() -> Nest:
    """(id, extended, measures, period, and `comparison_tables`) → the 57 features.

    The identifier bits of a 29-bit identifier are its first eleven on the wire.
    """
    j = Dim("j", COUNT)
    id_, extended, period = _scalar("id", IDENTIFIER), _scalar("extended", BOOL), _scalar("p", GAP)
    kinds = [TensorType((COUNT,), Int(0, int(t.max()))) for t in comparison_tables()]
    bit, source, coefficient, timed = (
        Read(name, (j,), kind)
        for name, kind in zip(("bit", "source", "coefficient", "timed"), kinds, strict=True)
    )
    measure = Read("measure", (source.value,), TensorType((len(_MEASURES),), _MEASURE))
    base = select(
        extended.value,
        shift_right(id_.value, 29 - IDENTIFIER_BITS),
        bit_and(id_.value, 2**IDENTIFIER_BITS - 1),
    )
    bound = mul(select(timed.value, period.value, 1), coefficient.value)
    body = select(lt(0, bit.value), lt(0, bit_and(base, bit.value)), le(bound, measure.value))
    reads = (id_, extended, period, bit, source, coefficient, timed, measure)
    return Nest((("j", COUNT),), reads, (Out("y", ("j",), BOOL, body),))


def extract(frames: Frames, table: IdentifierTable) -> NDArray[np.uint8]:
    """The features (n, 57) of all frames in order, from a front end that begins fresh.

    Without timestamps every gap counts as the period.  Only the bookkeeping (what came before on
    the same row) is done here in bulk; the arithmetic is that of the nests.
    """
    n = len(frames)
    if n == 0:
        return np.zeros((0, COUNT), np.uint8)
    row = table.row(frames)
    order = np.argsort(row, kind="stable")
    first = np.ones(n, bool)
    first[1:] = row[order][1:] != row[order][:-1]
    previous = np.empty(n, np.int64)
    previous[order] = np.where(first, order, np.roll(order, 1))
    seen = (previous != np.arange(n)).astype(np.uint8)
    # At first sight `previous` is the frame itself, so that two steps back never pass the first.
    before = previous[previous]

    payload = _run(payload_nest(), frames.dlc, frames.data)
    period = table.period_us[row]
    gap = period
    if frames.timestamped:
        gap = _run(gap_nest(), seen, frames.t_us, frames.t_us[previous], period)
    gap_before = _run(recall_gap_nest(), seen, gap[previous], period)
    measures = _run(
        measures_nest(),
        (row < len(table)).astype(np.uint8),
        _run(violations_nest(), payload, table.value[row], table.mask[row]),
        _run(distance_nest(), payload, payload[previous]),
        _run(distance_nest(), payload, payload[before]),
        gap,
        gap_before,
    )
    tables = [Tensor(t, False) for t in comparison_tables()]
    extended = frames.extended.astype(np.uint8)
    executor = NestExecutor(features_nest(), {})
    chunks = []
    for start in range(0, n, _CHUNK):
        cut = slice(start, start + _CHUNK)
        frame = [Tensor.samples(a[cut]) for a in (frames.id, extended, period)]
        (result,) = executor([*frame, *tables, Tensor.samples(measures[cut])])
        chunks.append(result.by_sample())
    return np.concatenate(chunks)


_CHUNK = 8192


def _run(nest: Nest, *operands: Array) -> Array:
    (result,) = NestExecutor(nest, {})([Tensor.samples(array) for array in operands])
    return result.by_sample()
