"""Buffers as C++ arrays, split into as many memories as lanes reach at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import lcm
from textwrap import wrap
from typing import Any

from numpy.typing import NDArray

from edgetrain.compiler.expr import Dim, Expr, subexpressions
from edgetrain.compiler.folding import Folding, loops
from edgetrain.compiler.program import Buffer, Call, Program
from edgetrain.compiler.types import TensorType
from edgetrain.kernels.hls.expressions import ap_type, integer
from edgetrain.kernels.rtl.forms import number

BLOCK_RAM_BITS = 2**13
"""From which on a constant is worth a block of RAM: a quarter of one of 36 Kbit."""


def storage(buffer: Buffer) -> str:
    """The name of what holds `buffer`; of a next value in place it is its state."""
    if buffer.kind == "constant":
        return f"et_{buffer.name}"
    if buffer.kind == "state":
        return f"et_state_{buffer.home or buffer.name}"
    return f"b_{buffer.name}"


def declare(name: str, kind: TensorType) -> str:
    """`type name` or `type name[rows][columns]`."""
    return f"{ap_type(kind.scalar)} {name}{''.join(f'[{n}]' for n in kind.shape)}"


def element(name: str, kind: TensorType, flat: str) -> str:
    """The text of the element at the row-major index `flat`, which is C++ of an `int`."""
    if len(kind.shape) == 1:
        return f"{name}[{flat}]"
    texts, below = [], kind.size
    for axis, length in enumerate(kind.shape):
        below //= length
        inner = f" / {below}" if below > 1 else ""
        outer = f" % {length}" if axis else ""
        texts.append(f"[({flat}){inner}{outer}]")
    return name + "".join(texts)


def initialised(name: str, kind: TensorType, elements: NDArray[Any]) -> list[str]:
    """`type name[…] = {…};` with these elements."""
    text = f"{declare(name, kind)} = {_braced(elements.tolist())};"
    return [row for line in text.splitlines() for row in wrap(line, 100, subsequent_indent="    ")]


def _braced(elements: Any) -> str:
    if not isinstance(elements, list):
        return number(int(elements))
    separator = ",\n" if elements and isinstance(elements[0], list) else ", "
    return f"{{{separator.join(map(_braced, elements))}}}"


@dataclass
class Banks:
    """By array and axis, into how many memories it is split: element i lies in number i mod n."""

    types: dict[str, TensorType] = field(default_factory=dict)
    factors: dict[tuple[str, int], int] = field(default_factory=dict)

    def pragmas(self, name: str, kind: str) -> list[str]:
        """For an array whose declaration is in sight; `kind`: of its buffer.

        The lanes of a constant are joined into wider words; what is written keeps memories of
        their own, since two units may reach it by different lanes."""
        lines, shape = [], self.types[name].shape
        directive = "ARRAY_RESHAPE" if kind == "constant" else "ARRAY_PARTITION"
        head = f"#pragma HLS {directive} variable={name}"
        for axis, length in enumerate(shape):
            factor = self.factors.get((name, axis), 1)
            if factor == length > 1:
                lines.append(f"{head} type=complete dim={axis + 1}")
            elif factor > 1:
                lines.append(f"{head} type=cyclic factor={factor} dim={axis + 1}")
        size = self.types[name].size * integer(self.types[name].scalar).bits
        if kind == "constant" and size >= BLOCK_RAM_BITS and not self._registers(name):
            lines.append(f"#pragma HLS BIND_STORAGE variable={name} type=rom_1p impl=bram")
        return lines

    def _registers(self, name: str) -> bool:
        """Whether all elements are reached at once, so that no memory is left."""
        shape = self.types[name].shape
        return all(self.factors.get((name, a), 1) == n for a, n in enumerate(shape))

    def split(self, name: str, axis: int, lanes: int) -> None:
        """Let so many neighbours along `axis` lie in memories of their own."""
        length = self.types[name].shape[axis]
        together = lcm(self.factors.get((name, axis), 1), lanes)
        self.factors[name, axis] = min(together, length)


def banks(program: Program, calls: Iterable[tuple[Call, Folding]], *, unrolled: bool) -> Banks:
    """What the lanes of these calls need; `unrolled`: every element is reached at once."""
    found = Banks({storage(buffer): buffer.type for buffer in program.buffers.values()})
    if unrolled:
        for name, kind in found.types.items():
            for axis, length in enumerate(kind.shape):
                found.split(name, axis, length)
        return found
    for call, folding in calls:
        operands = [storage(program.buffers[name]) for name in call.inputs]
        results = [storage(program.buffers[name]) for name in call.outputs]
        for out, result in zip(call.nest.outs, results, strict=True):
            lanes = _lanes(call, folding, out.name)
            index = tuple(Dim(d, call.nest.sizes[d]) for d in out.dims)
            _split(found, result, index, lanes)
            needed = set(call.nest.needed(out.expressions))
            for read, operand in zip(call.nest.reads, operands, strict=True):
                if read.local in needed:
                    _split(found, operand, read.access, lanes)
    return found


def _lanes(call: Call, folding: Folding, name: str) -> Mapping[str, int]:
    """By dim, how many of its turns are taken at once."""
    out = next(out for out in call.nest.outs if out.name == name)
    plan = loops(call, out, folding)
    return {loop.dim: loop.step for loop in (*plan.free, *plan.folded) if loop.step > 1}


def _split(found: Banks, name: str, access: Sequence[Expr], lanes: Mapping[str, int]) -> None:
    for axis, index in enumerate(access):
        if isinstance(index, Dim):
            found.split(name, axis, lanes.get(index.name, 1))
        elif any(isinstance(n, Dim) and n.name in lanes for n in subexpressions(index)):
            # Where the lanes lead is not known: any of them may reach any element.
            found.split(name, axis, found.types[name].shape[axis])
