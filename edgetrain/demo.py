"""The main job from end to end: the shipped detector, compiled, run on emulated boards, judged."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from edgetrain.can.frames import Frames
from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.evaluate import evaluate
from edgetrain.pipeline import CompileReport, compile_model, write_project
from edgetrain.refit import refit
from edgetrain.verify import VerifyReport, simulate_reference, verify
from edgetrain.workloads import find_model

BOARDS = ("mps2-an386", "qemu-rv32imc")
WORKLOAD = "can-ids-w2a2"
FITTING_SECONDS = 60.0
# A little below what the bus carries with attacks, so that there are frames enough.
_FRAMES_PER_SECOND = 400

CAPTION = (
    "Synthetic traffic: for demonstration, not a result. The network was trained on a real car; "
    f"its table of identifiers was learned anew on {FITTING_SECONDS:.0f} s of the made-up bus, as "
    "for any new vehicle. Bytes of flash and RAM are what model and runtime add to a firmware."
)
NOT_COMPARABLE = " *: unicorn's count, not comparable with others."


@dataclass(frozen=True)
class Run:
    """One board's part."""

    compiled: CompileReport
    verified: VerifyReport


@dataclass(frozen=True)
class DemoReport:
    """`accuracy`: share of the frames given the right one of the model's classes."""

    frames: int
    attack_frames: int
    accuracy: float
    runs: tuple[Run, ...]

    @property
    def bit_exact(self) -> bool:
        """Whether every board equals the simulator."""
        return all(run.verified.bit_exact for run in self.runs)

    @property
    def first_mismatch(self) -> str:
        """The first board that does not, and where."""
        return next(
            f"{run.compiled.board}: {run.verified.first_mismatch}"
            for run in self.runs
            if not run.verified.bit_exact
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "frames": self.frames,
            "attack_frames": self.attack_frames,
            "accuracy": self.accuracy,
            "runs": [
                {
                    "board": run.compiled.board,
                    "toolchain": run.compiled.toolchain,
                    "link": run.verified.link,
                    "mismatches": run.verified.mismatches,
                    "bit_exact": run.verified.bit_exact,
                    "flash_bytes": run.compiled.flash_bytes,
                    "weights_bytes": run.compiled.weights_bytes,
                    "ram_bytes": run.compiled.ram_bytes,
                    "stack_bytes": run.compiled.stack_bytes,
                    "instructions": run.verified.instructions["infer"],
                    "instructions_can_frame": run.verified.instructions["can_frame"],
                    "comparable": run.verified.comparable,
                }
                for run in self.runs
            ],
        }

    def __rich__(self) -> Table:
        """One row a board."""
        comparable = all(run.verified.comparable for run in self.runs)
        table = Table(
            title=f"{WORKLOAD}: {self.frames:,} frames, {self.attack_frames:,} of them attacks",
            title_justify="left",
            caption=CAPTION + ("" if comparable else NOT_COMPARABLE),
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=0,
        )
        table.add_column("board", vertical="bottom")
        table.add_column("link", vertical="bottom")
        # Short enough for a terminal of 80 columns.
        for title in ("frames", "accu-\nracy", "mis-\nmatch", "flash", "weights", "RAM", "stack"):
            table.add_column(title, justify="right", vertical="bottom")
        for title in ("instr./\nframe", "network\nalone"):
            table.add_column(title, justify="right", vertical="bottom")
        for run in self.runs:
            compiled, verified = run.compiled, run.verified
            numbers = (
                verified.mismatches,
                compiled.flash_bytes,
                compiled.weights_bytes,
                compiled.ram_bytes,
                compiled.stack_bytes,
            )
            table.add_row(
                compiled.board,
                verified.link,
                f"{self.frames:,}",
                f"{self.accuracy:.1%}",
                *(f"{number:,}" for number in numbers),
                _count(verified, "can_frame"),
                _count(verified, "infer"),
            )
        return table


def _count(report: VerifyReport, entry: str) -> str:
    count = report.instructions[entry]
    if count is None:
        return "–"
    return f"{count:,.0f}" + ("" if report.comparable else "*")


def demo(
    *,
    model: str | Path = WORKLOAD,
    boards: tuple[str, ...] = BOARDS,
    samples: int = 1000,
    seed: int = 0,
    link: str = "auto",
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> DemoReport:
    """Compiles `model` for `boards`, runs it on their emulators, compares every bit and judges it.

    The frames, `samples` of them with attacks among them, are of a made-up bus.  Raises InputError.
    """
    clean, frames = traffic(samples, seed)
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.onnx")
        can = refit(find_model(model), clean, path)
        program = compile_model(path)
        progress("simulating", 0, 1 + 2 * len(boards))
        reference = simulate_reference(program, samples=samples, seed=seed, frames=frames)
        for number, board in enumerate(boards):
            directory = Path(scratch, board)
            progress(f"compiling for {board}", 1 + 2 * number, 1 + 2 * len(boards))
            compiled = write_project(compile_model(path, board), directory)
            progress(f"running on {board}", 2 + 2 * number, 1 + 2 * len(boards))
            verified = verify(directory, link=link, count=True, reference=reference)
            runs.append(Run(compiled, verified))
    score = evaluate(program.simulator().infer, can, [frames]).score
    assert score.accuracy is not None
    attacks = int((frames.kind > 0).sum())
    return DemoReport(len(frames), attacks, score.accuracy, tuple(runs))


def traffic(samples: int, seed: int) -> tuple[Frames, Frames]:
    """Clean traffic to learn the table from, and the `samples` frames after it, with attacks."""
    bus = synthetic_bus(FITTING_SECONDS + samples / _FRAMES_PER_SECOND, seed)
    attacked = inject(bus.between(FITTING_SECONDS), seed=seed)
    return bus.between(0, FITTING_SECONDS), attacked[:samples]
