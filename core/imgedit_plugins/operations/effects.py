"""Effects that depend on the place in the picture: vignette and grain."""

from __future__ import annotations

import functools
import math
import threading

import numpy as np

from imgedit_plugins.operations.forms import Positioned, Region, Values
from imgedit_plugins.operations.planes import Plane, in_three, luma
from imgedit_plugins.operations.vocabulary import Constants, Operation, Parameter, Parameters

# --- vignette ---------------------------------------------------------------------------------


def _vignette_form(parameters: Parameters, _: Constants) -> Positioned:
    amount = np.float32(parameters["amount"] / 100.0)

    def vignette(values: Values, region: Region) -> Values:
        import cv2

        share = in_three(_falloff(region, parameters))
        share *= amount
        if amount < 0:
            share *= values
        else:
            share *= 1 - values
        return np.asarray(cv2.add(values, share, dst=values))

    return Positioned(vignette)


def _falloff(region: Region, parameters: Parameters) -> Plane:
    """0 inside, 1 outside, a smooth step between; (rows, columns)."""
    start = parameters["midpoint"] / 100.0
    half_diagonal = math.hypot(region.width, region.height) / 2
    # Without feather the step is one pixel wide, so that its edge is smooth.
    width = max((1 - start) * parameters["feather"] / 100.0, 1 / half_diagonal)
    step = _distance(region, parameters["roundness"] / 100.0)
    step = np.clip((step - np.float32(start)) * np.float32(1 / width), 0.0, 1.0)
    return np.asarray(step * step * (3 - 2 * step), np.float32)


def _distance(region: Region, roundness: float) -> Plane:
    """Distance from the centre, 1 in the corners: along ellipses, along circles, or between."""
    half_width, half_height = region.width / 2, region.height / 2
    circle = math.hypot(half_width, half_height)
    across = half_width * math.sqrt(2) * (1 - roundness) + circle * roundness
    down = half_height * math.sqrt(2) * (1 - roundness) + circle * roundness
    corner = math.hypot(half_width / across, half_height / down)
    x = (np.arange(region.width) + 0.5 - half_width) / (across * corner)
    y = (np.arange(region.top, region.top + region.rows) + 0.5 - half_height) / (down * corner)
    squares = (x * x).astype(np.float32)[None, :] + (y * y).astype(np.float32)[:, None]
    return np.asarray(np.sqrt(squares, out=squares), np.float32)


# --- grain ------------------------------------------------------------------------------------

_LARGEST = 8.0
_BLOCK, _KEPT_BLOCKS = 32, 8
_FIRST_ROW = 1 << 20  # rows above the picture have numbers too
# A sum of four uniform 16-bit numbers: close to normal, and the same on every computer and with
# every numpy (which does not promise that for its own normal distribution).
_UNIFORMS = 4
_MEAN = _UNIFORMS * 65535 / 2
_DEVIATION = math.sqrt(_UNIFORMS * (65536**2 - 1) / 12)


def _grain_form(parameters: Parameters, _: Constants) -> Positioned:
    amount = np.float32(parameters["amount"] / 255.0)
    all_noise = _Noise(int(parameters["seed"]), parameters["size"])

    def grain(values: Values, region: Region) -> Values:
        import cv2

        noise = all_noise.of(region)
        light = np.clip(luma(values), 0.0, 1.0)
        noise *= 2 * amount
        noise *= np.sqrt(light * (1 - light))
        return np.asarray(cv2.add(values, in_three(noise), dst=values))

    return Positioned(grain)


class _Noise:
    """A picture's noise, of mean 0 and deviation 1, made in blocks of rows that strips share."""

    def __init__(self, seed: int, size: float) -> None:
        self._block = functools.lru_cache(_KEPT_BLOCKS)(
            lambda number, width: _noise(number * _BLOCK, width, seed, size)
        )
        self._making = threading.Lock()  # or threads side by side make the same block

    def of(self, region: Region) -> Plane:
        """The noise of a strip, (rows, columns), a new array."""
        noise = np.empty((region.rows, region.width), np.float32)
        end = region.top + region.rows
        for number in range(region.top // _BLOCK, (end - 1) // _BLOCK + 1):
            with self._making:
                block = self._block(number, region.width)
            top = number * _BLOCK
            first, last = max(region.top, top), min(end, top + _BLOCK)
            noise[first - region.top : last - region.top] = block[first - top : last - top]
        return noise


def _noise(top: int, width: int, seed: int, size: float) -> Plane:
    """A block's noise; neighbours are alike where size > 1."""
    import cv2

    sigma = (size - 1) / 2
    reach = math.ceil(3 * sigma)
    white = _white(top - reach, _BLOCK + 2 * reach, width + 2 * reach, seed)
    if not reach:
        return white
    weights = np.asarray(cv2.getGaussianKernel(2 * reach + 1, sigma), np.float64)
    # Independent numbers of variance 1, weighed so that the sum's variance is 1 again.
    weights = weights / math.sqrt(float((weights**2).sum()))
    blurred = np.asarray(cv2.sepFilter2D(white, cv2.CV_32F, weights, weights))
    return np.ascontiguousarray(blurred[reach:-reach, reach:-reach])


def _white(top: int, rows: int, width: int, seed: int) -> Plane:
    """Rows of independent numbers; each row is a stretch of one stream that starts anywhere."""
    steps = -(-width // 4)  # the generator makes four 64-bit numbers at a step
    ones = np.ones(_UNIFORMS, np.float32)
    white = np.empty((rows, width), np.float32)
    for number, row in enumerate(white, top + _FIRST_ROW):  # a row at a time stays in the cache
        raw = np.random.Philox(key=seed, counter=number * steps).random_raw(width)
        uniforms = raw.view(np.uint16).astype(np.float32).reshape(width, _UNIFORMS)
        # Whole numbers below 2^24: the sum is exact in whichever order it is made.
        np.matmul(uniforms, ones, out=row)
    white -= np.float32(_MEAN)
    white *= np.float32(1 / _DEVIATION)
    return white


# --- declarations -----------------------------------------------------------------------------

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "vignette",
        "Vignette",
        "pointwise",
        None,
        source="v' = v (1 + amount m) below 0, v + amount m (1 - v) above; m a smooth step "
        "(3 s^2 - 2 s^3) of the distance from the centre, which is 1 in the corners, from "
        "midpoint to midpoint + (1 - midpoint) feather; our own",
        summary="Darkens or lightens the borders of the picture.",
        parameters=(
            Parameter("amount", "Amount", "%", -100, 100, neutral=0),
            Parameter("midpoint", "Midpoint", "%", 0, 100, neutral=50, optional=True),
            Parameter("feather", "Feather", "%", 0, 100, neutral=100, optional=True),
            Parameter("roundness", "Roundness", "%", 0, 100, neutral=0, optional=True),
        ),
        phrase=lambda p: (
            f"borders {'lightened' if p['amount'] >= 0 else 'darkened'} by {abs(p['amount']):g} %"
        ),
        form=_vignette_form,
        compares="Signs and names as Lightroom's Post-Crop Vignetting, whose style Paint Overlay "
        "also blends with black or white; its roundness goes on to rectangles. RawTherapee's "
        "Vignette Filter has strength, feather and roundness in stops of light; darktable's "
        "vignetting has a scale and a fall-off, and changes saturation too. Everything is in "
        "shares of the picture and scales with it.",
    ),
    Operation(
        "grain",
        "Grain",
        "pointwise",
        None,
        source="v' = v + amount 2 sqrt(Y (1 - Y)) n: n of mean 0 and variance 1 for each pixel, "
        "alike in all channels; variance p (1 - p) as of grains that cover a share p of the film "
        "at random; numbers of Philox 4x64 (Salmon et al. 2011)",
        summary="Adds film grain.",
        parameters=(
            Parameter("amount", "Amount", "code", 0, 50, neutral=0),
            Parameter("size", "Size", "px", 1, _LARGEST, neutral=1, optional=True),
            Parameter("seed", "Seed", "number", 0, 2**31 - 1, 0, integer=True, optional=True),
        ),
        phrase=lambda p: f"grained by {p['amount']:g} codes",
        form=_grain_form,
        compares="The amount is the standard deviation at mid-grey in 8-bit codes; Lightroom's "
        "(amount, size, roughness) has no unit. darktable's grain is simplex noise on L, its "
        "coarseness scales with the picture and its mid-tones bias does what the variance does "
        "here. The size is pixels and does not scale: grain is judged at 100 %, and its stated "
        "variance holds at every size (size 1: each pixel by itself; above, a Gaussian of sigma "
        "(size - 1) / 2).",
    ),
)
