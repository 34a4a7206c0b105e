"""The 14 operations of I-MAD, on sRGB-encoded RGB.

Source: the data set I-MAD-Dense (MiniGPT-Reverse-Designing, section 'Dataset'), whose edits follow
the widely published OpenCV photo-filter recipes. Each operation has its 8-bit recipe, every result
rounded as there, and the same mathematics as a form for pictures of any depth, where nothing is
rounded. Sources of constants are in the definition profile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import hdr, weighted_sums
from imgedit_plugins.operations.byte_tables import ByteTable
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
from imgedit_plugins.operations.vocabulary import (
    Constant,
    Constants,
    Inverse,
    Operation,
    Parameter,
    Parameters,
)
from imgedit_plugins.pictures import RGB8, Pixels

_Points = tuple[tuple[float, float], ...]
_ToForm = Callable[[Parameters, Constants], Form]

_RECIPE = "I-MAD-Dense; the published OpenCV photo-filter recipe"
_BT601 = (0.299, 0.587, 0.114)
_EXACT_GAUSSIAN = 9  # px
_BLOCK_PIXELS = 1 << 17

# --- colour -----------------------------------------------------------------------------------


def _grayscale(rgb: RGB8, _: Parameters, constants: Constants, out: RGB8 | None = None) -> RGB8:
    import cv2

    weights = tuple(constants.get("weights", _BT601))
    if weights == _BT601:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    else:
        grey = cv2.transform(rgb, np.array([weights], np.float64))
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB, dst=out))


def _sepia(rgb: RGB8, _: Parameters, constants: Constants, out: RGB8 | None = None) -> RGB8:
    matrix = np.array(constants["matrix"], np.float64)
    half = 0.0 if constants.get("rounding") == "truncate" else 0.5
    weights = np.column_stack([matrix, np.full(3, half)]) * 256.0
    toned = np.empty(rgb.shape, np.uint8) if out is None else out
    rows = max(1, _BLOCK_PIXELS // rgb.shape[1])
    for top in range(0, len(rgb), rows):  # a few at a time, so that the sums stay in the cache
        block = slice(top, top + rows)
        sums = weighted_sums.in_16_bits(rgb[block], weights)
        _tone(rgb[block], sums, constants, toned[block])
    return toned


def _tone(rgb: RGB8, sums: NDArray[np.uint16], constants: Constants, toned: RGB8) -> None:
    """A few rows: what 16 bits decide, and in double precision what they leave open.

    The upper byte of a sum times 256 is the code, except where the lower byte is 0: there the
    sum lies within half a step of where the code changes.
    """
    import cv2

    codes = toned.reshape(1, -1)
    rest = np.empty_like(codes)
    cv2.split(sums.view(np.uint8).reshape(1, -1, 2), (rest, codes))
    near = np.flatnonzero(rest == 0)
    near = near[codes[0].take(near) != 0]  # black cannot become less
    if len(near):
        places = near // 3
        colors = rgb.reshape(-1, 3).take(places, axis=0)
        toned.reshape(-1, 3)[places] = _toned_in_double(colors, constants)


def _toned_in_double(rgb: RGB8, constants: Constants) -> RGB8:
    """Colours, (n, 3), through the matrix as the recipe does it: on blue, green, red.

    Where the sum is a whole number, the order of the summands decides whether truncation takes
    the next lower one.
    """
    matrix = np.array(constants["matrix"], np.float64)[::-1, ::-1]
    toned = weighted_sums.of_values(rgb[None, :, ::-1], matrix)
    return _to_codes(toned, constants)[0, :, ::-1]


def _red_and_blue_curves(rgb: RGB8, _: Parameters, constants: Constants) -> RGB8:
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    truncate = constants.get("rounding") == "truncate"
    for channel, name in ((0, "red"), (2, "blue")):
        curve = _cubic_table(_points(constants[name]), truncate).copy()
        if truncate and curve[128] > 128:
            short = [int(code) for code in constants.get("short_at", ())]
            curve[short] = np.maximum(curve[short], 1) - 1
        table[:, channel] = curve
    return ByteTable(table)(rgb)


def _saturate(
    rgb: RGB8, parameters: Parameters, constants: Constants, out: RGB8 | None = None
) -> RGB8:
    import cv2

    if parameters["factor"] == 1.0:
        return rgb.copy()  # the trip through 8-bit hue alone would shift colours by a code or two
    hsv = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), np.uint8)
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    scaled = np.arange(256, dtype=np.float32) * np.float32(parameters["factor"])
    table[:, 1] = _to_codes(scaled, constants)
    return np.asarray(cv2.cvtColor(ByteTable(table)(hsv), cv2.COLOR_HSV2RGB, dst=out))


# --- tone -------------------------------------------------------------------------------------


def _bright(rgb: RGB8, parameters: Parameters, _: Constants) -> RGB8:
    return _through_table(rgb, np.arange(256, dtype=np.float64) + parameters["offset"])


def _contrast(rgb: RGB8, parameters: Parameters, _: Constants) -> RGB8:
    # OpenCV multiplies in single precision; the same product decides ties the same way.
    return _through_table(rgb, np.arange(256, dtype=np.float32) * np.float32(parameters["gain"]))


def _invert(rgb: RGB8, _: Parameters, __: Constants) -> RGB8:
    return np.bitwise_not(rgb)


# --- neighbourhood ----------------------------------------------------------------------------


def _hdr(rgb: RGB8, _: Parameters, constants: Constants) -> RGB8:
    import cv2

    # The filter works in Lab and expects OpenCV's channel order.
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    bgr = cv2.detailEnhance(bgr, sigma_s=constants["sigma_s"], sigma_r=constants["sigma_r"])
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _sharp(rgb: Pixels, _: Parameters, constants: Constants) -> Pixels:
    import cv2

    kernel = np.full((3, 3), constants["around"], np.float32)
    kernel[1, 1] = constants["centre"]
    return np.asarray(cv2.filter2D(rgb, -1, kernel))


def _blur(rgb: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    import cv2

    size = int(parameters["kernel"])
    return np.asarray(cv2.blur(rgb, (size, size)))


def _gaussian(rgb: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    import cv2

    size = int(parameters["kernel"])
    return np.asarray(cv2.GaussianBlur(rgb, (size, size), 0))


# --- geometry ---------------------------------------------------------------------------------


def _rotate(pixels: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    import cv2

    turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
    turned = np.asarray(cv2.rotate(pixels, turns[int(parameters["degrees"]) // 90 - 1]))
    return turned.reshape(*turned.shape[:2], pixels.shape[2])


def _flip(pixels: Pixels, _: Parameters, __: Constants) -> Pixels:
    import cv2

    return np.asarray(cv2.flip(pixels, 1)).reshape(pixels.shape)


def _geometry(move: Callable[[Pixels, Parameters, Constants], Pixels]) -> _ToForm:
    return lambda parameters, constants: Geometry(
        lambda pixels: move(pixels, parameters, constants), exact=True
    )


# --- the same without rounding ----------------------------------------------------------------


def _grayscale_form(_: Parameters, constants: Constants) -> Matrix:
    red, green, blue = constants.get("weights", _BT601)
    return Matrix(((red, green, blue),) * 3)


def _sepia_form(_: Parameters, constants: Constants) -> Matrix:
    return Matrix(tuple((row[0], row[1], row[2]) for row in constants["matrix"]))


def _red_and_blue_form(_: Parameters, constants: Constants) -> Curves:
    red, blue = (_cubic_curve(_points(constants[name])) for name in ("red", "blue"))
    return Curves(red, np.positive, blue)


def _saturate_form(parameters: Parameters, _: Constants) -> Colour:
    factor = np.float32(parameters["factor"])

    def saturate(values: Values) -> Values:
        import cv2

        hsv = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2HSV))
        saturation = hsv[:, :, 1] * factor  # side by side, as the rest of a pixel is in the way
        hsv[:, :, 1] = np.minimum(saturation, 1.0, out=saturation)
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=values), np.float32)

    return Colour(saturate)


def _bright_form(parameters: Parameters, _: Constants) -> Curves:
    offset = parameters["offset"] / 255.0
    return Curves.same(lambda v: v + v.dtype.type(offset))


def _contrast_form(parameters: Parameters, _: Constants) -> Curves:
    gain = parameters["gain"]
    return Curves.same(lambda v: v * v.dtype.type(gain))


def _invert_form(_: Parameters, __: Constants) -> Curves:
    return Curves.same(lambda v: 1 - v)


def _hdr_form(_: Parameters, constants: Constants) -> Whole:
    return hdr.detail_enhanced(constants["sigma_s"], constants["sigma_r"])


def _sharp_form(_: Parameters, constants: Constants) -> Neighbourhood:
    def sharpen(pixels: Pixels) -> Pixels:
        return _sharp(pixels, {}, constants)

    return Neighbourhood(sharpen, reach=1, codes=sharpen)


def _blur_form(parameters: Parameters, _: Constants) -> Neighbourhood:
    def blur(pixels: Pixels) -> Pixels:
        return _blur(pixels, parameters, {})

    return Neighbourhood(blur, int(parameters["kernel"]) // 2, codes=blur)


def _gaussian_form(parameters: Parameters, _: Constants) -> Neighbourhood:
    def blur(pixels: Pixels) -> Pixels:
        return _gaussian(pixels, parameters, {})

    kernel = int(parameters["kernel"])
    # OpenCV rounds the weights of larger kernels for whole numbers.
    codes = blur if kernel <= _EXACT_GAUSSIAN else None
    return Neighbourhood(blur, kernel // 2, codes)


def _cubic_curve(points: _Points) -> Callable[[NDArray[Any]], NDArray[Any]]:
    x, y = np.array(points).T
    cubic = np.polyfit(x / 255.0, y / 255.0, 3)
    return lambda values: np.polyval(cubic, values).astype(values.dtype)


# --- helpers ----------------------------------------------------------------------------------


def _to_codes(values: NDArray[np.floating[Any]], constants: Constants) -> NDArray[np.uint8]:
    clipped = np.clip(values, 0.0, 255.0)
    if constants.get("rounding") == "truncate":
        return np.asarray(clipped, np.uint8)
    return np.asarray(np.rint(clipped), np.uint8)


def _through_table(rgb: RGB8, values: NDArray[np.floating[Any]]) -> RGB8:
    table = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return ByteTable(table[:, None].repeat(3, axis=1))(rgb)


def _points(points: Sequence[Sequence[float]]) -> _Points:
    return tuple((float(x), float(y)) for x, y in points)


@functools.cache
def _cubic_table(points: _Points, truncate: bool) -> NDArray[np.uint8]:
    """256 codes of the cubic through four points.

    The recipes use a smoothing spline, which through four points is exactly this polynomial.
    """
    x, y = np.array(points).T
    values = np.clip(np.polyval(np.polyfit(x, y, 3), np.arange(256)), 0, 255)
    # Values that are whole numbers in exact arithmetic must not fall to the next lower code.
    return np.asarray(np.floor(values + 1e-9) if truncate else np.rint(values), np.uint8)


def _self_inverse(name: str) -> Inverse:
    return Inverse(name, {}, exact=True)


def _undo_contrast(parameters: Parameters) -> Inverse | None:
    gain = float(parameters["gain"])
    return Inverse("contrast", {"gain": 1.0 / gain}, exact=False) if 0.1 <= gain <= 10 else None


def _undo_saturate(parameters: Parameters) -> Inverse | None:
    factor = float(parameters["factor"])
    if not 0.1 <= factor <= 10:
        return None
    return Inverse("saturate", {"factor": 1.0 / factor}, exact=False)


def _kernel(maximum: int) -> tuple[Parameter, ...]:
    return (Parameter("kernel", "Kernel", "px", 1, maximum, neutral=1, integer=True, odd=True),)


def _degrees(parameters: Parameters) -> int:
    return int(parameters["degrees"])


_ROUNDING = Constant("rounding", words=("round", "truncate"), required=False)
_CURVES = (
    Constant("red", (4, 2), rising=True),
    Constant("blue", (4, 2), rising=True),
    _ROUNDING,
    Constant("short_at", (None,), 0, 255, required=False, whole=True),
)
_TURNS = {90: "a quarter clockwise", 180: "by half", 270: "a quarter anticlockwise"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "grayscale",
        "Grayscale",
        "pointwise",
        _grayscale,
        source=f"{_RECIPE}: BT.601 luma",
        summary="Removes all colour.",
        phrase=lambda _: "turned to grey",
        constants=(Constant("weights", (3,), 0, 1, required=False),),
        form=_grayscale_form,
    ),
    Operation(
        "sepia",
        "Sepia",
        "pointwise",
        _sepia,
        source=f"{_RECIPE}: the well-known 3x3 matrix",
        summary="Tones the picture brown.",
        phrase=lambda _: "toned sepia",
        constants=(Constant("matrix", (3, 3)), _ROUNDING),
        form=_sepia_form,
    ),
    Operation(
        "summer",
        "Summer",
        "pointwise",
        _red_and_blue_curves,
        source=f"{_RECIPE}: red raised, blue lowered through cubics",
        summary="Makes the picture warmer.",
        phrase=lambda _: "made warmer (summer)",
        constants=_CURVES,
        form=_red_and_blue_form,
    ),
    Operation(
        "winter",
        "Winter",
        "pointwise",
        _red_and_blue_curves,
        source=f"{_RECIPE}: blue raised, red lowered through cubics",
        summary="Makes the picture colder.",
        phrase=lambda _: "made colder (winter)",
        constants=_CURVES,
        form=_red_and_blue_form,
    ),
    Operation(
        "hdr",
        "HDR look",
        "neighbourhood",
        _hdr,
        source="Gastal and Oliveira 2011 (domain transform), as cv2.detailEnhance",
        summary="Exaggerates local detail.",
        # The recursive filter never ends, but beyond 40 px less than a code is left of a change.
        reach=lambda _: 40,
        phrase=lambda _: "given an HDR look",
        constants=(Constant("sigma_s", (), 0.1, 200), Constant("sigma_r", (), 0.001, 1)),
        form=_hdr_form,
    ),
    Operation(
        "blur",
        "Box blur",
        "neighbourhood",
        _blur,
        source=f"{_RECIPE}: cv2.blur, reflected border",
        summary="Averages over a square.",
        parameters=_kernel(99),
        reach=lambda p: int(p["kernel"]) // 2,
        phrase=lambda p: f"blurred over {p['kernel']} pixels",
        form=_blur_form,
    ),
    Operation(
        "bright",
        "Brightness",
        "pointwise",
        _bright,
        source=f"{_RECIPE}: an offset; negative offsets clip at black",
        summary="Adds an offset to every channel.",
        parameters=(Parameter("offset", "Offset", "code", -255, 255, neutral=0),),
        inverse=lambda p: Inverse("bright", {"offset": -p["offset"]}, exact=False),
        phrase=lambda p: (
            f"{'brightened' if p['offset'] >= 0 else 'darkened'} by {abs(p['offset']):g}"
        ),
        form=_bright_form,
    ),
    Operation(
        "sharp",
        "Sharpen",
        "neighbourhood",
        _sharp,
        source=f"{_RECIPE}: 3x3 kernel, 9.5 in the centre, -1 around",
        summary="Sharpens strongly and brightens a little.",
        reach=lambda _: 1,
        phrase=lambda _: "sharpened",
        constants=(Constant("centre"), Constant("around")),
        form=_sharp_form,
    ),
    Operation(
        "contrast",
        "Contrast",
        "pointwise",
        _contrast,
        source=f"{_RECIPE}: a gain around black",
        summary="Multiplies every channel.",
        parameters=(Parameter("gain", "Gain", "×", 0, 10, neutral=1),),
        inverse=_undo_contrast,
        phrase=lambda p: f"contrast ×{p['gain']:.3g}",
        form=_contrast_form,
    ),
    Operation(
        "saturate",
        "Saturation",
        "pointwise",
        _saturate,
        source=f"{_RECIPE}: a factor on the saturation of 8-bit HSV",
        summary="Strengthens or weakens colours.",
        parameters=(Parameter("factor", "Factor", "×", 0, 10, neutral=1),),
        inverse=_undo_saturate,
        phrase=lambda p: f"saturation ×{p['factor']:.3g}",
        constants=(_ROUNDING,),
        form=_saturate_form,
    ),
    Operation(
        "gaussian",
        "Gaussian blur",
        "neighbourhood",
        _gaussian,
        source=f"{_RECIPE}: cv2.GaussianBlur, sigma from the kernel",
        summary="Blurs softly.",
        parameters=_kernel(99),
        reach=lambda p: int(p["kernel"]) // 2,
        phrase=lambda p: f"softly blurred over {p['kernel']} pixels",
        form=_gaussian_form,
    ),
    Operation(
        "invert",
        "Invert",
        "pointwise",
        _invert,
        source=f"{_RECIPE}: 255 - value",
        summary="Makes a negative.",
        inverse=lambda _: _self_inverse("invert"),
        phrase=lambda _: "inverted",
        form=_invert_form,
    ),
    Operation(
        "rotate",
        "Rotate",
        "geometric",
        _rotate,
        source=f"{_RECIPE}: quarter turns, clockwise",
        summary="Turns the picture clockwise.",
        parameters=(
            Parameter("degrees", "Angle", "°", 90, 270, integer=True, choices=(90, 180, 270)),
        ),
        inverse=lambda p: Inverse("rotate", {"degrees": 360 - _degrees(p)}, exact=True),
        phrase=lambda p: f"turned {_TURNS[int(_degrees(p))]}",
        form=_geometry(_rotate),
    ),
    Operation(
        "flip",
        "Flip",
        "geometric",
        _flip,
        source=f"{_RECIPE}: left and right exchanged",
        summary="Mirrors the picture left to right.",
        inverse=lambda _: _self_inverse("flip"),
        phrase=lambda _: "mirrored",
        form=_geometry(_flip),
    ),
)
