"""Pixels of pictures between those of others: turning, tilting and resizing.

Positions are continuous: the middle of the upper left pixel is (0.5, 0.5). Where a filter looks
past the border, the border's pixels go on. Colours are weighed by alpha, so that a colour that
nobody saw before is not seen afterwards either; where the result is fully transparent, its colour
is black. Mixtures are made of sRGB-encoded values, as everything that operations do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Pixels

Homography = NDArray[np.float64]
"""(3, 3): (x, y, 1) of the result -> a multiple of (x, y, 1) of the source."""

# OpenCV 4 keeps positions of its warps in 16 bits; blocks also bound what premultiplying takes.
_BLOCK = 2048
_MARGIN = 4  # pixels that the cubic looks around, and one for rounding


def shifted(x: float, y: float) -> Homography:
    """The homography that adds x and y."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaled(x: float, y: float) -> Homography:
    """The homography that multiplies by x and y."""
    return np.diag([x, y, 1.0])


def warped(pixels: Pixels, to_source: Homography, size: tuple[int, int]) -> Pixels:
    """Pixels fetched from where a homography says.

    By cubic convolution (Keys 1981, with a = -0.75, as OpenCV has it), positions rounded to 1/32
    pixel. Made for scales near 1: where it shrinks to less than half, detail aliases.

    Args:
        pixels: (height, width, 1 to 4 channels) of uint8, uint16 or float32; left alone.
        to_source: where the result's positions lie in `pixels`.
        size: height and width of the result.

    Returns:
        New pixels of the same type and number of channels.
    """
    result = np.empty((*size, pixels.shape[2]), pixels.dtype)
    opaque = _is_opaque(pixels)
    for top in range(0, size[0], _BLOCK):
        for left in range(0, size[1], _BLOCK):
            place = result[top : top + _BLOCK, left : left + _BLOCK]
            _warp_block(pixels, to_source @ shifted(left, top), place, opaque)
    return result


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Pixels at another size.

    Made smaller by the mean over the area that a new pixel covers, larger by cubic convolution
    (Keys 1981, a = -0.75).

    Args:
        pixels: (height, width, 1 to 4 channels) of uint8, uint16 or float32; left alone.
        size: height and width of the result.

    Returns:
        New pixels of the same type and number of channels.
    """
    import cv2

    smaller = size[0] <= pixels.shape[0] and size[1] <= pixels.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC

    def mix(part: Pixels) -> Pixels:
        return np.asarray(cv2.resize(part, size[::-1], interpolation=how))

    return _mixed(pixels, mix, _is_opaque(pixels)).reshape(*size, pixels.shape[2])


def _warp_block(pixels: Pixels, to_source: Homography, place: Pixels, opaque: bool) -> None:
    import cv2

    height, width = place.shape[:2]
    rows, columns = _seen(to_source, (height, width), pixels.shape[:2])
    local = shifted(-columns.start - 0.5, -rows.start - 0.5) @ to_source @ shifted(0.5, 0.5)
    flat = bool((local[2] == (0.0, 0.0, 1.0)).all())
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP

    def mix(part: Pixels) -> Pixels:
        warp: Any = cv2.warpAffine if flat else cv2.warpPerspective
        matrix = local[:2] if flat else local
        moved = warp(part, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved)

    part = np.ascontiguousarray(pixels[rows, columns])
    place[:] = _mixed(part, mix, opaque).reshape(place.shape)


def _seen(
    to_source: Homography, size: tuple[int, int], within: tuple[int, ...]
) -> tuple[slice, slice]:
    """Rows and columns of the source that a block of that size needs; one at least."""
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]).T
    x, y, scale = to_source @ corners
    spans = []
    for positions, length in ((y / scale, within[0]), (x / scale, within[1])):
        first = int(np.clip(np.floor(positions.min()) - _MARGIN, 0, length - 1))
        last = int(np.clip(np.ceil(positions.max()) + _MARGIN, first + 1, length))
        spans.append(slice(first, last))
    return spans[0], spans[1]


# --- alpha ------------------------------------------------------------------------------------


def _white(dtype: np.dtype[Any]) -> float:
    return 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)


def _is_opaque(pixels: Pixels) -> bool:
    if pixels.shape[2] in (1, 3):
        return True
    return bool(pixels[:, :, -1].min() >= _white(pixels.dtype))


def _mixed(pixels: Pixels, mix: Callable[[Pixels], Pixels], opaque: bool) -> Pixels:
    """What `mix` makes of the pixels, with colours weighed by alpha, clipped to black and white."""
    if not opaque:
        return _divided(mix(_multiplied(pixels)), pixels.dtype)
    mixed = mix(pixels)
    return np.clip(mixed, 0.0, 1.0, out=mixed) if pixels.dtype == np.float32 else mixed


def _multiplied(pixels: Pixels) -> NDArray[np.float32]:
    """Values 0..1 with colours multiplied by alpha."""
    values = np.multiply(pixels, np.float32(1.0 / _white(pixels.dtype)), dtype=np.float32)
    for channel in range(values.shape[2] - 1):  # numpy is slow along so short an axis
        values[:, :, channel] *= values[:, :, -1]
    return values


def _divided(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """The opposite, as pixels of that type. Overwrites its argument."""
    white = _white(dtype)
    # Overshoots of alpha must be there still, since colours have the same. What will be fully
    # transparent becomes black.
    visible = values[:, :, -1] > (0.0 if dtype == np.float32 else 0.5 / white)
    share = np.zeros(visible.shape, np.float32)
    np.divide(1.0, values[:, :, -1], out=share, where=visible)
    for channel in range(values.shape[2] - 1):
        values[:, :, channel] *= share
    np.clip(values, 0.0, 1.0, out=values)
    if dtype == np.float32:
        return values
    values *= np.float32(white)
    return np.rint(values, out=values).astype(dtype)
