"""The plan with libvips: one pipeline, which libvips runs in small regions on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pyvips

from benchmarks.rendering.contenders import Attempt, NotExpressedError, Source, in_process
from benchmarks.rendering.opencv import sharpening
from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels

_Call = Callable[[Any], Any]
_HALF = 0.5  # libvips drops the fraction where it casts to whole numbers


class Libvips:
    """pyvips from an array to memory."""

    name = "libvips"
    how = "in process, array to memory"

    def version(self) -> str | None:
        """Version of the library."""
        return ".".join(str(pyvips.version(part)) for part in range(3))

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """The operations one behind another, computed when the memory is written."""
        calls = [_CALLS.get(step.name, _table)(step, source) for step in steps]
        image = pyvips.Image.new_from_array(source.pixels)

        def work() -> Any:
            # Built anew each time, as libvips keeps results of pipelines that it has seen.
            made = image
            for call in calls:
                made = call(made)
            return made.write_to_memory()

        def pixels(made: Any) -> Pixels:
            return np.frombuffer(made, source.pixels.dtype).reshape(source.pixels.shape)

        return in_process(work, pixels)


def _bright(step: Step, source: Source) -> _Call:
    return _linear(1.0, step.parameters["offset"] / 255 * source.white, source)


def _contrast(step: Step, source: Source) -> _Call:
    return _linear(step.parameters["gain"], 0.0, source)


def _invert(_: Step, __: Source) -> _Call:
    return lambda image: image.invert()


def _grayscale(step: Step, source: Source) -> _Call:
    weights = [list(step.constants()["weights"])]

    def call(image: Any) -> Any:
        grey = (image.recomb(weights) + _HALF).cast(_whole(source))
        return grey.bandjoin([grey, grey])

    return call


def _sepia(step: Step, source: Source) -> _Call:
    matrix = [list(row) for row in step.constants()["matrix"]]
    return lambda image: (image.recomb(matrix) + _HALF).cast(_whole(source))


def _saturate(step: Step, source: Source) -> _Call:
    factor = step.parameters["factor"]
    if source.bits != 8:
        raise NotExpressedError(f"{step.name}, as its HSV has 8 bits")

    def call(image: Any) -> Any:
        hsv = image.copy(interpretation="srgb").sRGB2HSV()
        scaled = hsv.linear([1.0, factor, 1.0], [0.0, _HALF, 0.0], uchar=True)
        return scaled.copy(interpretation="hsv").HSV2sRGB()

    return call


def _gaussian(step: Step, _: Source) -> _Call:
    line = cv2.getGaussianKernel(step.parameters["kernel"], 0).ravel()
    weights = line / line.min()
    if not np.allclose(weights, np.rint(weights)):
        raise NotExpressedError(f"{step.name} of {len(line)} pixels in whole numbers")
    mask = pyvips.Image.new_from_array([np.rint(weights).tolist()], scale=float(weights.sum()))
    return lambda image: image.convsep(mask, precision="integer")


def _blur(step: Step, _: Source) -> _Call:
    # In one go: the separable integer filter rounds between the directions.
    size = step.parameters["kernel"]
    square = pyvips.Image.new_from_array([[1] * size] * size, scale=size * size)
    return lambda image: image.conv(square, precision="integer")


def _sharp(step: Step, _: Source) -> _Call:
    doubled = (2 * sharpening(step)).tolist()  # whole numbers take the fast path
    mask = pyvips.Image.new_from_array(doubled, scale=2)
    return lambda image: image.conv(mask, precision="integer")


def _linear(gain: float, offset: float, source: Source) -> _Call:
    if source.bits == 8:
        return lambda image: image.linear(gain, offset + _HALF, uchar=True)
    return lambda image: image.linear(gain, offset + _HALF).cast("ushort")


def _table(step: Step, source: Source) -> _Call:
    try:
        table = pyvips.Image.new_from_array(step.codes(source.pixels.dtype)[None])
    except TypeError as error:
        raise NotExpressedError(step.name) from error
    return lambda image: image.maplut(table)


def _whole(source: Source) -> str:
    return "uchar" if source.bits == 8 else "ushort"


_CALLS = {
    "bright": _bright,
    "contrast": _contrast,
    "invert": _invert,
    "grayscale": _grayscale,
    "sepia": _sepia,
    "saturate": _saturate,
    "gaussian": _gaussian,
    "blur": _blur,
    "sharp": _sharp,
}
