"""Between FLOAT16 and FLOAT32."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import narrow, widen
from edgetrain.compiler.nest import Nest, axes, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT16, FLOAT32, Float, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


def _cast_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(0, 3))))
    kinds = (FLOAT16, FLOAT32) if rng.random() < 0.5 else (FLOAT32, FLOAT16)
    return Example((TensorType(shape, kinds[0]),), {"to": kinds[1]})


def _cast_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", _needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    return (b.apply("cast", d, to=node.inputs[0].type.scalar),)


@register("cast", _cast_example, _cast_gradient)
def cast(x: TensorType, *, to: Float) -> Nest:
    """y = x in the other float type, element by element; to FLOAT16 rounded, ties to even."""
    return elementwise(axes(x.shape), widen if to == FLOAT32 else narrow, x=x)
