"""Writes ONNX graphs node by node, as the exporters do."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
IR_VERSION = 10  # what torch 2 writes; onnxruntime 1.31 reads up to 13


@dataclass
class GraphBuilder:
    """Nodes and initialisers in file order; every tensor gets a fresh name."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initialisers: list[onnx.TensorProto] = field(default_factory=list)
    _count: dict[str, int] = field(default_factory=dict)

    def name(self, stem: str) -> str:
        """`stem`, then `stem_1`, `stem_2`, …"""
        count = self._count.get(stem, 0)
        self._count[stem] = count + 1
        return f"{stem}_{count}" if count else stem

    def constant(self, stem: str, array: NDArray[Any]) -> str:
        name = self.name(stem)
        self.initialisers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(
        self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        """Append a node; its output is `output` or the next free name of that stem."""
        name = self.name(output)
        self.nodes.append(
            helper.make_node(
                op, inputs, [name], name=f"node_{name}", domain=domain or None, **attributes
            )
        )
        return name

    def model(
        self,
        features: tuple[str, int],
        outputs: tuple[str, int],
        *,
        batch: int | str,
        opset: int,
        initialisers_are_inputs: bool = False,
        integer_input: str | None = None,
    ) -> onnx.ModelProto:
        """The file; `integer_input` annotates the input with a QONNX data type."""
        live = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width])
            for name, width in (features, outputs)
        ]
        listed = [
            helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
            for t in self.initialisers
        ]
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            live[:1] + (listed if initialisers_are_inputs else []),
            live[1:],
            self.initialisers,
        )
        if integer_input is not None:
            annotation = graph.quantization_annotation.add(tensor_name=features[0])
            annotation.quant_parameter_tensor_names.add(key="finn_datatype", value=integer_input)
        domains = sorted({node.domain for node in self.nodes} - {""})
        opsets = [helper.make_opsetid(domain, 2) for domain in domains]
        return helper.make_model(
            graph,
            opset_imports=[*opsets, helper.make_opsetid("", opset)],
            ir_version=IR_VERSION,
            producer_name="pytorch",
        )
