"""Detectors of the recipe can-ids, trained on the host without some kinds of attack."""

from functools import cache
from typing import Any, Final

from edgetrain.can.inject import KINDS
from edgetrain.train.can_ids import WIDTHS, float_network, training_set, w2a2_network
from edgetrain.train.progress import silent
from tools.experiments.can import volvo
from tools.experiments.data import cached

CODE: Final = ("edgetrain/can", "edgetrain/train", "tools/experiments/can/detectors.py")


@cache
def detector(seconds: tuple[float, float], left_out: tuple[str, ...], seed: int) -> Any:
    """The 2-bit network (a torch.nn.Sequential) trained on the Volvo's traffic between two times,
    attacked by all kinds but those `left_out`."""
    from edgetrain.train import network

    def make() -> dict[str, Any]:
        kinds = [kind for kind in KINDS if kind not in left_out]
        samples = training_set(volvo.traffic(seconds), seed, silent, kinds)
        with network.reproducible(seed):
            pretrained = float_network(samples, seed, silent)
            trained: Any = w2a2_network(pretrained, samples, seed, silent)
        state: dict[str, Any] = trained.state_dict()
        return state

    name = "-".join(("detector", *map(str, seconds), *left_out, str(seed)))
    mlp = network.w2a2_mlp(WIDTHS, network.float_mlp(WIDTHS))
    mlp.load_state_dict(cached(name, make, CODE))
    return mlp.eval()
