"""Results of calls as a pipeline: addresses, memories, terms, accumulators, epilogue, write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgetrain.compiler.expr import Const, Dim, Expr, Local, lift, subexpressions
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.nest import Fold, Out, Read
from edgetrain.compiler.program import Call
from edgetrain.compiler.types import Int
from edgetrain.compiler.unroll import rewritten, simplified
from edgetrain.kernels.rtl.circuit import Circuit
from edgetrain.kernels.rtl.counting import Counters, counters
from edgetrain.kernels.rtl.expressions import as_signed, declaration, integer, only_integer
from edgetrain.kernels.rtl.linear import Columns, from_twos_complement, linear
from edgetrain.kernels.rtl.memories import Access, Memory, Write
from edgetrain.kernels.rtl.operands import Operands, Surroundings
from edgetrain.kernels.rtl.pipeline import Signal, Values, concatenated
from edgetrain.kernels.rtl.rows import total


@dataclass(frozen=True)
class Job:
    """A result to compute."""

    call: Call
    out: Out
    folding: Folding

    @cached_property
    def counters(self) -> Counters:
        return counters(self.call, self.out, self.folding)

    @cached_property
    def reads(self) -> Mapping[str, tuple[Read, str]]:
        """What the call reads and the buffer that it is, by the name in its expressions."""
        pairs = zip(self.call.nest.reads, self.call.inputs, strict=True)
        return {read.local: (read, operand) for read, operand in pairs}

    @cached_property
    def result(self) -> str:
        """The buffer that it is."""
        return self.call.outputs[self.call.nest.outs.index(self.out)]


class Unit:
    """Prints jobs of an entry into the pipeline, while the net `select` is 1.

    Each job but the first takes what the one before makes, element by element; only the last one's
    results are written.  `depth` is the stages until that is done.
    """

    def __init__(self, around: Surroundings, entry: str, select: str, jobs: Sequence[Job]) -> None:
        self._around, self._entry, self._select = around, entry, select
        self._pipeline = around.pipeline
        self._counters = jobs[0].counters
        used = {c.counter for job in jobs for c in job.counters.every}
        order = sorted(used, key=lambda counter: counter.name)
        self._operands = Operands(around, entry, select, order)
        self._values = self._operands.values
        self._given: dict[str, list[Local]] = {}
        for job in jobs:
            results = self._results(job)
            self._given = {job.result: results}
        self.depth = self._write(jobs[-1], results)

    def _results(self, job: Job) -> list[Local]:
        """What a job makes in a turn, a register each."""
        bodies = self._bodies(job)
        stage = self._values.stage(*bodies)
        kind = only_integer(job.out.type)
        results = []
        for body in bodies:
            text = as_signed(self._values.text(body, stage), integer(body))
            net = self._pipeline.register(kind, text)
            results.append(Local(net, kind))
            self._values.define(results[-1], Signal(net, kind.bits, stage + 1))
        return results

    def _bodies(self, job: Job) -> list[Expr]:
        """The elements that a turn makes, a lane each."""
        out, fold = job.out, job.out.fold
        lanes = range(job.folding.pe)
        bodies = [self._expr(job, out.body, lane, 0) for lane in lanes]
        if fold is None:
            self._operands.print_tables()
            return bodies
        inits = [self._expr(job, fold.init, lane, 0) for lane in lanes]
        terms = [
            [self._expr(job, fold.term, lane, term) for term in range(job.folding.simd)]
            for lane in lanes
        ]
        self._operands.print_tables()
        stage = self._values.stage(*inits, *(term for lane in terms for term in lane))
        finished = []
        for body, init, lane in zip(bodies, inits, terms, strict=True):
            result = self._folded(fold, init, lane, stage, job.counters.turning)
            finished.append(rewritten(body, {fold.result: result}))
        return finished

    def _turn(self, job: Job, lane: int, term: int) -> dict[Expr, Expr]:
        """The index of each dim, in those lanes."""
        at: dict[Expr, Expr] = {}
        for group, own in ((job.counters.free, lane), (job.counters.folded, term)):
            for counted in group:
                at[counted.dim] = counted.index(own if counted is group[-1] else 0)
        for name, index in job.call.point:
            at[Dim(name, job.call.nest.sizes[name])] = self._expr(job, index, lane, term, at)
        return at

    def _expr(
        self,
        job: Job,
        expr: Expr,
        lane: int,
        term: int,
        known: Mapping[Expr, Expr] | None = None,
    ) -> Expr:
        """`expr` in those lanes, in terms of what memories, tables and counters give."""
        values = {**(known if known is not None else self._turn(job, lane, term))}

        def found(read: Read, operand: str) -> Expr:
            if operand in self._given:
                return self._given[operand][lane]
            access = tuple(resolved(index) for index in read.access)
            return self._operands.read(operand, read.type, access)

        def resolved(wanted: Expr) -> Expr:
            more = dict(values)
            for node in subexpressions(wanted):
                if isinstance(node, Local) and node.name in job.reads:
                    more[node] = found(*job.reads[node.name])
            return rewritten(wanted, more)

        return resolved(expr)

    # Folds

    def _folded(
        self, fold: Fold, init: Expr, terms: Sequence[Expr], stage: int, turning: bool
    ) -> Local:
        """The finished fold: a register of a turn's terms, or an accumulator behind it."""
        kind = only_integer(fold.type)
        whole = [*terms] if turning or _neutral(fold, init) else [init, *terms]
        net = self._pipeline.register(kind, self._joined(fold.op, whole, kind, stage))
        stage += 1
        if turning:
            net = self._accumulator(fold, kind, net, init, stage)
            stage += 1
        result = Local(net, kind)
        self._values.define(result, Signal(net, kind.bits, stage))
        return result

    def _joined(self, op: str, terms: Sequence[Expr], kind: Int, stage: int) -> str:
        """All terms of one turn, modulo the bits of the accumulator."""
        if op == "max" or len(terms) == 1:
            whole = terms[0]
            for term in terms[1:]:
                whole = simplified(op, whole, term)
            return as_signed(self._values.text(whole, stage), integer(whole))
        circuit = Circuit(self._pipeline.name("s") + "_")
        columns = Columns(0)
        for term in terms:
            parts = linear(term)
            columns.constant += parts.constant
            for part, times in parts.terms.items():
                own = integer(part)
                text = self._pipeline.wire(own, self._operands.small(part, stage))
                bits = [circuit.net(f"{text}[{i}]", 0) for i in range(own.bits)]
                columns.add(times, from_twos_complement(bits, own))
        lines, texts, _ = circuit.print(total(circuit, columns, 0, kind.bits), 1)
        self._pipeline.lines += lines
        self._pipeline.parts["row"] += circuit.row_bits
        return concatenated(texts[::-1])

    def _accumulator(self, fold: Fold, kind: Int, terms: str, init: Expr, stage: int) -> str:
        """A register that starts anew at the first turn of a fold."""
        first = self._pipeline.delayed("f_first", 1, stage)
        name = self._pipeline.name("acc")
        self._pipeline.lines.append(f"{declaration(kind, name, 'reg')};")
        start = as_signed(self._values.text(init, stage), integer(init))
        before = self._pipeline.wire(kind, f"{first} ? {start} : {as_signed(name, kind)}")
        held, more = Local(before, kind), Local(terms, kind)
        values = Values(self._pipeline)
        values.define(held, Signal(before, kind.bits))
        values.define(more, Signal(terms, kind.bits))
        text = f"{before} + {terms}"
        if fold.op == "max":
            text = values.text(simplified("max", held, more), 0)
        self._pipeline.lines.append(f"always @(posedge clk) {name} <= {text};")
        self._pipeline.parts["sum"] += kind.bits
        return name

    # Writes

    def _write(self, job: Job, results: Sequence[Local]) -> int:
        """The stage of the write."""
        memory = self._around.memory(self._entry, job.result)
        lanes, pe = memory.shape.lanes, len(results)
        at = self._turn(job, 0, 0)
        indices = [at[Dim(name, job.call.nest.sizes[name])] for name in job.out.dims]
        *rows, column = indices or [lift(0)]
        place = self._operands.split(column, lanes)
        parts = (*rows, place.word) if indices else ()
        stage = self._values.stage(*results, *parts, place.index)
        nets = [self._values.text(result, stage) for result in results]
        done = self._pipeline.delayed("go", 1, stage)
        if self._counters.turning:
            done = f"({done} & {self._pipeline.delayed('f_last', 1, stage)})"
        data = concatenated([nets[i % pe] for i in reversed(range(lanes))])
        enables = (done,) * lanes
        if lanes != pe:
            here = self._values.text(place.index, stage)
            groups = {lane: number for number, lane in enumerate(place.lanes)}
            if _in_order(job, memory):
                data, done = self._gathered(nets, memory, done, f"{here} == {len(groups) - 1}")
                enables = (done,) * lanes
            else:
                chosen = [groups.get(lane - lane % pe) for lane in range(lanes)]
                enables = tuple(
                    "1'b0" if n is None else f"({done} & ({here} == {n}))" for n in chosen
                )
        address = self._operands.address(memory.shape.counts, parts, stage)
        memory.writes.append(Write(Access(self._select, address), enables, data))
        return stage

    def _gathered(
        self, nets: Sequence[str], memory: Memory, done: str, last: str
    ) -> tuple[str, str]:
        """A whole word and when it is complete, of results that come in the order of their places:
        a memory that is written by words is smaller than one written by lanes."""
        width, own = memory.shape.width, memory.shape.bits * len(nets)
        name = self._pipeline.name("h")
        new = concatenated(list(nets)[::-1])
        self._pipeline.lines += [
            f"reg [{width - own - 1}:0] {name}; wire [{width - 1}:0] {name}_w = {{{new}, {name}}};",
            f"always @(posedge clk) if ({done}) {name} <= {name}_w[{width - 1}:{own}];",
        ]
        return f"{name}_w", f"({done} & ({last}))"


def _neutral(fold: Fold, init: Expr) -> bool:
    return fold.op == "add" and isinstance(init, Const) and init.value == 0


def _in_order(job: Job, memory: Memory) -> bool:
    """Whether a row of `memory` is written from its beginning to its end."""
    free = job.counters.free
    if not (free and job.out.dims) or free[-1].loop.dim != job.out.dims[-1]:
        return False
    return free[-1].loop.size == memory.shape.kind.shape[-1]
