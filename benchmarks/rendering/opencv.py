"""The plan with OpenCV: one call after another, each with OpenCV's own threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import cv2
import numpy as np

from benchmarks.rendering.contenders import Attempt, NotExpressedError, Source, in_process
from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels

_Call = Callable[[Pixels], Pixels]

_cv2: Any = cv2  # its stubs know no scalars for arrays


class OpenCV:
    """cv2 on RGB arrays."""

    name = "OpenCV"
    how = "in process, array to array"

    def version(self) -> str | None:
        """Version of the wheel."""
        return version("opencv-python-headless")

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """The calls one after another."""
        calls: list[_Call] = []
        for step in steps:
            calls += _CALLS.get(step.name, _table)(step, source)

        def work() -> Pixels:
            made = source.pixels
            for call in calls:
                made = call(made)
            return made

        return in_process(work, lambda made: made, prepare=_wake_threads)


def _wake_threads() -> None:
    """OpenCV ends its threads when their number is set, as rendering does, and starts them anew."""
    cv2.blur(np.empty((512, 512, 3), np.uint8), (5, 5))


def sharpening(step: Step) -> Pixels:
    """The 3x3 kernel of 'sharp'."""
    kernel = np.full((3, 3), step.constants()["around"], np.float32)
    kernel[1, 1] = step.constants()["centre"]
    return kernel


def _bright(step: Step, source: Source) -> list[_Call]:
    offset = step.parameters["offset"]
    arithmetic = _cv2.add if offset >= 0 else _cv2.subtract
    amount = (abs(offset) / 255 * source.white,) * 4
    return [lambda pixels: arithmetic(pixels, amount)]


def _contrast(step: Step, source: Source) -> list[_Call]:
    gain = step.parameters["gain"]
    if source.bits == 8:
        return [lambda pixels: _cv2.convertScaleAbs(pixels, alpha=gain)]
    return [lambda pixels: _cv2.multiply(pixels, (gain,) * 4)]


def _invert(_: Step, __: Source) -> list[_Call]:
    return [_cv2.bitwise_not]


def _grayscale(_: Step, __: Source) -> list[_Call]:
    return [_to(cv2.COLOR_RGB2GRAY), _to(cv2.COLOR_GRAY2RGB)]


def _sepia(step: Step, _: Source) -> list[_Call]:
    matrix = np.array(step.constants()["matrix"], np.float32)
    return [lambda pixels: _cv2.transform(pixels, matrix)]


def _saturate(step: Step, source: Source) -> list[_Call]:
    factor = step.parameters["factor"]
    there, back = _to(cv2.COLOR_RGB2HSV), _to(cv2.COLOR_HSV2RGB)
    if source.bits == 8:
        return [there, lambda hsv: _cv2.multiply(hsv, (1, factor, 1, 1)), back]

    # OpenCV has HSV for 8 bits and for floating point alone.
    def scaled(hsv: Pixels) -> Pixels:
        share = hsv[:, :, 1]
        np.minimum(np.multiply(share, np.float32(factor), out=share), 1, out=share)
        return hsv

    def rounded(rgb: Pixels) -> Pixels:
        return np.asarray(_cv2.add(rgb, (0.0,) * 4, dtype=cv2.CV_16U))

    return [lambda pixels: pixels.astype(np.float32), there, scaled, back, rounded]


def _gaussian(step: Step, _: Source) -> list[_Call]:
    size = (step.parameters["kernel"],) * 2
    return [lambda pixels: _cv2.GaussianBlur(pixels, size, 0)]


def _blur(step: Step, _: Source) -> list[_Call]:
    size = (step.parameters["kernel"],) * 2
    return [lambda pixels: _cv2.blur(pixels, size)]


def _sharp(step: Step, _: Source) -> list[_Call]:
    kernel = sharpening(step)
    return [lambda pixels: _cv2.filter2D(pixels, -1, kernel)]


def _table(step: Step, source: Source) -> list[_Call]:
    try:
        table = step.codes(source.pixels.dtype)[None]
    except TypeError as error:
        raise NotExpressedError(step.name) from error
    return [lambda pixels: _cv2.LUT(pixels, table)]


def _to(code: int) -> _Call:
    return lambda pixels: _cv2.cvtColor(pixels, code)


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
