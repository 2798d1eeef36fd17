"""Changes what a model file carries for host tools, and nothing else of it."""

from pathlib import Path

import onnx

from edgetrain.compiler.onnx_io.load import import_model


def with_metadata(model: Path, key: str, text: str) -> bytes:
    """The content of the file `model`, but `text` under `key` in its metadata.

    The same model and text give the same bytes.  Raises InputError for a file that cannot be read
    as a model.
    """
    import_model(model)
    proto = onnx.load(model, load_external_data=False)
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**kept, key: text})
    return bytes(proto.SerializeToString(deterministic=True))
