"""Tone curves that are flows: amounts add up, and the opposite amount undoes.

A value moves along dv/dt = w(v) for a time that is the amount, so curves never fall, two edits of
20 and 30 are one of 50, and -50 takes 50 back. The speed w says which tones move.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ENDS = 0.36  # at an amount of 1 the end moves by a seventh: 1 / sqrt(1.36) = 0.857
_MASK = 0.1  # how far the mask of the shadows stays off black


def scaled_odds(values: NDArray[Any], factor: float) -> NDArray[Any]:
    """Values with their odds v / (1 - v) multiplied by a factor above 0; 0 and 1 stay.

    The flow w(v) = v (1 - v). Schlick's bias (Graphics Gems IV, 1994) with another parameter.
    """
    return np.asarray(values * factor / (1.0 + (factor - 1.0) * values))


def upper_end(values: NDArray[Any], amount: float) -> NDArray[Any]:
    """The flow w(v) = v^3: next to nothing below the middle, most at 1.

    Args:
        values: 0..1.
        amount: -1 to 1; above 0 is brighter, and passes 1.
    """
    return np.asarray(values / np.sqrt(1.0 - _ENDS * amount * values * values))


def lower_end(values: NDArray[Any], amount: float) -> NDArray[Any]:
    """`upper_end` on the negative: most at 0; an amount above 0 is brighter."""
    return np.asarray(1.0 - upper_end(1.0 - values, -amount))


def shadows(values: NDArray[Any], time: float) -> NDArray[Any]:
    """The flow w(v) = v^2 (1 - v)^2 / (v^2 + c (1 - v)^2), a smooth mask over the shadows.

    Args:
        values: 0..1; 0 and 1 stay.
        time: how long; above 0 is brighter.
    """
    above, below = _later_odds(values, 1.0 - values, time)
    return np.asarray(above / (above + below))


def highlights(values: NDArray[Any], time: float) -> NDArray[Any]:
    """`shadows` on the negative; a time above 0 is brighter."""
    above, below = _later_odds(1.0 - values, values, -time)
    return np.asarray(below / (above + below))


def _later_odds(
    values: NDArray[Any], rest: NDArray[Any], time: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Odds o = v / (1 - v) after a time, as numerator and denominator.

    The flow of the shadows says that o - c / o grows with time, so the new odds solve a
    quadratic equation. Written without division by v or 1 - v, and without differences of
    nearly equal numbers: the two cases are the same root.
    """
    product = values * rest
    grown = values * values - _MASK * (rest * rest) + time * product
    root = np.sqrt(grown * grown + 4.0 * _MASK * (product * product))
    root += np.abs(grown)
    dark = grown < 0
    product *= 2.0
    above, below = root.copy(), product.copy()
    np.copyto(above, _MASK * product, where=dark)
    np.copyto(below, root, where=dark)
    return above, below
