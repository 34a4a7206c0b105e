"""From sRGB-encoded values to linear light and back.

Source: IEC 61966-2-1:1999 (sRGB), the transfer function with its constants as printed there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import Curve


def decode(encoded: NDArray[Any]) -> NDArray[Any]:
    """Encoded values as linear light.

    Args:
        encoded: any shape, float32 or float64, 0..1; left alone.

    Returns:
        The same shape and type, 0..1.
    """
    linear = encoded + 0.055
    linear *= 1.0 / 1.055
    np.power(linear, 2.4, out=linear)
    np.copyto(linear, encoded * (1.0 / 12.92), where=encoded <= 0.04045)
    return linear


def encode(linear: NDArray[Any]) -> NDArray[Any]:
    """Linear light as encoded values.

    Args:
        linear: any shape, float32 or float64, 0 or more; left alone.

    Returns:
        The same shape and type; above 1 where the light is.
    """
    encoded: NDArray[Any] = np.power(linear, 1.0 / 2.4)
    encoded *= 1.055
    encoded -= 0.055
    np.copyto(encoded, linear * 12.92, where=linear <= 0.0031308)
    return encoded


def light_gain(gain: float) -> Curve:
    """The curve that multiplies light: decoded, multiplied, encoded again."""

    def curve(values: NDArray[Any]) -> NDArray[Any]:
        light = decode(values)
        light *= gain
        return encode(light)

    return curve
