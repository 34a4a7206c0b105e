"""Pictures as a vision tower wants them, on numpy; `vision_towers.to_pixels` does it with torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8


def normalised(
    picture: RGB8, size: int, mean: Sequence[float], deviation: Sequence[float]
) -> NDArray[np.float32]:
    """A picture stretched to a square, then shifted and scaled.

    Args:
        picture: (height, width, 3) codes.
        size: height and width of the result.
        mean: of red, green and blue in 0..1.
        deviation: standard deviations of the same.

    Returns:
        (3, size, size).
    """
    from PIL import Image

    square = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    codes = np.asarray(square, np.float32) / np.float32(255)
    made = (codes - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return np.ascontiguousarray(made.transpose(2, 0, 1))


def processed(picture: RGB8, given: Mapping[str, Any]) -> NDArray[np.float32]:
    """A picture as an image processor of transformers makes it, with Pillow.

    Args:
        picture: (height, width, 3) codes.
        given: 'size': [height, width] that it is stretched to, or [shorter side] to keep its form;
            'crop': [height, width] of the middle that is taken; 'resample': number of Pillow's
            filter; 'scale' that codes are multiplied with; 'mean' and 'deviation' after that.

    Returns:
        (3, height, width).
    """
    from PIL import Image

    height, width = _stretched(picture, given["size"])
    shown = Image.fromarray(np.ascontiguousarray(picture))
    filtered = shown.resize((width, height), Image.Resampling(given["resample"]))
    rows, columns = given["crop"]
    top, left = (height - rows) // 2, (width - columns) // 2
    codes = np.asarray(filtered, np.float32)[top : top + rows, left : left + columns]
    made = codes * np.float32(given["scale"]) - np.array(given["mean"], np.float32)
    made /= np.array(given["deviation"], np.float32)
    return np.ascontiguousarray(made.transpose(2, 0, 1))


def _stretched(picture: RGB8, size: Sequence[int]) -> tuple[int, int]:
    """Height and width of a picture at a size."""
    if len(size) == 2:
        return size[0], size[1]
    height, width = picture.shape[:2]
    longer = int(size[0] * max(height, width) / min(height, width))
    return (size[0], longer) if height <= width else (longer, size[0])
