"""Adjustments of colour: hue, white balance, vibrance, toning and single colour bands."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from imgedit_plugins.operations import bands, planes
from imgedit_plugins.operations.bands import BANDS
from imgedit_plugins.operations.encoding import light_gain
from imgedit_plugins.operations.flows import scaled_odds
from imgedit_plugins.operations.forms import Colour, Curves, Values
from imgedit_plugins.operations.planes import LUMA, TINY
from imgedit_plugins.operations.vocabulary import (
    Constants,
    Inverse,
    Operation,
    Parameter,
    Parameters,
)

_VIBRANCE_BASE = 3.0  # at 100 %, the saturation 0.5 becomes 0.75
_BALANCE_BASE = 4.0  # at 100, a luma of 0.2 is half shadow and half highlight

# --- hue --------------------------------------------------------------------------------------


def _hue(parameters: Parameters, _: Constants) -> Colour:
    degrees = float(parameters["degrees"]) % 360.0  # OpenCV takes none below 0

    def turn(values: Values) -> Values:
        import cv2

        hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV), np.float32)
        hsv[:, :, 0] += degrees
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))

    return Colour(turn)


# --- white balance ----------------------------------------------------------------------------

# A mired multiplies red/green and blue/green in the light of a black body by nearly the same
# factor at all temperatures (Wien's law has the temperature as 1/T in an exponent). These are the
# logarithms at 6504 K in linear sRGB, from the Planckian locus of Kim et al. 2002.
_MIRED = (0.0037, 0.0, -0.0060)
_CC = (0.0, -math.log(10.0) / 100.0, 0.0)  # a density of 0.01 against green


def _temperature(parameters: Parameters, _: Constants) -> Curves:
    return _light_gains(_MIRED, parameters["shift"])


def _tint(parameters: Parameters, _: Constants) -> Curves:
    return _light_gains(_CC, parameters["shift"])


def _light_gains(logarithms: tuple[float, float, float], amount: float) -> Curves:
    """Gains exp(amount x logarithm) on light, shared out so that white hardly gets brighter."""
    mean = sum(weight * log for weight, log in zip(LUMA, logarithms, strict=True))
    red, green, blue = (light_gain(math.exp(amount * (log - mean))) for log in logarithms)
    return Curves(red, green, blue)


# --- vibrance ---------------------------------------------------------------------------------


def _vibrance(parameters: Parameters, _: Constants) -> Colour:
    factor = _VIBRANCE_BASE ** (parameters["amount"] / 100.0)

    def enliven(values: Values) -> Values:
        channels = planes.split(values)
        value = planes.largest(*channels)
        spread = value - planes.smallest(*channels)
        # S' / S, where S = spread / value, and the odds of S are multiplied.
        spread *= factor - 1.0
        spread += value
        ratio = factor * value / np.maximum(spread, TINY)
        red, green, blue = (value - (value - channel) * ratio for channel in channels)
        return planes.join(red, green, blue)

    return Colour(enliven)


# --- split tone -------------------------------------------------------------------------------


def _split_tone(parameters: Parameters, _: Constants) -> Colour:
    shadow = _tone(parameters["shadow_hue"], parameters["shadow_saturation"])
    highlight = _tone(parameters["highlight_hue"], parameters["highlight_saturation"])
    factor = _BALANCE_BASE ** (parameters["balance"] / 100.0)

    def tone(values: Values) -> Values:
        luma = planes.luma(values)
        # Nothing at black and white, where no colour has room.
        low = luma * (1.0 - luma)
        high = low * scaled_odds(luma, factor)
        low -= high
        toned = [
            channel + dark * low + bright * high
            for channel, dark, bright in zip(planes.split(values), shadow, highlight, strict=True)
        ]
        return planes.join(*toned)

    return Colour(tone)


def _tone(hue: float, saturation: float) -> tuple[float, ...]:
    """The pure colour of a hue less its own luma, so that adding it changes no luma."""
    pure = colorsys.hsv_to_rgb(hue / 360.0 % 1.0, 1.0, 1.0)
    luma = sum(weight * channel for weight, channel in zip(LUMA, pure, strict=True))
    return tuple((channel - luma) * saturation / 100.0 for channel in pure)


def _undo_split_tone(parameters: Parameters) -> Inverse:
    opposite = {f"{part}_hue": (parameters[f"{part}_hue"] + 180.0) % 360.0 for part in _PARTS}
    return Inverse("split-tone", {**parameters, **opposite}, exact=False)


_PARTS = ("shadow", "highlight")

# --- colour bands -----------------------------------------------------------------------------


def _hsl(parameters: Parameters, _: Constants) -> Colour:
    hues, saturations, lightnesses = (
        bands.by_hue([parameters[f"{band}_{what}"] * unit for band in BANDS])
        for what, unit in (("hue", 1.0), ("saturation", 0.01), ("lightness", 0.01))
    )
    if hues is saturations is lightnesses is None:
        return Colour(lambda values: values)
    return Colour(lambda values: bands.adjust(values, hues, saturations, lightnesses))


def _band_parameters() -> tuple[Parameter, ...]:
    kinds = (("hue", "°", 30), ("saturation", "%", 100), ("lightness", "%", 100))
    return tuple(
        Parameter(
            f"{band}_{what}", f"{band.capitalize()} {what}", unit, -limit, limit, 0, optional=True
        )
        for band in BANDS
        for what, unit, limit in kinds
    )


# --- words ------------------------------------------------------------------------------------


def _warmed(parameters: Parameters) -> str:
    shift = parameters["shift"]
    return f"made {'warmer' if shift >= 0 else 'colder'} by {abs(shift):.4g} mired"


def _tinted(parameters: Parameters) -> str:
    shift = parameters["shift"]
    return f"tinted {'magenta' if shift >= 0 else 'green'} by {abs(shift):.4g} CC"


def _split_toned(parameters: Parameters) -> str:
    told = [
        f"{part}s {parameters[f'{part}_hue']:.4g}° at {parameters[f'{part}_saturation']:.4g} %"
        for part in _PARTS
    ]
    return f"split-toned ({', '.join(told)})"


def _banded(parameters: Parameters) -> str:
    told = [
        f"{name.replace('_', ' ')} {amount:+.4g}" for name, amount in parameters.items() if amount
    ]
    return f"single colours adjusted ({', '.join(told)})" if told else "single colours left alone"


# --- the operations ---------------------------------------------------------------------------


def _toning(part: str) -> tuple[Parameter, Parameter]:
    title = part.capitalize()
    return (
        Parameter(f"{part}_hue", f"{title} hue", "°", 0, 360, neutral=0, optional=True),
        Parameter(
            f"{part}_saturation", f"{title} saturation", "%", 0, 100, neutral=0, optional=True
        ),
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "hue",
        "Hue",
        "pointwise",
        None,
        source="A. R. Smith, Color Gamut Transform Pairs, SIGGRAPH 1978: HSV, hue turned",
        summary="Turns all hues round the colour circle; greys stay.",
        parameters=(Parameter("degrees", "Angle", "°", -180, 180, neutral=0),),
        inverse=lambda p: Inverse("hue", {"degrees": -p["degrees"]}, exact=False),
        phrase=lambda p: f"hues turned by {p['degrees']:.4g}°",
        form=_hue,
        compares=(
            "Keeps value and saturation of HSV, so that yellow turned to blue gets darker to the "
            "eye; darktable's 'hue shift' in color balance rgb keeps luminance and chroma "
            "instead. Lightroom turns hues by colour range only."
        ),
    ),
    Operation(
        "temperature",
        "Temperature",
        "pointwise",
        None,
        source="Wien's law; Planckian locus of B. Kim et al., Design of Advanced Color "
        "Temperature Control System for HDTV Applications, J. Korean Phys. Soc. 41 (2002); "
        "gains on linear sRGB",
        summary="Makes the light warmer or colder.",
        parameters=(Parameter("shift", "Shift", "mired", -150, 150, neutral=0),),
        inverse=lambda p: Inverse("temperature", {"shift": -p["shift"]}, exact=False),
        phrase=_warmed,
        form=_temperature,
        compares=(
            "In mired, as colour-conversion filters are rated (85B: +131, 80A: -131), because "
            "equal steps look equal and no shot temperature needs to be known. darktable, "
            "RawTherapee and, for raw files, Lightroom take the scene's temperature in kelvin "
            "and multiply camera channels; Lightroom's -100 to 100 for other files has no "
            "published unit. Positive is warmer in all."
        ),
    ),
    Operation(
        "tint",
        "Tint",
        "pointwise",
        None,
        source="colour-compensating filters: density x 100; gains on linear sRGB",
        summary="Shifts colours towards magenta or green.",
        parameters=(Parameter("shift", "Shift", "CC", -50, 50, neutral=0),),
        inverse=lambda p: Inverse("tint", {"shift": -p["shift"]}, exact=False),
        phrase=_tinted,
        form=_tint,
        compares=(
            "In units of colour-compensating filters: +30 is CC30M, a density of 0.3 against "
            "green. Positive is magenta as in Lightroom; in darktable and RawTherapee higher "
            "values are greener."
        ),
    ),
    Operation(
        "vibrance",
        "Vibrance",
        "pointwise",
        None,
        source="own; no published formula exists for the sliders of that name: the odds "
        "S / (1 - S) of the saturation of HSV times 3^(amount/100)",
        summary="Strengthens pale colours more than vivid ones, or weakens them.",
        parameters=(Parameter("amount", "Amount", "%", -100, 100, neutral=0),),
        inverse=lambda p: Inverse("vibrance", {"amount": -p["amount"]}, exact=False),
        phrase=lambda p: (
            f"vibrance {'raised' if p['amount'] >= 0 else 'lowered'} by {abs(p['amount']):.4g} %"
        ),
        form=_vibrance,
        compares=(
            "Favours pale colours as Lightroom's, RawTherapee's and darktable's 'global vibrance' "
            "do, but protects no skin tones (Lightroom does, RawTherapee on request). "
            "darktable's old 'vibrance' module did the opposite: it strengthened vivid colours "
            "most."
        ),
    ),
    Operation(
        "split-tone",
        "Split tone",
        "pointwise",
        None,
        source="own: the two pure hues less their luma, times L (1 - L), shared out by luma",
        summary="Tones shadows with one colour and highlights with another; luma stays.",
        parameters=(
            *_toning("shadow"),
            *_toning("highlight"),
            Parameter("balance", "Balance", "%", -100, 100, neutral=0, optional=True),
        ),
        inverse=_undo_split_tone,
        phrase=_split_toned,
        form=_split_tone,
        compares=(
            "Hue, saturation and balance as in Lightroom's split toning (now 'color grading'), "
            "positive balance favouring the highlights; its formula is not published. "
            "darktable's module blends towards the toned colour instead, so that it also "
            "replaces the colours that were there."
        ),
    ),
    Operation(
        "hsl",
        "HSL by colour",
        "pointwise",
        None,
        source="own: raised-cosine weights between the band centres, which sum to 1, on the hue "
        "of HSV (A. R. Smith 1978)",
        summary="Changes hue, saturation and lightness of eight colour bands; greys stay.",
        parameters=_band_parameters(),
        phrase=_banded,
        form=_hsl,
        compares=(
            "The eight bands of Lightroom's color mixer, whose centres and widths are not "
            "published. darktable's color equalizer has eight evenly spaced bands and smooths "
            "over the surroundings; RawTherapee's HSV equalizer takes free curves over hue."
        ),
    ),
)
