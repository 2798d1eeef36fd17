"""A network that learns: an inference graph over states, and what its integers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.learnable import Doubles, Learnable


@dataclass(frozen=True)
class Network(Graph):
    """Every state is a parameter.  Of a quantised network `learnable` says what the integers of a
    state are, and `scales` what the real step of a layer's integers is."""

    learnable: Mapping[Value, Learnable] = field(default_factory=dict)
    scales: Mapping[Value, Doubles] = field(default_factory=dict)
