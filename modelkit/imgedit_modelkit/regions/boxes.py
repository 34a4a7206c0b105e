"""Which part of a picture a model gets to see, at which size, and in which tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import ImgeditError, PictureError

_NARROWEST = 2.5
"""Longer side to shorter side of a region, as far as the picture has more to show."""


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels: left <= x < left + width."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """For the first axis of pixels."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """For the second axis of pixels."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Fitting:
    """How a picture meets a model.

    Attributes:
        multiple: what the sides of the model's pictures must be multiples of.
        pixels: how many pixels the model's pictures have, at most; about so many are used.
        context: what is seen around a selection, as a share of its size, on each side.
        tiled: edit large regions once as a whole and then in tiles at full resolution, whose
            tones follow the whole. For edits that each part can have for itself (a texture, a
            style), not for those that put one thing somewhere. It takes an edit per tile.
        overlap: of neighbouring tiles, as a share of their side.

    Raises:
        ImgeditError: numbers that cannot be.
    """

    multiple: int = 8
    pixels: int = 512 * 512
    context: float = 0.25
    tiled: bool = False
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.pixels < self.multiple**2:
            raise ImgeditError(
                f"A model cannot work on {self.pixels} pixels with sides of multiples of "
                f"{self.multiple}."
            )
        if not 0 <= self.context <= 4 or not 0 <= self.overlap <= 0.5:
            raise ImgeditError(
                f"The context of {self.context} must be in 0..4, the overlap of {self.overlap} in "
                "0..0.5."
            )

    @property
    def side(self) -> int:
        """Side of a square of `pixels`, rounded down to the multiple."""
        return max(1, math.isqrt(self.pixels) // self.multiple) * self.multiple


def region_of(size: tuple[int, int], mask: NDArray[np.uint8] | None, fitting: Fitting) -> Box:
    """The part of a picture that a model gets to see: the selection with what is around it.

    A small selection comes with as much around it as the model has pixels for.

    Args:
        size: height and width of the picture.
        mask: (height, width), or None for the whole picture.
        fitting: the model's.

    Raises:
        PictureError: nothing is selected.
    """
    if mask is None:
        return Box(0, 0, size[1], size[0])
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        raise PictureError(
            "Nothing is selected, so there is nothing to edit.",
            hint="Select something, or remove the selection to edit the whole picture.",
        )
    selected = [(int(found[0]), int(found[-1]) + 1) for found in (rows, columns)]
    wanted = [(1 + 2 * fitting.context) * (end - begin) for begin, end in selected]
    least = max(fitting.side, max(wanted) / _NARROWEST)
    spans = [
        _span(begin, end, math.ceil(max(length, least)), limit)
        for (begin, end), length, limit in zip(selected, wanted, size, strict=True)
    ]
    (top, height), (left, width) = spans
    return Box(left, top, width, height)


def _span(begin: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """Where a span of that length around another one begins within 0..limit, and its length."""
    length = min(length, limit)
    first = (begin + end - length) // 2
    return min(max(first, 0), limit - length), length


def model_size(box: Box, fitting: Fitting) -> tuple[int, int]:
    """Height and width of the picture that the model gets of a box."""
    step = fitting.multiple
    scale = math.sqrt(fitting.pixels / (box.width * box.height))
    sides = [max(1, round(side * scale / step)) for side in (box.height, box.width)]
    most = fitting.pixels // step**2
    while sides[0] * sides[1] > most:
        sides[sides[1] >= sides[0]] -= 1  # the longer one, which loses least
    return sides[0] * step, sides[1] * step


def tiles_of(box: Box, fitting: Fitting) -> list[Box]:
    """Tiles of one size that cover a box, each of the model's size, evenly spread.

    A box that is no larger than a tile is the only one.
    """
    side = fitting.side
    spans = [
        _places(begin, length, min(side, length), fitting.overlap)
        for begin, length in ((box.top, box.height), (box.left, box.width))
    ]
    height, width = min(side, box.height), min(side, box.width)
    return [Box(left, top, width, height) for top in spans[0] for left in spans[1]]


def _places(begin: int, length: int, side: int, overlap: float) -> list[int]:
    count = 1 + math.ceil((length - side) / max(1, int(side * (1 - overlap))))
    step = (length - side) / max(1, count - 1)
    return [begin + round(number * step) for number in range(count)]


def window(height: int, width: int, overlap: float) -> NDArray[np.float32]:
    """Weights of a tile's pixels, (height, width, 1): 1 inside, falling to the borders, above 0."""

    def ramp(length: int) -> NDArray[np.float32]:
        place = np.arange(length, dtype=np.float32) + 0.5
        near = np.minimum(place, length - place)
        return np.asarray(np.clip(near / max(1.0, overlap * length), 1e-3, 1.0), np.float32)

    return np.asarray(ramp(height)[:, None, None] * ramp(width)[None, :, None], np.float32)
