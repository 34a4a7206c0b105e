"""Geometry beyond turns and flips: what is in the frame, how upright it stands, how large it is.

Sizes are natural to plans that are carried to other pictures: shares of the picture, degrees, and
only for `resize` pixels. None of these operations can be undone, since each leaves something out.
Positions are continuous, x to the right and y down, from 0 to the width or height.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from imgedit_plugins.operations.forms import Geometry
from imgedit_plugins.operations.resampling import Homography, resized, scaled, shifted, warped
from imgedit_plugins.operations.vocabulary import Constants, Operation, Parameter, Parameters
from imgedit_plugins.pictures import Pixels

_LARGEST = 65535  # px; JPEG's limit
_SIDES = ("left", "top", "right", "bottom")


# --- crop -------------------------------------------------------------------------------------


def _crop(parameters: Parameters, _: Constants) -> Geometry:
    left, top, right, bottom = (parameters[side] for side in _SIDES)

    def crop(pixels: Pixels) -> Pixels:
        rows = _kept(pixels.shape[0], top, bottom)
        columns = _kept(pixels.shape[1], left, right)
        return np.array(pixels[rows, columns], order="C")

    return Geometry(crop, exact=True)


def _kept(length: int, before: float, after: float) -> slice:
    """What is left of so many pixels; where shares round to nothing, the one in the middle."""
    first = math.floor(before * length + 0.5)
    last = length - math.floor(after * length + 0.5)
    if first < last:
        return slice(first, last)
    middle = min(length - 1, math.floor((before + 1.0 - after) / 2.0 * length))
    return slice(middle, middle + 1)


def _empty_crop(parameters: Parameters) -> str:
    for first, second, side in (("left", "right", "width"), ("top", "bottom", "height")):
        a, b = parameters[first], parameters[second]
        if a + b >= 1.0:
            return f"{first} {a:g} and {second} {b:g} leave nothing of the {side}"
    return ""


def _describe_crop(parameters: Parameters) -> str:
    cut = [f"{parameters[s] * 100:.3g}% {s}" for s in _SIDES if parameters[s]]
    return f"cropped by {', '.join(cut)}" if cut else "cropped by nothing"


# --- straighten -------------------------------------------------------------------------------


def upright_rectangle(width: float, height: float, degrees: float) -> tuple[float, float]:
    """The largest upright rectangle (by area) inside a turned one.

    With s = sin |degrees|, c = cos |degrees|, and l and k the longer and the shorter side: as long
    as k > 2 s c l, all four corners touch, and

        width' = (c width - s height) / (c² - s²),  height' = (c height - s width) / (c² - s²).

    Otherwise only two corners touch, one on each long side; along the longer side the rectangle
    is k / (2 s) long, along the shorter one k / (2 c).

    Args:
        width: of the rectangle that is turned around its middle.
        height: the same.
        degrees: -45 to 45.

    Returns:
        Width and height of the largest one, which has the same middle.
    """
    s, c = (f(math.radians(abs(degrees))) for f in (math.sin, math.cos))
    longer, shorter = max(width, height), min(width, height)
    if shorter > 2.0 * s * c * longer:
        spread = c * c - s * s
        return (c * width - s * height) / spread, (c * height - s * width) / spread
    along, across = shorter / (2.0 * s), shorter / (2.0 * c)
    return (along, across) if width >= height else (across, along)


def _straighten(parameters: Parameters, _: Constants) -> Geometry:
    degrees = parameters["degrees"]

    def straighten(pixels: Pixels) -> Pixels:
        if degrees == 0.0:
            return pixels.copy()
        height, width = pixels.shape[:2]
        fitting = upright_rectangle(width, height, degrees)
        new_width, new_height = (max(1, math.floor(side + 1e-9)) for side in fitting)
        s, c = (f(math.radians(degrees)) for f in (math.sin, math.cos))
        back = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        to_middle = shifted(-new_width / 2.0, -new_height / 2.0)
        to_source = shifted(width / 2.0, height / 2.0) @ back @ to_middle
        return warped(pixels, to_source, (new_height, new_width))

    return Geometry(straighten)


def _describe_straighten(parameters: Parameters) -> str:
    degrees = parameters["degrees"]
    return f"straightened by {abs(degrees):g}° {'anti' if degrees < 0 else ''}clockwise"


# --- resize -----------------------------------------------------------------------------------


def _resize(parameters: Parameters, _: Constants) -> Geometry:
    long_side = int(parameters["long_side"])

    def resize(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        longer = max(height, width)
        if longer == long_side:
            return pixels.copy()
        new = [max(1, math.floor(side * long_side / longer + 0.5)) for side in (height, width)]
        return resized(pixels, (new[0], new[1]))

    return Geometry(resize)


# --- perspective ------------------------------------------------------------------------------


def keystone_frame(vertical: float, horizontal: float) -> tuple[float, float, float]:
    """Where a picture's frame lies after `perspective`, in its coordinates u', t'.

    The tilted picture is a quadrangle of four edges, n · (u', t') <= 1 inside. A square of half
    width r around (a, b) lies inside where n · (a, b) + (|n_u| + |n_t|) r <= 1 for all four, and r
    is largest where three of them touch: all triples are tried.

    Args:
        vertical: v of the formula, -0.4 to 0.4.
        horizontal: h of the formula, -0.4 to 0.4.

    Returns:
        a, b and r of the largest square, which is a rectangle of the picture's proportions.
    """
    v, h = vertical, horizontal
    edges = np.array([[h + 1.0, v], [h - 1.0, v], [h, v + 1.0], [h, v - 1.0]])
    limits = np.column_stack([edges, np.abs(edges).sum(axis=1)])
    best = (0.0, 0.0, 0.0)
    for triple in itertools.combinations(range(4), 3):
        touching = limits[list(triple)]
        if abs(np.linalg.det(touching)) < 1e-9:
            continue
        a, b, r = np.linalg.solve(touching, np.ones(3))
        if r > best[2] and (limits @ (a, b, r) <= 1.0 + 1e-9).all():
            best = (float(a), float(b), float(r))
    return best


def _keystone(width: int, height: int, vertical: float, horizontal: float) -> Homography:
    """From positions in the tilted picture's frame to those of the source."""
    a, b, r = keystone_frame(vertical, horizontal)
    tilted_back = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-horizontal, -vertical, 1.0]])
    to_pixels = scaled(width / 2.0, height / 2.0) @ shifted(1.0, 1.0)
    to_frame = shifted(a, b) @ scaled(r, r) @ np.linalg.inv(to_pixels)
    return np.asarray(to_pixels @ tilted_back @ to_frame, np.float64)


def _perspective(parameters: Parameters, _: Constants) -> Geometry:
    vertical, horizontal = parameters["vertical"] / 100.0, parameters["horizontal"] / 100.0

    def perspective(pixels: Pixels) -> Pixels:
        if vertical == horizontal == 0.0:
            return pixels.copy()
        height, width = pixels.shape[:2]
        to_source = _keystone(width, height, vertical, horizontal)
        return warped(pixels, to_source, (height, width))

    return Geometry(perspective)


# --- declarations -----------------------------------------------------------------------------


def _side(name: str, of: str) -> Parameter:
    return Parameter(name, name.title(), f"of the {of}", 0, 1, neutral=0, optional=True)


def _tilt(name: str) -> Parameter:
    return Parameter(name, name.title(), "%", -40, 40, neutral=0, optional=True)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "crop",
        "Crop",
        "geometric",
        None,
        source="plain selection of pixels; edges at the nearest pixel border, one pixel at least",
        summary="Cuts off a share of the picture at each side.",
        parameters=(
            _side("left", "width"),
            _side("top", "height"),
            _side("right", "width"),
            _side("bottom", "height"),
        ),
        fault=_empty_crop,
        phrase=_describe_crop,
        form=_crop,
        compares=(
            "The margins of darktable's crop, which are percentages. Lightroom stores the edges' "
            "places instead (CropRight = 1 - right), RawTherapee's crop has pixels."
        ),
    ),
    Operation(
        "straighten",
        "Straighten",
        "geometric",
        None,
        source="rotation around the middle; largest inscribed upright rectangle by area "
        "(elementary geometry); cubic convolution, Keys 1981",
        summary="Turns the picture clockwise by a few degrees, without empty corners.",
        parameters=(Parameter("degrees", "Angle", "°", -45, 45, neutral=0),),
        phrase=_describe_straighten,
        form=_straighten,
        compares=(
            "Rotation in darktable's rotate and perspective with automatic cropping to the largest "
            "area. Lightroom's Angle has the same range and keeps locked proportions of the crop."
        ),
    ),
    Operation(
        "resize",
        "Resize",
        "geometric",
        None,
        source="mean over the covered area when shrinking; cubic convolution (Keys 1981, "
        "a = -0.75) when enlarging; as cv2.resize, colours weighed by alpha",
        summary="Gives the longer side a length in pixels and keeps the proportions.",
        parameters=(Parameter("long_side", "Long side", "px", 1, _LARGEST, integer=True),),
        phrase=lambda p: f"resized to {p['long_side']} pixels on the long side",
        form=_resize,
        compares=(
            "Lightroom's export to a long edge, RawTherapee's Resize by its long edge; the latter "
            "filters with Lanczos, which is a little crisper and rings at edges."
        ),
    ),
    Operation(
        "perspective",
        "Perspective",
        "geometric",
        None,
        source="plane homography with the line at infinity moved (Hartley and Zisserman, Multiple "
        "View Geometry, section 2.7); cubic convolution, Keys 1981",
        summary="Makes converging lines parallel, and scales so that no corner is empty.",
        parameters=(_tilt("vertical"), _tilt("horizontal")),
        form=_perspective,
        compares=(
            "Lightroom's Vertical and Horizontal, the simple method of RawTherapee and the lens "
            "shift of darktable do the same to lines. darktable and RawTherapee's camera-based "
            "method also correct the stretch that is left, which takes the focal length."
        ),
    ),
)
