"""Half-precision vectors of the M-profile (Helium): eight lanes, fused multiply-add, predication.

They keep subnormals while FPSCR.FZ16 is 0, as it is out of reset; those of single precision flush
them, so that floats of 32 bits stay scalar.
"""

from collections.abc import Sequence

from edgetrain.compiler.expr import Apply
from edgetrain.compiler.types import BOOL, Scalar
from edgetrain.kernels.c.units import Term, Unit

_SAME = {"add": "vaddq", "sub": "vsubq", "mul": "vmulq"}
# Of b and a: "less than" holds for NaN on these vectors, "greater than" does not.
_MIRRORED = {"lt": "vcmpgtq", "le": "vcmpgeq", "eq": "vcmpeqq"}


class MveUnit(Unit):
    """Eight floats of 16 bits at a time."""

    name = "mve-fp16"
    requires = frozenset({"mve-fp", "fma16"})
    header = "et_mve.h"
    lanes = 8
    floats = frozenset({16})
    accumulators = 4
    rows = 2
    joint_rows = 1
    group = 1
    reads_past = True
    merges_rows = True
    merge_cost = 4
    # Each lane takes a turn of its own at the memory.
    strided_cost = 4
    operations = frozenset({*_SAME, *_MIRRORED, "fma", "min", "max", "select"})

    def type(self, scalar: Scalar) -> str:
        return "mve_pred16_t" if scalar == BOOL else "float16x8_t"

    def load(self, pointer: str, scalar: Scalar, stride: int, count: int | None) -> str:
        arguments = [f"(const float16_t *)({pointer})"]
        if stride != 1:
            arguments.append(_apart(stride))
        name = "vldrhq" if stride == 1 else "vldrhq_gather_shifted_offset"
        if count is None:
            return f"{name}_f16({', '.join(arguments)})"
        return f"{name}_z_f16({', '.join(arguments)}, vctp16q({count}))"

    def store(
        self, pointer: str, value: str, scalar: Scalar, stride: int, count: int | None
    ) -> str:
        arguments = [f"(float16_t *)({pointer})", value]
        if stride != 1:
            arguments.insert(1, _apart(stride))
        name = "vstrhq" if stride == 1 else "vstrhq_scatter_shifted_offset"
        if count is None:
            return f"{name}_f16({', '.join(arguments)});"
        return f"{name}_p_f16({', '.join(arguments)}, vctp16q({count}));"

    def splat(self, value: str, scalar: Scalar, count: int | None) -> str:
        return f"vdupq_n_f16({value})"

    def apply(self, node: Apply, arguments: Sequence[Term], count: int | None) -> str:
        match node.op, arguments:
            case ("fma", (a, b, c)):
                return self._fused("vfmaq", a, b, c, "")
            case ("min", (a, b)):
                return f"vpselq_f16({self._full(b)}, {self._full(a)}, {self._less(b, a)})"
            case ("max", (a, b)):
                return f"vpselq_f16({self._full(b)}, {self._full(a)}, {self._less(a, b)})"
            case ("select", (condition, a, b)) if not condition.varies:
                return f"({condition.text} ? {self._full(a)} : {self._full(b)})"
            case ("select", (condition, a, b)):
                return f"vpselq_f16({self._full(a)}, {self._full(b)}, {condition.text})"
            case (op, (a, b)) if op in _MIRRORED:
                return self._compare(op, a, b)
            case (op, (a, b)):
                if a.varies and not b.varies:
                    return f"{_SAME[op]}_n_f16({a.text}, {b.text})"
                if b.varies and not a.varies and op != "sub":
                    return f"{_SAME[op]}_n_f16({b.text}, {a.text})"
                return f"{_SAME[op]}_f16({self._full(a)}, {self._full(b)})"
        raise ValueError(node.op)

    def accumulate(self, node: Apply, arguments: Sequence[Term], count: int) -> str:
        if node.op == "fma":
            a, b, c = arguments
            return self._fused("vfmaq_m", a, b, c, f", vctp16q({count})")
        acc, term = arguments
        return f"vaddq_m_f16({acc.text}, {acc.text}, {self._full(term)}, vctp16q({count}))"

    def merge(self, vector: str, scalar: Scalar) -> tuple[list[str], str]:
        kind = "const float16x8_t"
        pairs, fours = f"{vector}_2", f"{vector}_4"
        lines = [
            f"{kind} {pairs} = vaddq_f16({vector}, {_swapped(vector, 32, 16)});",
            f"{kind} {fours} = vaddq_f16({pairs}, {_swapped(pairs, 64, 32)});",
        ]
        return lines, f"(vgetq_lane_f16({fours}, 0) + vgetq_lane_f16({fours}, 4))"

    def merge_rows(self, pointer: str, name: str) -> list[str]:
        lines = []
        for half in (0, 1):
            # Lanes 0 and 4, 1 and 5 … of four rows come into one vector each.
            fours, place = f"{name}_{half}", f"{pointer} + {32 * half}"
            left, right = (f"vaddq_f16({fours}.val[{i}], {fours}.val[{i + 1}])" for i in (0, 2))
            lines += [
                f"const float16x8x4_t {fours} = vld4q_f16((const float16_t *)({place}));",
                f"const float16x8_t {fours}_sum = vaddq_f16({left}, {right});",
                f"vstrhq_f16((float16_t *)({pointer} + {8 * half}), {fours}_sum);",
                # Or else both halves are loaded first, into more registers than there are.
                "ET_IN_ORDER();",
            ]
        return [
            *lines,
            f"const float16x8x2_t {name}_2 = vld2q_f16((const float16_t *){pointer});",
            f"const float16x8_t {name} = vaddq_f16({name}_2.val[0], {name}_2.val[1]);",
        ]

    def _full(self, term: Term) -> str:
        return term.text if term.varies else f"vdupq_n_f16({term.text})"

    def _less(self, a: Term, b: Term) -> str:
        return self._compare("lt", a, b)

    def _compare(self, op: str, a: Term, b: Term) -> str:
        if not a.varies:
            return f"{_MIRRORED[op]}_n_f16({b.text}, {a.text})"
        other = b.text if b.varies else f"et_lanes({b.text})"
        return f"{_MIRRORED[op]}_f16({other}, {a.text})"

    def _fused(self, name: str, a: Term, b: Term, c: Term, predicate: str) -> str:
        if not b.varies and a.varies:
            a, b = b, a
        if a.varies:
            return f"{name}_f16({self._full(c)}, {a.text}, {b.text}{predicate})"
        if not b.varies:
            b = Term(self._full(b), True)
        return f"{name}_n_f16({self._full(c)}, {b.text}, {a.text}{predicate})"


def _apart(stride: int) -> str:
    """The places of eight elements `stride` apart."""
    return f"vmulq_n_u16(vidupq_n_u16(0, 1), {stride})"


def _swapped(vector: str, within: int, element: int) -> str:
    """The neighbours of `element` bits within every `within` bits, exchanged."""
    word = f"vreinterpretq_s{element}_f16({vector})"
    return f"vreinterpretq_f16_s{element}(vrev{within}q_s{element}({word}))"
