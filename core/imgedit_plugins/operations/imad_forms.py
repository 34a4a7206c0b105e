"""I-MAD's operations as forms: the mathematics of their recipes, nothing rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import compiled
from imgedit_plugins.operations import imad_recipes as recipes
from imgedit_plugins.operations.forms import (
    Colour,
    Curves,
    Form,
    Geometry,
    Matrix,
    Neighbourhood,
    Values,
    Whole,
)
from imgedit_plugins.operations.hdr import detail_enhanced
from imgedit_plugins.operations.vocabulary import Constants, Parameters
from imgedit_plugins.pictures import Pixels

_EXACT_GAUSSIAN = 9  # px


def grayscale(_: Parameters, constants: Constants) -> Matrix:
    """Weighted sum of the channels, in each of them."""
    red, green, blue = constants.get("weights", recipes.BT601)
    return Matrix(((red, green, blue),) * 3)


def sepia(_: Parameters, constants: Constants) -> Matrix:
    """The profile's matrix."""
    return Matrix(tuple((row[0], row[1], row[2]) for row in constants["matrix"]))


def red_and_blue(_: Parameters, constants: Constants) -> Curves:
    """Red and blue through the profile's cubics; green stays."""
    red, blue = (_cubic_curve(recipes.points_of(constants[name])) for name in ("red", "blue"))
    return Curves(red, np.positive, blue)


def saturate(parameters: Parameters, _: Constants) -> Colour:
    """Saturation of HSV times the factor."""
    factor = np.float32(parameters["factor"])

    def saturated(values: Values) -> Values:
        import cv2

        hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV))
        saturation = hsv[:, :, 1] * factor  # side by side, as the rest of a pixel is in the way
        hsv[:, :, 1] = np.minimum(saturation, 1.0, out=saturation)
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=values), np.float32)

    return Colour(saturated)


def bright(parameters: Parameters, _: Constants) -> Curves:
    """Plus the offset."""
    offset = parameters["offset"] / 255.0
    return Curves.same(lambda v: v + v.dtype.type(offset))


def contrast(parameters: Parameters, _: Constants) -> Curves:
    """Times the gain."""
    gain = parameters["gain"]
    return Curves.same(lambda v: v * v.dtype.type(gain))


def invert(_: Parameters, __: Constants) -> Curves:
    """White minus the value."""
    return Curves.same(lambda v: 1 - v)


def hdr(_: Parameters, constants: Constants) -> Whole:
    """Detail enhanced (Gastal and Oliveira 2011)."""
    return detail_enhanced(constants["sigma_s"], constants["sigma_r"])


def sharp(_: Parameters, constants: Constants) -> Neighbourhood:
    """3x3: the centre against what is around it."""

    def sharpen(pixels: Pixels) -> Pixels:
        return recipes.sharp(pixels, {}, constants)

    def rows(strip: Pixels, first: int, out: Pixels) -> Pixels | None:
        return recipes.sharp_rows(strip, first, out, constants)

    return Neighbourhood(sharpen, reach=1, codes=sharpen, rows=rows)


def blur(parameters: Parameters, _: Constants) -> Neighbourhood:
    """Mean of a square."""

    def blurred(pixels: Pixels) -> Pixels:
        return recipes.blur(pixels, parameters, {})

    def rows(strip: Pixels, first: int, out: Pixels) -> Pixels | None:
        return compiled.blurred(strip, first, out, side=int(parameters["kernel"]))

    return Neighbourhood(blurred, int(parameters["kernel"]) // 2, codes=blurred, rows=rows)


def gaussian(parameters: Parameters, _: Constants) -> Neighbourhood:
    """Gaussian blur, its width from the kernel as OpenCV has it."""

    def blurred(pixels: Pixels) -> Pixels:
        return recipes.gaussian(pixels, parameters, {})

    kernel = int(parameters["kernel"])
    # OpenCV rounds the weights of larger kernels for whole numbers.
    codes = blurred if kernel <= _EXACT_GAUSSIAN else None
    return Neighbourhood(blurred, kernel // 2, codes)


def geometry(
    move: Callable[[Pixels, Parameters, Constants], Pixels],
) -> Callable[[Parameters, Constants], Form]:
    """Pixels moved unchanged, as a recipe does it."""
    return lambda parameters, constants: Geometry(
        lambda pixels: move(pixels, parameters, constants), exact=True
    )


def _cubic_curve(points: recipes.Points) -> Callable[[NDArray[Any]], NDArray[Any]]:
    x, y = np.array(points).T
    cubic = np.polyfit(x / 255.0, y / 255.0, 3)
    return lambda values: np.polyval(cubic, values).astype(values.dtype)
