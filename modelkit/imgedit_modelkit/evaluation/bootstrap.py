"""Intervals by the bootstrap: whole pictures are drawn, with replacement."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 1000

_CHUNK = 100  # draws at a time where each sample counts


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; all None where it was not measured or has no meaning."""

    value: float | None
    low: float | None = None
    high: float | None = None


@functools.lru_cache(maxsize=2)
def bootstrap_weights(clusters: int, draws: int, seed: int) -> Floats:
    """How often each cluster is drawn, (1 + draws, clusters); the first row is the data itself."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=draws)
    weights = np.vstack([np.ones((1, clusters)), drawn])
    weights.setflags(write=False)  # it is kept for the next figure
    return weights


def medians(values: Floats, weights: Floats, cluster: NDArray[Any]) -> Floats:
    """The lower median of the samples for each row of weights."""
    order = np.argsort(values, kind="stable")
    medians = [values[order[_middle(rows[:, cluster[order]])]] for rows in _chunks(weights)]
    return np.concatenate(medians)


def _chunks(weights: Floats) -> Iterator[Floats]:
    for start in range(0, len(weights), _CHUNK):
        yield weights[start : start + _CHUNK]


def _middle(weights: Floats) -> NDArray[np.intp]:
    reached = np.cumsum(weights, axis=1)
    return np.asarray(np.argmax(reached >= reached[:, -1:] / 2, axis=1))


def estimate(figures: Floats | None) -> Estimate:
    """A figure with its interval, from the figure of the data (first) and those of the draws."""
    if figures is None or np.isnan(figures[0]):
        return Estimate(None)
    value, draws = float(figures[0]), np.sort(figures[1:][~np.isnan(figures[1:])])
    if not draws.size:
        return Estimate(value)
    # By rank, not interpolated: PSNR may be infinite.
    low, high = (draws[round(q * (draws.size - 1))] for q in (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def mean(
    values: Sequence[float], images: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """The mean of some values with its interval.

    Args:
        values: any number of them.
        images: the picture that each comes from; whole pictures are drawn.
        draws: bootstrap draws; 0 for no interval.
        seed: of the bootstrap.
    """
    if not values:
        return Estimate(None)
    names, cluster = np.unique(list(images), return_inverse=True)
    sums = np.zeros((len(names), 2))
    np.add.at(sums, cluster, np.stack([np.asarray(values, np.float64), np.ones(len(values))], 1))
    drawn = bootstrap_weights(len(names), draws, seed) @ sums
    return estimate(drawn[:, 0] / drawn[:, 1])
