"""Scaling of a part of a picture exactly as the whole picture was scaled.

A crop scaled by itself is off by fractions of a pixel unless the factor is a whole number. Here
each output row or column is a weighted sum of a few input ones, with the weights of the whole
picture, so that a crop comes out as it stands in the scaled picture.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8

Filter = Literal["area", "triangle", "cubic", "lanczos", "point-linear", "point-cubic"]

FILTERS: tuple[Filter, ...] = (
    "area", "lanczos", "cubic", "triangle", "point-linear", "point-cubic",
)  # fmt: skip
"""How pictures are scaled: averaging; the three usual filters widened by the factor, as photo
software does; and the two that OpenCV and some web services use, which look at the nearest 2 or 4
pixels however small the result."""


@dataclass(frozen=True, eq=False)
class Taps:
    """Weighted sums along one axis.

    Attributes:
        first: the first input pixel that is needed, in the whole picture.
        last: one behind the last.
        index: (taps, outputs) input pixels, counted from `first`.
        weight: (taps, outputs), summing to one for each output.
    """

    first: int
    last: int
    index: NDArray[np.intp]
    weight: NDArray[np.float32]


class Span(NamedTuple):
    """Pixels of one axis: from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def slice(self) -> slice:
        """For indexing."""
        return slice(self.start, self.stop)


@functools.lru_cache(maxsize=256)
def taps(source: int, ratio: float, wanted: Span, margin: int, name: Filter) -> Taps:
    """The sums that give some outputs of a scaled axis.

    Args:
        source: pixels of the whole input axis.
        ratio: input pixels for each output pixel.
        wanted: outputs.
        margin: input pixels that are wanted around what is needed, where there are any.
        name: the filter.
    """
    start, stop = wanted
    kernel, support = _KERNELS[name]
    reach = support * (1.0 if name.startswith("point") else max(1.0, ratio))
    centres = (np.arange(start, stop) + 0.5) * ratio - 0.5
    lowest = np.floor(centres - reach).astype(np.intp)
    index = lowest[None] + np.arange(math.ceil(2 * reach) + 2)[:, None]
    inside = (index >= 0) & (index < source)
    if name == "area":
        weight = _overlap(index, np.arange(start, stop, dtype=np.float64) * ratio, ratio)
    else:
        weight = kernel((index - centres) * support / reach)
    if name.startswith("point"):
        inside = np.ones_like(inside)  # OpenCV repeats the border, photo software leaves it out
    weight = np.where(inside, weight, 0.0)
    used = (np.abs(weight) > 1e-7).any(axis=1)
    index = np.clip(index[used], 0, source - 1)
    weight = weight[used] / weight.sum(axis=0)
    first = max(0, int(index.min()) - margin)
    last = min(source, int(index.max()) + 1 + margin)
    return Taps(first, last, index - first, weight.astype(np.float32))


def scale(pixels: RGB8, rows: Taps, columns: Taps) -> RGB8:
    """Pixels from `first` to `last` of both axes, scaled and rounded to codes."""
    values = pixels.astype(np.float32)
    narrow = _sum(values, rows)
    scaled = _sum(narrow.transpose(1, 0, 2), columns).transpose(1, 0, 2)
    return np.ascontiguousarray(np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8))


def _sum(values: NDArray[np.float32], along: Taps) -> NDArray[np.float32]:
    total = np.zeros((along.index.shape[1], *values.shape[1:]), np.float32)
    for index, weight in zip(along.index, along.weight, strict=True):
        total += values[index] * weight[:, None, None]
    return total


def _overlap(
    index: NDArray[np.intp], starts: NDArray[np.float64], ratio: float
) -> NDArray[np.float64]:
    """How much of each output's range an input pixel covers."""
    covered = np.minimum(index + 1, starts + ratio) - np.maximum(index, starts)
    return np.asarray(np.maximum(covered, 0.0) / ratio, np.float64)


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(1.0 - np.abs(x), 0.0), np.float64)


def _cubic(x: NDArray[np.float64], a: float = -0.5) -> NDArray[np.float64]:
    """Keys' cubic convolution; a = -0.5 in photo software, -0.75 in OpenCV."""
    x = np.asarray(np.abs(x), np.float64)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)), np.float64)


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0))


_Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_KERNELS: dict[Filter, tuple[_Kernel, float]] = {
    "area": (_triangle, 1.0),
    "triangle": (_triangle, 1.0),
    "cubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
    "point-linear": (_triangle, 1.0),
    "point-cubic": (functools.partial(_cubic, a=-0.75), 2.0),
}
