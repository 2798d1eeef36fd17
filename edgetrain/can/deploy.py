"""The entry `can_frame`: a frame in, a verdict out, as one graph with state."""

from fractions import Fraction
from math import ceil

import numpy as np

from edgetrain.can import features as f
from edgetrain.can.table import CanModel
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import (
    Dim,
    add,
    bit_and,
    eq,
    le,
    lift,
    maximum,
    select,
    shift_left,
    sub,
)
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.onnx_io.load import ImportedModel
from edgetrain.compiler.types import BOOL, Int, TensorType

CONFIRM_US = 100_000
"""An alarm is confirmed by another within this time before it."""


def can_frame_graph(imported: ImportedModel, can: CanModel) -> Graph:
    """(t_us, id, extended, dlc, data) → (kind, alarm, confirmed, score).

    `score`: the greatest attack output minus the normal one, in the device's integers; `alarm`:
    whether it reaches the model's threshold; `kind`: the greatest attack class then, else 0;
    `confirmed`: whether an alarm came within the 100 ms before this one.  Raises InputError for a
    network that does not fit the front end.
    """
    _check(imported, can)
    table, rows = can.table, len(can.table)
    b = GraphBuilder("can_frame")
    t_us = b.input("t_us", TensorType((), f.TIME))
    id_ = b.input("id", TensorType((), f.IDENTIFIER))
    extended = b.input("extended", TensorType((), BOOL))
    dlc = b.input("dlc", TensorType((), Int(0, 255)))
    data = b.input("data", f.PAYLOAD)

    def nest(name: str, meaning: Nest, *operands: Value) -> Value:
        return b.nest(meaning, *operands, op=name)[0]

    keys = b.constant(np.append(table.key.astype(np.int64), f.KEY.hi), f.KEY)
    key = nest("key", f.key_nest(), id_, extended)
    position = nest("position", f.position_nest(rows), key, keys)
    known = nest("known", f.known_nest(rows), key, position, keys)
    row = nest("row", f.row_nest(rows), known, position)

    seen_state = b.state("seen", np.zeros(rows + 1, np.uint8), BOOL)
    time_state = b.state("time", np.zeros(rows + 1, np.uint64), f.TIME)
    gap_state = b.state("gap", np.zeros(rows + 1, np.uint32), f.GAP)
    last_state = b.state("last", np.zeros((rows + 1, f.BYTES), np.uint8), Int(0, 255))
    before_state = b.state("before", np.zeros((rows + 1, f.BYTES), np.uint8), Int(0, 255))

    def row_of(array: Value) -> Value:
        return b.apply("take", row, array)

    period = row_of(b.constant(table.period_us, f.GAP))
    seen = row_of(seen_state)
    payload = nest("payload", f.payload_nest(), dlc, data)
    last = nest("recall", f.recall_nest(), seen, row_of(last_state), payload)
    before = nest("recall", f.recall_nest(), seen, row_of(before_state), payload)
    gap = nest("gap", f.gap_nest(), seen, t_us, row_of(time_state), period)
    gap_before = nest("recall_gap", f.recall_gap_nest(), seen, row_of(gap_state), period)
    mask, value = (row_of(b.constant(a, Int(0, 255))) for a in (table.mask, table.value))
    measures = nest(
        "measures",
        f.measures_nest(),
        known,
        nest("violations", f.violations_nest(), payload, value, mask),
        nest("distance", f.distance_nest(), payload, last),
        nest("distance", f.distance_nest(), payload, before),
        gap,
        gap_before,
    )
    tables = [b.constant(t, Int(0, int(t.max()))) for t in f.comparison_tables()]
    inputs = nest("features", f.features_nest(), id_, extended, period, *tables, measures)

    (outputs,) = b.inline(imported.graph, inputs)
    score = nest("score", score_nest(outputs.type), outputs, outputs)
    alarm = nest("alarm", alarm_nest(score.type, _threshold(imported, can, score)), score)
    kind = nest("kind", kind_nest(outputs.type), alarm, outputs)

    alarmed = b.state("alarmed", np.zeros((), np.uint8), BOOL)
    alarm_time = b.state("alarm_time", np.zeros((), np.uint64), f.TIME)
    confirmed = nest("confirmed", confirmed_nest(), alarm, alarmed, t_us, alarm_time)
    one = b.constant(np.ones((), np.int64), BOOL)
    b.update(alarmed, nest("keep", keep_nest(BOOL), alarm, one, alarmed))
    b.update(alarm_time, nest("keep", keep_nest(f.TIME), alarm, t_us, alarm_time))
    b.update(before_state, b.apply("put", before_state, row, last))
    b.update(last_state, b.apply("put", last_state, row, payload))
    b.update(gap_state, b.apply("put", gap_state, row, gap))
    b.update(time_state, b.apply("put", time_state, row, t_us))
    b.update(seen_state, b.apply("put", seen_state, row, one))
    for name, result in (
        ("score", score),
        ("kind", kind),
        ("alarm", alarm),
        ("confirmed", confirmed),
    ):
        b.output(name, result)
    return b.build()


def _check(imported: ImportedModel, can: CanModel) -> None:
    code = imported.input_code
    if code.type != TensorType((f.COUNT,), BOOL) or code.steps not in ((), code.steps[:1]):
        raise InputError(
            f"the network takes {code.type}, not {f.COUNT} inputs of 0 or 1",
            remedy="train it with `edgetrain train can-ids`",
        )
    if code.steps and not 0 < code.steps[0] <= 1:
        raise InputError("the input quantiser does not keep 0 and 1", remedy="use scale 1")
    outputs = imported.output_code
    if outputs.type.shape != (len(can.classes),):
        raise InputError(
            f"the network has {outputs.type} as outputs and the metadata {len(can.classes)} classes"
        )
    if not outputs.comparable:
        raise InputError(
            "the outputs have no common scale, so that no class can be compared with another",
            remedy="use one weight scale and no bias in the last layer",
        )


def _threshold(imported: ImportedModel, can: CanModel, score: Value) -> int:
    """The least score, in integers, that is an alarm; within one step of the possible scores."""
    scales = imported.output_code.scales
    unit = scales[0] if scales else Fraction(1)
    assert isinstance(score.type.scalar, Int)
    least = ceil(Fraction(can.alarm_threshold) / unit)
    return min(max(least, score.type.scalar.lo), score.type.scalar.hi + 1)


def score_nest(outputs: TensorType) -> Nest:
    """(outputs, outputs) → the greatest output but the first, minus the first."""
    assert isinstance(outputs.scalar, Int)
    c = Dim("c", outputs.shape[0])
    each = Read("y", (c,), outputs)
    normal = Read("normal", (lift(0),), outputs)
    attack = select(eq(c, 0), outputs.scalar.lo, each.value)
    best = fold("max", attack, lift(outputs.scalar.lo), outputs.shape[0])
    body = sub(best.result, normal.value)
    out = Out("y", (), body.type, body, best)
    return Nest((("c", outputs.shape[0]),), (each, normal), (out,))


def alarm_nest(score: TensorType, threshold: int) -> Nest:
    """(score) → whether it reaches the threshold."""
    read = Read("score", (), score)
    return Nest((), (read,), (Out("y", (), BOOL, le(threshold, read.value)),))


def kind_nest(outputs: TensorType) -> Nest:
    """(alarm, outputs) → the class, first of equals, of the greatest output but the first; or 0."""
    assert isinstance(outputs.scalar, Int)
    classes = outputs.shape[0]
    c = Dim("c", classes)
    alarm, each = Read("alarm", (), TensorType((), BOOL)), Read("y", (c,), outputs)
    bits = classes.bit_length()
    rank = sub(each.value, outputs.scalar.lo)
    key = add(shift_left(rank, bits), sub(classes - 1, c))
    best = fold("max", select(eq(c, 0), 0, key), lift(0), classes)
    found = sub(classes - 1, bit_and(best.result, 2**bits - 1))
    body = select(alarm.value, maximum(found, 0), 0)
    out = Out("y", (), body.type, body, best)
    return Nest((("c", classes),), (alarm, each), (out,))


def confirmed_nest() -> Nest:
    """(alarm, alarmed before, t, time of that) → whether the alarm is confirmed."""
    alarm, before = (Read(name, (), TensorType((), BOOL)) for name in ("alarm", "before"))
    now, then = (Read(name, (), TensorType((), f.TIME)) for name in ("now", "then"))
    recent = le(sub(now.value, then.value), CONFIRM_US)
    body = bit_and(bit_and(alarm.value, before.value), recent)
    return Nest((), (alarm, before, now, then), (Out("y", (), body.type, body),))


def keep_nest(scalar: Int) -> Nest:
    """(alarm, new, old) → new at an alarm, else old."""
    alarm = Read("alarm", (), TensorType((), BOOL))
    new, old = (Read(name, (), TensorType((), scalar)) for name in ("new", "old"))
    body = select(alarm.value, new.value, old.value)
    return Nest((), (alarm, new, old), (Out("y", (), scalar, body),))
