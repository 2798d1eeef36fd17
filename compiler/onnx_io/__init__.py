"""The only importers of onnx: model files in and out."""
