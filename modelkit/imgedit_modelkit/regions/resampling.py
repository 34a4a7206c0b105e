"""Maps of any number of channels at another size, strip by strip.

By cubic convolution (Keys 1981, a = -0.5), widened where it shrinks. Positions are continuous: the
middle of the first pixel is 0.5. Past the border its pixels go on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
"""(height, width, channels)."""

_STRIP = 1 << 19  # pixels


def strips(small: Map, size: tuple[int, int]) -> Iterator[tuple[slice, Map]]:
    """A map at another size, in strips from the top: rows, and (rows, width, channels) of them.

    Args:
        small: (height, width, channels).
        size: height and width of the result.
    """
    wide = _mixed(small, *_taps(size[1], small.shape[1]), axis=1)
    indices, weights = _taps(size[0], small.shape[0])
    rows = max(1, _STRIP // size[1])
    for top in range(0, size[0], rows):
        part = slice(top, min(top + rows, size[0]))
        yield part, _mixed(wide, indices[part], weights[part], axis=0)


def resized(small: Map, size: tuple[int, int]) -> Map:
    """The same in one piece."""
    return np.concatenate([strip for _, strip in strips(small, size)])


def _mixed(values: Map, indices: NDArray[np.intp], weights: Map, axis: int) -> Map:
    shape = (1, -1, 1) if axis else (-1, 1, 1)
    total: Map | None = None
    for index, weight in zip(indices.T, weights.T, strict=True):
        part = values.take(index, axis=axis)
        part *= weight.reshape(shape)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _taps(wanted: int, given: int) -> tuple[NDArray[np.intp], Map]:
    """For each new position, places in the old ones and their weights: (wanted, taps), both."""
    scale = given / wanted
    reach = max(1.0, scale)
    taps = 2 * int(np.ceil(2 * reach))
    centre = (np.arange(wanted) + 0.5) * scale - 0.5
    places = np.floor(centre).astype(np.intp)[:, None] + np.arange(1 - taps // 2, taps // 2 + 1)
    weights = _keys((places - centre[:, None]) / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, given - 1), weights.astype(np.float32)


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    near = 1 + x**2 * (1.5 * x - 2.5)
    far = 2 + x * (-4 + x * (2.5 - 0.5 * x))
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
