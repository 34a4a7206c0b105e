"""What runs a bundle: onnxruntime, numpy and tokenizers, no torch; generic."""
