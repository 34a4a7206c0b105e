"""Eight bands of colour, and adjustments of each that flow smoothly into its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import planes
from imgedit_plugins.operations.forms import Values
from imgedit_plugins.operations.planes import TINY, Plane

BANDS = {
    "red": 0.0,
    "orange": 30.0,
    "yellow": 60.0,
    "green": 120.0,
    "aqua": 180.0,
    "blue": 240.0,
    "purple": 270.0,
    "magenta": 300.0,
}
"""Centre of each colour band: hue of HSV in degrees."""

_STEPS = 20  # of the tables, per degree: between them a straight line is near enough for 16 bits


def band_weights(hue: NDArray[Any]) -> NDArray[np.float64]:
    """How much of each band a hue is: raised cosines between neighbouring centres.

    Args:
        hue: (n,), degrees, 0 to 360.

    Returns:
        (n, 8), in the order of `BANDS`; each row sums to 1, with at most two weights above 0.
    """
    edges = np.array([*BANDS.values(), 360.0])
    band = np.searchsorted(edges[1:-1], hue, side="right")
    share = (hue - edges[band]) / (edges[band + 1] - edges[band])
    weights = np.zeros((len(hue), len(BANDS)))
    rows = np.arange(len(hue))
    weights[rows, band] = np.cos(np.pi / 2 * share) ** 2
    weights[rows, (band + 1) % len(BANDS)] += np.sin(np.pi / 2 * share) ** 2
    return weights


Table = tuple[NDArray[np.float32], NDArray[np.float32]]
"""A function of hue, by steps: its value, and how much it rises to the next step."""


def by_hue(amounts: Sequence[float]) -> Table | None:
    """One amount for each band as a smooth function of hue; None where all are 0."""
    if not any(amounts):
        return None
    # One step more, since float32 can round a hue just below 360 up to it.
    hues = np.arange(360 * _STEPS + 2) / _STEPS % 360.0
    values = band_weights(hues) @ np.array(amounts)
    return values[:-1].astype(np.float32), np.diff(values).astype(np.float32)


def adjust(
    values: Values, hues: Table | None, saturations: Table | None, lightnesses: Table | None
) -> Values:
    """Pixels adjusted by their hue; greys stay as they are.

    Args:
        values: the pixels; left alone.
        hues: degrees to turn by.
        saturations: -1 to 1: S' = S (1 + s) below 0, S' = S (1 + s (1 - S)) above.
        lightnesses: -1 to 1: blends with black or white, by half for a pure colour, by
            C (1 - C / 2) of it with less chroma C (largest less smallest channel).
    """
    import cv2

    hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV), np.float32)
    hue, saturation, value = planes.split(hsv)
    share = hue * _STEPS
    step = share.astype(np.int32)
    share -= step
    chroma = saturation * value
    if hues is not None:
        hue += _looked_up(hues, step, share)
        np.add(hue, 360.0, out=hue, where=hue < 0.0)  # OpenCV takes none below 0
    if saturations is not None:
        change = _looked_up(saturations, step, share)
        saturation *= 1.0 + change - np.maximum(change, 0.0) * saturation
    if lightnesses is not None:
        change = _looked_up(lightnesses, step, share)
        _lighten(value, saturation, change * (chroma - 0.5 * chroma * chroma))
    return np.asarray(cv2.cvtColor(planes.join(hue, saturation, value), cv2.COLOR_HSV2RGB))


def _lighten(value: Plane, saturation: Plane, share: Plane) -> None:
    """Blend with white (share above 0) or black (below), in HSV, in place."""
    kept = 1.0 - np.abs(share)
    spread = value * saturation
    spread *= kept
    value *= kept
    value += np.maximum(share, 0.0)
    np.divide(spread, np.maximum(value, TINY), out=saturation)


def _looked_up(table: Table, step: NDArray[np.int32], share: Plane) -> Plane:
    values, rises = table
    result = rises.take(step)
    result *= share
    result += values.take(step)
    return result
