"""What FINN takes over: the network, and a folding configuration of its layers."""

import json
from collections.abc import Mapping

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.onnx_io.finn import export_finn
from edgetrain.compiler.passes import run_passes

MODEL, FOLDING = "network.onnx", "folding_config.json"


def finn_files(graph: Graph, folded: Mapping[str, Folding]) -> dict[str, bytes]:
    """Files by name, of the graph of `infer` before any pass; none where FINN has no form of it.

    The matrix products are FINN's MVAU_hls_0, MVAU_hls_1, … in their order, into which it takes
    the thresholds that follow them.
    """
    try:
        model = export_finn(run_passes(graph))
    except InputError:
        return {}
    layers = [name for name in folded if name.startswith("matmul_")]
    layers.sort(key=lambda name: int(name.removeprefix("matmul_")))
    text = json.dumps(folding_configuration([folded[name] for name in layers]), indent=2)
    return {MODEL: model, FOLDING: f"{text}\n".encode()}


def folding_configuration(layers: list[Folding]) -> dict[str, dict[str, object]]:
    """As FINN's `folding_config_file` has it: settings of the HLS layers by their names."""
    found: dict[str, dict[str, object]] = {"Defaults": {}}
    for number, folding in enumerate(layers):
        found[f"MVAU_hls_{number}"] = {
            "PE": folding.pe,
            "SIMD": folding.simd,
            "ram_style": "auto",
            "resType": "lut",
            "mem_mode": "internal_decoupled",
            "runtime_writeable_weights": 0,
        }
    return found
