"""Adjustments of detail: clarity, texture, denoise.

All work on sRGB-encoded values. A change of luma is added to the three channels alike, so that
colour differences stay and grey stays grey.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from imgedit_plugins.operations.forms import Measured, Neighbourhood, Positioned, Region, Values
from imgedit_plugins.operations.guided import GuidedFilter, reduced
from imgedit_plugins.operations.planes import LUMA, Plane, in_three, join, luma, split
from imgedit_plugins.operations.vocabulary import Constants, Operation, Parameter, Parameters

# --- clarity ----------------------------------------------------------------------------------

_CLARITY_RADIUS = 8  # of the reduced picture, in pixels; the fast guided filter loses nothing
_CLARITY_EPSILON = 0.02  # contrasts well above its root (0.14) are edges, and get no halo


def _clarity_form(parameters: Parameters, _: Constants) -> Measured:
    amount = np.float32(parameters["amount"] / 100.0)
    longer_side = round(_CLARITY_RADIUS * 100.0 / parameters["radius"])

    def measure(values: Values) -> Positioned:
        small = luma(reduced(values, longer_side))
        radius = max(1, round(max(small.shape) * parameters["radius"] / 100.0))
        base = GuidedFilter.fit(small, small, radius, _CLARITY_EPSILON)
        return Positioned(lambda strip, region: _clearer(strip, region, base, amount))

    return Measured(measure, longer_side)


def _clearer(values: Values, region: Region, base: GuidedFilter, amount: np.float32) -> Values:
    import cv2

    light = luma(values)
    around = np.clip(base.on(light, region), 0.0, 1.0)
    light -= around
    light *= 4 * amount
    light *= around
    light *= 1 - around
    return np.asarray(cv2.add(values, in_three(light), dst=values))


# --- texture ----------------------------------------------------------------------------------

_FINE, _COARSE = 1.0, 4.0  # sigma, px
_EDGE = 0.1  # a difference this large is halfway between texture and edge


def _reach_of_sigma(sigma: float) -> int:
    return round(3 * sigma)


def _blurred(plane: Plane, sigma: float) -> Plane:
    import cv2

    size = 2 * _reach_of_sigma(sigma) + 1
    return np.asarray(cv2.GaussianBlur(plane, (size, size), sigma))


def _texture_form(parameters: Parameters, _: Constants) -> Neighbourhood:
    amount = np.float32(parameters["amount"] / 100.0)

    def texture(values: Values) -> Values:
        import cv2

        light = luma(values)
        band = _blurred(light, _FINE)
        band -= _blurred(light, _COARSE)
        edge = np.square(band * np.float32(1.0 / _EDGE), out=light)
        edge += 1
        band *= amount
        band /= edge
        return np.asarray(cv2.add(values, in_three(band)))

    return Neighbourhood(texture, _reach_of_sigma(_COARSE))


# --- denoise ----------------------------------------------------------------------------------

_SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
# What is left of white noise of deviation 1 in each level of this transform.
_LEVELS = (0.890, 0.201, 0.086, 0.041)
# Of the noise's variance: how much is taken off; 1 leaves the noise that is stronger by chance.
_SHRINK = (1.5, 1.5, 1.2, 1.0)
_DENOISE_REACH = 2 * (2 ** len(_LEVELS) - 1) + 2  # of the coarsest level, and of its mean
_COLUMNS = 256  # worked on at once, so that the planes stay in a core's cache


def _denoise_form(parameters: Parameters, _: Constants) -> Neighbourhood:
    light_noise = parameters["luminance"] / 255.0
    color_noise = parameters["chroma"] / 255.0

    def denoise(values: Values) -> Values:
        result = np.empty_like(values)
        for left in range(0, values.shape[1], _COLUMNS):
            first = max(0, left - _DENOISE_REACH)
            part = values[:, first : left + _COLUMNS + _DENOISE_REACH]
            done = _denoised(np.ascontiguousarray(part), light_noise, color_noise)
            result[:, left : left + _COLUMNS] = done[:, left - first :][:, :_COLUMNS]
        return result

    return Neighbourhood(denoise, _DENOISE_REACH)


def _denoised(values: Values, light_noise: float, color_noise: float) -> Values:
    light = luma(values)
    change = _noise(light, light_noise) if light_noise else np.zeros_like(light)
    red, green, blue = split(values)
    if color_noise:
        of_red = _noise(red - green, color_noise)
        of_blue = _noise(blue - green, color_noise)
        # What green loses, so that luma loses `change`; red and blue lose their own noise too.
        change -= np.float32(LUMA[0]) * of_red
        change -= np.float32(LUMA[2]) * of_blue
        red -= of_red
        blue -= of_blue
    for channel in (red, green, blue):
        np.subtract(channel, change, out=channel)
    return join(red, green, blue)


def _noise(plane: Plane, sigma: float) -> Plane:
    """The noise of a plane, by shrinking its levels of detail where they are weak."""
    noise, detail, power, share, *smooth = (np.zeros_like(plane) for _ in range(6))
    for level, (left, shrink) in enumerate(zip(_LEVELS, _SHRINK, strict=True)):
        after = smooth[level % 2]
        _spline(plane, 2**level, after)
        np.subtract(plane, after, out=detail)
        _spline(np.square(detail, out=share), 1, power)
        power += np.float32(1e-20)  # a divisor instead of nothing
        # Wiener: the share of noise in what is there, all of it where there is less.
        np.divide(np.float32(shrink * (left * sigma) ** 2), power, out=share)
        np.minimum(share, 1, out=share)
        detail *= share
        noise += detail
        plane = after
    return noise


def _spline(plane: Plane, step: int, result: Plane) -> None:
    """Smooth by the cubic B-spline, its five weights `step` pixels apart."""
    import cv2

    kernel = np.zeros(4 * step + 1, np.float32)
    kernel[::step] = _SPLINE
    cv2.sepFilter2D(plane, cv2.CV_32F, kernel, kernel, dst=result)


# --- declarations -----------------------------------------------------------------------------


def _percent(title: str = "Amount") -> Parameter:
    return Parameter("amount", title, "%", -100, 100, neutral=0)


def _more_or_less(thing: str) -> Callable[[Parameters], str]:
    def phrase(parameters: Parameters) -> str:
        amount = parameters["amount"]
        return f"{thing} {'raised' if amount >= 0 else 'lowered'} by {abs(amount):g} %"

    return phrase


def _denoise_phrase(parameters: Parameters) -> str:
    parts = [
        f"{parameters[name]:g} codes of {noise}"
        for name, noise in (("luminance", "luminance noise"), ("chroma", "colour noise"))
        if parameters[name]
    ]
    return f"freed of {' and '.join(parts) or 'no noise'}"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "clarity",
        "Clarity",
        "neighbourhood",
        None,
        source="Y' = Y + amount * 4 B (1 - B) * (Y - B), B the guided filter of luma Y (He, Sun "
        "and Tang 2013; fast form of He and Sun 2015), radius in % of the longer side, "
        "epsilon 0.02",
        summary="Raises or lowers local contrast of mid-tones over wide surroundings.",
        parameters=(
            _percent(),
            Parameter("radius", "Radius", "% of longer side", 0.5, 10, neutral=2, optional=True),
        ),
        phrase=_more_or_less("clarity"),
        form=_clarity_form,
        compares="Lightroom's Clarity has the same aim and range, its mathematics is not "
        "published. darktable's local contrast (local Laplacian or bilateral grid, on L of Lab) "
        "and RawTherapee's Local Contrast (an unsharp mask with a large radius in pixels, on L of "
        "Lab) are not weighted towards mid-tones; an unsharp mask makes halos, a guided filter "
        "hardly any. The radius scales with the picture, since wide surroundings belong to "
        "what is shown: a plan made on a preview does the same to the full picture.",
    ),
    Operation(
        "texture",
        "Texture",
        "neighbourhood",
        None,
        source="Y' = Y + amount * D / (1 + (D / 0.1)^2), D = G(1 px) - G(4 px) of luma: a "
        "difference of Gaussians (Marr and Hildreth 1980), held back at edges by the second "
        "conductance function of Perona and Malik (1990)",
        summary="Strengthens or softens detail of medium size, such as skin, bark or cloth.",
        parameters=(_percent(),),
        reach=lambda _: _reach_of_sigma(_COARSE),
        phrase=_more_or_less("texture"),
        form=_texture_form,
        compares="Lightroom's Texture also acts between noise and large shapes and spares strong "
        "edges; its mathematics is not published. darktable's contrast equalizer and "
        "RawTherapee's Contrast by Detail Levels do so with their middle levels. "
        "The sizes are pixels and do not scale with the picture: texture is what is seen at 100 %.",
    ),
    Operation(
        "denoise",
        "Denoise",
        "neighbourhood",
        None,
        source="Four levels of the undecimated B-spline wavelet transform (a trous; Starck and "
        "Murtagh 1994), each coefficient shrunk by its neighbourhood's Wiener factor (Mihcak, "
        "Kozintsev and Ramchandran 1999), on luma and on R - G and B - G",
        summary="Removes noise and keeps edges.",
        parameters=(
            Parameter("luminance", "Luminance noise", "code", 0, 50, neutral=0),
            Parameter("chroma", "Colour noise", "code", 0, 100, neutral=0, optional=True),
        ),
        reach=lambda _: _DENOISE_REACH,
        phrase=_denoise_phrase,
        form=_denoise_form,
        compares="Lightroom's sliders and RawTherapee's Noise Reduction go from 0 to 100 without a "
        "unit, darktable's denoise (profiled) knows the camera's noise; here the amounts are the "
        "noise's standard deviation in 8-bit codes, in luma and in the colour differences. "
        "darktable and RawTherapee shrink wavelets too. The levels are pixels (up to 16) and do "
        "not scale with the picture: noise is made per pixel.",
    ),
)
