"""What 4 bits cost weights, beside onnxruntime's own quantiser: errors and processor time.

    python benchmarks/four_bits.py [--rows 4096] [--columns 4096] [--part FILE]

Weights are drawn from a normal distribution, or are the matrices of an ONNX file in fp32. Told is
the root of the mean square of what is lost, as a share of that of the weights, and the median of
three times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.four_bits import in_four_bits

Floats = NDArray[np.float32]
Quantiser = Callable[[Floats, int], tuple[Any, Any]]

_BLOCKS, _ROUNDS = (16, 32, 64, 128), 3


def by_onnxruntime(matrix: Floats, block: int) -> tuple[Any, Any]:
    """Numbers and scales by its quantiser."""
    import onnxruntime.quantization.matmul_nbits_quantizer as tools

    config = tools.DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=True, bits=4)
    packed, scales, _ = tools.DefaultWeightOnlyQuantizer(config).qbits_block_quant(matrix)
    return packed, scales


def lost(matrix: Floats, packed: Any, scales: Any) -> float:
    """The sum of the squared errors."""
    halves = np.stack([packed & 15, packed >> 4], -1).reshape(*scales.shape, -1).astype(np.float32)
    made = ((halves - 8) * scales[..., None]).reshape(len(scales), -1)[:, : len(matrix)].T
    return float(np.square(made - matrix, dtype=np.float64).sum())


def measured(matrices: list[Floats], block: int, quantiser: Quantiser) -> tuple[float, float]:
    """The error of all matrices together, and seconds of processor."""
    times, error, size = [], 0.0, 0.0
    for number in range(_ROUNDS):
        took = 0.0
        for matrix in matrices:
            began = time.process_time()
            made = quantiser(matrix, block)
            took += time.process_time() - began
            if number == 0:
                error += lost(matrix, *made)
                size += float(np.square(matrix, dtype=np.float64).sum())
        times.append(took)
    return float(np.sqrt(error / size)), statistics.median(times)


def _of_part(path: Path) -> Iterator[Floats]:
    import onnx_ir as ir

    for node in ir.load(path).graph.all_nodes():
        second = node.inputs[1] if node.op_type == "MatMul" else None
        weights: Any = None if second is None else second.const_value
        if weights is not None and len(weights.shape) == 2 and weights.dtype.name == "FLOAT":
            yield weights.numpy()


def main() -> None:
    """Measure each size of blocks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--part", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal((given.rows, given.columns), np.float32)]
    matrices = list(_of_part(given.part)) if given.part else drawn
    print(
        "weights that share a scale: error, s of processor; onnxruntime's error, s; times as long"
    )
    for block in _BLOCKS:
        error, took = measured(matrices, block, in_four_bits)
        theirs, long = measured(matrices, block, by_onnxruntime)
        print(f"{block}: {error:.4f}, {took:.2f}; {theirs:.4f}, {long:.2f}; {took / long:.1f}")


if __name__ == "__main__":
    main()
