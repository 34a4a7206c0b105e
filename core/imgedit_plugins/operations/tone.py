"""Adjustments of tone: how bright what is, as photographers' editors have them.

Amounts in per cent are steps of a flow wherever the mathematics allows it: 20 and then 30 is 50,
and -50 undoes 50 except for what was clipped. Signs are those of Lightroom and RawTherapee:
positive is brighter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import flows, planes
from imgedit_plugins.operations.encoding import light_gain
from imgedit_plugins.operations.forms import Colour, Curve, Curves, Values
from imgedit_plugins.operations.interpolation import inverse_points, monotone_cubic
from imgedit_plugins.operations.planes import TINY, Plane
from imgedit_plugins.operations.vocabulary import (
    STRAIGHT,
    Constants,
    Inverse,
    Operation,
    Parameter,
    Parameters,
    Points,
)

_LIGHTNESS_BASE = 3.0  # at 100 %, the middle 0.5 becomes 0.75
_SPEED = 0.5  # of the flow at 100 %
_CODES = 255.0

# --- one function for all channels ------------------------------------------------------------


def _exposure(parameters: Parameters, _: Constants) -> Curves:
    return Curves.same(light_gain(2.0 ** parameters["stops"]))


def _gamma(parameters: Parameters, _: Constants) -> Curves:
    exponent = 1.0 / parameters["gamma"]
    return Curves.same(lambda v: np.asarray(np.power(v, exponent)))


def _lightness(parameters: Parameters, _: Constants) -> Curves:
    factor = _LIGHTNESS_BASE ** (parameters["amount"] / 100.0)
    return Curves.same(lambda v: flows.scaled_odds(v, factor))


def _whites(parameters: Parameters, _: Constants) -> Curves:
    amount = parameters["amount"] / 100.0
    return Curves.same(lambda v: flows.upper_end(v, amount))


def _blacks(parameters: Parameters, _: Constants) -> Curves:
    amount = parameters["amount"] / 100.0
    return Curves.same(lambda v: flows.lower_end(v, amount))


def _levels(parameters: Parameters, _: Constants) -> Curves:
    black = parameters["in_black"] / _CODES
    width = (parameters["in_white"] - parameters["in_black"]) / _CODES
    exponent = 1.0 / parameters["gamma"]
    floor = parameters["out_black"] / _CODES
    height = (parameters["out_white"] - parameters["out_black"]) / _CODES

    def curve(values: NDArray[Any]) -> NDArray[Any]:
        share: NDArray[Any] = np.clip((values - black) / width, 0.0, 1.0)
        np.power(share, exponent, out=share)
        share *= height
        share += floor
        return share

    return Curves.same(curve)


def _levels_fault(p: Parameters) -> str:
    if p["in_white"] - p["in_black"] >= 1:
        return ""
    told = f"the input white ({p['in_white']:.4g}) must be a code or more above the input black"
    return f"{told} ({p['in_black']:.4g})"


# --- curves -----------------------------------------------------------------------------------

_CHANNELS = ("red", "green", "blue")


def _curves(parameters: Parameters, _: Constants) -> Curves:
    after = _chain([parameters["all"]])
    if all(parameters[channel] == STRAIGHT for channel in _CHANNELS):
        return Curves.same(after)
    red, green, blue = (_chain([parameters[c], parameters["all"]]) for c in _CHANNELS)
    return Curves(red, green, blue)


def _chain(curves: Iterable[Points]) -> Curve:
    functions = [monotone_cubic(points) for points in curves if points != STRAIGHT]
    if not functions:
        return np.positive

    def chain(values: NDArray[Any]) -> NDArray[Any]:
        for function in functions:
            values = np.clip(function(values), 0.0, 1.0)
        return values

    return chain


def _undo_curves(parameters: Parameters) -> Inverse | None:
    """The mirrored curves; none where tones were merged, or where both kinds are in use.

    A channel's own curve comes before the common one, and the other way round cannot be said.
    """
    used = {name: points for name, points in parameters.items() if points != STRAIGHT}
    if "all" in used and len(used) > 1:
        return None
    mirrored = {name: inverse_points(points) for name, points in used.items()}
    if not all(mirrored.values()):
        return None
    return Inverse("curves", {n: p for n, p in mirrored.items() if p}, exact=False)


# --- brightness, hue kept ---------------------------------------------------------------------


def _shadows(parameters: Parameters, _: Constants) -> Colour:
    time = _SPEED * parameters["amount"] / 100.0
    return _on_brightness(lambda brightness: flows.shadows(brightness, time))


def _highlights(parameters: Parameters, _: Constants) -> Colour:
    time = _SPEED * parameters["amount"] / 100.0
    return _on_brightness(lambda brightness: flows.highlights(brightness, time))


def _on_brightness(curve: Callable[[Plane], Plane]) -> Colour:
    """Pixels brought to a new brightness: a factor and an offset for all three channels.

    Brightness is the middle between luma and the largest channel: luma alone calls a strong red
    or blue a shadow. Hue stays. The factor is that of the brightness, which keeps saturation too,
    or less where the largest channel would pass white.
    """

    def function(values: Values) -> Values:
        channels = planes.split(values)
        largest = planes.largest(*channels)
        brightness = planes.luma(values)
        brightness += largest
        brightness *= 0.5
        wanted = curve(brightness)
        room = (1.0 - wanted) / np.maximum(largest - brightness, TINY)
        factor = np.minimum(wanted / np.maximum(brightness, TINY), room)
        offset = wanted - brightness * factor
        red, green, blue = (channel * factor + offset for channel in channels)
        return planes.join(red, green, blue)

    return Colour(function)


# --- words ------------------------------------------------------------------------------------


def _moved(what: str, up: str = "raised", down: str = "lowered") -> Callable[[Parameters], str]:
    def phrase(parameters: Parameters) -> str:
        amount = parameters["amount"]
        return f"{what} {up if amount >= 0 else down} by {abs(amount):.4g} %".lstrip()

    return phrase


def _levels_phrase(p: Parameters) -> str:
    told = f"levels {p['in_black']:.4g} to {p['in_white']:.4g} spread"
    told += f" over {p['out_black']:.4g} to {p['out_white']:.4g}"
    return told if p["gamma"] == 1 else f"{told} with gamma {p['gamma']:.4g}"


def _curves_phrase(parameters: Parameters) -> str:
    used = [
        f"{'all channels' if name == 'all' else name} through {len(points)} points"
        for name, points in parameters.items()
        if points != STRAIGHT
    ]
    return f"curves bent ({', '.join(used)})" if used else "curves left straight"


# --- what undoes them -------------------------------------------------------------------------


def _undo_amount(name: str) -> Callable[[Parameters], Inverse]:
    return lambda p: Inverse(name, {"amount": -p["amount"]}, exact=False)


def _undo_levels(p: Parameters) -> Inverse | None:
    if p["out_white"] - p["out_black"] < 1:
        return None
    swapped = {
        "in_black": p["out_black"],
        "in_white": p["out_white"],
        "gamma": 1.0 / p["gamma"],
        "out_black": p["in_black"],
        "out_white": p["in_white"],
    }
    return Inverse("levels", swapped, exact=False)


# --- the operations ---------------------------------------------------------------------------

_AMOUNT = (Parameter("amount", "Amount", "%", -100, 100, neutral=0),)


def _code(name: str, title: str, neutral: float) -> Parameter:
    return Parameter(name, title, "code", 0, 255, neutral=neutral, optional=True)


def _curve(name: str, title: str) -> Parameter:
    return Parameter(name, title, "0..1", 0, 1, neutral=STRAIGHT, optional=True, points=True)


_OWN = "own; no published formula exists for the sliders of that name"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "exposure",
        "Exposure",
        "pointwise",
        None,
        source="a stop doubles the light; sRGB transfer function of IEC 61966-2-1",
        summary="Multiplies the light, as a longer or shorter exposure does.",
        parameters=(Parameter("stops", "Stops", "EV", -5, 5, neutral=0),),
        inverse=lambda p: Inverse("exposure", {"stops": -p["stops"]}, exact=False),
        phrase=lambda p: (
            f"{'exposed longer' if p['stops'] >= 0 else 'exposed shorter'}"
            f" by {abs(p['stops']):.4g} EV"
        ),
        form=_exposure,
        compares=(
            "darktable's 'exposure' and RawTherapee's 'exposure compensation' are the same gain "
            "2^EV, on raw data, where highlights above white still exist; here they clip. "
            "Lightroom's slider is in stops too, but rolls highlights off by an unpublished curve."
        ),
    ),
    Operation(
        "gamma",
        "Gamma",
        "pointwise",
        None,
        source="power function on encoded values: v^(1/gamma)",
        summary="Brightens or darkens the middle tones by a power function.",
        parameters=(Parameter("gamma", "Gamma", "×", 0.1, 10, neutral=1),),
        inverse=lambda p: Inverse("gamma", {"gamma": 1.0 / p["gamma"]}, exact=False),
        phrase=lambda p: f"gamma-corrected by {p['gamma']:.4g}",
        form=_gamma,
        compares=(
            "The middle slider of GIMP's and Photoshop's levels: above 1 is brighter. "
            "Lightroom has no such slider; darktable's levels move a grey point instead, which "
            "amounts to a gamma."
        ),
    ),
    Operation(
        "lightness",
        "Lightness",
        "pointwise",
        None,
        source="C. Schlick, Fast Alternatives to Perlin's Bias and Gain Functions, "
        "Graphics Gems IV (1994): bias, with b = 3^(amount/100) as k v / (1 + (k - 1) v)",
        summary="Lifts or lowers the middle tones; black and white stay.",
        parameters=_AMOUNT,
        inverse=_undo_amount("lightness"),
        phrase=_moved("", "lightened", "darkened"),
        form=_lightness,
        compares=(
            "As RawTherapee's 'lightness': one tone curve on red, green and blue that keeps the "
            "black and the white point, though its built-in curve differs. darktable and "
            "Lightroom have no global slider of that name; GIMP's 'lightness' blends with white "
            "or black instead."
        ),
    ),
    Operation(
        "highlights",
        "Highlights",
        "pointwise",
        None,
        source=f"{_OWN}: a flow of brightness over a smooth mask, hue kept",
        summary="Brightens or darkens the bright tones; white and the dark tones stay.",
        parameters=_AMOUNT,
        inverse=_undo_amount("highlights"),
        phrase=_moved("highlights"),
        form=_highlights,
        compares=(
            "Pointwise: no halos, but local contrast shrinks as highlights come down. darktable's "
            "and RawTherapee's (which darkens only) blur a mask over the surroundings to keep it, "
            "and Lightroom's adapts to them, by Adobe's description."
        ),
    ),
    Operation(
        "shadows",
        "Shadows",
        "pointwise",
        None,
        source=f"{_OWN}: a flow of brightness over a smooth mask, hue kept",
        summary="Brightens or darkens the dark tones; black and the bright tones stay.",
        parameters=_AMOUNT,
        inverse=_undo_amount("shadows"),
        phrase=_moved("shadows"),
        form=_shadows,
        compares=(
            "As for highlights: darktable, RawTherapee (which brightens only) and Lightroom look "
            "at the surroundings, this does not. Black stays black, as in darktable."
        ),
    ),
    Operation(
        "whites",
        "Whites",
        "pointwise",
        None,
        source=f"{_OWN}: the flow v / sqrt(1 - 0.36 a v^2), a = amount/100",
        summary="Moves the white end of the tones: up clips more, down leaves air.",
        parameters=_AMOUNT,
        inverse=_undo_amount("whites"),
        phrase=_moved("whites"),
        form=_whites,
        compares=(
            "Lightroom's slider likewise moves where white clips, but adapts to the picture; its "
            "formula is not published. darktable sets a white point in its levels and tone mappers "
            "instead."
        ),
    ),
    Operation(
        "blacks",
        "Blacks",
        "pointwise",
        None,
        source=f"{_OWN}: the flow of whites on the negative",
        summary="Moves the black end of the tones: down clips more, up leaves air.",
        parameters=_AMOUNT,
        inverse=_undo_amount("blacks"),
        phrase=_moved("blacks"),
        form=_blacks,
        compares=(
            "Sign as in Lightroom: negative is blacker; RawTherapee's 'black' has it the other "
            "way round. darktable's 'black level correction' is an offset in linear light and "
            "not meant for looks."
        ),
    ),
    Operation(
        "levels",
        "Levels",
        "pointwise",
        None,
        source="the levels of every editor: input range, gamma, output range, on encoded values",
        summary="Maps an input range of tones to an output range, with a gamma between.",
        parameters=(
            _code("in_black", "Input black", 0),
            _code("in_white", "Input white", 255),
            Parameter("gamma", "Gamma", "×", 0.1, 10, neutral=1, optional=True),
            _code("out_black", "Output black", 0),
            _code("out_white", "Output white", 255),
        ),
        inverse=_undo_levels,
        phrase=_levels_phrase,
        form=_levels,
        fault=_levels_fault,
        compares=(
            "GIMP's and Photoshop's levels with all channels selected, on encoded values (GIMP "
            "can also do them in linear light). darktable's 'rgb levels' take a grey point "
            "instead of a gamma and no output range; Lightroom has no levels."
        ),
    ),
    Operation(
        "curves",
        "Curves",
        "pointwise",
        None,
        source="Fritsch and Carlson 1980, slopes of Fritsch and Butland 1984 (PCHIP)",
        summary="Bends tones through curves: each channel's own, then one for all.",
        parameters=(
            _curve("all", "All channels"),
            _curve("red", "Red"),
            _curve("green", "Green"),
            _curve("blue", "Blue"),
        ),
        inverse=_undo_curves,
        phrase=_curves_phrase,
        form=_curves,
        compares=(
            "Order and flat ends as in GIMP's curves, which are drawn with another spline. "
            "darktable's 'rgb curve' offers a monotone kind among others, RawTherapee several "
            "kinds of its own; which one Lightroom uses is not published."
        ),
    ),
)
