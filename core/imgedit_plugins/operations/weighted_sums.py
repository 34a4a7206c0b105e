"""Weighted sums of the three channels, the same wherever a pixel stands in an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import compiled
from imgedit_plugins.pictures import Pixels

_ROW_MULTIPLE = 64
"""Pixels that fill any processor's registers. OpenCV sums the last few of an array, which do not,
in another order, and where these are depends on how a picture is cut."""

_WHITE = 65535

Weights = NDArray[Any]
"""(3, 4): weights of R, G, B and an offset, for R', G', B'."""


def in_16_bits(codes: Pixels, weights: Weights, out: Pixels | None = None) -> Pixels:
    """Sums of codes, rounded and limited to 16 bits.

    Args:
        codes: (height, width, 3) uint8 or uint16, contiguous; left alone.
        weights: in steps of the result for a step of the codes; the offset in steps of the result.
        out: for the result of 16-bit codes; same shape and type, contiguous.

    Returns:
        uint16, of the same shape, contiguous. Single precision leaves out up to 0.02 of a step.
    """
    import cv2

    single = weights.astype(np.float32)
    if codes.dtype == np.uint8:
        made = compiled.summed(codes, single, np.dtype(np.uint16))
        if made is not None:
            return made
        row = np.asarray(cv2.transform(_filled_up(codes, np.uint16), single), np.uint16)
        return row[:, : codes.shape[0] * codes.shape[1]].reshape(codes.shape)
    return _row_by_row(codes, single, out)


def upper_bytes(codes: Pixels, weights: Weights, out: Pixels | None = None) -> Pixels:
    """The upper bytes of `in_16_bits`, uint8, in a new array or in `out`."""
    done = compiled.summed(codes, weights.astype(np.float32), np.dtype(np.uint8), out)
    if done is not None:
        return done
    made = np.empty(codes.shape, np.uint8) if out is None else out
    return np.right_shift(in_16_bits(codes, weights), 8, out=made, casting="unsafe")


def scaled_in_16_bits(
    codes: Pixels,
    gain: float,
    offset: float,
    out: Pixels | None = None,
    limits: tuple[int, int] | None = None,
) -> Pixels:
    """Codes of 16 bits times a gain plus an offset, rounded and limited to 16 bits.

    Args:
        codes: any shape, contiguous.
        gain: steps of the result for a step of the codes.
        offset: in steps of the result.
        out: for the result; same shape and type, contiguous; may be the codes themselves.
        limits: lowest and highest result, where these are not the type's.

    Returns:
        uint16, of the same shape. Single precision leaves out up to 0.02 of a step.
    """
    low, high = limits or (0, _WHITE)
    made = compiled.line_16(codes, (gain, offset), (low, high), np.dtype(np.uint16), out)
    if made is not None:
        return made
    made = _row_by_row(codes, np.array([[gain, offset]], np.float64), out)
    return made if limits is None else np.clip(made, np.uint16(low), np.uint16(high), out=made)


def _row_by_row(codes: Pixels, weights: Weights, out: Pixels | None) -> Pixels:
    """`cv2.transform` of 16-bit codes in full registers alone."""
    import cv2

    made = np.empty(codes.shape, np.uint16) if out is None else out
    source, target = (values.reshape(1, -1, len(weights)) for values in (codes, made))
    even = source.shape[1] // _ROW_MULTIPLE * _ROW_MULTIPLE
    if even:
        cv2.transform(source[:, :even], weights, dst=target[:, :even])
    if even < source.shape[1]:
        rest = np.asarray(cv2.transform(_filled_up(source[:, even:], np.uint16), weights))
        target[:, even:] = rest.reshape(1, -1, len(weights))[:, : source.shape[1] - even]
    return made


def of_values(values: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """Sums in double precision.

    Args:
        values: (height, width, 3) of any type; left alone.
        weights: (3, 3) or (3, 4).

    Returns:
        (height, width, 3).
    """
    import cv2

    sums = np.asarray(cv2.transform(_filled_up(values, np.float64), weights), np.float64)
    return sums[0, : values.shape[0] * values.shape[1]].reshape(values.shape)


def grey_of(codes: Pixels) -> NDArray[np.float32]:
    """The luma of ITU-R BT.601 in the codes' own unit, (1, height * width), not rounded."""
    import cv2

    row = _filled_up(codes, np.float32)
    luma = np.asarray(cv2.cvtColor(row, cv2.COLOR_RGB2GRAY), np.float32)
    return luma[:, : codes.shape[0] * codes.shape[1]]


def _filled_up(pixels: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The pixels in one row of that type, filled up to a multiple of what registers take."""
    count = pixels.shape[0] * pixels.shape[1]
    filled = -(-count // _ROW_MULTIPLE) * _ROW_MULTIPLE
    row = np.empty((1, filled, pixels.shape[2]), dtype)
    row[0, :count].reshape(pixels.shape)[...] = pixels
    row[0, count:] = 0
    return row
