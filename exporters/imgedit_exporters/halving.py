"""Weights in bfloat16: half the file, arithmetic in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgedit_exporters import tracing

LEAST = 256
"""Numbers of a tensor from which on it is put into half; biases and constants stay exact."""


def to_bfloat16(source: Path, target: Path) -> int:
    """Write a float32 model whose weights are in bfloat16 and are cast where they are used.

    onnxruntime makes float32 of them when it loads the model (measured with 1.31), so the file is
    half as large, and memory and speed are those of float32.

    Args:
        source: an ONNX file, with its weights beside it where they are large.
        target: where the result goes, in the same way.

    Returns:
        How many tensors are in bfloat16.
    """
    import onnx_ir as ir

    model = ir.load(source)
    found = [value for value in model.graph.initializers.values() if _fits(value)]
    for value in found:
        _halve(model.graph, value)
    tracing.save(model, target)
    return len(found)


def _fits(value: Any) -> bool:
    weights = value.const_value
    return bool(weights.dtype.name == "FLOAT" and weights.size >= LEAST and value.uses())


def _halve(graph: Any, value: Any) -> None:
    """Put a bfloat16 tensor and a cast in the place of a tensor."""
    import onnx_ir as ir

    name, shape, weights = value.name, value.shape, value.const_value

    def halved() -> Any:
        kind = ir.DataType.BFLOAT16
        return ir.Tensor(weights.numpy().astype(kind.numpy()), dtype=kind, name=f"{name}.bfloat16")

    tensor = ir.LazyTensor(
        halved, dtype=ir.DataType.BFLOAT16, shape=weights.shape, name=f"{name}.bfloat16"
    )
    half = ir.Value(
        name=tensor.name, const_value=tensor, shape=shape, type=ir.TensorType(tensor.dtype)
    )
    cast = ir.node("Cast", [half], {"to": ir.DataType.FLOAT}, name=f"{name}.cast")
    made = cast.outputs[0]
    made.shape, made.type = shape, ir.TensorType(ir.DataType.FLOAT)
    value.replace_all_uses_with(made)
    del graph.initializers[name]
    made.name = name
    graph.register_initializer(half)
    first = next(iter(graph), None)
    if first is None:
        graph.append(cast)
    else:
        graph.insert_before(first, cast)
