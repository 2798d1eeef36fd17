"""Packed halves of PULP cores (Xfvec): two lanes in a register, with a fused multiply-add.

Printed and tried in the spelled-out form of et_xpulp.h; the instructions themselves were never run.
"""

from collections.abc import Sequence

from edgetrain.compiler.expr import Apply
from edgetrain.compiler.types import BOOL, Scalar
from edgetrain.kernels.c.units import Term, Unit

_FUNCTIONS = {"add", "sub", "mul", "fma", "lt", "le", "eq"}


class XpulpUnit(Unit):
    """Two floats of 16 bits at a time."""

    name = "xpulp-fp16"
    requires = frozenset({"xpulp-fp16", "fma16"})
    header = "et_xpulp.h"
    lanes = 2
    floats = frozenset({16})
    accumulators = 8
    rows = 2
    joint_rows = 1
    group = 4
    merge_cost = 1
    operations = frozenset({*_FUNCTIONS, "min", "max", "select"})

    def type(self, scalar: Scalar) -> str:
        return "et_mask" if scalar == BOOL else "et_halves"

    def load(self, pointer: str, scalar: Scalar, stride: int, count: int | None) -> str:
        return f"et_load_{'halves' if count is None else 'first'}({pointer})"

    def store(
        self, pointer: str, value: str, scalar: Scalar, stride: int, count: int | None
    ) -> str:
        if count is None:
            return f"et_store_halves({pointer}, {value});"
        return f"*({pointer}) = ({value})[0];"

    def splat(self, value: str, scalar: Scalar, count: int | None) -> str:
        return f"et_both({value})"

    def apply(self, node: Apply, arguments: Sequence[Term], count: int | None) -> str:
        texts = [a.text if a.varies else f"et_both({a.text})" for a in arguments]
        match node.op, texts:
            case ("select", (_, a, b)):
                return f"et_select_halves({arguments[0].text}, {a}, {b})"
            case ("max", (a, b)):
                return f"et_select_halves(et_lt_halves({a}, {b}), {b}, {a})"
            case ("min", (a, b)):
                return f"et_select_halves(et_lt_halves({b}, {a}), {b}, {a})"
        return f"et_{node.op}_halves({', '.join(texts)})"

    def accumulate(self, node: Apply, arguments: Sequence[Term], count: int) -> str:
        kept = arguments[2 if node.op == "fma" else 0].text
        first = "(const et_mask){-1, 0}"
        return f"et_select_halves({first}, {self.apply(node, arguments, count)}, {kept})"

    def merge(self, vector: str, scalar: Scalar) -> tuple[list[str], str]:
        return [], f"((et_half)({vector}[0] + {vector}[1]))"
