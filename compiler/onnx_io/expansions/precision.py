"""Between FLOAT16 and FLOAT32."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import expands


@expands("cast")
def cast(e: Emitter, node: Node, x: str) -> str:
    return e.node("Cast", x, to=element_type(node.attributes["to"]))
