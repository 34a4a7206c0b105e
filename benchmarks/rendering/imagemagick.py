"""The plan with ImageMagick's command, on an uncompressed file."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.rendering import commands
from benchmarks.rendering.contenders import Attempt, NotExpressedError, PeerFailedError, Source
from benchmarks.rendering.opencv import sharpening
from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels, at_depth

NAMES = ("magick", "convert-im7", "convert-im6.q16", "convert-im6", "convert")
_READS = 2  # of the file alone, of which the faster is taken off
_LEAST = 1e-3  # seconds; less cannot be told from the spread of reading


class ImageMagick:
    """`magick` or `convert`."""

    name = "ImageMagick"
    how = "seconds of the command with the operations less those of reading the same PPM alone"

    def version(self) -> str | None:
        """As the command says it; None as well for another program of that name."""
        return _version()

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """One command; the result stays in its memory, in its 16 bits."""
        program = commands.found(*NAMES) or ""
        arguments = [argument for step in steps for argument in _arguments(step)]
        start = [program, str(source.file)]

        def seconds() -> float:
            # Reading is timed anew each time, so that a busy moment does not meet one side alone.
            reading = [commands.run([*start, "null:"])[1] for _ in range(_READS)]
            _, took = commands.run([*start, *arguments, "null:"])
            return max(_LEAST, took - min(reading))

        def result() -> Pixels:
            made = commands.picture_of([*start, *arguments, "-depth", "16", "RESULT"])
            return at_depth(made, source.bits)

        return Attempt(seconds, result, own_process=True, in_place=True)


@functools.cache
def _version() -> str | None:
    program = commands.found(*NAMES)
    if program is None:
        return None
    try:
        said, _ = commands.run([program, "-version"])
    except PeerFailedError:  # it is there and does not start: a library is missing
        return None
    told = re.search(r"ImageMagick (\S+ Q\d+\S*)", said)
    return told[1] if told else None


def _arguments(step: Step) -> list[str]:
    match step.name:
        case "bright":
            words = ["-evaluate", "Add", f"{step.parameters['offset'] / 2.55:.6f}%"]
        case "contrast":
            words = ["-evaluate", "Multiply", str(step.parameters["gain"])]
        case "invert":
            words = ["-negate"]
        case "grayscale":
            words = ["-grayscale", "Rec601Luma"]
        case "sepia":
            rows = step.constants()["matrix"]
            words = ["-color-matrix", " ".join(str(weight) for row in rows for weight in row)]
        case "summer" | "winter":
            red, blue = (_polynomial(step, name) for name in ("red", "blue"))
            first = ["-channel", "R", "-function", "Polynomial", red]
            words = [*first, "-channel", "B", "-function", "Polynomial", blue, "+channel"]
        case "gamma":
            words = ["-gamma", str(step.parameters["gamma"])]
        case "levels":
            black, white = (step.parameters[name] / 2.55 for name in ("in_black", "in_white"))
            words = ["-level", f"{black:.6f}%,{white:.6f}%,{step.parameters['gamma']}"]
        case "saturate":
            percent = 100 * step.parameters["factor"]
            words = ["-define", "modulate:colorspace=HSB", "-modulate", f"100,{percent:g}"]
        case "gaussian" | "blur":
            size = step.parameters["kernel"]
            gaussian = cv2.getGaussianKernel(size, 0).ravel()
            line = gaussian if step.name == "gaussian" else np.full(size, 1.0 / size)
            words = [*_kernel(line[None]), *_kernel(line[:, None])]
        case "sharp":
            words = _kernel(sharpening(step))
        case _:
            raise NotExpressedError(step.name)
    return words


def _polynomial(step: Step, channel: str) -> str:
    x, y = np.array(step.constants()[channel], np.float64).T / 255
    return ",".join(f"{factor:.9g}" for factor in np.polyfit(x, y, 3))


def _kernel(weights: Pixels) -> list[str]:
    height, width = weights.shape
    rows = " ".join(",".join(f"{weight:.9g}" for weight in row) for row in weights)
    return ["-morphology", "Convolve", f"{width}x{height}: {rows}"]
