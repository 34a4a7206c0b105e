"""A picture's colours as separate planes, for arithmetic on one number per pixel.

A strip's planes are contiguous; the same arithmetic on interleaved channels takes several times
as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import Values

Plane = NDArray[np.float32]
"""(rows, columns), float32."""

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in brightness: ITU-R BT.709, whose primaries sRGB has."""

TINY = 1e-12
"""A divisor instead of nothing."""


def split(values: Values) -> tuple[Plane, Plane, Plane]:
    """The three channels, each a new array."""
    import cv2

    # cv2.split takes five times as long.
    first, second, third = (np.asarray(cv2.extractChannel(values, c), np.float32) for c in range(3))
    return first, second, third


def join(first: Plane, second: Plane, third: Plane) -> Values:
    """Three channels as one new array."""
    import cv2

    return np.asarray(cv2.merge([first, second, third]))


def luma(values: Values) -> Plane:
    """The weighted sum of the encoded channels, 0..1; a grey's own value up to rounding."""
    import cv2

    return np.asarray(cv2.transform(values, np.array([LUMA], np.float32)))


def largest(first: Plane, second: Plane, third: Plane) -> Plane:
    """The largest channel of each pixel: the value of HSV."""
    return np.maximum(np.maximum(first, second), third)


def smallest(first: Plane, second: Plane, third: Plane) -> Plane:
    """The smallest channel of each pixel."""
    return np.minimum(np.minimum(first, second), third)


def in_three(plane: Plane) -> Values:
    """One plane as three equal channels."""
    import cv2

    return np.asarray(cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB))
