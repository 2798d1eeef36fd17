"""One pass a file; each keeps a valid graph valid."""

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.passes.base import Pass
from edgetrain.compiler.passes.common_nodes import CommonNodes
from edgetrain.compiler.passes.dead_nodes import DeadNodes
from edgetrain.compiler.passes.early_updates import EarlyUpdates
from edgetrain.compiler.passes.fixed_steps import FixedSteps
from edgetrain.compiler.passes.fold_constants import Evaluate, FoldConstants
from edgetrain.compiler.passes.fold_thresholds import FoldThresholds
from edgetrain.compiler.passes.fuse_into_fold import FuseIntoFold
from edgetrain.compiler.passes.fuse_maps import FuseMaps
from edgetrain.compiler.passes.fused_steps import FuseSteps
from edgetrain.compiler.passes.join_siblings import JoinSiblings
from edgetrain.compiler.passes.postpone import Postpone
from edgetrain.compiler.passes.precision import HalfPrecision
from edgetrain.compiler.passes.rank_one import RankOneUpdate
from edgetrain.compiler.passes.recompute import Recompute
from edgetrain.compiler.passes.requantise import Requantise

HALF: tuple[Pass, ...] = (HalfPrecision(),)
"""What an imported graph of floats goes through first, to compute in FLOAT16."""

INFERENCE: tuple[Pass, ...] = (FoldThresholds(), Requantise(), DeadNodes())
"""What an inference graph goes through, in order."""


def training_passes(features: frozenset[str], evaluate: Evaluate) -> tuple[Pass, ...]:
    """What a training graph goes through for a board with `features`; `evaluate` is the
    reference."""
    fuse = FuseMaps()
    return (
        DeadNodes(),
        FoldThresholds(),
        FoldConstants(evaluate),
        CommonNodes(),
        FixedSteps(),
        RankOneUpdate(features),
        FuseSteps(features),
        fuse,
        Recompute(),
        fuse,
        FuseIntoFold(),
        JoinSiblings(),
        Postpone(),
        DeadNodes(),
        EarlyUpdates(),
    )


def run_passes(graph: Graph, passes: tuple[Pass, ...] = INFERENCE) -> Graph:
    for each in passes:
        graph = each.apply(graph)
    return graph
