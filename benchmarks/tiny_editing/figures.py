"""Figures with intervals: by family and over all, of each method, and the differences of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

DRAWS = 2000
OVERALL = "overall"

Seeds = Sequence[Sequence[Mapping[str, Any]]]
"""For each seed the scored test pictures, in the same order, with differences in 0..1."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def errors(seeds: Seeds, field: str = "error") -> Values:
    """Mean absolute differences from the goal, in percent of the range: (seeds, pictures)."""
    return np.array([[100 * one[field] for one in rows] for rows in seeds])


def copied(seeds: Seeds, field: str = "copied") -> Values:
    """The same of the input pictures: (1, pictures)."""
    return np.array([[100 * one[field] for one in seeds[0]]])


def reached(seeds: Seeds, field: str = "error", of: str = "copied") -> Values:
    """1 where more than half of the way to the goal is made, by that difference; else 0."""
    return np.array(
        [[float(one[field] < one[of] / 2) for one in rows] for rows in seeds], np.float64
    )


def said_right(seeds: Seeds) -> Values:
    """1 where the model wrote the expressive instruction of the row, else 0."""
    return np.array([[float(one["right"]) for one in rows] for rows in seeds])


def by_family(values: Values, families: Sequence[str]) -> dict[str, Interval]:
    """Means of each family and over all: (seeds, pictures) -> intervals."""
    return _intervals([values], families)


def ahead(ours: Values, theirs: Values, families: Sequence[str]) -> dict[str, Interval]:
    """By how much ours are smaller, for each family and over all."""
    return _intervals([theirs, -ours], families)


def _intervals(sides: Sequence[Values], families: Sequence[str]) -> dict[str, Interval]:
    """The sum of the means of some sides.

    Pictures are drawn within their family, the same for all sides, and the seeds of each side, so
    that the interval holds what other test pictures and other seeds would change.
    """
    names = list(dict.fromkeys(families))
    places = [np.flatnonzero([name == family for family in families]) for name in names]
    rng = np.random.default_rng(0)
    found = []
    for number in range(DRAWS + 1):
        chosen, some = places, sides
        if number:
            chosen = [rng.choice(one, len(one)) for one in places]
            some = [side[rng.integers(0, len(side), len(side))] for side in sides]
        found.append([sum(float(side[:, one].mean()) for side in some) for one in chosen])
    means = np.array(found)
    sizes = np.array([len(one) for one in places])
    means = np.column_stack([means, means @ sizes / sizes.sum()])
    low, high = np.percentile(means[1:], (2.5, 97.5), axis=0)
    return {
        name: Interval(float(means[0, i]), float(low[i]), float(high[i]))
        for i, name in enumerate([*names, OVERALL])
    }
