"""Formulas over whole numbers, as plain ONNX operators on INT64."""

from dataclasses import dataclass
from typing import TypeAlias

from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import at_least, at_most
from edgetrain.compiler.types import BOOL, Int


@dataclass(frozen=True)
class Whole:
    """A tensor of integers, called `name`, with the operators of Python's integers."""

    e: Emitter
    name: str

    def _binary(self, op: str, other: "Operand") -> "Whole":
        return Whole(self.e, self.e.node(op, self.name, self.of(other).name))

    def of(self, number: "Operand") -> "Whole":
        """A number as a constant of no axis."""
        return Whole(self.e, self.e.number(number, BOOL)) if isinstance(number, int) else number

    def __add__(self, other: "Operand") -> "Whole":
        return self._binary("Add", other)

    def __sub__(self, other: "Operand") -> "Whole":
        return self._binary("Sub", other)

    def __rsub__(self, other: int) -> "Whole":
        return self.of(other) - self

    def __mul__(self, other: "Operand") -> "Whole":
        return self._binary("Mul", other)

    def __floordiv__(self, other: "Operand") -> "Whole":
        # Div rounds to zero: take the remainder off before; that of Mod has the divisor's sign.
        return (self - self._binary("Mod", other))._binary("Div", other)

    def __rfloordiv__(self, other: int) -> "Whole":
        return self.of(other) // self

    def power(self) -> "Whole":
        """2 to it."""
        return Whole(self.e, self.e.node("Pow", self.of(2).name, self.name))

    def __lshift__(self, other: "Operand") -> "Whole":
        return self * (1 << other if isinstance(other, int) else other.power())

    def __rshift__(self, other: "Operand") -> "Whole":
        return self // (1 << other if isinstance(other, int) else other.power())

    def at_least(self, least: "Operand") -> "Whole":
        return Whole(self.e, at_least(self.e, self.name, self.of(least).name))

    def at_most(self, most: "Operand") -> "Whole":
        return Whole(self.e, at_most(self.e, self.name, self.of(most).name))

    def within(self, limits: Int) -> "Whole":
        return self.at_least(limits.lo).at_most(limits.hi)

    def reaches(self, other: "Operand") -> "Whole":
        """1 where it is no less, elsewhere 0."""
        flag = self.e.node("GreaterOrEqual", self.name, self.of(other).name)
        return Whole(self.e, self.e.node("Cast", flag, to=7))


Operand: TypeAlias = Whole | int


def rounded_shift(x: Whole, amount: int) -> Whole:
    """x/2^amount rounded to nearest, ties up."""
    return x + (1 << amount - 1) >> amount if amount else x
