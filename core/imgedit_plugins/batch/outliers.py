"""Pictures on which an edit clips, or changes, far more than on the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import Picture, Pixels

_SAMPLES = 1 << 17
"""Pixels looked at in each picture: a share is known to about 0.1 percentage points."""

FEWEST = 5
"""With fewer pictures there is no rest to compare with."""

_FAR = 3.5 * 1.4826
"""MADs above the median: the modified z-score of 3.5 of Iglewicz and Hoaglin (How to Detect and
Handle Outliers, 1993); 1.4826 MADs are a standard deviation where values are normal."""

_LEAST_CLIPPED = 0.01
_LEAST_CHANGE = 5.0
# Less is not seen, however alike the rest is (a MAD of 0 is common: nothing clips anywhere).

_CLIPPED_ALONE = 0.05


@dataclass(frozen=True)
class Figures:
    """How hard an edit hit a picture.

    Attributes:
        clipped: 0..1, the share of pixels that have a channel at black or white now that had
            been between them before.
        change: mean absolute difference between before and after, in steps of 8 bits (0..255).
    """

    clipped: float
    change: float


@dataclass(frozen=True)
class Outlier:
    """Why a picture stands out.

    Attributes:
        index: its place in the list that was given.
        reasons: 'clipped', 'change', or both.
        distance: by how many times the limit is exceeded, at least 1.
    """

    index: int
    reasons: tuple[str, ...]
    distance: float


def measure(before: Picture, after: Picture) -> Figures | None:
    """Figures of one picture, on a regular grid of its pixels; transparent ones do not count.

    Args:
        before: the picture, where the edit moves pixels already moved so.
        after: the edited picture.

    Returns:
        The figures; None where the sizes differ, so that nothing can be compared.
    """
    if before.pixels.shape[:2] != after.pixels.shape[:2]:
        return None
    step = max(1, math.ceil(math.sqrt(before.width * before.height / _SAMPLES)))
    old, new = (np.ascontiguousarray(p.pixels[::step, ::step]) for p in (before, after))
    visible = np.ones(old.shape[:2], bool)
    if before.has_alpha:
        visible = old[:, :, -1] > 0
    if not visible.any():
        return Figures(0.0, 0.0)
    old, new = (_colors(grid)[visible] for grid in (old, new))
    fresh = (_at_limit(new) & ~_at_limit(old)).any(axis=1)
    return Figures(float(fresh.mean()), float(np.abs(_codes(new) - _codes(old)).mean()))


def _colors(grid: Pixels) -> Pixels:
    """(rows, columns, 3), also of grey pixels."""
    return np.repeat(grid[:, :, :1], 3, axis=2) if grid.shape[2] <= 2 else grid[:, :, :3]


def _at_limit(values: Pixels) -> NDArray[np.bool_]:
    white = 1.0 if values.dtype == np.float32 else np.iinfo(values.dtype).max
    return (values <= 0) | (values >= white)


def _codes(values: Pixels) -> NDArray[np.float32]:
    white = 1.0 if values.dtype == np.float32 else np.iinfo(values.dtype).max
    codes = values.astype(np.float32) * np.float32(255.0 / white)
    return np.clip(codes, 0.0, 255.0, out=codes)


def find_outliers(figures: Sequence[Figures | None]) -> list[Outlier]:
    """The pictures that stand out, the worst first.

    With five pictures or more, one stands out that is more than 3.5 robust standard deviations
    (1.4826 x the median absolute deviation) above the median, and at least 1 percentage point of
    clipping or 5 codes of change above it. With fewer there is no rest to speak of: those stand
    out of which 5 % of the pixels or more are newly clipped.

    Args:
        figures: of each picture; None for those that could not be measured.
    """
    known = [(index, figure) for index, figure in enumerate(figures) if figure is not None]
    if not known:
        return []
    clipped = np.array([figure.clipped for _, figure in known])
    change = np.array([figure.change for _, figure in known])
    if len(known) < FEWEST:
        ratios = {"clipped": clipped / _CLIPPED_ALONE}
    else:
        ratios = {
            "clipped": _ratios(clipped, _LEAST_CLIPPED),
            "change": _ratios(change, _LEAST_CHANGE),
        }
    found = []
    for place, (index, _) in enumerate(known):
        over = {name: float(values[place]) for name, values in ratios.items()}
        reasons = tuple(name for name, ratio in over.items() if ratio >= 1.0)
        if reasons:
            found.append(Outlier(index, reasons, max(over.values())))
    return sorted(found, key=lambda outlier: -outlier.distance)


def _ratios(values: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """How far each value is above the median, as a multiple of what makes an outlier."""
    above = values - np.median(values)
    limit = max(_FAR * float(np.median(np.abs(above))), least)
    return np.asarray(above / limit)
