"""The straight line: model file → graph → program → C → image, or a circuit."""

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgetrain.board import Board, all_boards, load_board
from edgetrain.can.deploy import can_frame_graph
from edgetrain.can.table import METADATA_KEY, read_can_model
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.files import write_whole
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.expansions import INEXPRESSIBLE
from edgetrain.compiler.onnx_io.export import export_graph
from edgetrain.compiler.onnx_io.load import ImportedModel, import_model
from edgetrain.compiler.passes import HALF, run_passes, training_passes
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Program as CompiledProgram
from edgetrain.compiler.program_file import (
    load_program,
    program_sha256,
    save_program,
)
from edgetrain.compiler.rules import Learning, Rule, find_rule
from edgetrain.compiler.rules.learned import with_learned
from edgetrain.compiler.rules.learning import INTEGER
from edgetrain.compiler.rules.parameters import with_parameters
from edgetrain.compiler.types import Float
from edgetrain.costs import entry_multiplications
from edgetrain.executor import evaluate
from edgetrain.fpga.circuit import (
    Circuit,
    check_circuit,
    check_integers,
    make_hardware,
    print_circuit,
)
from edgetrain.fpga.hardware import Hardware
from edgetrain.kernels.c.kernels import KERNELS
from edgetrain.kernels.c.program import print_program
from edgetrain.simulator import Simulator
from edgetrain.toolchain import Build, Optimise, build
from edgetrain.version import VERSION

LINK_BYTES = 60_000
"""The most that the inputs or outputs of an entry may hold where an image is built: et_link.c."""
FULL_UPDATE = "full_update"
"""The metadata that say what a step would cost if every parameter learned."""
STEP_COSTS = ("state_bytes", "arena_bytes", "step_multiplications")
FP16_FEATURES = frozenset({"f16", "fma16"})
"""What a board must have for programs in FLOAT16."""
REPORT_FILE = "report.json"
MODEL_FILE = "model.onnx"
INFERENCE_FILE = "inference.onnx"
"""Beside the training step in MODEL_FILE."""


@dataclass(frozen=True)
class Program(CompiledProgram):
    """A compiled program that can be run here.

    `sources`: the graphs of `infer` and, where it learns, `train_step` before any pass; none where
    the program was opened.
    """

    sources: tuple[Graph, ...] = field(default=(), compare=False, repr=False)

    def simulator(self) -> Simulator:
        """A fresh simulated device."""
        return Simulator(self)

    @property
    def sha256(self) -> str:
        """The hash that the image carries, in hex."""
        return program_sha256(self).hex()


@dataclass(frozen=True)
class CompileReport:
    """What a compile made.  Bytes are None where nothing was built.

    `flash_bytes` and `ram_bytes` are what model and runtime add to a firmware, `image_…` is the
    whole image with the link server.  Of a circuit: its form, and the cycles of an inference and
    between two, without stalls.  `update` says which parameters learn, `full_…` what it would
    cost if all did, and is None where all do.
    """

    directory: str
    board: str
    program_sha256: str
    flash_bytes: int | None
    weights_bytes: int
    ram_bytes: int | None
    stack_bytes: int | None
    calls: int
    arena_bytes: int
    arena_bound: int
    state_bytes: int
    image_flash_bytes: int | None
    image_ram_bytes: int | None
    toolchain: str | None
    update: str | None
    step_multiplications: int | None
    full_state_bytes: int | None
    full_arena_bytes: int | None
    full_step_multiplications: int | None
    form: str | None
    latency_cycles: int | None
    initiation_interval: int | None


def compile_model(
    model: str | Path,
    board: str | Board = "host",
    *,
    learn: str | None = None,
    how: Learning | None = None,
    dequantise: bool = False,
    state: Mapping[str, NDArray[Any]] | None = None,
    front_end: bool = True,
) -> Program:
    """The program of `model` for `board`; nothing is written.  Raises InputError.

    `learn` names the rule by which the device learns; then the weights are state, and an entry
    `train_step` replaces them.  `how.precision` is that of inference too.
    `dequantise` makes a quantised model a float one; a CAN detector is then without its front end,
    which gives integers.  `state` is what a device has learned: the model's parameters become
    those, and states of the same names begin with it.  Without `front_end` a CAN detector is the
    network alone.
    """
    target = load_board(board) if isinstance(board, str) else board
    features = frozenset(target.features)
    how = how or Learning()
    learnable = learn is not None or state is not None
    imported = import_model(
        model,
        dequantise=dequantise,
        learnable=learnable,
        powers=how.precision == "pow2",
        scales=how.scales == "learned",
    )
    if state is not None:
        graph, quantisation = with_learned(imported.graph, imported.quantisation, state)
        imported = replace(imported, graph=graph, quantisation=quantisation)
    how = replace(how, precision=_precision(imported, how.precision))
    if how.precision == "fp16":
        imported = _in_float16(imported, target)
    sources: tuple[Graph, ...] = (imported.graph,)
    metadata: dict[str, Any] = {}
    if learn is None and (how.options or how.mask):
        raise InputError("options and masks are those of a learning rule", remedy="give --learn")
    if learn is not None:
        rule = find_rule(learn)
        how = rule.settle(how)
        sources = _learning_graphs(imported, rule, how)
        imported = replace(imported, graph=sources[0])
        if rule.infer is not None:
            imported = _of_floats(imported, sources[0])
        metadata["learn"] = {"rule": learn, **how.record()}
        if how.update != "all":
            everything = replace(how, update="all")
            full = compile_model(
                model,
                target,
                learn=learn,
                how=everything,
                dequantise=dequantise,
                front_end=front_end,
            )
            metadata[FULL_UPDATE] = _step_costs(full)
    graphs = [run_passes(sources[0])]
    graphs += [run_passes(step, training_passes(features, evaluate)) for step in sources[1:]]
    can = read_can_model(imported.metadata)
    if can is not None and front_end and not dequantise:
        graphs.append(run_passes(can_frame_graph(imported, can)))
        metadata[METADATA_KEY] = json.loads(can.serialise())
    compiled = plan(
        graphs,
        Target(target.name, features, KERNELS),
        imported.input_code,
        imported.output_code,
        metadata,
    )
    if target.architecture == "fpga":
        check_integers(compiled, target)
    return runnable(_beginning_with(compiled, state or {}), sources)


def _beginning_with(program: CompiledProgram, state: Mapping[str, NDArray[Any]]) -> CompiledProgram:
    """`program` with the elements of `state` in states of the same name and shape."""
    initial = {
        name: state[name].astype(array.dtype)
        if name in state and (state[name].dtype, state[name].shape) == (array.dtype, array.shape)
        else array
        for name, array in program.initial.items()
    }
    return replace(program, initial=initial)


def _precision(model: ImportedModel, wanted: str | None) -> str:
    """That of `model`, or as `wanted`.  Raises InputError where it cannot be had."""
    own = model.precision
    if own is None:
        if wanted in (None, "fp32", "fp16"):
            return wanted or "fp32"
        raise InputError(
            f"a float model does not compute in {wanted}",
            remedy="train it quantised (Brevitas), or give fp32 or fp16",
        )
    if wanted in (None, own, "pow2", INTEGER) or (wanted, own) == ("int8", "w8a8"):
        return wanted or own
    raise InputError(
        f"the model is quantised as {own}, not {wanted}",
        remedy="leave out --precision, or make it a float one with --dequantise",
    )


def _in_float16(model: ImportedModel, board: Board) -> ImportedModel:
    """`model` computing in FLOAT16; InputError where the board or the model cannot."""
    if not FP16_FEATURES.issubset(board.features):
        able = [b.name for b in all_boards() if FP16_FEATURES.issubset(b.features)]
        raise InputError(
            f"{board.name} does not compute in FLOAT16", remedy=f"boards that do: {', '.join(able)}"
        )
    return _of_floats(model, run_passes(model.graph, HALF))


def _of_floats(model: ImportedModel, graph: Graph) -> ImportedModel:
    """`model` with another graph, which takes and gives floats."""
    (x,), (y,) = graph.inputs, graph.outputs
    return replace(model, graph=graph, input_code=InputCode(x.type), output_code=OutputCode(y.type))


def _learning_graphs(imported: ImportedModel, rule: Rule, how: Learning) -> tuple[Graph, Graph]:
    """`infer` over parameters in state, and `train_step`."""
    if imported.loss not in (None, how.loss):
        raise InputError(
            f"the model file is a training graph of the loss {imported.loss}, not {how.loss}",
            remedy=f"use --loss {imported.loss}",
        )
    network = with_parameters(imported.graph, how.update, imported.quantisation)
    infer = network if rule.infer is None else rule.infer(network, how)
    return infer, rule.apply(network, how)


def open_project(directory: str | Path) -> Program:
    """The program of a directory that `write_project` made.  Raises InputError."""
    return runnable(load_program(Path(directory)))


def runnable(compiled: CompiledProgram, sources: tuple[Graph, ...] = ()) -> Program:
    """What a plan made, as something to run; `sources` are its graphs before fusion."""
    parts = {f.name: getattr(compiled, f.name) for f in fields(CompiledProgram)}
    return Program(**parts, sources=sources)


def write_project(
    program: Program,
    directory: str | Path,
    *,
    toolchain: str = "auto",
    optimise: Optimise = "speed",
    with_image: bool = True,
    circuit: Circuit | None = None,
) -> CompileReport:
    """Print `program` as C into `directory`, build it, and describe it in report.json; or print it
    as the `circuit` that an FPGA becomes.

    The directory appears whole or stays as it was.  Raises InputError, also where no compiler for
    the board is here.
    """
    final = Path(directory)
    _check_replaceable(final)
    board = load_board(program.target)
    circuit = circuit or Circuit()
    check_circuit(board, circuit)
    if with_image:
        _check_link(program)
    final.parent.mkdir(parents=True, exist_ok=True)
    # Compilers run elsewhere: no relative path.
    parent = final.parent.resolve()
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{final.name}-") as scratch:
        work = Path(scratch, "project")
        work.mkdir()
        save_program(program, work)
        hardware = None
        if board.architecture == "fpga":
            hardware = make_hardware(program, circuit)
            network = program.sources[0] if program.sources else None
            files = print_circuit(program, hardware, board, network)
            _write_files(work, files)
        else:
            _write_sources(program, work, board.features, optimise)
        # The last entry is what the project is for.
        models = zip((MODEL_FILE, INFERENCE_FILE), reversed(program.sources), strict=False)
        for name, graph in models:
            if not any(node.op in INEXPRESSIBLE for node in graph.nodes):
                write_whole(work / name, export_graph(graph))
        image = None
        if with_image and board.architecture != "fpga":
            flags = _numeric_flags(program, board)
            image = build(board, work, toolchain=toolchain, optimise=optimise, extra_flags=flags)
        report = _report(program, final, image, hardware)
        text = json.dumps({**asdict(report), "directory": "."}, indent=1) + "\n"
        write_whole(work / REPORT_FILE, text.encode())
        if final.exists():
            shutil.rmtree(final)
        work.rename(final)
    return report


def build_for_host(program: CompiledProgram, directory: Path, *, library: bool = False) -> Path:
    """An image of `program`, whatever its board, that runs on this machine: plain loops that keep
    each contract; to load into a process, if a `library`.  Raises InputError where no compiler is
    here."""
    _check_link(program)
    _write_sources(program, directory, (), "speed")
    flags = ("-shared", "-fPIC") if library else ()
    return build(load_board("host"), directory, extra_flags=flags).image


def _write_sources(
    program: CompiledProgram, directory: Path, features: Collection[str], optimise: Optimise
) -> None:
    digest, unroll = program_sha256(program), optimise != "flash"
    printed = print_program(program, digest, VERSION, features, unroll=unroll)
    _write_files(directory, {f"src/{name}": text.encode() for name, text in printed.items()})


def _write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)


def _numeric_flags(program: CompiledProgram, board: Board) -> tuple[str, ...]:
    """What keeps a compiler from changing bits.

    Vectors of FLOAT32 on the M-profile's vector extension flush subnormals to zero, the scalar unit
    does not: loops over floats must stay scalar, as their contracts say.
    """
    floats = any(isinstance(b.type.scalar, Float) for b in program.buffers.values())
    if floats and "mve-fp" in board.features:
        return ("-fno-tree-vectorize", "-fno-tree-slp-vectorize")
    return ()


def _check_link(program: CompiledProgram) -> None:
    for entry in program.entries:
        for names in (entry.inputs, entry.outputs):
            size = sum(program.buffers[name].bytes for name in names)
            if size > LINK_BYTES:
                raise InputError(
                    f"{entry.name} takes or gives {size} bytes, the link server {LINK_BYTES}",
                    remedy="build no image (--no-build), and call the C sources yourself",
                )


def _check_replaceable(directory: Path) -> None:
    """Never delete what an earlier compile did not make."""
    if directory.exists() and not (directory / "program.json").is_file():
        if directory.is_dir() and not any(directory.iterdir()):
            return
        raise InputError(
            "exists and holds something else than a compiled project",
            where=str(directory),
            remedy="choose another directory with -o",
        )


def _report(
    program: Program, directory: Path, image: Build | None, hardware: Hardware | None
) -> CompileReport:
    ports = None if hardware is None else hardware.inference
    sizes: Mapping[str, Any] = asdict(image) if image else {}
    full: Mapping[str, int] = program.metadata.get(FULL_UPDATE, {})
    return CompileReport(
        directory=str(directory),
        board=program.target,
        program_sha256=program.sha256,
        flash_bytes=sizes.get("flash_bytes"),
        weights_bytes=program.weights_bytes,
        ram_bytes=sizes.get("ram_bytes"),
        stack_bytes=sizes.get("stack_bytes"),
        calls=sum(len(entry.calls) for entry in program.entries),
        arena_bytes=program.arena_bytes,
        arena_bound=program.arena_bound,
        state_bytes=program.state_bytes,
        image_flash_bytes=sizes.get("image_flash_bytes"),
        image_ram_bytes=sizes.get("image_ram_bytes"),
        toolchain=sizes.get("toolchain"),
        update=program.metadata.get("learn", {}).get("update"),
        step_multiplications=_step_costs(program).get("step_multiplications"),
        **{f"full_{name}": full.get(name) for name in STEP_COSTS},
        form=None if hardware is None else hardware.form,
        latency_cycles=None if ports is None else ports.cycles,
        initiation_interval=None if ports is None else ports.interval,
    )


def _step_costs(program: CompiledProgram) -> dict[str, int]:
    """What a training step takes of memory and work; nothing where the program does not learn."""
    step = next((entry for entry in program.entries if entry.name == "train_step"), None)
    if step is None:
        return {}
    costs = program.state_bytes, program.arena_bytes, entry_multiplications(step)
    return dict(zip(STEP_COSTS, costs, strict=True))


def read_report(directory: str | Path) -> CompileReport:
    """The report of the project in `directory`.  Raises InputError."""
    path = Path(directory) / REPORT_FILE
    try:
        table = json.loads(path.read_text())
        report = CompileReport(**{**table, "directory": str(directory)})
        for field in fields(report):
            if not isinstance(getattr(report, field.name), field.type):  # type: ignore[arg-type]
                raise ValueError(field.name)
        return report
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            "cannot be read", where=str(path), remedy="compile the model again"
        ) from error
