"""What the language model gets to see: a small picture in sRGB, or several side by side.

It is one picture for each question, since many models take no more.
"""

from __future__ import annotations

import cv2
import numpy as np

from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.pictures import RGB8, Picture

ALONE = 1024
"""Longest side of a picture that is shown alone, in pixels."""

_BESIDE = 768  # of one among several
_GAP = 16
_GREY = 128


def view(picture: Picture, longest: int = ALONE) -> RGB8:
    """A picture as it is shown; transparent parts are grey."""
    shown = to_srgb(picture, on_warning=lambda _: None)
    scale = min(1.0, longest / max(shown.height, shown.width))
    pixels = shown.rgb8()
    if shown.alpha is not None:
        pixels = _over_grey(pixels, Picture(np.ascontiguousarray(shown.alpha)).rgb8()[:, :, :1])
    if scale == 1.0:
        return pixels
    size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def side_by_side(*pictures: Picture) -> RGB8:
    """Several pictures from left to right, of one height, with a gap between them."""
    views = [view(picture, _BESIDE) for picture in pictures]
    height = max(len(one) for one in views)
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    columns = [gap]
    for one in views:
        columns += [_placed(one, height), gap]
    return np.concatenate(columns[1:-1], axis=1)


def _placed(pixels: RGB8, height: int) -> RGB8:
    """In the middle of a column of that height."""
    column = np.full((height, pixels.shape[1], 3), 255, np.uint8)
    top = (height - len(pixels)) // 2
    column[top : top + len(pixels)] = pixels
    return column


def _over_grey(pixels: RGB8, alpha: RGB8) -> RGB8:
    weight = alpha.astype(np.uint16)
    mixed = (pixels * weight + _GREY * (255 - weight) + 127) // 255
    return np.asarray(mixed, np.uint8)
