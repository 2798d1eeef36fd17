"""The model of cycles: each kind of instruction, as an assembler encodes it, and whole calls."""

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgetrain.bench import own_samples
from edgetrain.board import load_board
from edgetrain.cycles import Cost, RiscvCost, ThumbCost, modelled_cycles
from edgetrain.networks import reference_network
from edgetrain.pipeline import compile_model, write_project
from edgetrain.toolchain import IMAGE_FILE, find_toolchain
from edgetrain.verify import verify
from edgetrain.workloads import model_file
from tests.support import needs_tool

M4 = [
    ("adds r0, r1, r2", 1),
    ("ldr r0, [r1, #4]", 2),
    ("ldr.w r9, [r1, #400]", 2),
    ("str r0, [sp, #8]", 2),
    ("push {r4-r7, lr}", 6),
    ("ldmia r0!, {r1-r3}", 4),
    ("ldmia.w r0!, {r1-r8}", 9),
    ("ldrd r0, r1, [r2]", 3),
    ("mul r0, r1, r0", 1),
    ("sdiv r0, r1, r2", 12),
    ("vldr s0, [r0, #4]", 2),
    ("vstr s31, [r0]", 2),
    ("vldmia r0!, {s16-s23}", 9),
    ("vstmia r0, {s16-s17}", 3),
    ("vpush {d8-d11}", 9),
    ("vadd.f32 s0, s1, s2", 1),
    ("vmul.f32 s30, s1, s2", 1),
    ("vfma.f32 s0, s1, s2", 3),
    ("vfms.f32 s0, s1, s31", 3),
    ("vdiv.f32 s0, s1, s2", 14),
    ("vsqrt.f32 s1, s2", 14),
    ("vcvt.s32.f32 s1, s2", 1),
    ("vcmp.f32 s1, s2", 1),
    ("vmov s1, r2", 1),
    ("vmrs APSR_nzcv, fpscr", 1),
]
M55 = [
    ("vfma.f32 s0, s1, s2", 1),
    ("vfma.f16 s0, s1, s2", 1),
    ("vdiv.f16 s0, s1, s2", 14),
    ("vfma.f16 q0, q1, r2", 2),
    ("vfma.f16 q0, q1, q2", 2),
    ("vldrh.u16 q0, [r0], #16", 2),
    ("vstrh.16 q7, [r0]", 2),
    ("vaddv.u32 r0, q1", 2),
    ("vldr.16 s0, [r0]", 2),
    ("vmov.16 q0[1], r1", 1),
]
RISCV = [
    ("c.lw a0, 0(a1)", 1),
    ("add a0, a1, a2", 1),
    ("mul a0, a1, a2", 1),
    ("divu a0, a1, a2", 32),
    ("flw fa0, 0(a0)", 1),
    ("flh fa0, 0(a0)", 1),
    ("fmadd.h fa0, fa1, fa2, fa0", 1),
    ("fdiv.s fa0, fa1, fa2", 14),
    ("fsqrt.h fa0, fa1", 14),
    ("vsetivli zero, 8, e16, m1, ta, ma", 1),
    ("vle16.v v0, (a0)", 2),
    ("vsetvli t0, a0, e16, m4, ta, ma", 1),
    ("vfmacc.vf v8, fa0, v16", 8),
    ("vse16.v v8, (a0)", 8),
    ("vl2re16.v v8, (a0)", 4),
    ("vsetvli t0, a0, e16, mf2, ta, ma", 1),
    ("vfadd.vv v1, v2, v3", 1),
]


@pytest.mark.parametrize(
    ("board", "listing", "cost"),
    [
        ("mps2-an386", M4, ThumbCost("Cortex-M4F")),
        ("mps3-an547", M55, ThumbCost("Cortex-M55")),
        ("qemu-rv32-zvfh", RISCV, RiscvCost()),
    ],
)
def test_each_kind_of_instruction(
    board: str, listing: list[tuple[str, int]], cost: Cost, tmp_path: Path
) -> None:
    directives = [] if board.startswith("qemu") else [".syntax unified", ".thumb"]
    text = "\n".join([".text", *directives, *(line for line, _ in listing), ""])
    (tmp_path / "a.s").write_text(text)
    tools = find_toolchain(load_board(board), "zig")
    subprocess.run([*tools.compile, "-c", "a.s", "-o", "a.o"], cwd=tmp_path, check=True)
    with (tmp_path / "a.o").open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        code = section.data()
    halves = [code[i] | code[i + 1] << 8 for i in range(0, len(code), 2)] + [0]
    at, found = 0, []
    for line, _ in listing:
        long = halves[at] & 3 == 3 if board.startswith("qemu") else halves[at] >= 0xE800
        found.append((line, cost(halves[at], halves[at + 1])))
        at += 2 if long else 1
    assert at == len(halves) - 1
    assert found == listing


@pytest.mark.parametrize("board", ["mps2-an386", "qemu-rv64-zvfh"])
def test_every_instruction_of_a_call_is_seen(board: str, tmp_path: Path) -> None:
    qemu = load_board(board).qemu
    assert qemu is not None
    needs_tool(qemu.program)
    network = reference_network("mlp-13-9-5-fp32")
    assert network is not None
    with model_file(network.name) as path:
        program = compile_model(path, board, learn="sgd", how=network.learning)
    write_project(program, tmp_path / "out")
    reference = own_samples(program, network, "train_step", 4)
    counted = verify(tmp_path / "out", reference=reference, link="qemu").instructions["train_step"]
    (series,) = reference.series
    cycles, instructions = modelled_cycles(
        load_board(board), tmp_path / "out" / IMAGE_FILE, program, "train_step", series.inputs
    )
    # Counted is the loading of the arguments too.
    assert counted is not None
    assert 0 <= counted - instructions <= 8
    assert cycles > instructions
