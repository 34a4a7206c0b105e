"""Weights in 8 or 4 bits, by onnxruntime's tools: matrices alone, activations stay float32."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgedit_exporters import tracing


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
    """Write a float32 model with its matrices in few bits.

    Args:
        source: an ONNX file, with its weights beside it where they are large.
        target: where the result goes, in the same way.
        grain: see there.

    Returns:
        How many matrices are in few bits.
    """
    import onnx
    import onnx_ir as ir

    with _quiet():
        from onnxruntime.quantization import matmul_nbits_quantizer as tool

        kind: Any = tool.MatMulNBitsQuantizer
        work = kind(
            onnx.load(str(source)),
            bits=grain.bits,
            block_size=grain.block,
            is_symmetric=True,
            accuracy_level=grain.accuracy_level,
        )
        work.process()
    proto = work.model.model
    count: int = sum(node.op_type == "MatMulNBits" for node in proto.graph.node)
    tracing.save(ir.from_proto(proto), target)
    return count


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
