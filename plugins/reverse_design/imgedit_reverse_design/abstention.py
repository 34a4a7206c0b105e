"""Who may abstain is judged on what is answered: figures of the answered pairs against their share.

Answers are ranked by a score, such as the model's confidence. The k best of n pairs are answered;
then k/n is the coverage, and the figure over those k is what an answer is worth. A good score puts
the right answers first, so that the curve falls from left to right.

The area under the curve is the mean of the figure over k = 1 ... m, for m answers (1 minus it is
the area under the risk-coverage curve, divided by the coverage that is reached). Answers of the
same score cannot be told apart: within them, the expected sums of a random order are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.evaluation.bootstrap import DRAWS, Estimate, bootstrap_weights, estimate
from imgedit_reverse_design import scores
from imgedit_reverse_design.scores import Sample

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """What is answered where the score must reach `threshold`.

    Attributes:
        answered: share of all pairs, 0..1.
        accuracy, f1: over the answered pairs, as in `scores`.
    """

    threshold: float
    answered: float
    accuracy: float
    f1: float


@dataclass(frozen=True)
class Curve:
    """Figures of answered pairs against their share.

    Attributes:
        points: one for each score that occurs, from the highest.
        accuracy_area, f1_area: under the curve, 0..1, with intervals over pictures.
        accuracy_random, accuracy_ideal: that area if answers were ranked at random, and by their
            own accuracy: what no score can beat.
    """

    points: tuple[Point, ...]
    accuracy_area: Estimate
    f1_area: Estimate
    accuracy_random: float
    accuracy_ideal: float


def curve(
    samples: Sequence[Sample], ranks: Sequence[float | None], *, draws: int = DRAWS, seed: int = 0
) -> Curve | None:
    """The curve of some predictions.

    Args:
        samples: all pairs, answered or not.
        ranks: the score of each; those of pairs that abstained are not looked at.
        draws: of the bootstrap, which draws whole pictures.
        seed: of the bootstrap.

    Returns:
        None where nothing was answered, or an answer has no score.
    """
    answered = [n for n, sample in enumerate(samples) if not sample.abstained]
    found = [rank for n in answered if (rank := ranks[n]) is not None]
    if not answered or len(found) < len(answered):
        return None
    order = np.argsort(-np.array(found), kind="stable")
    ranked = np.array(found)[order]
    sums = _sums([samples[answered[n]] for n in order])
    accuracies = sums[:, 0]
    return Curve(
        _points(ranked, sums, len(samples)),
        *_area_estimates([samples[answered[n]].image for n in order], ranked, sums, draws, seed),
        accuracy_random=float(accuracies.mean()),
        accuracy_ideal=float(_means(np.sort(accuracies)[::-1])),
    )


def _sums(samples: Sequence[Sample]) -> Floats:
    """(answers, 4): accuracy, 1, twice the hits, and the names said and true."""
    rows = []
    for sample in samples:
        hits = len(sample.truth.keys() & sample.predicted.keys())
        size = len(sample.truth) + len(sample.predicted)
        rows.append((scores.accuracy(sample.truth, sample.predicted), 1.0, 2.0 * hits, size))
    return np.array(rows, np.float64)


def _points(ranked: Floats, sums: Floats, total: int) -> tuple[Point, ...]:
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    reached = np.cumsum(sums, axis=0)[ends]
    return tuple(
        Point(float(ranked[end]), float(n) / total, float(accuracy / n), float(hits / size))
        for end, (accuracy, n, hits, size) in zip(ends, reached, strict=True)
    )


# --- areas ------------------------------------------------------------------------------------


def _area_estimates(
    images: Sequence[str], ranked: Floats, sums: Floats, draws: int, seed: int
) -> tuple[Estimate, Estimate]:
    names, cluster = np.unique(images, return_inverse=True)
    weights = bootstrap_weights(len(names), draws, seed)
    areas = np.full((len(weights), 2), np.nan)
    for number, drawn in enumerate(weights):
        times = drawn[cluster].astype(np.intp)
        if times.any():
            areas[number] = _areas(np.repeat(ranked, times), np.repeat(sums, times, axis=0))
    return estimate(areas[:, 0]), estimate(areas[:, 1])


def _areas(ranked: Floats, sums: Floats) -> tuple[float, float]:
    """(accuracy, F1) of answers from the highest score down."""
    starts = np.flatnonzero(np.diff(ranked, prepend=np.inf))
    sizes = np.diff(np.append(starts, len(ranked)))
    expected = np.add.reduceat(sums, starts, axis=0) / sizes[:, np.newaxis]
    reached = np.cumsum(np.repeat(expected, sizes, axis=0), axis=0)
    accuracy, f1 = reached[:, 0] / reached[:, 1], reached[:, 2] / reached[:, 3]
    return float(accuracy.mean()), float(f1.mean())


def _means(values: Floats) -> float:
    """The mean of the means of the first 1, 2, 3 ... values."""
    return float((np.cumsum(values) / np.arange(1, len(values) + 1)).mean())
