"""Adam (Kingma and Ba, 2015, algorithm 1); with decay AdamW (Loshchilov and Hutter, 2019).

m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²
w ← w − rate·decay·w − rate·(m/p)/(√(v/q) + ε)

p and q correct for the start at zero.  The paper has p = 1 − β₁ᵗ; here p is kept in state as the
same moving average of a gradient that is always one, which is that number without its cancellation.
"""

import numpy as np

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.learner import back_propagation, learn
from edgetrain.compiler.rules.learning import PRECISIONS, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.optimiser import Update, learning_rate, zeros_like
from edgetrain.compiler.rules.registry import register
from edgetrain.compiler.types import FLOAT32

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@register("adam", precisions=PRECISIONS)
def adam(infer: Network, how: Learning) -> Graph:
    """Adam, or AdamW with weight decay; two more states a parameter.

    The decay is decoupled: it moves the weight, not the averages.
    """

    def optimiser(b: GraphBuilder) -> Update:
        rate = learning_rate(b, how)
        one = b.constant(np.array(1, np.float32))
        corrections = []
        for name, keep in zip("mv", BETAS, strict=True):
            kept = b.state(f"{name}_one", np.array(0, np.float32), FLOAT32)
            corrections.append(b.update(kept, b.apply("average", kept, one, keep=keep)))
        scaled = b.apply("adam_rate", corrections[0], *rate.operands, **rate.attributes)
        norm = b.apply("adam_norm", corrections[1])

        def update(name: str, w: Value, gradient: Value) -> Value:
            mean, square = (zeros_like(b, w, f"{kind}_{name}") for kind in "mv")
            m = b.update(mean, b.apply("average", mean, gradient, keep=BETAS[0]))
            v = b.update(square, b.apply("average_square", square, gradient, keep=BETAS[1]))
            # Without decay the rate is all within `scaled`.
            now = rate.operands if how.decay else ()
            decay = {"decay": how.decay, **rate.attributes} if how.decay else {}
            return b.apply("adam", w, m, v, scaled, norm, *now, epsilon=EPSILON, **decay)

        return update

    return learn(infer, how, back_propagation, optimiser)
