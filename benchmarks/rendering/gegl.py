"""The plan with GEGL's command, on an uncompressed file.

GEGL's operations work in linear light. The pixels are handed to them as if they were linear, so
that they compute on encoded values as everyone else here does; that also spares GEGL the way
there and back.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.rendering import commands
from benchmarks.rendering.contenders import Attempt, NotExpressedError, PeerFailedError, Source
from benchmarks.rendering.opencv import sharpening
from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels, at_depth

_NOT_COUNTED = frozenset({"gegl:cast-format", "gegl:ppm-load", "gegl:load", "gegl:nop"})
_LEVELS = (("low", "in_black"), ("high", "in_white"))
# Weights as given; alpha, which a chain carries along, neither filtered nor looked at.
_PLAIN = ("divisor=1", "offset=0", "normalize=false", "alpha=false", "alpha-weight=false")
_LARGEST_KERNEL = 5  # of gegl:convolution-matrix


class Gegl:
    """`gegl` with a chain of operations."""

    name = "GEGL"
    how = "time of the operations and of rounding to codes, as GEGL_DEBUG_TIME reports it"

    def version(self) -> str | None:
        """Of the package, as the command does not say its own."""
        return _version()

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """One command."""
        height, width = source.pixels.shape[:2]
        chain = [part for step in steps for part in _operations(step, width, height)]
        program = commands.found("gegl") or ""
        whole = f"u{source.bits}"
        command = [program, str(source.file), "-o", "RESULT", "--"]
        command += _cast(f"R'G'B' {whole}", f"RGB {whole}")
        command += [*chain, "gegl:convert-format", f"format=RGB {whole}"]
        command += _cast(f"RGB {whole}", f"R'G'B' {whole}")

        def seconds() -> float:
            with commands.writing(command) as (full, _):
                return _operation_seconds(full)

        def result() -> Pixels:
            return at_depth(commands.picture_of(command), source.bits)

        return Attempt(seconds, result, own_process=True)


@functools.cache
def _version() -> str | None:
    if commands.found("gegl") is None:
        return None
    if commands.found("dpkg-query") is None:
        return "unknown"
    asked = ["dpkg-query", "-W", "-f", "${Version}", "gegl"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return told or "unknown"


def _operation_seconds(command: Sequence[str]) -> float:
    """The shares of the operations in the whole time, which GEGL prints as a tree."""
    said, _ = commands.run(command, {"GEGL_DEBUG_TIME": "yes"})
    total = re.search(r"Total time:\s*([\d.]+)s", said)
    process = re.search(r"^  process\s+([\d.]+)%", said, re.MULTILINE)
    if total is None or process is None:
        raise PeerFailedError("gegl: no times in what GEGL_DEBUG_TIME prints")
    parts = re.findall(r"^    (gegl:\S+)\s+([\d.]+)%", said, re.MULTILINE)
    share = sum(float(percent) for name, percent in parts if name not in _NOT_COUNTED)
    return float(total[1]) * float(process[1]) / 100 * share / 100


def _cast(before: str, after: str) -> list[str]:
    return ["gegl:cast-format", f"input-format={before}", f"output-format={after}"]


def _operations(step: Step, width: int, height: int) -> list[str]:
    clip = ["gegl:rgb-clip"]  # otherwise GEGL carries on beyond white
    match step.name:
        case "bright":
            words = ["gegl:add", f"value={step.parameters['offset'] / 255:.9g}", *clip]
        case "contrast":
            words = ["gegl:multiply", f"value={step.parameters['gain']:.9g}", *clip]
        case "invert":
            words = ["gegl:invert-linear"]
        case "gamma":
            words = _gamma(step.parameters["gamma"])
        case "levels":
            ends = [f"in-{end}={step.parameters[name] / 255:.9g}" for end, name in _LEVELS]
            words = ["gegl:levels", *ends, *clip, *_gamma(step.parameters["gamma"])]
        case "grayscale":
            words = ["gegl:svg-matrix", _matrix([step.constants()["weights"]] * 3)]
        case "sepia":
            words = ["gegl:svg-matrix", _matrix(step.constants()["matrix"]), *clip]
        case "gaussian":
            line = cv2.getGaussianKernel(step.parameters["kernel"], 0).ravel()
            words = _convolution(np.outer(line, line))
        case "blur":
            crop = ["gegl:crop", "x=0", "y=0", f"width={width}", f"height={height}"]
            words = ["gegl:box-blur", f"radius={step.parameters['kernel'] // 2}", *crop]
        case "sharp":
            words = [*_convolution(sharpening(step)), *clip]
        case _:
            raise NotExpressedError(step.name)
    return words


def _gamma(gamma: float) -> list[str]:
    return ["gegl:gamma", f"value={1 / gamma:.9g}"]


def _matrix(rows: Sequence[Sequence[float]]) -> str:
    """Of SVG: rows of red, green, blue, alpha and an offset."""
    padded = [*([*row, 0, 0] for row in rows), (0, 0, 0, 1, 0)]
    return "values=" + " ".join(f"{weight:g}" for row in padded for weight in row)


def _convolution(weights: Pixels) -> list[str]:
    if len(weights) > _LARGEST_KERNEL:
        raise NotExpressedError(f"a kernel of {len(weights)} pixels")
    around = (_LARGEST_KERNEL - len(weights)) // 2
    padded = np.pad(weights, around)
    values = [
        f"{letter}{number}={padded[row, number - 1]:.9g}"
        for row, letter in enumerate("abcde")
        for number in range(1, _LARGEST_KERNEL + 1)
    ]
    return ["gegl:convolution-matrix", *values, *_PLAIN]
