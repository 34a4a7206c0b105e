"""The plan with Pillow: 8 bits, one thread, each step a new image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageFilter

from benchmarks.rendering.contenders import Attempt, NotExpressedError, Source, in_process
from benchmarks.rendering.opencv import sharpening
from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels

_Call = Callable[[Image.Image], Image.Image]
_CODES = np.arange(256)
_LARGEST_KERNEL = 5  # of ImageFilter.Kernel


class Pillow:
    """PIL on RGB images."""

    name = "Pillow"
    how = "in process, Image to Image"

    def version(self) -> str | None:
        """Version of the wheel."""
        return version("pillow")

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """The calls one after another."""
        if source.bits != 8:
            raise NotExpressedError("RGB of 16 bits")
        calls = [_CALLS.get(step.name, _table)(step) for step in steps]
        image = Image.fromarray(source.pixels)

        def work() -> Image.Image:
            made = image
            for call in calls:
                made = call(made)
            return made

        return in_process(work, np.asarray)


def _table(step: Step) -> _Call:
    try:
        table = [int(code) for code in step.codes(np.dtype(np.uint8)).T.ravel()]
    except TypeError as error:
        raise NotExpressedError(step.name) from error
    return lambda image: image.point(table)


def _invert(_: Step) -> _Call:
    return ImageChops.invert


def _grayscale(_: Step) -> _Call:
    return lambda image: image.convert("L").convert("RGB")


def _sepia(step: Step) -> _Call:
    rows = [(*row, 0.0) for row in step.constants()["matrix"]]
    matrix = tuple(float(weight) for row in rows for weight in row)
    return lambda image: image.convert("RGB", matrix)


def _saturate(step: Step) -> _Call:
    scaled = np.rint(np.clip(_CODES * step.parameters["factor"], 0, 255))
    table = [int(code) for code in np.concatenate([_CODES, scaled, _CODES])]
    return lambda image: image.convert("HSV").point(table).convert("RGB")


def _gaussian(step: Step) -> _Call:
    line = cv2.getGaussianKernel(int(step.parameters["kernel"]), 0).ravel()
    return _kernel(np.outer(line, line))


def _blur(step: Step) -> _Call:
    radius = step.parameters["kernel"] // 2
    return lambda image: image.filter(ImageFilter.BoxBlur(radius))


def _sharp(step: Step) -> _Call:
    return _kernel(sharpening(step))


def _kernel(weights: Pixels) -> _Call:
    size = len(weights)
    if size > _LARGEST_KERNEL:
        raise NotExpressedError(f"a kernel of {size} pixels")
    kernel = ImageFilter.Kernel((size, size), weights.ravel().tolist(), 1.0)
    return lambda image: image.filter(kernel)


_CALLS = {
    "invert": _invert,
    "grayscale": _grayscale,
    "sepia": _sepia,
    "saturate": _saturate,
    "gaussian": _gaussian,
    "blur": _blur,
    "sharp": _sharp,
}
