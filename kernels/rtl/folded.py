"""A program as a folded circuit: one unit a call, one after the other, over memories.

Each unit is a pipeline that takes a turn of its loops a cycle; its loops are counted by counters
that all units share, and a sequencer says whose turn it is.  So any entry whose arithmetic is that
of integers has a circuit, also one that learns.
"""

from collections.abc import Mapping
from math import lcm
from typing import Any

from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Dim
from edgetrain.compiler.folding import Folding, unit_names
from edgetrain.compiler.program import Buffer, Entry, Program
from edgetrain.compiler.types import TensorType
from edgetrain.kernels.rtl.engine import (
    PORTS,
    STATE_BITS,
    Engine,
    Ports,
    Stream,
    Tensor,
    stream,
    stream_bits,
)
from edgetrain.kernels.rtl.expressions import only_integer
from edgetrain.kernels.rtl.memories import (
    BLOCK_BITS,
    Access,
    Memory,
    Shape,
    Write,
    chosen,
    field_bits,
)
from edgetrain.kernels.rtl.pipeline import Pipeline, concatenated
from edgetrain.kernels.rtl.sequencer import Position, Sequencer
from edgetrain.kernels.rtl.units import Job, Unit


def print_folded(
    program: Program, foldings: Mapping[str, Folding], block_bits: int = BLOCK_BITS
) -> Engine:
    """The engine of all entries; `foldings` by the names of units, those that lack are folded
    wholly.  Memories from `block_bits` on go to block RAM.

    Raises InputError for floats, and for foldings that would need a division.
    """
    return _Machine(program, foldings, block_bits).engine()


class _Machine:
    def __init__(self, program: Program, foldings: Mapping[str, Folding], block_bits: int) -> None:
        self.block_bits = block_bits
        self.pipeline = Pipeline()
        self._program, self._foldings = program, foldings
        self._units = unit_names(program)
        self._memories: dict[str, Memory] = {}
        self._homes: dict[tuple[str, str], str] = {}
        self._allocate()
        self._sequencer = Sequencer()
        self._widths: Mapping[str, int] = {}

    # What a unit asks for.

    def memory(self, entry: str, buffer: str) -> Memory:
        return self._memories[self._homes[entry, buffer]]

    def constant(self, buffer: str) -> tuple[NDArray[Any], TensorType] | None:
        if buffer not in self._program.constants:
            return None
        return self._program.constants[buffer], self._program.buffers[buffer].type

    def counter_width(self, name: str) -> int:
        return self._widths[name]

    # Memories

    def _allocate(self) -> None:
        """A memory for each state, and for each buffer of an entry; entries share them."""
        lanes = self._lanes()
        for entry in self._program.entries:
            seen: dict[TensorType, int] = {}
            for name in self._buffers(entry):
                buffer = self._program.buffers[name]
                home = buffer.home or (name if buffer.kind == "state" else "")
                if not home:
                    count = seen[buffer.type] = seen.get(buffer.type, 0) + 1
                    home = f"{buffer.type} {count}"
                self._homes[entry.name, name] = home
        wanted: dict[str, int] = {}
        for (entry_name, name), home in self._homes.items():
            wanted[home] = lcm(wanted.get(home, 1), lanes.get((entry_name, name), 1))
        for (_, name), home in self._homes.items():
            if home not in self._memories:
                shape = Shape(self._program.buffers[name].type, wanted[home])
                only_integer(shape.kind.scalar)
                start = self._program.initial.get(home)
                held = None if start is None else shape.contents(start)
                self._memories[home] = Memory(
                    f"m{len(self._memories)}", shape, self.block_bits, held
                )

    def _buffers(self, entry: Entry) -> list[str]:
        names = [*entry.inputs]
        for call in entry.calls:
            names += [*call.inputs, *call.outputs]
        return [n for n in dict.fromkeys(names) if n not in self._program.constants]

    def _lanes(self) -> dict[tuple[str, str], int]:
        """The neighbours of each buffer that some unit reads or writes at once."""
        found: dict[tuple[str, str], int] = {}
        for entry in self._program.entries:
            for job in self._jobs(entry):
                steps = {c.loop.dim: c.loop.step for c in job.counters.every}
                needed = [(job.result, steps.get(job.out.dims[-1], 1) if job.out.dims else 1)]
                for read, name in zip(job.call.nest.reads, job.call.inputs, strict=True):
                    last = read.access[-1] if read.access else None
                    needed.append((name, steps.get(last.name, 1) if isinstance(last, Dim) else 1))
                for name, lanes in needed:
                    found[entry.name, name] = lcm(found.get((entry.name, name), 1), lanes)
        return found

    def _jobs(self, entry: Entry) -> list[Job]:
        return [
            Job(call, out, self._foldings.get(self._units[entry.name, place], Folding()))
            for place, call in enumerate(entry.calls)
            for out in call.nest.outs
        ]

    # The circuit

    def engine(self) -> Engine:
        sequencer = self._sequencer
        known: dict[object, Position] = {}
        todo: list[tuple[Position, str, list[Job]]] = []
        for entry in self._program.entries:
            sequence = [self._transfer(entry, n, "load") for n in entry.inputs]
            for jobs in self._chains(entry):
                key = tuple(self._signature(entry, job) for job in jobs)
                if key not in known:
                    known[key] = sequencer.unit(jobs[0].counters)
                    todo.append((known[key], entry.name, jobs))
                sequence.append(known[key])
            sequence += [self._transfer(entry, n, "store") for n in entry.outputs]
            sequencer.add(entry.name, sequence)
        self._widths = sequencer.widths
        for position, name, jobs in todo:
            position.depth = Unit(self, name, position.select, jobs).depth
        entries = tuple(self._ports(entry) for entry in self._program.entries)
        s_bits = stream_bits([s for ports in entries for s in ports.inputs])
        m_bits = stream_bits([s for ports in entries for s in ports.outputs])
        transfers = self._connect(s_bits, m_bits)
        tensors, host = self._host()
        memories = [memory for memory in self._memories.values() if memory.writes]
        lines = [
            f"module et_engine(\n{PORTS.format(s=s_bits - 1, m=m_bits - 1)});",
            "reg active; assign busy = active;",
            *(line for memory in memories for line in memory.declarations()),
            *sequencer.lines(),
            *self.pipeline.lines,
            *transfers,
            *host,
            *(line for memory in memories for line in memory.lines()),
            "endmodule",
            "",
        ]
        parts = self.pipeline.parts + sequencer.parts
        for memory in memories:
            parts.update(memory.parts())
        return Engine("\n".join(lines), entries, tensors, s_bits, m_bits, dict(parts))

    def _chains(self, entry: Entry) -> list[list[Job]]:
        """The jobs of an entry, those together of which one takes what the other makes at once."""
        chains: list[list[Job]] = []
        for job in self._jobs(entry):
            if chains and self._takes(entry, job, chains[-1][-1]):
                chains[-1].append(job)
            else:
                chains.append([job])
        return chains

    def _takes(self, entry: Entry, job: Job, before: Job) -> bool:
        """Whether `job` needs of the result `before` it only the element of its own place, which
        nobody else needs."""
        name = before.result
        buffer = self._program.buffers[name]
        readers = [call for call in entry.calls if name in call.inputs]
        if buffer.home or name in entry.outputs or readers != [job.call]:
            return False
        if len(job.call.nest.outs) > 1 or len(before.call.nest.outs) > 1 or job.call.point:
            return False
        reads = zip(job.call.nest.reads, job.call.inputs, strict=True)
        places = [read.access for read, operand in reads if operand == name]
        own = tuple(Dim(dim, job.call.nest.sizes[dim]) for dim in job.out.dims)
        turns = [[c.loop.turns for c in each.counters.free] for each in (job, before)]
        return (
            not job.counters.turning
            and job.folding.pe == before.folding.pe
            and turns[0] == turns[1]
            and bool(own)
            and all(access == own for access in places)
        )

    def _signature(self, entry: Entry, job: Job) -> object:
        """What makes two jobs the same work over the same memories."""
        names = (*job.call.inputs, *job.call.outputs)
        places = [n if n in self._program.constants else self._homes[entry.name, n] for n in names]
        return (job.call.nest, job.call.point, job.out.name, *places)

    def _stream(self, name: str, entry: Entry) -> Stream:
        return stream(self._program.buffers[name], self.memory(entry.name, name).shape.lanes)

    def _transfer(self, entry: Entry, name: str, kind: str) -> Position:
        return self._sequencer.transfer(kind, self.memory(entry.name, name))

    def _ports(self, entry: Entry) -> Ports:
        inputs = tuple(self._stream(name, entry) for name in entry.inputs)
        outputs = tuple(self._stream(name, entry) for name in entry.outputs)
        cycles = self._sequencer.cycles(entry.name)
        return Ports(entry.name, inputs, outputs, cycles - 1, cycles + 1)

    def _connect(self, s_bits: int, m_bits: int) -> list[str]:
        """What moves between streams and memories."""
        answers: list[Access] = []
        for transfer in self._sequencer.transfers:
            memory = transfer.memory
            counts = memory.shape.counts
            parts = [
                f"g{len(counts) - 1 - i}[{field_bits(n) - 1}:0]"
                for i, n in enumerate(counts)
                if field_bits(n)
            ]
            access = Access(transfer.select, concatenated(parts or ["1'b0"]))
            if transfer.kind == "load":
                enables = ("s_valid",) * memory.shape.lanes
                memory.writes.append(Write(access, enables, f"s_data[{memory.shape.width - 1}:0]"))
            else:
                net = memory.read(access, 0)
                padding = m_bits - memory.shape.width
                text = f"{{{padding}'b0, {net}}}" if padding else net
                answers.append(Access(transfer.select, text))
        return [f"assign m_data = {chosen(answers)};"]

    def _host(self) -> tuple[tuple[Tensor, ...], list[str]]:
        """The states as others see them, and what lets them."""
        states = self._program.of_kind("state")
        if not states:
            return (), [f"assign state_out = {STATE_BITS}'b0;"]
        tensors, selects, cases = [], [], []
        for number, state in enumerate(states):
            memory = self._memories.get(state.name) or self._unused(state)
            tensors.append(_tensor(state, memory.shape))
            select = f"host_{number}"
            selects.append(f"wire {select} = ~busy & (state_tensor == {number});")
            cases.append(f"    {number}: state_value <= {_reached(memory, select)};")
        return tuple(tensors), [
            *selects,
            f"reg [{STATE_BITS - 1}:0] state_value; assign state_out = state_value;",
            "always @(posedge clk) begin",
            "    case (state_tensor)",
            *cases,
            "    default: state_value <= 0;",
            "    endcase",
            "end",
        ]

    def _unused(self, state: Buffer) -> Memory:
        shape = Shape(state.type, 1)
        held = shape.contents(self._program.initial[state.name])
        memory = Memory(f"m{len(self._memories)}", shape, self.block_bits, held)
        self._memories[state.name] = memory
        return memory


def _reached(memory: Memory, select: str) -> str:
    """The element that the state port reads, and may write, of `memory`."""
    shape = memory.shape
    access = Access(select, f"state_address[{max(1, shape.address_bits) + 7}:8]")
    enables = [f"(state_write & (state_address[7:0] == {lane}))" for lane in range(shape.lanes)]
    element = f"{{{shape.lanes}{{state_in[{shape.bits - 1}:0]}}}}"
    memory.writes.append(Write(access, tuple(enables), element))
    word = memory.read(access, 0)
    if shape.lanes == 1:
        return word
    return f"{word}[state_address[7:0] * {shape.bits} +: {shape.bits}]"


def _tensor(state: Buffer, shape: Shape) -> Tensor:
    kind = only_integer(state.type.scalar)
    if len(state.type.shape) > 2:
        raise InputError(f"a state of {len(state.type.shape)} axes has no place in a circuit")
    stride = 2 ** field_bits(shape.counts[-1]) if shape.counts else 1
    return Tensor(state.name, state.type.shape, kind.bits, kind.signed, shape.lanes, stride)
