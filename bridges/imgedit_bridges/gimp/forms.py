"""The live filters and turns that stand for operations in GIMP, as measured in 3.0.4 and 3.2.6.

GIMP computes most filters in linear light, our operations are defined on sRGB-encoded values.
What is exact all the same: the legacy blend modes, which mix encoded values, over a plain colour
(any gain and offset); some filters that work on encoded values; and, for operations on light, the
filters that work on light. Only filters named here are ever made: several others crash GIMP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Parameters = Mapping[str, Any]

BLUR = "gegl:wavelet-blur"
SMOOTH = "gegl:domain-transform"
SHIFT = "gegl:convolution-matrix"
AROUND = frozenset({BLUR, SMOOTH, SHIFT})
"""Operations that look at neighbouring pixels."""

PLAIN = "gegl:color"
PLAIN_INSTEAD = "gegl:color-overlay"
"""The same where nothing is transparent; for GIMP 3.2, which hides the other from plug-ins."""

OPERATIONS = frozenset(
    {*AROUND, PLAIN, "gegl:invert-gamma", "gegl:component-extract", "gegl:sepia",
     "gegl:exposure", "gegl:channel-mixer", "gegl:rgb-clip"}
)  # fmt: skip
"""All that live forms are made of."""


@dataclass(frozen=True)
class Filter:
    """A live filter.

    Attributes:
        operation: of GEGL.
        name: in the list of the layer's filters.
        properties: of the operation.
        colour: its property 'value' as sRGB-encoded red, green, blue, 0..1; may be None.
        mode: `Gimp.LayerMode` by name.
        opacity: 0..1.
    """

    operation: str
    name: str
    properties: Mapping[str, float | str | bool] = field(default_factory=dict)
    colour: tuple[float, float, float] | None = None
    mode: str = "REPLACE"
    opacity: float = 1.0


@dataclass(frozen=True)
class Turn:
    """A lossless movement of the whole layer.

    Attributes:
        degrees: clockwise: 0, 90, 180 or 270.
        flip: whether left and right are exchanged.
    """

    degrees: int = 0
    flip: bool = False


# --- gains and offsets of encoded values ------------------------------------------------------


def _plain(name: str, code: float, mode: str) -> Filter:
    """The same grey everywhere, `code` 0..1, mixed with the picture."""
    return Filter(PLAIN, name, colour=(code, code, code), mode=mode)


def _offset(name: str, amount: float) -> tuple[Filter, ...]:
    if amount == 0:
        return ()
    mode = "ADDITION_LEGACY" if amount > 0 else "SUBTRACT_LEGACY"
    return (_plain(name, abs(amount), mode),)


def _gain(name: str, gain: float) -> tuple[Filter, ...]:
    if gain == 1:
        return ()
    if gain > 1:
        return (_plain(name, 1.0 / gain, "DIVIDE_LEGACY"),)
    return (_plain(name, gain, "MULTIPLY_LEGACY"),)


def _bright(parameters: Parameters) -> tuple[Filter, ...]:
    offset = parameters["offset"]
    return _offset(f"Brightness {offset:+g}", offset / 255.0)


def _contrast(parameters: Parameters) -> tuple[Filter, ...]:
    gain = parameters["gain"]
    return _gain(f"Contrast ×{gain:.3g}", gain)


def _levels(parameters: Parameters) -> tuple[Filter, ...] | None:
    if parameters.get("gamma", 1) != 1:
        return None
    low, high = parameters.get("in_black", 0), parameters.get("in_white", 255)
    black, white = parameters.get("out_black", 0), parameters.get("out_white", 255)
    filters = [
        *_offset(f"Levels, black from {low:g}", -low / 255.0),
        *_gain(f"Levels, white from {high:g}", 255.0 / (high - low)),
    ]
    if white < black:
        filters += _invert({})
    filters += _gain(f"Levels, over {abs(white - black):g} codes", abs(white - black) / 255.0)
    filters += _offset(f"Levels, black to {min(black, white):g}", min(black, white) / 255.0)
    return tuple(filters)


# --- filters that work on encoded values ------------------------------------------------------


def _invert(_: Parameters) -> tuple[Filter, ...]:
    return (Filter("gegl:invert-gamma", "Invert"),)


def _grayscale(_: Parameters) -> tuple[Filter, ...]:
    return (Filter("gegl:component-extract", "Grayscale", {"component": "ycbcr-y"}),)


def _sepia(_: Parameters) -> tuple[Filter, ...]:
    return (Filter("gegl:sepia", "Sepia", {"scale": 1.0, "srgb": True}),)


def _saturate(parameters: Parameters) -> tuple[Filter, ...] | None:
    """V - f (V - c), where V is the largest channel: exact until a colour is fully saturated.

    Weaker is a mixture with V. Stronger is f (c - o V) with o = 1 - 1/f: the mode that subtracts
    adds a half to have room, so the values are halved before and the half is taken off again.
    """
    factor = parameters["factor"]
    name = f"Saturation ×{factor:.3g}"
    value = {"component": "hsv-v"}
    if factor == 1:
        return ()
    if factor < 1:
        mode, share = "NORMAL_LEGACY", 1.0 - factor
        return (Filter("gegl:component-extract", name, value, mode=mode, opacity=share),)
    if factor > LARGEST_FACTOR:
        return None
    share = 1.0 - 1.0 / factor
    return (
        _plain(f"{name} (1/4)", 0.5, "MULTIPLY_LEGACY"),
        Filter(
            "gegl:component-extract", f"{name} (2/4)", value, mode="GRAIN_EXTRACT_LEGACY",
            opacity=share,
        ),
        _plain(f"{name} (3/4)", share / 2, "SUBTRACT_LEGACY"),
        _plain(f"{name} (4/4)", 1.0 / (2 * factor), "DIVIDE_LEGACY"),
    )  # fmt: skip


LARGEST_FACTOR = 1.5
"""Of saturation: above, too many colours are fully saturated, where the filters differ."""


# A filter of radius r weighs three places, r apart, with 1/4, 1/2, 1/4. These come closest to
# OpenCV's kernel of that size; the summed differences of the weights are 0 to 0.041 in each
# direction (found by trying all sets of up to six radii).
GAUSSIANS: Mapping[int, tuple[int, ...]] = {
    1: (),
    3: (1,),
    5: (1, 1),
    7: (1, 1, 1, 1),
    9: (1, 1, 1, 1, 1, 1),
    11: (1, 1, 1, 2),
    13: (1, 1, 2, 2),
    15: (1, 1, 1, 1, 2, 2),
    17: (1, 1, 2, 3),
    19: (1, 1, 2, 2, 3),
    21: (1, 1, 2, 2, 2, 3),
    23: (1, 1, 2, 2, 3, 3),
    25: (1, 1, 2, 3, 3, 3),
    27: (1, 2, 2, 2, 3, 4),
    29: (1, 2, 2, 3, 3, 4),
    31: (1, 1, 2, 3, 4, 4),
}


def _gaussian(parameters: Parameters) -> tuple[Filter, ...]:
    radii = GAUSSIANS.get(int(parameters["kernel"]))
    if radii is None:
        return _smooth(parameters)
    return tuple(
        Filter(BLUR, name, {"radius": float(radius)})
        for name, radius in zip(_parts(parameters, len(radii)), radii)  # noqa: B905
    )


def _smooth(parameters: Parameters) -> tuple[Filter, ...]:
    """A filter that keeps edges, told to keep none: runs of exponentials on encoded values.

    Two together have nearly OpenCV's kernel; the factor was found by comparing kernels of 5 to 99.
    """
    kernel = int(parameters["kernel"])
    if kernel <= 3:
        return _small(parameters) if kernel == 3 else ()
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8  # as OpenCV has it
    values = {
        "spatial-factor": max(1.0, 0.75 * sigma + 0.13),
        "edge-preservation": 0.0,
        "n-iterations": 3,
    }
    return tuple(Filter(SMOOTH, name, values) for name in _parts(parameters, 2))


def _small(parameters: Parameters) -> tuple[Filter, ...]:
    """Weights of 1/4, 1/2, 1/4 both ways: half of the picture moved by a pixel, four times."""
    return tuple(
        Filter(
            SHIFT, name, {"c3": 0.0, place: 1.0, "normalize": False},
            mode="NORMAL_LEGACY", opacity=0.5,
        )
        for name, place in zip(_parts(parameters, 4), ("c2", "c4", "b3", "d3"))  # noqa: B905
    )  # fmt: skip


def _parts(parameters: Parameters, number: int) -> list[str]:
    """Names of the filters of one blur."""
    name = f"Gaussian blur, {parameters['kernel']:g} px"
    return [f"{name} ({i}/{number})" for i in range(1, number + 1)]


# --- gains of light ---------------------------------------------------------------------------

_LUMA = (0.2126, 0.7152, 0.0722)
_MIRED = (0.0037, 0.0, -0.0060)
_CC = (0.0, -math.log(10.0) / 100.0, 0.0)
_LARGEST_GAIN = 2.0  # of GEGL's channel mixer


def _exposure(parameters: Parameters) -> tuple[Filter, ...]:
    stops = parameters["stops"]
    if stops == 0:
        return ()
    return _clipped(Filter("gegl:exposure", f"Exposure {stops:+.3g} EV", {"exposure": stops}))


def _temperature(parameters: Parameters) -> tuple[Filter, ...] | None:
    shift = parameters["shift"]
    return _light(f"Temperature {shift:+.3g} mired", _MIRED, shift)


def _tint(parameters: Parameters) -> tuple[Filter, ...] | None:
    shift = parameters["shift"]
    return _light(f"Tint {shift:+.3g} CC", _CC, shift)


def _light(name: str, logs: Sequence[float], amount: float) -> tuple[Filter, ...] | None:
    """Gains exp(amount × logarithm), shared out as `operations.colour` of the core does."""
    mean = sum(weight * log for weight, log in zip(_LUMA, logs))  # noqa: B905  # one length
    red, green, blue = (math.exp(amount * (log - mean)) for log in logs)
    if amount == 0:
        return ()
    if max(red, green, blue) > _LARGEST_GAIN:
        return None
    gains = {"rr-gain": red, "gg-gain": green, "bb-gain": blue}
    return _clipped(Filter("gegl:channel-mixer", name, gains))


def _clipped(light: Filter) -> tuple[Filter, ...]:
    """A filter that may leave 0..1, and one that clips for whatever comes on top."""
    return (light, Filter("gegl:rgb-clip", f"{light.name}: clip"))


# --- geometry ---------------------------------------------------------------------------------


def _rotate(parameters: Parameters) -> Turn:
    return Turn(degrees=int(parameters["degrees"]))


def _flip(_: Parameters) -> Turn:
    return Turn(flip=True)


# --- the table --------------------------------------------------------------------------------

LIVE: Mapping[str, Callable[[Parameters], tuple[Filter, ...] | Turn | None]] = {
    "bright": _bright,
    "contrast": _contrast,
    "levels": _levels,
    "invert": _invert,
    "grayscale": _grayscale,
    "sepia": _sepia,
    "saturate": _saturate,
    "gaussian": _gaussian,
    "exposure": _exposure,
    "temperature": _temperature,
    "tint": _tint,
    "rotate": _rotate,
    "flip": _flip,
}
"""Operation -> what makes its live form; None where these parameters have none."""

INSTEAD: Mapping[str, Callable[[Parameters], tuple[Filter, ...]]] = {"gaussian": _smooth}
"""The same for a GIMP that hides the filters of the first form from plug-ins, as 3.2 does."""
