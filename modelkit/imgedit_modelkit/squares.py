"""Pictures as diffusion models learn and are judged: their middle squares, in sRGB."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from imgedit_modelkit.readers.stored import Stored, open_stored
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError
from imgedit_plugins.pictures import Picture


def squares_of(source: Stored, goal: Stored, size: int, row: str) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a row as squares.

    Args:
        source: the picture before.
        goal: the same after it.
        size: of the squares, in pixels.
        row: which, for what is told of a fault.

    Raises:
        DataError: they have different shapes, or cannot be opened.
    """
    before, after = (open_stored(one) for one in (source, goal))
    if before.width * after.height != after.width * before.height:
        raise DataError(
            f"The pictures of row {row} have different shapes: {before.width}x{before.height} "
            f"and {after.width}x{after.height}.",
            path=source if isinstance(source, Path) else source.path,
        )
    return square(before, size), square(after, size)


def square(picture: Picture, size: int) -> np.ndarray:
    """The middle square of a picture, (size, size, 3) float32 in 0..1, sRGB."""
    return _square(_floats(to_srgb(picture).color), size)


def _floats(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.float32:
        return np.asarray(np.clip(np.nan_to_num(pixels), 0.0, 1.0), np.float32)
    return np.asarray(pixels / np.iinfo(pixels.dtype).max, np.float32)


def _square(pixels: np.ndarray, size: int) -> np.ndarray:
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    scaled = cv2.resize(square, (size, size), interpolation=how)
    return np.clip(np.asarray(scaled, np.float32), 0.0, 1.0)
