"""How far apart two pictures are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8


def difference(a: RGB8, b: RGB8) -> NDArray[np.int16]:
    """A - b in 8-bit codes, (height, width, channels)."""
    return a.astype(np.int16) - b.astype(np.int16)


def mean_squared_error(a: RGB8, b: RGB8) -> float:
    """Mean of squared differences over all pixels and channels, in squared 8-bit codes."""
    import cv2

    return float(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size


def psnr(mse: float) -> float | None:
    """Peak signal-to-noise ratio in dB, peak 255; None for no error."""
    return None if mse == 0.0 else 10.0 * float(np.log10(255.0**2 / mse))
