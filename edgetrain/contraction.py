"""A sum of products over one dim as a matrix product in floats, where that is exact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import Const, Dim, Local
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out
from edgetrain.compiler.types import Int

Array = NDArray[Any]


@dataclass(frozen=True)
class Contraction:
    """bias + matrixᵀ (N, K) @ data (K, batch), with operands by position.

    Every partial sum, in whatever order, is an integer of at most 24 bits (float32) or 53 bits
    (float64): no rounding ever happens, so the order that the library chooses cannot matter.
    """

    data: int
    matrix: Array
    bias: int | None
    dtype: np.dtype[Any]

    @staticmethod
    def of(nest: Nest, out: Out, fixed: Mapping[int, Array]) -> "Contraction | None":
        """The contraction that `out` is with the constant operands `fixed`, or None."""
        fold, folded = out.fold, nest.folded_dims(out)
        if fold is None or not fold.factors or not isinstance(fold.type, Int):
            return None
        if len(folded) != 1 or len(out.dims) != 1:
            return None
        k, n = (Dim(name, nest.sizes[name]) for name in (folded[0], out.dims[0]))
        position = {read.local: i for i, read in enumerate(nest.reads)}
        factors = [position[a.name] for a in fold.factors if isinstance(a, Local)]
        data = [i for i in factors if nest.reads[i].access == (k,)]
        weights = [i for i in factors if i in fixed and nest.reads[i].access in ((k, n), (n, k))]
        if len(data) != 1 or len(weights) != 1:
            return None
        bias = position[fold.init.name] if isinstance(fold.init, Local) else None
        if bias is not None and (bias not in fixed or nest.reads[bias].access != (n,)):
            return None
        if bias is None and not (isinstance(fold.init, Const) and fold.init.value == 0):
            return None
        matrix = fixed[weights[0]].astype(np.float64)
        if nest.reads[weights[0]].access == (n, k):
            matrix = matrix.T
        scalar = nest.reads[data[0]].type.scalar
        assert isinstance(scalar, Int)
        widest = max(abs(scalar.lo), abs(scalar.hi))
        largest = float(np.abs(matrix).sum(axis=0).max(initial=0)) * widest
        if largest >= 2**53:
            return None
        exact = np.ascontiguousarray(matrix, np.float32 if largest < 2**24 else np.float64)
        return Contraction(data[0], exact, bias, storage_dtype(fold.type))

    def __call__(self, operands: Sequence[Array]) -> Array:
        """The sums (N, batch); one column where the data have no batch axis."""
        data = operands[self.data]
        columns = data.reshape(len(self.matrix), -1).astype(self.matrix.dtype)
        # Sample by sample in memory, as the library is quickest.
        total: Array = (columns.T @ self.matrix).T.astype(self.dtype)
        if self.bias is not None:
            total = total + operands[self.bias].astype(self.dtype)[:, None]
        return total
