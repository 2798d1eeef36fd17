"""Writes what a model file carries for host tools, and nothing else of it."""

from pathlib import Path

import onnx

from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.program_file import write_whole


def replace_metadata(model: Path, out: Path, key: str, text: str) -> None:
    """Writes a copy of `model` to `out` whose metadata has `text` under `key`.

    The same model and text give the same bytes.  Raises InputError for a file that cannot be read
    as a model.
    """
    import_model(model)
    proto = onnx.load(model, load_external_data=False)
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**kept, key: text})
    write_whole(out, proto.SerializeToString(deterministic=True))
