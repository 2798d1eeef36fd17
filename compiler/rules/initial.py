"""Random numbers with which a state begins: they are computed when a model is compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import Apply, Const, Expr, argument_types, subexpressions
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import axes
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import Int, TensorType


def drawn(
    shape: tuple[int, ...], distribution: str, scale: float, *, seed: int, stream: int
) -> NDArray[np.float32]:
    """What the op `random` gives at step 0."""
    how = {"shape": shape, "distribution": distribution, "scale": scale}
    nest = OPS["random"].meaning(TensorType((), Int(0, 0)), **how, seed=seed, stream=stream)
    (out,), (step,) = nest.outs, nest.reads
    known: dict[Expr, NDArray[Any]] = {step.value: np.array(0)}
    known |= zip(axes(shape), np.indices(shape), strict=True)
    for node in subexpressions(out.body):
        if isinstance(node, Const):
            known[node] = np.asarray(node.value, storage_dtype(node.type))
        elif isinstance(node, Apply):
            kinds = zip(node.args, argument_types(node), strict=True)
            operands = (known[a].astype(storage_dtype(kind)) for a, kind in kinds)
            known[node] = PRIMITIVES[node.op].numpy(*operands)
    return np.broadcast_to(known[out.body], shape).astype(np.float32)
