"""The filter layers that stand for operations in Krita, as measured in Krita 5.2.9.

Krita's filters work on the values that the picture stores, as our operations do. A function of each
channel alone is a curve with one point for every code: where it comes from is `curves`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Parameters = Mapping[str, Any]

POINTS = 256
"""Points of a curve: one for each code of 8 bits, which is as fine as Krita's table is."""

Curve = Sequence[float]
"""`POINTS` values 0..1, of the inputs 0, 1/255 ... 1."""

_CURVES_OF_RGBA = 8  # all colours, red, green, blue, alpha, hue, saturation, lightness
_STRAIGHT = "0,0;1,1;"


@dataclass(frozen=True)
class Filter:
    """A filter layer.

    Attributes:
        filter: Krita's name of the filter.
        name: of the layer.
        properties: of the filter, as its file in a .kra names them.
        version: of that file.
    """

    filter: str
    name: str
    properties: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    version: int = 1


def curves(name: str, red: Curve, green: Curve, blue: Curve) -> Filter:
    """A layer that takes each channel through a curve of its own."""
    given = {0: red} if red == green == blue else {1: red, 2: green, 3: blue}
    properties: dict[str, float | int | str | bool] = {"nTransfers": _CURVES_OF_RGBA}
    for number in range(_CURVES_OF_RGBA):
        curve = given.get(number)
        properties[f"curve{number}"] = _STRAIGHT if curve is None else _points(curve)
    return Filter("perchannel", name, properties)


def _points(curve: Curve) -> str:
    last = len(curve) - 1
    return "".join(f"{x / last:.7g},{min(1.0, max(0.0, y)):.7g};" for x, y in enumerate(curve))


# --- colours ----------------------------------------------------------------------------------


def _invert(_: Parameters) -> tuple[Filter, ...]:
    return (Filter("invert", "Invert"),)


def _grayscale(_: Parameters) -> tuple[Filter, ...]:
    return (_grey("Grayscale"),)


def _grey(name: str) -> Filter:
    return Filter("desaturate", name, {"type": 2})  # BT.601


# The rows of the sepia matrix are multiples of one: the first numbers are its parts by BT.601's,
# with the largest at 1 so that nothing is clipped; the others are the multiples.
_SEPIA_PARTS = (0.7923, 0.7915, 1.0)
_SEPIA_MULTIPLES = (1.6560, 1.4758, 1.1491)


def _sepia(_: Parameters) -> tuple[Filter, ...]:
    return (
        _slopes("Sepia (1/3)", _SEPIA_PARTS),
        _grey("Sepia (2/3)"),
        _slopes("Sepia (3/3)", _SEPIA_MULTIPLES),
    )


def _slopes(name: str, slopes: tuple[float, float, float]) -> Filter:
    red, green, blue = ([slope * x / (POINTS - 1) for x in range(POINTS)] for slope in slopes)
    return curves(name, red, green, blue)


LARGEST_FACTOR = 4.0
"""Of saturation: what Krita's slider comes to at its end."""


def _saturate(parameters: Parameters) -> tuple[Filter, ...] | None:
    """Krita's saturation s, -1 to 1, multiplies by 1 + s, and by 1 + s + 2 s² above 0."""
    factor = parameters["factor"]
    if factor > LARGEST_FACTOR:
        return None
    amount = factor - 1 if factor <= 1 else (math.sqrt(8 * factor - 7) - 1) / 4
    return (_hsv(f"Saturation ×{factor:.3g}", s=round(100 * amount)),) if factor != 1 else ()


def _hue(parameters: Parameters) -> tuple[Filter, ...]:
    degrees = parameters["degrees"]
    return (_hsv(f"Hue {degrees:+.3g}°", h=round(degrees)),) if degrees else ()


def _hsv(name: str, *, h: int = 0, s: int = 0) -> Filter:
    # Whole numbers: Krita takes any other text for 0.
    amounts = {"h": h, "s": s, "v": 0, "type": 0}  # of HSV
    return Filter("hsvadjustment", name, {**amounts, "colorize": False, "compatibilityMode": False})


# --- surroundings -----------------------------------------------------------------------------


def _gaussian(parameters: Parameters) -> tuple[Filter, ...]:
    kernel = int(parameters["kernel"])
    if kernel == 1:
        return ()
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8  # as OpenCV derives it
    radius = (sigma - 0.3) / 0.3  # Krita's sigma is 0.3 + 0.3 × radius
    properties = {"horizRadius": radius, "vertRadius": radius, "lockAspect": True}
    return (Filter("gaussian blur", f"Gaussian blur, {kernel} px", properties),)


_BOX_STRENGTH = 1000  # 100 leaves soft edges

BLURS = frozenset({"gaussian blur", "blur"})
"""Filters whose result depends on neighbouring pixels."""


def _blur(parameters: Parameters) -> tuple[Filter, ...]:
    kernel = int(parameters["kernel"])
    if kernel == 1:
        return ()
    half = (kernel - 1) // 2
    size = {"halfWidth": half, "halfHeight": half, "lockAspect": True, "rotate": 0}
    properties = {**size, "shape": 1, "strength": _BOX_STRENGTH}
    return (Filter("blur", f"Blur, {kernel} px", properties),)


# --- the table --------------------------------------------------------------------------------

LIVE: Mapping[str, Callable[[Parameters], tuple[Filter, ...] | None]] = {
    "invert": _invert,
    "grayscale": _grayscale,
    "sepia": _sepia,
    "saturate": _saturate,
    "hue": _hue,
    "gaussian": _gaussian,
    "blur": _blur,
}
"""Operation -> what makes its layers; None where these parameters have none. Any other operation
that is a function of each channel alone is live through `curves`."""
