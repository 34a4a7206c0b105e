"""Smooth curves through points, which never swing beyond them.

Source: piecewise cubic Hermite interpolation after F. N. Fritsch and R. E. Carlson, Monotone
Piecewise Cubic Interpolation, SIAM J. Numer. Anal. 17 (1980) 238-246, with the slopes of
F. N. Fritsch and J. Butland, A Method for Constructing Local Monotone Piecewise Cubic
Interpolants, SIAM J. Sci. Stat. Comput. 5 (1984) 300-304 (the harmonic mean of the neighbouring
secants, weighted by the intervals; 'PCHIP').
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations.forms import Curve
from imgedit_plugins.operations.vocabulary import Points


def monotone_cubic(points: Points) -> Curve:
    """The curve through points: rising where they rise, falling where they fall.

    At the outer points it has the slope of the outer secants, so that two points make a straight
    line; before the first and after the last point it holds their value.
    """
    x, y = np.array(points, np.float64).T
    width = np.diff(x)
    secants = np.diff(y) / width
    slopes = _slopes(width, secants)
    # y + t (slope + t (square + t cube)), with t the distance from the interval's left point.
    square = (3 * secants - 2 * slopes[:-1] - slopes[1:]) / width
    cube = (slopes[:-1] + slopes[1:] - 2 * secants) / width**2

    def curve(values: NDArray[Any]) -> NDArray[Any]:
        kind = values.dtype
        at = np.clip(values, points[0][0], points[-1][0])
        # Up to 62 comparisons of all values are faster than a search for each.
        interval = np.zeros(at.shape, np.uint8)
        for start in x[1:-1].astype(kind):
            interval += at >= start
        at -= x.astype(kind).take(interval)
        result: NDArray[Any] = cube.astype(kind).take(interval)
        for coefficients in (square, slopes, y):
            result *= at
            result += coefficients.astype(kind).take(interval)
        return result

    return curve


def _slopes(width: NDArray[np.float64], secants: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope at each point; flat where the curve turns."""
    slopes = np.concatenate([secants[:1], np.zeros(len(secants) - 1), secants[-1:]])
    before, after = secants[:-1], secants[1:]
    runs_on = before * after > 0
    left = (2 * width[1:] + width[:-1])[runs_on]
    right = (width[1:] + 2 * width[:-1])[runs_on]
    before, after = before[runs_on], after[runs_on]
    slopes[1:-1][runs_on] = (left + right) * before * after / (left * after + right * before)
    return slopes


_LEAST_RISE = 1e-3


def inverse_points(points: Points) -> Points | None:
    """The mirrored curve through up to 64 points of it; None where it does not rise throughout."""
    if any(b[1] <= a[1] for a, b in itertools.pairwise(points)):
        return None
    x = np.linspace(points[0][0], points[-1][0], 64)
    kept: list[tuple[float, float]] = []
    for output, source in zip(monotone_cubic(points)(x).tolist(), x.tolist(), strict=True):
        # A place where the curve hardly rises becomes one steep step of its inverse.
        if not kept or output - kept[-1][0] >= _LEAST_RISE:
            kept.append((round(output, 6), round(source, 6)))
    return tuple(kept) if len(kept) > 1 else None
