"""Losses: each builds its value and the gradient of the network's outputs from shared parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    div,
    eq,
    lift,
    lt,
    maximum,
    mul,
    select,
    sub,
)
from edgetrain.compiler.nest import Nest, Out, Read, elementwise, fold, reduction
from edgetrain.compiler.ops import fixed_loss
from edgetrain.compiler.ops.fixed_loss import FixedBuild
from edgetrain.compiler.ops.functions import exp_of_negative, log, sigmoid
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Float, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Value

SCALAR = TensorType((), FLOAT32)


@dataclass(frozen=True, slots=True)
class Loss:
    """`build(builder, outputs, target)` → (loss, its gradient by the outputs).

    `classifies`: the target is a class index; otherwise a vector like the outputs.  `fixed` builds
    it without floats, where it can.
    """

    name: str
    classifies: bool
    build: "Callable[[GraphBuilder, Value, Value], tuple[Value, Value]]"
    fixed: "FixedBuild | None" = None

    def target_type(self, outputs: TensorType) -> TensorType:
        """The type of the target for a network with these outputs."""
        if not self.classifies:
            return outputs
        return TensorType((), Int(0, max(outputs.shape[0] - 1, 1)))


def _vector(rng: Generator, *more: TensorType) -> Example:
    return Example((TensorType((int(rng.integers(1, 20)),), FLOAT32), *more))


def _twice(rng: Generator) -> Example:
    return Example(_vector(rng).operands * 2)


@register("greatest", _twice)
def greatest(z: TensorType, again: TensorType) -> Nest:
    """y = max_n z[n]; z is given twice, the second time for its first element."""
    n = Dim("n", z.shape[0])
    each, first = Read("z", (n,), z), Read("first", (lift(0),), again)
    best = fold("max", each.value, first.value, n.size)
    out = Out("y", (), best.type, best.result, best)
    return Nest((("n", n.size),), (each, first), (out,))


@register("exp_shifted", lambda rng: _vector(rng, SCALAR))
def exp_shifted(z: TensorType, m: TensorType) -> Nest:
    """y[n] = exp(z[n] − m); m is no less than any z[n]."""
    n = Dim("n", z.shape[0])
    return elementwise((n,), lambda z, m: exp_of_negative(sub(z, m)), z=z, m=m)


@register("sum", lambda rng: _vector(rng))
def total_of(z: TensorType) -> Nest:
    """y = Σ_n z[n]."""
    return reduction((Dim("n", z.shape[0]),), "add", lambda z: z, 0, z=z)


def _label_example(rng: Generator) -> Example:
    n = int(rng.integers(2, 20))
    label = TensorType((), Int(0, n - 1))
    return Example((label, TensorType((n,), FLOAT32), SCALAR, SCALAR))


@register("cross_entropy", _label_example)
def cross_entropy(label: TensorType, z: TensorType, m: TensorType, s: TensorType) -> Nest:
    """y = log s − (z[label] − m), with m = max z and s = Σ exp(z − m)."""
    greatest_, sum_, at = Read("m", (), m), Read("s", (), s), Read("label", (), label)
    picked = Read("z", (at.value,), z)
    body = sub(log(sum_.value), sub(picked.value, greatest_.value))
    reads = (at, picked, greatest_, sum_)
    return Nest((), reads, (Out("y", (), body.type, body),))


def _residual_example(rng: Generator) -> Example:
    label, e, s, _ = _label_example(rng).operands
    return Example((e, s, label))


@register("cross_entropy_gradient", _residual_example)
def cross_entropy_gradient(e: TensorType, s: TensorType, label: TensorType) -> Nest:
    """dz[n] = e[n]/s − (1 if n = label else 0)."""
    n = Dim("n", e.shape[0])

    def residual(e: Expr, s: Expr, label: Expr) -> Expr:
        return sub(div(e, s), select(eq(n, label), _one(), _zero()))

    return elementwise((n,), residual, e=e, s=s, label=label)


def _one() -> Expr:
    return lift(1.0, FLOAT32)


def _zero() -> Expr:
    return lift(0.0, FLOAT32)


def _cross_entropy(b: "GraphBuilder", z: "Value", label: "Value") -> "tuple[Value, Value]":
    """−log softmax(z)[label]."""
    m = b.apply("greatest", z, z)
    e = b.apply("exp_shifted", z, m)
    s = b.apply("sum", e)
    loss = b.apply("cross_entropy", label, z, m, s)
    return loss, b.apply("cross_entropy_gradient", e, s, label)


def _pair(rng: Generator) -> Example:
    return Example(_vector(rng).operands * 2)


@register("squared_error", _pair)
def squared_error(z: TensorType, t: TensorType) -> Nest:
    """y = (1/N) Σ_n (z[n] − t[n])²."""
    n = Dim("n", z.shape[0])
    z_read, t_read = Read("z", (n,), z), Read("t", (n,), t)
    difference = sub(z_read.value, t_read.value)
    total = fold("add", mul(difference, difference), _zero(), n.size)
    body = mul(total.result, 1.0 / n.size)
    out = Out("y", (), FLOAT32, body, total)
    return Nest((("n", n.size),), (z_read, t_read), (out,))


@register("squared_error_gradient", _pair)
def squared_error_gradient(z: TensorType, t: TensorType) -> Nest:
    """dz[n] = (2/N)·(z[n] − t[n])."""
    n = Dim("n", z.shape[0])
    return elementwise((n,), lambda z, t: mul(sub(z, t), 2.0 / n.size), z=z, t=t)


def _mean_squared_error(b: "GraphBuilder", z: "Value", t: "Value") -> "tuple[Value, Value]":
    return b.apply("squared_error", z, t), b.apply("squared_error_gradient", z, t)


def _labelled_example(rng: Generator) -> Example:
    label, z, *_ = _label_example(rng).operands
    return Example((label, z))


def _labelled_pair(rng: Generator) -> Example:
    label, z, *_ = _label_example(rng).operands
    return Example((label, z, z))


def _violation(n: Dim, at: Expr, each: Expr, picked: Expr, margin: float) -> Expr:
    """By how much class n comes too near to the labelled one, 0 for that class itself."""
    excess = add(sub(each, picked), margin)
    zero = lift(0, excess.type)
    return select(eq(n, at), zero, maximum(excess, zero))


@register("hinge", _labelled_pair)
def hinge(label: TensorType, z: TensorType, again: TensorType, *, margin: float = 1.0) -> Nest:
    """y = Σ_{n≠label} max(0, margin + z[n] − z[label]); z is given twice, once for z[label].

    The margin of integers is one of them.
    """
    n = Dim("n", z.shape[0])
    at, each = Read("label", (), label), Read("z", (n,), z)
    picked = Read("picked", (at.value,), again)
    term = _violation(n, at.value, each.value, picked.value, margin)
    total = fold("add", term, lift(0, term.type), n.size)
    out = Out("y", (), total.type, total.result, total)
    return Nest((("n", n.size),), (at, each, picked), (out,))


@register("hinge_active", _labelled_pair)
def hinge_active(
    label: TensorType, z: TensorType, again: TensorType, *, margin: float = 1.0
) -> Nest:
    """y[n] = 1 where class n violates the margin, else 0; z is given twice.

    The margin of integers is one of them.
    """
    n = Dim("n", z.shape[0])
    at, each = Read("label", (), label), Read("z", (n,), z)
    picked = Read("picked", (at.value,), again)
    violation = _violation(n, at.value, each.value, picked.value, margin)
    violated = lt(lift(0, violation.type), violation)
    body = select(violated, lift(1, z.scalar), lift(0, z.scalar))
    return Nest((("n", n.size),), (at, each, picked), (Out("y", ("n",), body.type, body),))


def _counted_example(rng: Generator) -> Example:
    label, z, s, _ = _label_example(rng).operands
    return Example((label, z, s))


@register("hinge_gradient", _counted_example)
def hinge_gradient(label: TensorType, active: TensorType, count: TensorType) -> Nest:
    """dz[n] = active[n], and −count for the labelled class."""
    n = Dim("n", active.shape[0])

    def back(label: Expr, active: Expr, count: Expr) -> Expr:
        minus = -1 if isinstance(count.type, Int) else -1.0
        return select(eq(n, label), mul(count, minus), active)

    return elementwise((n,), back, label=label, active=active, count=count)


def _hinge(b: "GraphBuilder", z: "Value", label: "Value") -> "tuple[Value, Value]":
    active = b.apply("hinge_active", label, z, z)
    count = b.apply("sum", active)
    return b.apply("hinge", label, z, z), b.apply("hinge_gradient", label, active, count)


def _target_example(rng: Generator) -> Example:
    return _pair(rng) if rng.integers(2) else _labelled_example(rng)


def _target(n: Dim, given: Expr) -> Expr:
    """The one-hot label, or the vector's own number; a single output is the probability of class
    1."""
    if isinstance(given.type, Float):
        return given
    wanted = n if n.size > 1 else lift(1)
    return select(eq(wanted, given), _one(), _zero())


@register("binary_cross_entropy", _target_example)
def binary_cross_entropy(target: TensorType, z: TensorType) -> Nest:
    """y = Σ_n max(z, 0) − z·t + log(1 + exp(−|z|)), t a vector or the one-hot label; sigmoid is
    within."""
    n = Dim("n", z.shape[0])

    def term(target: Expr, z: Expr) -> Expr:
        size = maximum(z, mul(z, -1.0))
        soft = log(add(exp_of_negative(mul(size, -1.0)), 1.0))
        return add(sub(maximum(z, 0.0), mul(z, _target(n, target))), soft)

    return reduction((n,), "add", term, 0.0, target=target, z=z)


@register("binary_cross_entropy_gradient", _target_example)
def binary_cross_entropy_gradient(target: TensorType, z: TensorType) -> Nest:
    """dz[n] = sigmoid(z[n]) − t[n]."""
    n = Dim("n", z.shape[0])

    def residual(target: Expr, z: Expr) -> Expr:
        return sub(sigmoid(z), _target(n, target))

    return elementwise((n,), residual, target=target, z=z)


def _binary_cross_entropy(b: "GraphBuilder", z: "Value", target: "Value") -> "tuple[Value, Value]":
    loss = b.apply("binary_cross_entropy", target, z)
    return loss, b.apply("binary_cross_entropy_gradient", target, z)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("cross-entropy", True, _cross_entropy, fixed_loss.cross_entropy),
        Loss("mse", False, _mean_squared_error),
        Loss("hinge", True, _hinge, fixed_loss.hinge),
        Loss("bce", True, _binary_cross_entropy),
        Loss("multilabel", False, _binary_cross_entropy),
    )
}
