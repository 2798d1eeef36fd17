"""Every verb does what its help shows, and gives the JSON keys that scripts rely on."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from edgetrain.cli import cli
from edgetrain.train import can_ids
from tests.cli.conftest import LAST_SCALE, SHIPPED, Command

# In an order in which each finds what it needs.
ORDER = (
    *("boards", "doctor", "ops", "rules", "workloads", "compile", "simulate", "verify", "bench"),
    *("demo", "report", "state export", "state import", "inject", "refit", "evaluate", "train"),
)
KEYS = {
    "compile": "directory board program_sha256 flash_bytes weights_bytes ram_bytes stack_bytes "
    "calls",
    "simulate": "samples seconds samples_per_second",
    "verify": "link samples steps compared_values mismatches bit_exact",
    "bench": "workload board instructions macs flash_bytes weights_bytes ram_bytes stack_bytes "
    "bit_exact instructions_can_frame luts ffs carries dsps brams latency_cycles "
    "initiation_interval",
    "train": "accuracy false_positive_rate per_class epochs",
    "evaluate": "accuracy false_positive_rate false_alarms clean_seconds per_class",
    "inject": "frames injected",
    "refit": "model identifiers frames",
    "state export": "tensors bytes sha256",
    "state import": "tensors bytes sha256",
    "boards": "boards",
    "ops": "ops",
    "rules": "rules",
    "workloads": "workloads",
    "doctor": "tools",
    "report": "html",
    "demo": "frames accuracy runs",
}


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


VERBS = dict(commands(cli))


def examples(verb: str) -> list[str]:
    epilog = VERBS[verb].epilog or ""
    return [line.strip() for line in epilog.splitlines() if line.startswith("  edgetrain ")]


def test_the_order_names_every_verb() -> None:
    assert sorted(ORDER) == sorted(VERBS) == sorted(KEYS)


@pytest.fixture(scope="module")
def short_training() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(can_ids, "PASSES", (2,))
        patch.setattr(can_ids, "FLOAT_EPOCHS", 1)
        patch.setattr(can_ids, "QUANTISED_EPOCHS", 1)
        patch.setattr(can_ids, "TEST_PASSES", 1)
        yield


def test_the_examples_in_the_help_work(edgetrain: Command, short_training: None) -> None:
    for verb in ORDER:
        lines = examples(verb)
        assert lines, verb
        for line in lines:
            assert line.startswith(f"edgetrain {verb}")
            if verb == "train":
                pytest.importorskip("torch", reason="needs `pip install 'edgetrain[train]'`")
            found = edgetrain(f"{line} --json")
            assert found.code == 0, (line, found.err)
            assert set(KEYS[verb].split()) <= found.data.keys(), line
            json.dumps(found.data, allow_nan=False)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(edgetrain: Command, verb: str) -> None:
    found = edgetrain(f"{verb} --help")
    assert (found.code, found.err) == (0, "")
    assert "Usage: edgetrain" in found.out
    assert all(example in found.out for example in (examples(verb) if verb else ()))


def test_without_a_verb_it_shows_help(edgetrain: Command) -> None:
    assert edgetrain("").out.startswith("Usage: edgetrain")


@pytest.mark.parametrize("verb", ["boards", "ops", "rules", "workloads", "doctor"])
def test_lists_for_people(edgetrain: Command, verb: str) -> None:
    found = edgetrain(verb)
    assert (found.code, found.err) == (0, "")
    names = [each["name"] for each in next(iter(edgetrain(f"{verb} --json").data.values()))]
    assert all(name in found.out for name in names)


def test_a_project_has_the_name_of_model_and_board(edgetrain: Command, workshop: Path) -> None:
    model = workshop / "odd näme; $(id).onnx"
    model.write_bytes(_shipped(edgetrain))
    found = edgetrain(f"compile '{model}' --board mps2/an386 --no-build --json")
    assert found.data["directory"] == "build/odd_n_me_id-mps2-an386"
    assert found.data["flash_bytes"] is None
    assert found.data["weights_bytes"] > 0


def _shipped(edgetrain: Command) -> bytes:
    workload, *_ = edgetrain("workloads --json").data["workloads"]
    assert workload["name"] == SHIPPED
    assert workload["summary"] == "A detector for tests"
    return Path(workload["model"]).read_bytes()


def test_simulate_writes_codes_and_their_values(edgetrain: Command, project: Path) -> None:
    assert edgetrain(f"simulate {project} --input x.npy -o y.npz").code == 0
    with np.load("y.npz") as arrays:
        # Of the last layer; its input's is 1.
        np.testing.assert_array_equal(arrays["outputs"], arrays["codes"] * np.float32(LAST_SCALE))
        assert arrays["outputs"].shape == (50, 4)
        assert len(np.unique(arrays["codes"])) > 10


def test_bench_of_a_project_refuses_another_board(edgetrain: Command, project: Path) -> None:
    found = edgetrain(f"bench {project} --board mps2-an386")
    assert found.code == 2
    assert "leave out --board" in found.err


def test_quiet_says_nothing_on_stderr(edgetrain: Command) -> None:
    loud = edgetrain("inject drive.log -o attacked.csv")
    assert "drive.log" in loud.err
    quiet = edgetrain("inject drive.log -o attacked.csv -q")
    assert (quiet.err, quiet.out) == ("", loud.out)


def test_the_same_seed_injects_the_same(edgetrain: Command) -> None:
    for name in ("a", "b"):
        edgetrain(f"inject drive.log --attacks dos,burst --seed 7 -o {name}.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_evaluate_cuts_the_recording(edgetrain: Command) -> None:
    edgetrain("inject drive.log -o attacked.csv")
    whole = edgetrain(f"evaluate {SHIPPED} attacked.csv --json").data
    part = edgetrain(f"evaluate {SHIPPED} attacked.csv --from 5 --to 10 --json").data
    assert part["frames"] < whole["frames"] / 4
    assert 3 < part["clean_seconds"] <= 5
    assert edgetrain(f"evaluate {SHIPPED} attacked.csv --from 99").code == 2


def test_refit_learns_the_table_and_keeps_the_rest(edgetrain: Command) -> None:
    found = edgetrain(f"refit {SHIPPED} drive.log -o refitted.onnx --json")
    assert found.data["identifiers"] == 19
    before = edgetrain(f"compile {SHIPPED} --no-build -o before --json").data
    after = edgetrain("compile refitted.onnx --no-build -o after --json").data
    assert before["program_sha256"] != after["program_sha256"]
    for directory in ("before", "after"):
        edgetrain(f"simulate {directory} --input x.npy -o {directory}.npz")
    assert Path("before.npz").read_bytes() == Path("after.npz").read_bytes()
