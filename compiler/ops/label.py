"""Class labels among numbers."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, eq, lift, lt, select
from edgetrain.compiler.nest import Nest, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType


def _label(classes: int) -> TensorType:
    return TensorType((), Int(0, max(classes - 1, 1)))


def _plus_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 20))
    factor = float(rng.choice([-1.0, 0.3]))
    return Example((_label(n), TensorType((n,), FLOAT32)), {"factor": factor})


@register("plus_label", _plus_example)
def plus_label(label: TensorType, x: TensorType, *, factor: float) -> Nest:
    """y[n] = x[n] + factor·t[n], t the one-hot label; x (N), a single x standing for class 1."""
    n = Dim("n", x.shape[0])
    wanted: Expr = n if n.size > 1 else lift(1)

    def body(label: Expr, x: Expr) -> Expr:
        return add(x, select(eq(wanted, label), lift(factor, x.type), 0.0))

    return elementwise((n,), body, label=label, x=x)


def _with_example(rng: Generator) -> Example:
    classes, more = int(rng.integers(2, 9)), int(rng.integers(0, 20))
    x = TensorType((classes + more,), FLOAT32)
    return Example((_label(classes), x), {"classes": classes})


@register("with_label", _with_example)
def with_label(label: TensorType, x: TensorType, *, classes: int) -> Nest:
    """y = x with the one-hot label in place of its first elements, one for each class; x (N)."""
    n = Dim("n", x.shape[0])

    def body(label: Expr, x: Expr) -> Expr:
        one_hot = select(eq(n, label), lift(1.0, x.type), 0.0)
        return select(lt(n, classes), one_hot, x)

    return elementwise((n,), body, label=label, x=x)
