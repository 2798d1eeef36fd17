"""How many training steps a device has taken: a number in its state."""

import numpy as np

from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.types import Int

NAME = "step"
COUNT = Int(0, 2**31 - 2)
"""The counter stays at its greatest value; one more would still fit 32 bits."""


def step_counter(b: GraphBuilder) -> Value:
    """The number of steps taken before this one, an int32 scalar; a graph has one counter.

    A step that is cancelled changes nothing, hence is not counted.
    """
    known = b.find_state(NAME)
    if known is not None:
        return known
    counter = b.state(NAME, np.array(0, np.int32), COUNT)
    b.update(counter, b.apply("count", counter))
    return counter
