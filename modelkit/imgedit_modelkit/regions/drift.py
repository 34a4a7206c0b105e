"""What a model changes without meaning to: measured where nothing was to change, and taken back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.regions.resampling import Map

_LEAST_SHARE, _LEAST = 0.05, 64
"""Of the pixels of a region that must lie outside of the selection to learn from, and how many."""

_LARGEST_SLOPE, _LARGEST_SHIFT = 0.2, 0.08
"""What is larger is no drift but an edit of everything, and stays."""

_LOCAL = 2.0
"""How much more than the drift must change inside of the selection for it to be a drift."""


@dataclass(frozen=True)
class Drift:
    """How far a model strayed.

    Attributes:
        rebuilding: root mean square, 0..1, of what the model's own way of holding pictures loses
            (a VAE's round trip); None where that is not known.
        shift: mean change of red, green and blue outside of the selection, -1..1; None where too
            little of the region is unselected to tell.
        corrected: whether the shift was taken back; not so where it is too large to be a drift, or
            where the selected part changed in the same way (the edit is of everything).
        left: mean absolute change outside of the selection after that, 0..1; None as `shift`.
    """

    rebuilding: float | None = None
    shift: tuple[float, float, float] | None = None
    corrected: bool = False
    left: float | None = None


def without_drift(
    before: Map, after: Map, outside: NDArray[np.bool_] | None, inside: NDArray[np.bool_] | None
) -> tuple[Map, Drift]:
    """An edited picture with its colours as before wherever nothing was to change.

    For each channel, a straight line from `before` to `after` is fitted to the pixels outside of
    the selection (those far from it are left out), and undone everywhere.

    Args:
        before: (height, width, 3), what the model makes of the picture when it changes nothing.
        after: the same shape, what it made of it.
        outside: (height, width), where nothing was to change; None for nowhere.
        inside: the same for where the edit was to be; None for everywhere.

    Returns:
        `after`, corrected or as it was, and the drift.
    """
    count = 0 if outside is None else int(outside.sum())
    if outside is None or count < max(_LEAST, _LEAST_SHARE * outside.size):
        return after, Drift()
    start, change = before[outside], (after - before)[outside]
    lines = [_line(start[:, channel], change[:, channel]) for channel in range(3)]
    shift = tuple(float(value) for value in change.mean(axis=0))
    slopes, shifts = (np.array(part, np.float32) for part in zip(*lines, strict=True))
    told = (shift[0], shift[1], shift[2])
    corrected = np.asarray((after - shifts) / (1 + slopes), np.float32)
    middle = slopes * start.mean(axis=0) + shifts
    too_large = abs(slopes).max() > _LARGEST_SLOPE or abs(middle).max() > _LARGEST_SHIFT
    if too_large or not _is_local(before, after, corrected, inside):
        return after, Drift(shift=told, left=float(abs(change).mean()))
    left = float(abs((corrected - before)[outside]).mean())
    return corrected, Drift(shift=told, corrected=True, left=left)


def _is_local(before: Map, after: Map, corrected: Map, inside: NDArray[np.bool_] | None) -> bool:
    """Whether what remains of the edit is much more than what the correction takes away."""
    place = np.ones(before.shape[:2], bool) if inside is None else inside
    if not place.any():
        return False
    taken = np.square((after - corrected)[place]).mean()
    return bool(np.square((corrected - before)[place]).mean() > _LOCAL**2 * taken)


def _line(x: Map, y: Map) -> tuple[float, float]:
    """Slope and intercept of most of the points."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    kept = np.ones(len(x), bool)
    slope = shift = 0.0
    for _ in range(3):
        some, values = x[kept], y[kept]
        spread = some.var()
        together = ((some - some.mean()) * (values - values.mean())).mean()
        slope = float(together / (spread + 1e-4))
        shift = float(values.mean() - slope * some.mean())
        away = np.abs(y - slope * x - shift)
        kept = away <= 3 * np.median(away) + 1e-6
    return slope, shift
