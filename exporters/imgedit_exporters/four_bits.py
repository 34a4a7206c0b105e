"""Matrices in 4 bits, with the scale of each block searched for the least squared error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_STEPS = (8.0, 8.5, 9.0, 9.6, 7.7, 7.2)
"""Where the number of a block that is furthest from 0 may come to lie below 0. There are numbers
down to -8, so beyond that it is cut off, and the others have finer steps. The first one is what
onnxruntime's quantiser takes, so no block is further from its weights than by that."""

_AT_ONCE = 1 << 17
"""Weights that are worked on at once, so that they stay in the processor's cache."""


def in_four_bits(matrix: Floats, block: int) -> tuple[NDArray[np.uint8], Floats]:
    """Numbers from -8 to 7 and scales whose products are as near to a matrix as they are found.

    Args:
        matrix: (rows, columns); weights that share a scale stand below each other.
        block: how many those are; even.

    Returns:
        What onnxruntime's MatMulNBits takes: (columns, blocks, block / 2), two numbers in a byte,
        the first in its lower half, 8 added; and scales, (columns, blocks). Rows that fill the
        last block are 0.
    """
    rows, columns = matrix.shape
    count = -(-rows // block)
    packed = np.empty((columns, count, block // 2), np.uint8)
    scales = np.empty((columns, count), np.float32)
    for below, beside in _pieces(count, columns, block):
        piece = matrix[below.start * block : below.stop * block, beside]
        filled = np.zeros((piece.shape[1], (below.stop - below.start) * block), np.float32)
        filled[:, : len(piece)] = piece.T
        weights = filled.reshape(-1, block)
        numbers, found = _searched(weights)
        halves = (numbers + 8).astype(np.uint8).reshape(len(filled), -1, block // 2, 2)
        packed[beside, below] = halves[..., 0] | halves[..., 1] << 4
        scales[beside, below] = found.reshape(len(filled), -1)
    return packed, scales


def _pieces(count: int, columns: int, block: int) -> Iterator[tuple[slice, slice]]:
    """Blocks and columns of what is worked on at once: wide enough to read rows in one go."""
    below = max(1, min(count, 1024 // block))
    beside = max(1, _AT_ONCE // (below * block))
    for row in range(0, count, below):
        for column in range(0, columns, beside):
            yield slice(row, min(row + below, count)), slice(column, min(column + beside, columns))


def _searched(weights: Floats) -> tuple[Floats, Floats]:
    """Numbers, (blocks, block), and a scale for each block, of (blocks, block) weights.

    With given numbers q the best scale of weights w is the sum of w q by that of q q, which leaves
    the squared error at the sum of w w less the square of the former by the latter.
    """
    furthest = np.where(weights.max(1) > -weights.min(1), weights.max(1), weights.min(1))
    apart = np.abs(furthest) > np.finfo(np.float32).tiny  # what is nearer to 0 has no reciprocal
    unit = np.divide(-1, furthest, out=np.zeros_like(furthest), where=apart)
    numbers = np.empty_like(weights)
    best, chosen = np.full_like(unit, -1), np.zeros_like(unit)
    for step in _STEPS:
        _rounded(weights, unit * np.float32(step), numbers)
        products, squares = _sums(weights, numbers), _sums(numbers, numbers)
        explained = _shared(products * products, squares)
        better = explained > best
        best[better], chosen[better] = explained[better], step
    _rounded(weights, unit * chosen, numbers)
    return numbers, _shared(_sums(weights, numbers), _sums(numbers, numbers))


def _rounded(weights: Floats, by: Floats, out: Floats) -> None:
    np.multiply(weights, by[:, None], out=out)
    np.rint(out, out=out)
    np.clip(out, -8, 7, out=out)


def _sums(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", one, other), np.float32)


def _shared(products: Floats, squares: Floats) -> Floats:
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
