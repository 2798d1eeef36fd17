"""The printed C as text and as objects: what a firmware engineer may rely on."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import Program as CompiledProgram
from edgetrain.image import symbol_table
from edgetrain.kernels.c.program import print_program
from edgetrain.pipeline import Program, compile_model, write_project
from edgetrain.toolchain import find_toolchain
from edgetrain.workloads import find_model
from tests.c.harness import FLAGS, make_program
from tests.c.op_graphs import all_graphs, uses_half
from tests.oracles.hostile import HOSTILE_NAMES, hostile_models
from tests.support import REPOSITORY, absent, needs_tool

DETECTOR = "can-ids-w2a2"
COMPILERS = [
    ("host", "gcc"),
    ("host", "clang"),
    ("mps2-an386", "gcc"),
    ("mps2-an386", "zig"),
    ("bbc_microbit", "gcc"),
    ("qemu-rv32imc", "gcc"),
    ("qemu-rv32imc", "clang"),
]
PICKY = (
    "-Wvla",
    "-Wundef",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wredundant-decls",
    "-Wcast-align",
    "-Wcast-qual",
    "-Wwrite-strings",
    "-Wdouble-promotion",
)


@pytest.fixture(scope="module")
def detector() -> Program:
    return compile_model(find_model(DETECTOR))


@pytest.fixture
def sources(detector: Program, tmp_path: Path) -> Path:
    return write_sources(detector, tmp_path / "detector")


def write_sources(program: CompiledProgram, directory: Path) -> Path:
    """Only what an application takes: the model, without the link server's tables."""
    directory.mkdir()
    texts = print_program(program, bytes(32), "test")
    for name in ("edgetrain.c", "edgetrain.h", "et_ops.h"):
        (directory / name).write_text(texts[name], encoding="utf-8")
    return directory


def compiler(board: str, name: str) -> tuple[str, ...]:
    try:
        return find_toolchain(load_board(board), name).compile
    except InputError as error:
        absent(str(error))
        raise AssertionError("unreachable") from None


def run(command: Sequence[str], directory: Path) -> None:
    """The command says nothing against what it got."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compile_object(board: str, toolchain: str, sources: Path, *flags: str) -> Path:
    made = sources / "edgetrain.o"
    command = [*compiler(board, toolchain), *FLAGS, "-ffreestanding", "-O2", *flags]
    run([*command, "-c", "edgetrain.c", "-o", str(made)], sources)
    return made


@pytest.mark.parametrize(("board", "toolchain"), COMPILERS)
def test_no_compiler_has_anything_to_say(board: str, toolchain: str, sources: Path) -> None:
    compile_object(board, toolchain, sources, *PICKY)


@pytest.mark.parametrize(("board", "toolchain"), [*COMPILERS[2::2], ("mps3-an547", "zig")])
def test_nor_of_any_op(board: str, toolchain: str, tmp_path: Path) -> None:
    """Where int32_t is long and int64_t is long long, which no host shows."""
    graphs = [g for g in all_graphs() if "f16" in load_board(board).features or not uses_half(g)]
    sources = write_sources(make_program(graphs), tmp_path / "ops")
    compile_object(board, toolchain, sources, "-O0", *PICKY)


@pytest.mark.parametrize("board", ["mps2-an386", "bbc_microbit", "qemu-rv32imc"])
def test_nothing_is_called_but_copying(board: str, sources: Path) -> None:
    """No allocation, no library, no floating point in software, where hardware has none."""
    with compile_object(board, "gcc", sources).open("rb") as file:
        symbols = symbol_table(ELFFile(file)).iter_symbols()
        undefined = {s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF"}
    integer_help = {"__aeabi_lmul"} if board == "bbc_microbit" else set()
    assert undefined <= {"", "memcpy", "memset", "memmove"} | integer_help


def test_a_quantised_model_has_no_floating_point(sources: Path) -> None:
    text = (sources / "edgetrain.c").read_text()
    assert not re.search(r"\b(float|double|_Float16|et_half)\b|\d\.\d|_f(16|32)\b", text)


def test_calls_lead_upwards_in_the_file_only(sources: Path) -> None:
    """Without a declaration ahead and without pointers to functions there is no recursion."""
    known: set[str] = set()
    for name in ("et_ops.h", "edgetrain.c"):
        text = re.sub(
            r"/\*.*?\*/|__attribute__\(\(.*?\)\)", "", (sources / name).read_text(), flags=re.S
        )
        current = ""
        for line in text.splitlines():
            if line.startswith("#define"):
                continue
            heading = re.match(r"(?:static )?(?:inline )?\w+ (et_\w+)\(.*\{", line)
            if heading:
                current = heading[1]
                line = line[heading.end() :]
            called = set(re.findall(r"\b(\w+)\(", line)) - {"if", "for", "while", "return"}
            # Built-in functions are single instructions, or short code of the compiler's own.
            called = {name for name in called if not name.startswith("__builtin_")}
            assert called <= known | {"INT64_C", "UINT64_C", "defined", "ET_IN_ORDER"}, line
            if heading:
                known.add(current)
    assert {"et_init", "et_infer", "et_can_frame"} <= known


def test_only_freestanding_headers(detector: Program) -> None:
    texts = print_program(detector, bytes(32), "test")
    included = {i for t in texts.values() for i in re.findall(r"#include (\S+)", t)}
    assert {i for i in included if i.startswith("<")} <= {"<stdint.h>", "<stddef.h>"}
    assert {i.strip('"') for i in included if i.startswith('"')} <= {*texts, "et_tables.h"}


@pytest.mark.parametrize("standard", ["c++98", "c++20"])
def test_the_header_serves_cpp(standard: str, sources: Path) -> None:
    needs_tool("clang-19")
    (sources / "app.cpp").write_text(
        '#include "edgetrain.h"\n#include "edgetrain.h"\n'
        "int main() { uint8_t x[57] = {0}; int16_t y[4]; et_init();\n"
        "et_can_frame_t verdict; const uint8_t data[8] = {0};\n"
        "return et_can_frame(1, 2, 0, 8, data, &verdict) + verdict.alarm + sizeof y + x[0]; }\n"
    )
    command = ["clang-19", f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    if standard == "c++98":
        command.append("-Wno-long-long")
    run([*command, "-fsyntax-only", "app.cpp"], sources)


@pytest.mark.parametrize("which", ["detector", "ops"])
def test_cppcheck_finds_nothing(which: str, detector: Program, tmp_path: Path) -> None:
    needs_tool("cppcheck")
    program = detector if which == "detector" else make_program(all_graphs())
    for name, text in print_program(program, bytes(32), "test").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    checks = "--enable=warning,portability,performance"
    options = ("--inconclusive", "--std=c99", "--quiet", "--error-exitcode=1")
    run(["cppcheck", checks, *options, "edgetrain.c"], tmp_path)


def digests(directory: Path) -> dict[str, str]:
    """Every file below, by name."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_two_compiles_give_the_same_bytes(tmp_path: Path) -> None:
    """In other directories, under other hash seeds, from models at other places."""
    script = "import sys; from edgetrain.pipeline import compile_model, write_project\n"
    script += "write_project(compile_model(sys.argv[1], sys.argv[2]), sys.argv[3])"
    elsewhere = tmp_path / "a longer name" / "model.onnx"
    elsewhere.parent.mkdir()
    shutil.copy(find_model(DETECTOR), elsewhere)
    made = []
    for seed, model, directory in (
        ("1", find_model(DETECTOR), tmp_path / "p"),
        ("2", elsewhere, tmp_path / "another" / "project"),
    ):
        directory.parent.mkdir(exist_ok=True)
        subprocess.run(
            [sys.executable, "-c", script, str(model), "mps2-an386", str(directory)],
            cwd=directory.parent,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            check=True,
        )
        made.append(digests(directory))
    assert made[0] == made[1]
    assert {"program.json", "firmware.elf", "src/edgetrain.c", "report.json"} <= made[0].keys()


HOSTILE = [(name, data) for name, data, expected in hostile_models() if expected == "accept"]


@pytest.mark.parametrize(("name", "data"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_no_name_of_a_model_file_goes_further(name: str, data: bytes, tmp_path: Path) -> None:
    """The project of a model with hostile names is, byte for byte, that of one without."""
    projects = []
    for case, content in ((name, data), ("named C keywords", dict(HOSTILE)["named C keywords"])):
        model = tmp_path / "model.onnx"
        model.write_bytes(content)
        write_project(compile_model(model), tmp_path / case, with_image=False)
        projects.append(digests(tmp_path / case))
    assert projects[0] == projects[1]
    whole = b"".join(path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file())
    text = HOSTILE_NAMES[name.removeprefix("named ")]
    assert len(text) < 5 or text.encode()[:60] not in whole
