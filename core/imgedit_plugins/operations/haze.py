"""Haze: removed, or added, where the picture has it.

Sources: He, Sun and Tang, 'Single Image Haze Removal Using Dark Channel Prior', TPAMI 2011, here on
sRGB-encoded values as there; the transmission is refined by the guided filter (see `guided`) in
place of soft matting, as its authors propose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import Measured, Positioned, Region, Values
from imgedit_plugins.operations.guided import GuidedFilter, reduced
from imgedit_plugins.operations.planes import Plane, in_three, luma
from imgedit_plugins.operations.vocabulary import Constants, Operation, Parameter, Parameters

_LONGER_SIDE = 600  # the paper's pictures are of that size, and its patches of 15 x 15 meant for it
_PATCH_RADIUS = 7
_GUIDED_RADIUS = 30
_EPSILON = 1e-3
_KEPT = 0.95  # omega of equation 12: a little haze stays, for the sense of depth
_LEAST_TRANSMISSION = 0.1  # t0 of equation 22
_BRIGHTEST = 0.001  # share of pixels that tell the airlight
_LEAST_AIRLIGHT = 0.05


def _dehaze_form(parameters: Parameters, _: Constants) -> Measured:
    amount = parameters["amount"] / 100.0

    def measure(values: Values) -> Positioned:
        small = reduced(values, _LONGER_SIDE)
        airlight = _airlight(small)
        transmission = _transmission(small, airlight)
        light = tuple(float(channel) for channel in airlight)
        return Positioned(lambda v, region: _cleared(v, region, transmission, light, amount))

    return Measured(measure, _LONGER_SIDE)


def _scaled(radius: int, values: Values) -> int:
    return max(1, round(radius * float(max(values.shape[:2])) / _LONGER_SIDE))


def _darkest(values: Values) -> Plane:
    """The dark channel, equation 5: the least channel in the square around each pixel."""
    import cv2

    size = 2 * _scaled(_PATCH_RADIUS, values) + 1
    least = np.ascontiguousarray(values.min(axis=2))
    return np.asarray(cv2.erode(least, np.ones((size, size), np.uint8)))


def _airlight(values: Values) -> NDArray[np.float32]:
    """Mean colour where the dark channel is brightest (the paper: the lightest of these pixels)."""
    dark = _darkest(values).ravel()
    count = max(1, round(dark.size * _BRIGHTEST))
    chosen = np.argpartition(dark, dark.size - count)[dark.size - count :]
    color = values.reshape(-1, 3)[chosen].mean(axis=0, dtype=np.float64)
    return np.asarray(np.maximum(color, _LEAST_AIRLIGHT), np.float32)


def _transmission(values: Values, airlight: NDArray[np.float32]) -> GuidedFilter:
    """Equation 12, refined along the picture's edges."""
    raw = 1 - np.float32(_KEPT) * _darkest(values / airlight)
    return GuidedFilter.fit(luma(values), raw, _scaled(_GUIDED_RADIUS, values), _EPSILON)


def _cleared(
    values: Values,
    region: Region,
    transmission: GuidedFilter,
    airlight: tuple[float, ...],
    amount: float,
) -> Values:
    """I + (I - A) k; k = 1 / t - 1 removes haze of transmission t, and k = t - 1 adds it."""
    import cv2

    through = np.clip(transmission.on(luma(values), region), _LEAST_TRANSMISSION, 1.0)
    if amount >= 0:
        kept = np.maximum(1 - np.float32(amount) * (1 - through), _LEAST_TRANSMISSION)
        strength = 1 / kept - 1
    else:
        strength = np.float32(amount) * (1 - through / 2)
    subtract: Any = cv2.subtract  # its stub knows no scalars
    from_air: Values = np.asarray(subtract(values, (*airlight, 0.0)))
    from_air *= in_three(strength)
    return np.asarray(cv2.add(values, from_air, dst=values))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "dehaze",
        "Dehaze",
        "neighbourhood",
        None,
        source="I' = I + (I - A)(1 / t - 1), t = 1 - amount (1 - T); airlight A and transmission T "
        "by the dark channel prior (He, Sun and Tang 2011, equations 5, 12, 22), guided filter. "
        "Below 0: I' = I + (I - A)(t - 1), t = 1 - |amount| (1 - T / 2)",
        summary="Removes haze, or adds it.",
        parameters=(Parameter("amount", "Amount", "%", -100, 100, neutral=0),),
        phrase=lambda p: (
            f"haze {'removed' if p['amount'] >= 0 else 'added'} ({abs(p['amount']):g} %)"
        ),
        form=_dehaze_form,
        compares="darktable's haze removal uses the same prior and filter, in linear light, with "
        "strength -1 to 1 and a distance; RawTherapee's Haze Removal the same prior, with a depth. "
        "Lightroom's Dehaze has the same range; its mathematics is not published. The patches "
        "scale with the picture, as haze belongs to what is shown: a preview and the full picture "
        "give the same.",
    ),
)
