"""Programs on disk: the same program comes back, and a damaged one is refused in one line."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import (
    PROGRAM_FILE,
    WEIGHTS_FILE,
    load_program,
    program_sha256,
    program_text,
    save_program,
)
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.simulator import Simulator
from tests.compiler.draws import draw
from tests.compiler.random_graphs import random_graph
from tests.oracles.models import random_float, random_qdq, random_qonnx

METADATA = {"classes": ["normal", "été"], "threshold": 3, "nothing": None}


def imported(model: onnx.ModelProto, directory: Path) -> Program:
    path = directory / "model.onnx"
    onnx.save(model, path)
    found = import_model(path)
    target = Target("board", frozenset())
    return plan([run_passes(found.graph)], target, found.input_code, found.output_code, METADATA)


def with_state(seed: int) -> Program:
    kind = TensorType((1,), FLOAT32)
    graph = random_graph(seed)
    graphs = [graph, replace(graph, name="again")]
    return plan(graphs, Target("t", frozenset()), InputCode(kind), OutputCode(kind), {})


def with_contract() -> Program:
    builder = GraphBuilder("infer")
    x = builder.input("x", TensorType((3,), FLOAT32))
    w = builder.constant(np.array([[0.1], [-0.0], [1e-45]], np.float32))
    builder.output("y", builder.apply("matmul", x, w))
    graph = builder.build()
    code = InputCode(TensorType((3,), FLOAT32)), OutputCode(TensorType((1,), FLOAT32))
    program = plan([graph], Target("t", frozenset()), *code, {})
    (entry,) = program.entries
    (call,) = entry.calls
    (out,) = call.nest.outs
    assert out.fold is not None
    fold = replace(out.fold, contract=Contract(fused=True))
    nest = replace(call.nest, outs=(replace(out, fold=fold),))
    return replace(program, entries=(replace(entry, calls=(replace(call, nest=nest),)),))


def programs(directory: Path) -> Iterator[Program]:
    for generate in (random_qonnx, random_qdq, random_float):
        for seed in (1, 4, 6):
            yield imported(generate(seed).model, directory)
    for seed in range(20):
        yield with_state(seed)
    yield with_contract()


def test_a_program_comes_back_as_it_was(tmp_path: Path) -> None:
    for number, program in enumerate(programs(tmp_path)):
        directory = tmp_path / str(number)
        directory.mkdir()
        save_program(program, directory)
        assert sorted(p.name for p in directory.iterdir()) == [PROGRAM_FILE, WEIGHTS_FILE]
        loaded = load_program(directory)
        assert loaded.entries == program.entries
        assert loaded.buffers == program.buffers
        assert list(loaded.buffers) == list(program.buffers)
        for mine, theirs in (
            (program.constants, loaded.constants),
            (program.initial, loaded.initial),
        ):
            assert list(mine) == list(theirs)
            for name, array in mine.items():
                assert array.dtype == theirs[name].dtype
                assert array.tobytes() == theirs[name].tobytes()
        assert program_text(loaded) == program_text(program)
        assert program_sha256(loaded) == program_sha256(program)
        assert (loaded.input_code, loaded.output_code) == (program.input_code, program.output_code)
        assert loaded.metadata == program.metadata


def test_saving_again_gives_the_same_bytes_and_replaces(tmp_path: Path) -> None:
    first, second = imported(random_qonnx(1).model, tmp_path), with_contract()
    directory = tmp_path / "p"
    directory.mkdir()
    save_program(first, directory)
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    save_program(second, directory)
    assert load_program(directory).target == "t"
    save_program(first, directory)
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before


def test_a_loaded_program_computes_the_same(tmp_path: Path) -> None:
    generated = random_qonnx(1)
    program = imported(generated.model, tmp_path)
    save_program(program, tmp_path)
    x = generated.sample(50)
    results = [Simulator(p).infer(x) for p in (program, load_program(tmp_path))]
    assert np.array_equal(results[0], results[1])


def refused(directory: Path) -> bool:
    """Whether the program is refused, in one line; any error but that is the test's failure."""
    try:
        load_program(directory)
    except InputError as error:
        message = str(error)
    else:
        return False
    assert message.isprintable()
    assert str(directory) in message
    return True


def test_a_missing_program_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path)
    assert refused(tmp_path / "absent")
    save_program(with_contract(), tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    assert refused(tmp_path)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    program = with_contract()
    (name,) = program.constants
    changed = replace(program, constants={name: program.constants[name] + np.float32(1)})
    save_program(changed, tmp_path)
    (tmp_path / PROGRAM_FILE).write_text(program_text(program))
    assert refused(tmp_path)


@cache
def saved() -> dict[str, bytes]:
    """The files of one program, by name."""
    with tempfile.TemporaryDirectory() as directory:
        save_program(with_state(3), Path(directory))
        return {p.name: p.read_bytes() for p in Path(directory).iterdir()}


def load_damaged(name: str, data: bytes) -> bool:
    """Whether the program is refused with `data` as its file `name`."""
    with tempfile.TemporaryDirectory() as directory:
        for other, content in {**saved(), name: data}.items():
            (Path(directory) / other).write_bytes(content)
        return refused(Path(directory))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from([PROGRAM_FILE, WEIGHTS_FILE]),
    at=st.floats(0, 1),
    length=st.integers(0, 20),
    by=st.binary(max_size=20),
)
def test_damaged_bytes_do_no_harm(name: str, at: float, length: int, by: bytes) -> None:
    whole = saved()[name]
    start = int(at * len(whole))
    load_damaged(name, whole[:start] + by + whole[start + length :])


@pytest.mark.parametrize("name", [PROGRAM_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("part", range(8))
def test_a_truncated_file_is_refused(name: str, part: int) -> None:
    assert load_damaged(name, saved()[name][: len(saved()[name]) * part // 8])


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2**70,
        1e400,
        "",
        "acc",
        "x",
        "../..",
        [],
        ["local", "x"],
        ["add"],
        {},
        [[]],
    ]
)


def paths(tree: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within a JSON value."""
    if prefix:
        yield prefix
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, value in items:
        yield from paths(value, (*prefix, key))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(where=st.floats(0, 1, exclude_max=True), by=ODD, drop=st.booleans())
def test_odd_values_in_the_text_do_no_harm(where: float, by: Any, drop: bool) -> None:
    """What is not refused can be run."""
    tree = json.loads(saved()[PROGRAM_FILE])
    places = list(paths(tree))
    *parents, last = places[int(where * len(places))]
    target = tree
    for key in parents:
        target = target[key]
    if drop:
        del target[last]
    else:
        target[last] = by
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / WEIGHTS_FILE).write_bytes(saved()[WEIGHTS_FILE])
        (Path(directory) / PROGRAM_FILE).write_text(json.dumps(tree))
        if refused(Path(directory)):
            return
        program = load_program(Path(directory))
    simulator = Simulator(program)
    for entry in program.entries:
        inputs = (program.buffers[name].type for name in entry.inputs)
        simulator.run(entry.name, *(draw(np.random.default_rng(0), kind) for kind in inputs))
    assert program_text(program)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"format": "edgetrain-program", "version": 2}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"format": "other", "version": 1}',
    ],
)
def test_another_text_is_refused(text: bytes) -> None:
    assert load_damaged(PROGRAM_FILE, text)
