"""The plan with G'MIC's command, on an uncompressed file."""

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


class Gmic:
    """`gmic` with a chain of commands on the one image of its list."""

    name = "G'MIC"
    how = "its own -tic -toc around the operations, in place on float values"

    def version(self) -> str | None:
        """As the command says it."""
        return _version()

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """One command."""
        program = commands.found("gmic") or ""
        chain = [word for step in steps for word in _words(step, source.white)]
        start = [program, "-verbose", "0", str(source.file)]
        written = ["-mul", str(65535 // source.white), "-round", "-output", "RESULT,uint16"]

        def seconds() -> float:
            said, _ = commands.run([*start, "-tic", *chain, "-toc"])
            told = re.findall(r"Elapsed time: ([\d.]+) s", said)
            if not told:
                raise PeerFailedError("gmic: it told no time")
            return float(told[-1])

        def result() -> Pixels:
            return at_depth(commands.picture_of([*start, *chain, *written]), source.bits)

        return Attempt(seconds, result, own_process=True, in_place=True)


@functools.cache
def _version() -> str | None:
    program = commands.found("gmic")
    if program is None:
        return None
    try:
        said, _ = commands.run([program, "-version"])
    except PeerFailedError:  # it is there and does not start: a library is missing
        return None
    told = re.search(r"[Vv]ersion (\d+\.\d+\.\d+)", said)
    return told[1] if told else "unknown"


def _words(step: Step, white: int) -> list[str]:
    clip = ["-cut", f"0,{white}"]  # otherwise G'MIC carries on beyond white
    match step.name:
        case "bright":
            words = ["-add", f"{step.parameters['offset'] / 255 * white:.9g}", *clip]
        case "contrast":
            words = ["-mul", f"{step.parameters['gain']:.9g}", *clip]
        case "invert":
            words = ["-mul", "-1", "-add", str(white)]
        case "gamma":
            words = _power(step.parameters["gamma"], white)
        case "levels":
            black, top = (step.parameters[name] / 255 * white for name in ("in_black", "in_white"))
            stretch = ["-sub", f"{black:.9g}", "-mul", f"{white / (top - black):.9g}", *clip]
            words = [*stretch, *_power(step.parameters["gamma"], white)]
        case "grayscale":
            weights = [step.constants()["weights"]] * 3
            words = ["-mix_channels", _matrix(np.array(weights))]
        case "sepia":
            words = ["-mix_channels", _matrix(np.array(step.constants()["matrix"])), *clip]
        case "saturate":
            scaled = ["-shared", "1", "-mul.", f"{step.parameters['factor']:.9g}", "-cut.", "0,1"]
            words = ["-rgb2hsv", *scaled, "-remove.", "-hsv2rgb"]
        case "gaussian":
            line = cv2.getGaussianKernel(step.parameters["kernel"], 0).ravel()
            words = [*_convolution(line[None]), *_convolution(line[:, None])]
        case "blur":
            words = ["-boxfilter", f"{step.parameters['kernel']},0,1"]
        case "sharp":
            words = [*_convolution(sharpening(step)), *clip]
        case _:
            raise NotExpressedError(step.name)
    return words


def _power(gamma: float, white: int) -> list[str]:
    return ["-div", str(white), "-pow", f"{1 / gamma:.9g}", "-mul", str(white)]


def _convolution(weights: Pixels) -> list[str]:
    return [_matrix(weights), "-convolve[0]", "[1]", "-remove."]


def _matrix(weights: Pixels) -> str:
    rows = (",".join(f"{weight:.9g}" for weight in row) for row in weights)
    return f"({';'.join(rows)})"
