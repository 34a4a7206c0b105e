"""Parts of models as ONNX bundles that need no PyTorch; `runtime` runs them."""
