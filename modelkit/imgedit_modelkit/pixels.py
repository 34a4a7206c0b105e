"""Pictures as a vision tower wants them, on numpy; `vision_towers.to_pixels` does it with torch."""

from __future__ import annotations

from collections.abc import Sequence

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
