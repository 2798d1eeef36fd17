"""What a device has learned, given back to its model as constants."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Value, check_array
from edgetrain.compiler.learnable import Learnable, Quantisation
from edgetrain.compiler.rules.learner import LATENT
from edgetrain.compiler.rules.parameter import latent_type
from edgetrain.compiler.rules.parameters import named_parameters

Array = NDArray[Any]


def with_learned(
    graph: Graph, quantisation: Quantisation | None, state: Mapping[str, Array]
) -> tuple[Graph, Quantisation | None]:
    """`graph` and what it says of its constants, with the parameters that `state` holds by name.

    Raises InputError where a tensor does not fit, or where none is there.
    """
    graph, names = named_parameters(graph, quantisation)
    if quantisation is not None:
        _check_gains(state, names.values())
    constants = dict(graph.constants)
    learnable = {} if quantisation is None else dict(quantisation.learnable)
    for value, name in names.items():
        if name not in state:
            continue
        constants[value] = _fitting(value, name, state[name])
        if value in learnable and learnable[value].steps is not None:
            latent = state.get(f"{LATENT}{name}")
            old = learnable[value]
            steps = old.integers(state[name]) if latent is None else _steps(latent, old)
            learnable[value] = replace(old, steps=steps.astype(np.float64))
            # Where scales have learned, latents count in other units than those that are rounded.
            if old.growth == 1 and (old.rounded(steps) != state[name]).any():
                raise InputError(
                    f"{name} of the state is not what its latents round to",
                    remedy="give the --precision with which it has learned",
                )
    if not any(name in state for name in names.values()):
        known = ", ".join(names.values())
        raise InputError("the state holds no parameter of the model", remedy=f"it has {known}")
    if quantisation is not None:
        quantisation = Quantisation(learnable, quantisation.scales)
    return replace(graph, constants=constants), quantisation


def _check_gains(state: Mapping[str, Array], names: Collection[str]) -> None:
    """A gain that the model does not know would be lost."""
    unknown = [name for name in state if re.fullmatch(r"g\d+", name) and name not in names]
    if unknown:
        raise InputError(
            f"the state has gains {', '.join(unknown)}, which the model does not have",
            remedy="give --scales learned, if the scales have learned",
        )


def _fitting(value: Value, name: str, array: Array) -> Array:
    try:
        check_array(value, array)
    except ValueError as error:
        raise InputError(
            f"{name} of the state does not fit the model: {error}",
            remedy="give a state in which whole layers have learned",
        ) from error
    return array


def _steps(latent: Array, learnable: Learnable) -> Array:
    """Latents in units of their weights."""
    kind = "fp16" if latent.dtype == np.float16 else str(latent.dtype)
    _, fraction = latent_type(kind, learnable)
    return latent.astype(np.float64) * 2.0 ** -(fraction or 0)
