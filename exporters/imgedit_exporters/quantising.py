"""Weights in 8 or 4 bits: matrices alone, activations stay float32."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgedit_exporters import tracing
from imgedit_exporters.four_bits import in_four_bits

_DOMAIN = "com.microsoft"


@dataclass(frozen=True)
class Grain:
    """How weights are put into few bits.

    Attributes:
        bits: 4 or 8.
        block: weights that share a scale: 16, 32, 64, 128 or 256.
        accuracy_level: of the kernel; 4 computes in int8, 1 in float32, 0 as the runtime likes,
            which on CPUs is float32 and many times slower.
    """

    bits: Literal[4, 8]
    block: int = 32
    accuracy_level: int = 4


def quantise(source: Path, target: Path, grain: Grain) -> int:
    """Write a float32 model with its matrices in few bits; one of them at a time is in memory.

    Args:
        source: an ONNX file, with its weights beside it where they are large.
        target: where the result goes, in the same way.
        grain: see there.

    Returns:
        How many products with a matrix are in few bits.
    """
    import onnx_ir as ir

    model = ir.load(source)
    found = [node for node in model.graph.all_nodes() if _has_matrix(node)]
    made: dict[str, tuple[dict[str, int], list[Any]]] = {}
    for node in found:
        weights: Any = node.inputs[1]
        if weights.name not in made:
            made[weights.name] = _in_few_bits(weights, grain)
        _replace(node, *made[weights.name])
    if found:
        model.opset_imports[_DOMAIN] = 1
    tracing.save(model, target)
    return len(found)


def _has_matrix(node: Any) -> bool:
    """Whether a node multiplies by a matrix of weights."""
    if node.op_type != "MatMul" or node.domain or not node.inputs[1].is_initializer():
        return False
    weights = node.inputs[1].const_value
    return len(weights.shape) == 2 and weights.dtype.name == "FLOAT"


def _in_few_bits(weights: Any, grain: Grain) -> tuple[dict[str, int], list[Any]]:
    """What a node has for a matrix in few bits: its settings, and the numbers and scales."""
    import onnx_ir as ir

    rows, columns = weights.const_value.shape
    packed, scales = _packed(weights.const_value.numpy(), grain)
    if isinstance(weights.const_value, ir.ExternalTensor):
        weights.const_value.release()
    settings = {"K": rows, "N": columns, "bits": grain.bits, "block_size": grain.block}
    if grain.accuracy_level:
        settings["accuracy_level"] = grain.accuracy_level
    values = []
    for what, array in (("quantised", packed), ("scales", scales)):
        name = f"{weights.name}.{what}"
        tensor = ir.Tensor(array, name=name)
        values.append(
            ir.Value(
                name=name, const_value=tensor, shape=tensor.shape, type=ir.TensorType(tensor.dtype)
            )
        )
        weights.graph.register_initializer(values[-1])
    return settings, values


def _packed(matrix: Any, grain: Grain) -> tuple[Any, Any]:
    """Numbers and scales, as MatMulNBits takes them."""
    if grain.bits == 4:
        return in_four_bits(matrix, grain.block)
    with _quiet():
        import onnxruntime.quantization.matmul_nbits_quantizer as tools

        config = tools.DefaultWeightOnlyQuantConfig(
            block_size=grain.block, is_symmetric=True, bits=grain.bits
        )
        packed, scales, _ = tools.DefaultWeightOnlyQuantizer(config).qbits_block_quant(matrix)
    return packed, scales


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser tells of each matrix, and sets up the logging of the whole process."""
    root = logging.root
    before, handlers, level = root.manager.disable, list(root.handlers), root.level
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
        root.handlers[:] = handlers
        root.setLevel(level)


def _replace(node: Any, settings: dict[str, int], values: list[Any]) -> None:
    """Put a product with a matrix in few bits in a node's place."""
    import onnx_ir as ir

    given, weights = node.inputs
    before = node.outputs[0]
    made = ir.node(
        "MatMulNBits", [given, *values], settings, domain=_DOMAIN, name=f"{node.name}.quantised"
    )
    after = made.outputs[0]
    after.name, after.shape, after.type = before.name, before.shape, before.type
    ir.convenience.replace_nodes_and_values(node.graph, node, [node], [made], [before], [after])
    if not weights.uses():
        del weights.graph.initializers[weights.name]
