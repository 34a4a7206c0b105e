"""The rows of the benchmark: plans by family, and how equal their results must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import default_vocabulary, load_profile
from imgedit_plugins.operations.forms import Curves

FILTERS = frozenset({"gaussian", "blur", "sharp"})
_S_CURVE = ((0.0, 0.0), (0.25, 0.2), (0.75, 0.82), (1.0, 1.0))
_LIFTED = ((0.0, 0.03), (1.0, 1.0))
MARGIN = 16  # pixels at the edges that are not compared: libraries continue a picture differently


@dataclass(frozen=True)
class Step:
    """One operation with its parameters."""

    name: str
    parameters: Mapping[str, Any]

    def constants(self) -> Mapping[str, Any]:
        """What the shipped profile says of the operation."""
        return load_profile().of(self.name)

    def table(self, size: int) -> NDArray[np.float64]:
        """The operation as (size, 3) values 0..1, for codes 0..size - 1 and each channel.

        Raises:
            TypeError: the operation is no curve of each channel.
        """
        operation = default_vocabulary()[self.name]
        checked = operation.check(self.parameters)
        form = operation.form(checked, self.constants()) if operation.form else None
        if not isinstance(form, Curves):
            raise TypeError(f"{self.name} does not map each channel by itself")
        ramp = np.arange(size, dtype=np.float64) / (size - 1)
        columns = [curve(ramp.copy()) for curve in (form.red, form.green, form.blue)]
        return np.asarray(np.clip(np.stack(columns, axis=1), 0.0, 1.0))

    def codes(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """`table` in whole numbers of a type, one row for each of its codes."""
        white = int(np.iinfo(dtype).max)
        return np.asarray(np.rint(self.table(white + 1) * white), dtype)


@dataclass(frozen=True)
class Tolerance:
    """How far two results may be apart, in 8-bit codes at any depth."""

    largest: float
    mean: float


@dataclass(frozen=True)
class Row:
    """A plan that is carried out by everyone.

    Attributes:
        family: 'affine', 'per-channel', 'matrix', 'HSV', 'filters' or 'mixed'.
        steps: the plan.
    """

    family: str
    steps: tuple[Step, ...]

    @property
    def single(self) -> bool:
        """Whether it is one operation."""
        return len(self.steps) == 1

    @property
    def pointwise(self) -> bool:
        """Whether no step looks around."""
        return FILTERS.isdisjoint(step.name for step in self.steps)

    @property
    def name(self) -> str:
        """Such as 'affine 3', or the operation of a single one."""
        return self.steps[0].name if self.single else f"{self.family} {len(self.steps)}"

    def described(self) -> str:
        """The plan in one line."""
        shown = []
        for step in self.steps:
            values = " ".join(_shown(value) for value in step.parameters.values())
            shown.append(f"{step.name} {values}".rstrip())
        return ", ".join(shown)

    def tolerance(self, bits: int) -> Tolerance:
        """What counts as equal.

        With 8 bits some round or truncate after every step and some only in the end: about one
        code a step. Hue and saturation of 8 bits are coarser, and sharpening multiplies what
        differs by up to 17.5 (the sum of its weights without signs). With 16 bits only float32
        against whole numbers remains.
        """
        steps, names = len(self.steps), [step.name for step in self.steps]
        if bits == 16:
            return Tolerance(0.1, 0.02)
        if "sharp" in names[1:]:
            return Tolerance(17.5, 2.5)
        if "saturate" in names:
            return Tolerance(steps + 5.0, 0.2 * steps + 0.4)
        return Tolerance(steps + 1.0, 0.1 * steps + 0.2)


def rows() -> Iterator[Row]:
    """All rows, family by family."""
    bright, darker = _step("bright", offset=30.0), _step("bright", offset=-20.0)
    contrast, softer = _step("contrast", gain=1.2), _step("contrast", gain=0.9)
    invert, summer, winter = _step("invert"), _step("summer"), _step("winter")
    gamma, levels = _step("gamma", gamma=1.2), _step("levels", in_black=8, in_white=240, gamma=0.9)
    curves = _step("curves", all=_S_CURVE, blue=_LIFTED)
    grayscale, sepia = _step("grayscale"), _step("sepia")
    saturate = _step("saturate", factor=1.5)
    gaussian, blur, sharp = _step("gaussian", kernel=5), _step("blur", kernel=5), _step("sharp")
    for step in (bright, contrast, invert):
        yield Row("affine", (step,))
    yield Row("affine", (bright, contrast, invert))
    yield Row("affine", (bright, contrast, darker, invert, softer))
    for step in (summer, winter, gamma, levels, curves):
        yield Row("per-channel", (step,))
    yield Row("per-channel", (summer, contrast, winter))
    yield Row("per-channel", (summer, gamma, levels, winter, curves))
    for step in (grayscale, sepia):
        yield Row("matrix", (step,))
    yield Row("matrix", (contrast, sepia, darker))
    yield Row("matrix", (bright, contrast, sepia, invert, softer))
    yield Row("HSV", (saturate,))
    yield Row("HSV", (darker, saturate, contrast))
    yield Row("HSV", (darker, contrast, saturate, summer, softer))
    for step in (gaussian, blur, sharp):
        yield Row("filters", (step,))
    yield Row("filters", (gaussian, blur, sharp))
    yield Row("filters", (blur, gaussian, sharp, blur, gaussian))
    yield Row("mixed", (contrast, saturate, gaussian))
    yield Row("mixed", (bright, summer, sepia, gaussian, contrast))


def _step(name: str, **parameters: Any) -> Step:
    return Step(name, parameters)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "curve"
