"""What one inference or training step costs: measured on a board or its emulator, and checked."""

import tempfile
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.learning import INTEGER
from edgetrain.costs import entry_macs
from edgetrain.cycles import modelled_cycles
from edgetrain.fpga.circuit import Circuit, check_circuit, has_front_end
from edgetrain.fpga.hardware import read_hardware, synthesise_engine
from edgetrain.networks import ReferenceNetwork
from edgetrain.pipeline import (
    Program,
    compile_model,
    open_project,
    read_report,
    write_project,
)
from edgetrain.toolchain import IMAGE_FILE, Optimise
from edgetrain.verify import Mismatch, Reference, simulate_calls, simulate_reference, verify
from edgetrain.workloads import find_network, model_file

ENTRIES = {"infer": "infer", "train": "train_step"}
"""The phases, and what the program calls them."""
CELLS = ("luts", "ffs", "carries", "dsps", "brams")
_TRACED = 10
"""Calls from which the cycles are modelled."""


@dataclass(frozen=True)
class BenchReport:
    """One phase of one workload on one board.

    `instructions` is the mean over the samples, entry to return; `instructions_can_frame` that of
    a whole CAN frame, front end and network, where the program has it.  Both are None where the
    link cannot count, and fit for comparison only if `comparable`.  `modelled_cycles` are what a
    simple core would take for those instructions (docs/benchmarks.md), where QEMU tells them.

    Of a circuit, None elsewhere: Yosys' cells without the AXI interfaces, from which `toolchain` is
    the release; `latency_cycles` from the first beat of a frame, of CAN where there is a front end,
    to the last of its answer, and the cycles between frames, without stalls.
    """

    workload: str
    board: str
    phase: str
    link: str
    samples: int
    instructions: float | None
    modelled_cycles: float | None
    instructions_can_frame: float | None
    comparable: bool
    macs: int
    flash_bytes: int | None
    weights_bytes: int
    ram_bytes: int | None
    stack_bytes: int | None
    bit_exact: bool
    toolchain: str | None
    luts: int | None
    ffs: int | None
    carries: int | None
    dsps: int | None
    brams: float | None
    latency_cycles: float | None
    initiation_interval: int | None
    first_mismatch: Mismatch | None


def bench(
    workload: str | Path,
    board: str | None = None,
    *,
    phase: str | None = None,
    toolchain: str = "auto",
    optimise: Optimise = "speed",
    link: str = "auto",
    samples: int = 20,
    seed: int = 0,
    circuit: Circuit | None = None,
) -> BenchReport:
    """Measures `samples` calls of `workload`: a workload's name, a model file, or a project as it
    was built.

    The phase is by default what the workload is for: training, if it is a reference network or a
    project that learns.  A model file then learns as `compile --learn sgd` has it.  A reference
    network meets its own samples in their order, any other model random ones.  `circuit` says what
    an FPGA becomes, which learns without floats.

    Raises InputError; of a project, `board` may only name its own.
    """
    if phase not in (None, *ENTRIES):
        raise InputError(f"unknown phase {phase!r}", remedy=f"phases: {', '.join(ENTRIES)}")
    network = None
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(workload)
        if not (directory / "program.json").is_file():
            directory = Path(scratch, "project")
            target = load_board(board or "host")
            circuit = circuit or Circuit()
            check_circuit(target, circuit)
            network = find_network(workload)
            phase = phase or ("infer" if network is None else "train")
            how = Learning() if network is None else network.learning
            if phase == "train" and target.architecture == "fpga":
                how = replace(how, precision=INTEGER)
            with model_file(workload) as path:
                program = compile_model(
                    path,
                    target,
                    learn="sgd" if phase == "train" else None,
                    how=how,
                    front_end=has_front_end(target, circuit),
                )
            write_project(
                program, directory, toolchain=toolchain, optimise=optimise, circuit=circuit
            )
        elif circuit not in (None, Circuit()):
            raise InputError(
                "the project is folded already", where=str(workload), remedy="compile it again"
            )
        program = open_project(directory)
        if board is not None and load_board(board).name != program.target:
            raise InputError(
                f"the project is for {program.target}",
                where=str(workload),
                remedy="leave out --board",
            )
        phase = phase or next(p for p in ("train", "infer") if _has(program, p))
        if not _has(program, phase):
            raise InputError(
                "the project does not learn", where=str(workload), remedy="use --phase infer"
            )
        if network is None:
            reference = simulate_reference(program, samples=samples, seed=seed)
        else:
            reference = own_samples(program, network, ENTRIES[phase], samples)
        return _measure(str(workload), directory, phase, link, reference)


def _has(program: Program, phase: str) -> bool:
    return any(entry.name == ENTRIES[phase] for entry in program.entries)


def own_samples(program: Program, network: ReferenceNetwork, entry: str, calls: int) -> Reference:
    """`calls` calls of `entry` on the network's samples in order, over and over, as simulated."""
    labels = (np.asarray(label, np.uint8) for label in cycle(network.labels))
    samples = cycle(program.input_code.encode(network.samples))
    pairs = islice(zip(samples, labels, strict=False), calls)
    inputs = [pair[: len(program.entry(entry).inputs)] for pair in pairs]
    return simulate_calls(program, {entry: inputs})


def _measure(
    workload: str, directory: Path, phase: str, link: str, reference: Reference
) -> BenchReport:
    program, report = open_project(directory), read_report(directory)
    entry = program.entry(ENTRIES[phase])
    result = verify(directory, link=link, count=True, reference=reference)
    gates = ports = None
    cells: dict[str, Any] = dict.fromkeys(CELLS)
    if load_board(program.target).architecture == "fpga":
        hardware = read_hardware(directory)
        gates = synthesise_engine(hardware)
        cells = {name: getattr(gates.resources, name) for name in CELLS}
        ports = hardware.inference
        if phase == "train":
            ports = next(p for p in hardware.engine.entries if p.name == entry.name)
    cycles = None
    if result.link == "qemu":
        series = [s for s in reference.series if s.entry == entry.name]
        inputs = [data for s in series for data in s.inputs][:_TRACED]
        board, image = load_board(program.target), directory / IMAGE_FILE
        cycles, _ = modelled_cycles(board, image, program, entry.name, inputs)
    return BenchReport(
        workload=workload,
        board=program.target,
        phase=phase,
        link=result.link,
        samples=reference.samples,
        instructions=result.instructions[entry.name],
        modelled_cycles=cycles,
        instructions_can_frame=result.instructions.get("can_frame"),
        comparable=result.comparable,
        macs=entry_macs(entry),
        flash_bytes=report.flash_bytes,
        weights_bytes=report.weights_bytes,
        ram_bytes=report.ram_bytes,
        stack_bytes=report.stack_bytes,
        bit_exact=result.bit_exact,
        toolchain=report.toolchain if gates is None else gates.version,
        **cells,
        latency_cycles=None if ports is None else result.cycles.get(ports.name) or ports.cycles,
        initiation_interval=None if ports is None else ports.interval,
        first_mismatch=result.first_mismatch,
    )
