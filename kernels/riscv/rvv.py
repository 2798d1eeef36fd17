"""RISC-V vectors (V 1.0, Zve32f, Zvfh) of floats, in groups of up to eight registers.

A group is counted as if registers had 128 bits, which is the least that the extension V allows:
longer registers give the same bits, and are filled in part.
"""

from collections.abc import Sequence

from edgetrain.compiler.expr import Apply
from edgetrain.compiler.types import BOOL, Scalar
from edgetrain.kernels.c.units import Term, Unit

_REGISTER_BITS = 128
_SAME = {"add": "vfadd", "sub": "vfsub", "mul": "vfmul"}
_COMPARE = {"lt": "vmflt", "le": "vmfle", "eq": "vmfeq"}
_MIRRORED = {"lt": "vmfgt", "le": "vmfge", "eq": "vmfeq"}


class RvvUnit(Unit):
    """Floats of `bits` bits, `group_registers` (1, 2, 4 or 8) registers of them at a time."""

    header = "et_rvv.h"
    accumulators = 1
    group = 1
    # One element a cycle, where neighbours come a register at a time.
    strided_cost = 8
    operations = frozenset({*_SAME, *_COMPARE, "fma", "min", "max", "select"})

    def __init__(self, bits: int, group_registers: int = 8) -> None:
        self.bits = bits
        self.group_registers = group_registers
        self.name = f"rvv-fp{bits}"
        needed = {"rvv", "fma32", "vlen-128"}
        self.requires = frozenset(needed if bits == 32 else needed | {"rvv-fp16", "fma16"})
        self.floats = frozenset({bits})
        self.lanes = group_registers * _REGISTER_BITS // bits

    def fitted(self, size: int) -> Unit:
        groups = (RvvUnit(self.bits, registers) for registers in (1, 2, 4, 8))
        return next((unit for unit in groups if unit.lanes >= size), RvvUnit(self.bits))

    def type(self, scalar: Scalar) -> str:
        if scalar == BOOL:
            return f"vbool{self.bits // self.group_registers}_t"
        return f"vfloat{self.bits}m{self.group_registers}_t"

    def load(self, pointer: str, scalar: Scalar, stride: int, count: int | None) -> str:
        if stride == 1:
            return self._call(f"vle{self.bits}_v", (pointer,), count)
        by = f"{stride * self.bits // 8}"
        return self._call(f"vlse{self.bits}_v", (pointer, by), count)

    def store(
        self, pointer: str, value: str, scalar: Scalar, stride: int, count: int | None
    ) -> str:
        if stride == 1:
            return self._call(f"vse{self.bits}_v", (pointer, value), count) + ";"
        by = f"{stride * self.bits // 8}"
        return self._call(f"vsse{self.bits}_v", (pointer, by, value), count) + ";"

    def splat(self, value: str, scalar: Scalar, count: int | None) -> str:
        return self._call("vfmv_v_f", (value,), count)

    def apply(self, node: Apply, arguments: Sequence[Term], count: int | None) -> str:
        match node.op, arguments:
            case ("fma", (a, b, c)):
                return self._fused(a, b, c, count)
            case ("min", (a, b)):
                return self._chosen(self._compare("lt", b, a, count), b, a, count)
            case ("max", (a, b)):
                return self._chosen(self._compare("lt", a, b, count), b, a, count)
            case ("select", (condition, a, b)) if not condition.varies:
                full = (t.text if t.varies else self.splat(t.text, BOOL, count) for t in (a, b))
                return f"({condition.text} ? {' : '.join(full)})"
            case ("select", (condition, a, b)):
                return self._chosen(condition.text, a, b, count)
            case (op, (a, b)) if op in _COMPARE:
                return self._compare(op, a, b, count)
            case (op, (a, b)):
                if a.varies and b.varies:
                    return self._call(f"{_SAME[op]}_vv", (a.text, b.text), count)
                if a.varies:
                    return self._call(f"{_SAME[op]}_vf", (a.text, b.text), count)
                name = "vfrsub" if op == "sub" else _SAME[op]
                return self._call(f"{name}_vf", (b.text, a.text), count)
        raise ValueError(node.op)

    def _fused(self, a: Term, b: Term, c: Term, count: int | None) -> str:
        total = c.text if c.varies else self.splat(c.text, BOOL, count)
        if a.varies and b.varies:
            return self._call("vfmacc_vv", (total, a.text, b.text), count)
        if a.varies:
            a, b = b, a
        if not b.varies:
            b = Term(self.splat(b.text, BOOL, count), True)
        return self._call("vfmacc_vf", (total, a.text, b.text), count)

    def _chosen(self, mask: str, yes: Term, no: Term, count: int | None) -> str:
        other = no.text if no.varies else self.splat(no.text, BOOL, count)
        if yes.varies:
            return self._call("vmerge_vvm", (other, yes.text, mask), count)
        return self._call("vfmerge_vfm", (other, yes.text, mask), count)

    def _compare(self, op: str, a: Term, b: Term, count: int | None) -> str:
        suffix = f"_b{self.bits // self.group_registers}"
        if a.varies and b.varies:
            return self._call(f"{_COMPARE[op]}_vv", (a.text, b.text), count, suffix)
        if a.varies:
            return self._call(f"{_COMPARE[op]}_vf", (a.text, b.text), count, suffix)
        return self._call(f"{_MIRRORED[op]}_vf", (b.text, a.text), count, suffix)

    def _call(
        self, name: str, arguments: Sequence[str], count: int | None, suffix: str = ""
    ) -> str:
        length = self.lanes if count is None else count
        kind = f"f{self.bits}m{self.group_registers}"
        return f"__riscv_{name}_{kind}{suffix}({', '.join((*arguments, str(length)))})"
