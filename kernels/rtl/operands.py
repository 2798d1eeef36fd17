"""What a unit reads: memories at addresses, constants as tables, functions of a few bits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Expr, Local, lift, subexpressions
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import Int, TensorType
from edgetrain.compiler.unroll import simplified
from edgetrain.kernels.rtl.expressions import declaration, integer, literal, only_integer
from edgetrain.kernels.rtl.linear import linear
from edgetrain.kernels.rtl.memories import Access, Memory, Shape, field_bits, lookup
from edgetrain.kernels.rtl.parts import table_parts
from edgetrain.kernels.rtl.pipeline import Pipeline, Signal, Values, concatenated

TABLE_BITS = 6
"""Inputs of a look-up table."""


@dataclass(frozen=True, slots=True)
class Place:
    """An element in words of lanes: in the lane `lanes[index]` of a word of its row."""

    word: Expr
    index: Expr
    lanes: tuple[int, ...]


class Surroundings(Protocol):
    """What a unit finds: the pipeline that all share, and where its operands lie."""

    pipeline: Pipeline
    block_bits: int

    def memory(self, entry: str, buffer: str) -> Memory: ...

    def constant(self, buffer: str) -> tuple[NDArray[Any], TensorType] | None: ...

    def counter_width(self, name: str) -> int: ...


class Operands:
    """The operands of one unit, of an entry, that is at work while `select` is 1."""

    def __init__(
        self, around: Surroundings, entry: str, select: str, counters: Sequence[Local]
    ) -> None:
        self._around, self._entry, self._select = around, entry, select
        self._pipeline = around.pipeline
        self.values = Values(self._pipeline)
        self._counters = tuple(counters)
        self._found: dict[tuple[str, tuple[Expr, ...]], Expr] = {}
        self._ports: dict[str, int] = {}
        self._tables: dict[tuple[Local, ...], list[tuple[Local, NDArray[Any]]]] = {}
        for counter in counters:
            self.values.define(counter, Signal(counter.name, around.counter_width(counter.name), 0))

    def read(self, operand: str, kind: TensorType, access: tuple[Expr, ...]) -> Expr:
        """The element of the buffer at that place."""
        if (operand, access) not in self._found:
            constant = self._around.constant(operand)
            if constant is None:
                found = self._from_memory(operand, kind, access)
            elif self._counters_in(access) is None:
                found = self._looked_up(*constant, access)
            else:
                found = self._from_table(constant[0], access)
            self._found[operand, access] = found
        return self._found[operand, access]

    def address(self, counts: Sequence[int], parts: Sequence[Expr], stage: int) -> str:
        """Parts of an address that have so many values, one after the other."""
        fields = [self._field(p, n, stage) for p, n in zip(parts, counts, strict=True)]
        return concatenated([text for text in fields if text] or ["1'b0"])

    # Constants

    def _counters_in(self, access: Sequence[Expr]) -> tuple[Local, ...] | None:
        """The counters on which places depend; None where they depend on anything else."""
        found = {n for e in access for n in subexpressions(e) if isinstance(n, Local)}
        return (
            tuple(c for c in self._counters if c in found) if found <= {*self._counters} else None
        )

    def _from_table(self, elements: NDArray[Any], access: tuple[Expr, ...]) -> Expr:
        """A constant that counters choose."""
        order = self._counters_in(access)
        assert order is not None
        counts = [integer(counter).hi + 1 for counter in order]
        grid = np.indices(counts, sparse=True)
        turns: dict[Expr, NDArray[Any]] = dict(zip(order, grid, strict=True))
        values = np.broadcast_to(elements[tuple(_evaluated(e, turns) for e in access)], counts)
        held = Int(int(values.min()), int(values.max()))
        if held.lo == held.hi:
            return lift(held.lo)
        local = Local(self._pipeline.name("k"), held)
        self._pipeline.lines.append(f"wire [{held.bits - 1}:0] {local.name};")
        self.values.define(local, Signal(local.name, held.bits, 1))
        self._tables.setdefault(order, []).append((local, values))
        return local

    def print_tables(self) -> None:
        """All constants that the same counters choose are one table."""
        for order, columns in self._tables.items():
            self._print_table(order, columns)
        self._tables.clear()

    def _print_table(
        self, order: tuple[Local, ...], columns: Sequence[tuple[Local, NDArray[Any]]]
    ) -> None:
        # The counter that leaves most of its bits' values unused comes first: no words for those.
        places = sorted(
            range(len(order)),
            key=lambda i: (integer(order[i]).hi + 1) / 2 ** field_bits(integer(order[i]).hi + 1),
        )
        counts = [integer(order[i]).hi + 1 for i in places]
        shape = Shape(TensorType((*counts, 1), Int(0, 1)), 1)
        width = sum(integer(local).bits for local, _ in columns)
        words = [0] * shape.words
        low = 0
        name = self._pipeline.name("c")
        after = []
        for local, values in columns:
            bits = integer(local).bits
            turned = np.transpose(values, places)
            for index in np.ndindex(*counts):
                words[shape.address((*index, 0))] |= int(turned[index]) % 2**bits << low
            after.append(f"assign {local.name} = {name}[{low} +: {bits}];")
            low += bits
        address = self.address(counts, [order[i] for i in places], 0)
        bits = max(1, shape.address_bits)
        block = self._around.block_bits
        self._pipeline.lines += [*lookup(name, words, width, address, bits, block), *after]
        self._pipeline.parts.update(table_parts(width, len(words), width * len(words) >= block))

    def _looked_up(
        self, elements: NDArray[Any], kind: TensorType, access: tuple[Expr, ...]
    ) -> Expr:
        """A constant whose place is a value."""
        shape = Shape(kind, 1)
        stage = self.values.stage(*access)
        name, address = self._pipeline.name("c"), self.address(shape.counts, access, stage)
        width, bits = shape.width, max(1, shape.address_bits)
        words, block = shape.contents(elements), self._around.block_bits
        self._pipeline.lines += lookup(name, words, width, address, bits, block)
        self._pipeline.parts.update(table_parts(width, len(words), width * len(words) >= block))
        return self._defined(kind, Signal(name, width, stage + 1))

    # Memories

    def _from_memory(self, operand: str, kind: TensorType, access: tuple[Expr, ...]) -> Expr:
        memory = self._around.memory(self._entry, operand)
        *rows, column = access or (lift(0),)
        place = self.split(column, memory.shape.lanes)
        parts = (*rows, place.word) if access else ()
        width, bits = memory.shape.width, memory.shape.bits
        stage = self.values.stage(*parts)
        if memory.is_register:
            net, ready = memory.read(Access(self._select, ""), 0), None
        else:
            address = self.address(memory.shape.counts, parts, stage)
            net, ready = self._port(memory, address), stage + 1
        if len(place.lanes) == 1:
            return self._defined(kind, Signal(net, width, ready, place.lanes[0] * bits))
        stage = max(ready or 0, self.values.stage(place.index))
        held = net if ready is None else self._pipeline.delayed(net, width, stage - ready)
        index = integer(place.index)
        at = self._pipeline.wire(index, self.values.text(place.index, stage))
        lanes = [f"{held}[{lane * bits} +: {bits}]" for lane in place.lanes]
        part = self._pipeline.wire(only_integer(kind.scalar), _one_of(lanes, at, index.bits))
        self._pipeline.parts["choice"] += bits * (len(lanes) - 1)
        return self._defined(kind, Signal(part, bits, stage))

    def _port(self, memory: Memory, address: str) -> str:
        """What a read of the memory gives; one port for all reads of the same address."""
        key = f"{memory.name} {address}"
        if key not in self._ports:
            self._ports[key] = sum(k.startswith(f"{memory.name} ") for k in self._ports)
        return memory.read(Access(self._select, address), self._ports[key])

    def split(self, column: Expr, lanes: int) -> Place:
        """Where a place in a row lies.  Raises InputError where only a division finds it."""
        whole = linear(column)
        word, lane = divmod(whole.constant, lanes)
        match list(whole.terms.items()):
            case _ if lanes == 1:
                return Place(column, lift(0), (0,))
            case []:
                return Place(lift(word), lift(0), (lane,))
            case [(counter, step)] if step % lanes == 0 and word >= 0:
                turned = simplified("mul", counter, lift(step // lanes))
                return Place(simplified("add", turned, lift(word)), lift(0), (lane,))
            case [(Local() as counter, step)] if counter in self._counters:
                values = whole.constant + step * np.arange(integer(counter).hi + 1)
                found = np.unique(values % lanes)
                index = self._counted(counter, np.searchsorted(found, values % lanes))
                return Place(self._counted(counter, values // lanes), index, tuple(map(int, found)))
            case _ if lanes & (lanes - 1) == 0:
                shift, mask = lift(lanes.bit_length() - 1), lift(lanes - 1)
                index = simplified("and", column, mask)
                return Place(simplified("shr", column, shift), index, tuple(range(lanes)))
        raise InputError(
            f"{lanes} lanes, no power of two, of a memory that is read at a place to be computed",
            remedy="choose other PE and SIMD for the units that use it",
        )

    def _field(self, part: Expr, count: int, stage: int) -> str:
        """Of an address; empty where it has one value only."""
        bits = field_bits(count)
        if not bits:
            return ""
        kind = integer(part)
        if isinstance(part, Const):
            return literal(int(part.value), Int(0, 2**bits - 1))
        text = self.values.text(part, stage)
        if kind.bits > bits:
            return f"{self._pipeline.wire(kind, text)}[{bits - 1}:0]"
        return text if kind.bits == bits else f"{{{bits - kind.bits}'b0, {text}}}"

    def _defined(self, kind: TensorType, signal: Signal) -> Local:
        local = Local(self._pipeline.name("v"), kind.scalar)
        self.values.define(local, signal)
        return local

    # Functions of a few bits

    def _counted(self, counter: Local, values: NDArray[Any]) -> Expr:
        """A function of a counter, by its values."""
        key = f"of {counter.name}", tuple(lift(int(v)) for v in values)
        if key not in self._found:
            kind = Int(int(values.min()), int(values.max()))
            net = self._truth(values, kind, self.values.text(counter, 0), integer(counter).bits)
            local = Local(net, kind)
            self.values.define(local, Signal(net, kind.bits, 0))
            self._found[key] = local
        return self._found[key]

    def small(self, expr: Expr, stage: int) -> str:
        """The net or literal that is `expr`: look-up tables, if its operands have few enough bits
        for that."""
        operands = [node for node in subexpressions(expr) if isinstance(node, Local)]
        bits = [integer(operand).bits for operand in operands]
        if not isinstance(expr, Apply) or sum(bits) > TABLE_BITS:
            return self.values.text(expr, stage)
        codes = np.arange(2 ** sum(bits))
        values: dict[Expr, NDArray[Any]] = {}
        low = 0
        for operand, width in zip(operands, bits, strict=True):
            code = codes >> low & 2**width - 1
            turn = 2**width if integer(operand).signed else 0
            values[operand] = np.where(code >= 2 ** (width - 1), code - turn, code)
            low += width
        texts = [self.values.text(operand, stage) for operand in reversed(operands)]
        return self._truth(_evaluated(expr, values), integer(expr), concatenated(texts), low)

    def _truth(self, values: NDArray[Any], kind: Int, address: str, bits: int) -> str:
        """The net of a function of so many bits."""
        name, held = self._pipeline.name("q"), self._pipeline.name("a")
        lines = [f"wire [{bits - 1}:0] {held} = {address};"]
        for bit in range(kind.bits):
            truth = sum((int(v) >> bit & 1) << at for at, v in enumerate(values))
            lines.append(f"localparam [{2**bits - 1}:0] {name}_{bit} = {2**bits}'h{truth:x};")
        texts = [f"{name}_{bit}[{held}]" for bit in reversed(range(kind.bits))]
        lines.append(f"{declaration(kind, name)} = {concatenated(texts)};")
        self._pipeline.lines += lines
        self._pipeline.parts["table"] += kind.bits
        return name


def _one_of(texts: Sequence[str], index: str, bits: int) -> str:
    """That of `texts` which the net `index`, of so many bits, counts: a tree of choices."""
    if len(texts) == 1:
        return texts[0]
    half = 1 << (bits - 1)
    low = _one_of(texts[:half], index, bits - 1)
    if len(texts) <= half:
        return low
    return f"({index}[{bits - 1}] ? {_one_of(texts[half:], index, bits - 1)} : {low})"


def _evaluated(expr: Expr, values: Mapping[Expr, NDArray[Any]]) -> NDArray[Any]:
    """`expr` for many values of its locals at once."""
    made: dict[Expr, NDArray[Any]] = {}
    for node in subexpressions(expr):
        if node in values:
            made[node] = values[node]
        elif isinstance(node, Const):
            made[node] = np.asarray(int(node.value), np.int64)
        else:
            assert isinstance(node, Apply)
            made[node] = PRIMITIVES[node.op].numpy(*(made[a] for a in node.args))
    return made[expr]
