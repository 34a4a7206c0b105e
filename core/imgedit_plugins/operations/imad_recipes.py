"""The 8-bit recipes of I-MAD's operations: every result rounded or cut off as there.

Source: the data set I-MAD-Dense (MiniGPT-Reverse-Designing, section 'Dataset'), whose edits follow
the widely published OpenCV photo-filter recipes. Sources of constants are in the definition
profile. All take pixels (height, width, 3) and leave them alone; those with `out` may be given
contiguous memory of that shape for the result.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import compiled
from imgedit_plugins.operations import weighted_sums
from imgedit_plugins.operations.byte_tables import ByteTable
from imgedit_plugins.operations.vocabulary import Constants, Parameters
from imgedit_plugins.pictures import RGB8, Pixels

Points = tuple[tuple[float, float], ...]

BT601 = (0.299, 0.587, 0.114)
_BLOCK_PIXELS = 1 << 17

# --- colour -----------------------------------------------------------------------------------


def grayscale(rgb: RGB8, _: Parameters, constants: Constants, out: RGB8 | None = None) -> RGB8:
    """BT.601 luma in each channel."""
    import cv2

    weights = tuple(constants.get("weights", BT601))
    if weights == BT601:
        done = compiled.grey(rgb, "codes", out)
        if done is not None:
            return done
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    else:
        grey = cv2.transform(rgb, np.array([weights], np.float64))
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB, dst=out))


def sepia(rgb: RGB8, _: Parameters, constants: Constants, out: RGB8 | None = None) -> RGB8:
    """Through a 3x3 matrix, in double precision."""
    matrix = np.array(constants["matrix"], np.float64)
    truncate = constants.get("rounding") == "truncate"
    done = compiled.toned(rgb, matrix, truncate=truncate, out=out)
    if done is not None:
        return done
    half = 0.0 if truncate else 0.5
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


def red_and_blue_curves(rgb: RGB8, _: Parameters, constants: Constants) -> RGB8:
    """Red and blue through cubics, for `summer` and `winter`."""
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    truncate = constants.get("rounding") == "truncate"
    for channel, name in ((0, "red"), (2, "blue")):
        curve = _cubic_table(points_of(constants[name]), truncate).copy()
        if truncate and curve[128] > 128:
            short = [int(code) for code in constants.get("short_at", ())]
            curve[short] = np.maximum(curve[short], 1) - 1
        table[:, channel] = curve
    return ByteTable(table)(rgb)


def saturate(
    rgb: RGB8, parameters: Parameters, constants: Constants, out: RGB8 | None = None
) -> RGB8:
    """Saturation of HSV times the factor."""
    import cv2

    if parameters["factor"] == 1.0:
        return rgb.copy()  # the trip through 8-bit hue alone would shift colours by a code or two
    hsv = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), np.uint8)
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    scaled = np.arange(256, dtype=np.float32) * np.float32(parameters["factor"])
    table[:, 1] = _to_codes(scaled, constants)
    return np.asarray(cv2.cvtColor(ByteTable(table)(hsv), cv2.COLOR_HSV2RGB, dst=out))


# --- tone -------------------------------------------------------------------------------------


def bright(rgb: RGB8, parameters: Parameters, _: Constants) -> RGB8:
    """Plus the offset."""
    return _through_table(rgb, np.arange(256, dtype=np.float64) + parameters["offset"])


def contrast(rgb: RGB8, parameters: Parameters, _: Constants) -> RGB8:
    """Times the gain."""
    # OpenCV multiplies in single precision; the same product decides ties the same way.
    return _through_table(rgb, np.arange(256, dtype=np.float32) * np.float32(parameters["gain"]))


def invert(rgb: RGB8, _: Parameters, __: Constants) -> RGB8:
    """White minus the code."""
    return np.bitwise_not(rgb)


# --- neighbourhood ----------------------------------------------------------------------------


def hdr(rgb: RGB8, _: Parameters, constants: Constants) -> RGB8:
    """OpenCV's detail enhancement."""
    import cv2

    # The filter works in Lab and expects OpenCV's channel order.
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    bgr = cv2.detailEnhance(bgr, sigma_s=constants["sigma_s"], sigma_r=constants["sigma_r"])
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def sharp(rgb: Pixels, _: Parameters, constants: Constants) -> Pixels:
    """3x3: the centre against what is around it; of any depth."""
    import cv2

    done = sharp_rows(rgb, 0, np.empty(rgb.shape, rgb.dtype), constants)
    if done is not None:
        return done
    kernel = np.full((3, 3), constants["around"], np.float32)
    kernel[1, 1] = constants["centre"]
    return np.asarray(cv2.filter2D(rgb, -1, kernel))


def sharp_rows(strip: Pixels, first: int, out: Pixels, constants: Constants) -> Pixels | None:
    """`sharp` of a strip's rows from `first` on, in `out`; None where no kernel is compiled."""
    centre, around = float(constants["centre"]), float(constants["around"])
    return compiled.sharpened(strip, first, out, centre=centre, around=around)


def blur(rgb: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    """Mean of a square; of any depth."""
    import cv2

    size = int(parameters["kernel"])
    done = compiled.blurred(rgb, 0, np.empty(rgb.shape, rgb.dtype), side=size)
    if done is not None:
        return done
    return np.asarray(cv2.blur(rgb, (size, size)))


def gaussian(rgb: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    """Gaussian blur; of any depth."""
    import cv2

    size = int(parameters["kernel"])
    return np.asarray(cv2.GaussianBlur(rgb, (size, size), 0))


# --- geometry ---------------------------------------------------------------------------------


def rotate(pixels: Pixels, parameters: Parameters, _: Constants) -> Pixels:
    """Turned by quarters; of any depth and number of channels."""
    import cv2

    turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
    turned = np.asarray(cv2.rotate(pixels, turns[int(parameters["degrees"]) // 90 - 1]))
    return turned.reshape(*turned.shape[:2], pixels.shape[2])


def flip(pixels: Pixels, _: Parameters, __: Constants) -> Pixels:
    """Mirrored left to right; of any depth and number of channels."""
    import cv2

    return np.asarray(cv2.flip(pixels, 1)).reshape(pixels.shape)


# --- helpers ----------------------------------------------------------------------------------


def _to_codes(values: NDArray[np.floating[Any]], constants: Constants) -> NDArray[np.uint8]:
    clipped = np.clip(values, 0.0, 255.0)
    if constants.get("rounding") == "truncate":
        return np.asarray(clipped, np.uint8)
    return np.asarray(np.rint(clipped), np.uint8)


def _through_table(rgb: RGB8, values: NDArray[np.floating[Any]]) -> RGB8:
    table = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return ByteTable(table[:, None].repeat(3, axis=1))(rgb)


def points_of(points: Sequence[Sequence[float]]) -> Points:
    """Points of a curve, as a key for what is remembered of it."""
    return tuple((float(x), float(y)) for x, y in points)


@functools.cache
def _cubic_table(points: Points, truncate: bool) -> NDArray[np.uint8]:
    """256 codes of the cubic through four points.

    The recipes use a smoothing spline, which through four points is exactly this polynomial.
    """
    x, y = np.array(points).T
    values = np.clip(np.polyval(np.polyfit(x, y, 3), np.arange(256)), 0, 255)
    # Values that are whole numbers in exact arithmetic must not fall to the next lower code.
    return np.asarray(np.floor(values + 1e-9) if truncate else np.rint(values), np.uint8)
