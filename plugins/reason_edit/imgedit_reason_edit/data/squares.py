"""Square parts of pictures for painters that see squares only, and boxes taken from paintings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""

_SOFT = 0.04
"""Width of the blended edge, as a share of the box's shorter side."""


@dataclass(frozen=True)
class Square:
    """A square part of a picture, which may reach beyond it; what is there is mirrored.

    Attributes:
        left, top: of its corner, in the picture's pixels.
        side: in pixels.
    """

    left: int
    top: int
    side: int

    def cut(self, picture: RGB8) -> RGB8:
        """The part, (side, side, 3)."""
        height, width = picture.shape[:2]
        rows = np.arange(self.top, self.top + self.side)
        columns = np.arange(self.left, self.left + self.side)
        return np.ascontiguousarray(picture[_mirrored(rows, height)][:, _mirrored(columns, width)])

    def put(self, picture: RGB8, part: RGB8) -> RGB8:
        """A copy of the picture with the part in its place."""
        height, width = picture.shape[:2]
        made = picture.copy()
        top, left = max(0, self.top), max(0, self.left)
        bottom, right = min(height, self.top + self.side), min(width, self.left + self.side)
        made[top:bottom, left:right] = part[
            top - self.top : bottom - self.top, left - self.left : right - self.left
        ]
        return made

    def inside(self, box: Box) -> tuple[int, int, int, int]:
        """A box of the picture in the part's pixels."""
        return (
            box[0] - self.left,
            box[1] - self.top,
            box[2] - self.left,
            box[3] - self.top,
        )


def square_around(box: Box, width: int, height: int) -> Square:
    """The largest square of a picture with the box in it, or the smallest one that has the box.

    Args:
        box: within the picture.
        width: of the picture.
        height: of the picture.
    """
    side = max(min(width, height), box[2] - box[0], box[3] - box[1])
    return Square(_start(box[0], box[2], side, width), _start(box[1], box[3], side, height), side)


def _start(first: int, last: int, side: int, length: int) -> int:
    if side >= length:
        return (length - side) // 2
    return min(max(0, (first + last - side) // 2), length - side)


def _mirrored(places: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    period = 2 * length
    folded = np.mod(places, period)
    return np.where(folded < length, folded, period - 1 - folded)


def blended(picture: RGB8, painted: RGB8, box: Box) -> RGB8:
    """The picture with the box of another one; edges inside of the box are blended.

    Args:
        picture: (height, width, 3).
        painted: of the same size.
        box: what to take from it. Where it touches the picture's edge nothing is blended.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    soft = max(1.0, _SOFT * min(right - left, bottom - top))
    across = _ramp(left, right, width, soft)
    down = _ramp(top, bottom, height, soft)
    weight = np.minimum.outer(down, across)[:, :, None]
    part = picture[top:bottom, left:right].astype(np.float64)
    mixed = part + (painted[top:bottom, left:right].astype(np.float64) - part) * weight
    made = picture.copy()
    made[top:bottom, left:right] = np.rint(mixed).astype(np.uint8)
    return made


def _ramp(first: int, last: int, length: int, soft: float) -> NDArray[np.float64]:
    """Weights of the pixels from `first` on: rising from the edge, 1 inside."""
    places = np.arange(last - first) + 0.5
    rising = np.full(last - first, np.inf) if first == 0 else places
    falling = np.full(last - first, np.inf) if last == length else places[::-1]
    return np.asarray(np.minimum(1.0, np.minimum(rising, falling) / soft))
