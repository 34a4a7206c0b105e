"""The mathematics: values rounded to a few evenly spaced levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import Operation, Parameter

MOST = 32


def posterise(
    values: NDArray[np.float64], levels: int, noise: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """Values of 0..1 at `levels` evenly spaced ones; `noise` of -0.5..0.5 steps is added first."""
    steps = levels - 1
    return np.clip(np.rint(values * steps + noise), 0, steps) / steps


def _render(rgb, parameters, constants):
    codes = posterise(np.arange(256) / 255.0, int(parameters["levels"])) * 255.0
    return np.rint(codes).astype(np.uint8)[rgb]


OPERATION = Operation(
    "sample-posterise",
    "Posterise",
    "pointwise",
    _render,
    source="imgedit-sample-plugin",
    summary="Reduces every channel to a few values.",
    parameters=(Parameter("levels", "Levels", "", 2, MOST, integer=True),),
    phrase=lambda p: f"posterised to {p['levels']} levels",
)
