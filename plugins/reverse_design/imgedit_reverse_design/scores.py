"""Scores of recovered edits: the paper's two, and those that over-prediction cannot please.

A sample has a true edit T and a predicted edit P, both as {operation name: normalised value};
abstaining is P = {}. |.| counts names, n is the number of samples.

=================  ================================================================================
accuracy           mean over samples of |P ∩ T| / |T| (the paper's; over-prediction costs nothing)
mse                mean over samples of (mean over t in T of (P[t] - T[t])²), P[t] = 0 where t is
                   missing (the paper's; again only true operations count)
precision          Σ|P ∩ T| / Σ|P|, sums over samples ('micro'); None where nothing was predicted
recall             Σ|P ∩ T| / Σ|T|
f1                 2 Σ|P ∩ T| / (Σ|P| + Σ|T|) ('micro')
macro_f1           mean over operations (that occur in a T or P) of 2 tp / (predicted + true)
exact              share of samples with the same names in P and T
exact_values       ... and every |P[t] - T[t]| <= 0.01, the paper's two decimals
equivalent         share with the same names, or whose rendered pictures differ by at most half an
                   8-bit code in the mean
same_picture       share whose rendered pictures differ by at most 2 codes anywhere
psnr_db            median PSNR of the rendered prediction against the edited picture's file, in dB;
                   the lower of two middle ones, infinity for no difference
identical          share of samples without any difference
cpu_seconds        mean processor time of a prediction, all threads of the process together
abstained          share of samples without a prediction
=================  ================================================================================

'Equivalent' renders both plans from the same source with the same definitions. Half a code in the
mean is what 8-bit rounding does to plans whose operations commute only in exact arithmetic
(sharpening enlarges a rounding difference of one code to 17, so a bound on the largest difference
alone would call such plans different); it also forgives operations that cannot be seen on the
picture at hand, such as a small blur of a smooth one. `same_picture` is the stricter reading.

Intervals are 95 % percentile intervals of a bootstrap that draws whole pictures (`image`), since
edits of one picture are not independent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.evaluation.bootstrap import (
    DRAWS,
    Estimate,
    bootstrap_weights,
    estimate,
    medians,
)

Edit = Mapping[str, float]
Floats = NDArray[np.float64]

VALUE_TOLERANCE = 0.01
EQUIVALENT_MEAN = 0.5
SAME_PICTURE_MAXIMUM = 2


@dataclass(frozen=True)
class Sample:
    """One scored pair; what is None was not measured.

    Attributes:
        truth, predicted: operation name -> normalised value; `truth` has at least one.
        image: the picture that the pair was made from.
        abstained: no prediction was made (`predicted` is empty then).
        psnr_db: of the rendered prediction against the edited picture; infinity if identical.
        mean_difference, max_difference: between the rendered prediction and the rendered truth,
            in 8-bit codes.
        cpu_seconds: processor time of the prediction.
        valued: whether the values of `truth` are known; if not, figures of values are None.

    Raises:
        ValueError: `truth` is empty, or an abstained sample has a prediction.
    """

    truth: Edit
    predicted: Edit
    image: str = ""
    abstained: bool = False
    psnr_db: float | None = None
    mean_difference: float | None = None
    max_difference: float | None = None
    cpu_seconds: float | None = None
    valued: bool = True

    def __post_init__(self) -> None:
        if not self.truth:
            raise ValueError("a sample needs at least one true operation")
        if self.abstained and self.predicted:
            raise ValueError("an abstained sample has no prediction")


@dataclass(frozen=True)
class OperationScore:
    """How one operation fared.

    Attributes:
        true, predicted: samples that have it in T and in P.
        precision, recall, f1: None where nothing was predicted, or nothing was there.
        value_mae: mean |P[t] - T[t]| over samples that have it in both; None without any.
    """

    true: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    value_mae: float | None


# --- one sample -------------------------------------------------------------------------------


def accuracy(truth: Edit, predicted: Edit) -> float:
    """|P ∩ T| / |T|, 0..1.

    >>> accuracy({"blur": 0.3, "flip": 1.0}, {"flip": 1.0, "hdr": 1.0})
    0.5
    """
    return len(truth.keys() & predicted.keys()) / len(truth)


def squared_error(truth: Edit, predicted: Edit) -> float:
    """Mean over t in T of (P[t] - T[t])², with 0 for a missing P[t].

    >>> squared_error({"blur": 0.5, "flip": 1.0}, {"blur": 1.0})
    0.625
    """
    return sum((predicted.get(name, 0.0) - value) ** 2 for name, value in truth.items()) / len(
        truth
    )


def is_exact(truth: Edit, predicted: Edit) -> bool:
    """The same names."""
    return truth.keys() == predicted.keys()


def is_exact_with_values(truth: Edit, predicted: Edit) -> bool:
    """The same names, and values that agree within `VALUE_TOLERANCE`."""
    # 1e-9: 0.34 - 0.33 is a little more than 0.01 in binary.
    return is_exact(truth, predicted) and all(
        abs(predicted[name] - value) <= VALUE_TOLERANCE + 1e-9 for name, value in truth.items()
    )


def is_equivalent(sample: Sample) -> bool | None:
    """The same names, or pictures that differ by at most `EQUIVALENT_MEAN`; None if unknown."""
    if sample.mean_difference is None:
        return None
    exact = is_exact(sample.truth, sample.predicted)
    return exact or sample.mean_difference <= EQUIVALENT_MEAN


# --- many samples -----------------------------------------------------------------------------


def summarise(
    samples: Sequence[Sample], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """All figures of the table above, with intervals.

    Args:
        samples: at least one.
        draws: bootstrap draws; 0 for no intervals.
        seed: of the bootstrap.

    Returns:
        Figure name -> estimate; shares are 0..1.
    """
    if not samples:
        raise ValueError("there are no samples")
    images, cluster = np.unique([sample.image for sample in samples], return_inverse=True)
    features = _features(samples)
    sums = np.zeros((len(images), len(features)))
    np.add.at(sums, cluster, np.stack(list(features.values()), axis=1))
    weights = bootstrap_weights(len(images), draws, seed)
    drawn = dict(zip(features, (weights @ sums).T, strict=True))
    figures = {name: figure(drawn) for name, figure in _FIGURES.items()}
    psnr = _column(samples, lambda sample: sample.psnr_db)
    figures["psnr_db"] = None if psnr is None else medians(psnr, weights, cluster)
    return {name: estimate(figures[name]) for name in FIGURES}


def by_count(samples: Sequence[Sample]) -> dict[int, list[Sample]]:
    """The samples grouped by |T|, rising."""
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(len(sample.truth), []).append(sample)
    return dict(sorted(groups.items()))


def by_operation(samples: Sequence[Sample]) -> dict[str, OperationScore]:
    """A score for each operation that occurs in a T or P, by name."""
    return {name: _operation_score(name, samples) for name in _names(samples)}


def micro(found: Mapping[str, OperationScore]) -> OperationScore:
    """All operations as one: sums over them."""
    true = sum(score.true for score in found.values())
    predicted = sum(score.predicted for score in found.values())
    hits = sum(score.true * (score.recall or 0.0) for score in found.values())
    return OperationScore(
        true,
        predicted,
        precision=hits / predicted if predicted else None,
        recall=hits / true if true else None,
        f1=2 * hits / (predicted + true) if predicted + true else None,
        value_mae=None,
    )


def macro(found: Mapping[str, OperationScore]) -> OperationScore:
    """The mean over operations; one that was never there has no recall, and so on."""

    def mean(figures: list[float | None]) -> float | None:
        known = [figure for figure in figures if figure is not None]
        return sum(known) / len(known) if known else None

    return OperationScore(
        sum(score.true for score in found.values()),
        sum(score.predicted for score in found.values()),
        precision=mean([score.precision for score in found.values()]),
        recall=mean([score.recall for score in found.values()]),
        f1=mean([score.f1 for score in found.values()]),
        value_mae=None,
    )


def _operation_score(name: str, samples: Sequence[Sample]) -> OperationScore:
    true = sum(name in sample.truth for sample in samples)
    predicted = sum(name in sample.predicted for sample in samples)
    errors = [
        abs(s.predicted[name] - s.truth[name])
        for s in samples
        if name in s.predicted and name in s.truth
    ]
    hits = len(errors)
    return OperationScore(
        true,
        predicted,
        precision=hits / predicted if predicted else None,
        recall=hits / true if true else None,
        f1=2 * hits / (predicted + true),
        value_mae=sum(errors) / hits if hits and all(s.valued for s in samples) else None,
    )


# --- figures from sums ------------------------------------------------------------------------

_Sums = Mapping[str, Floats]


def _features(samples: Sequence[Sample]) -> dict[str, Floats]:
    """What is added up over samples; columns that were not measured for all are left out."""
    columns: dict[str, Callable[[Sample], float | None]] = {
        "n": lambda _: 1.0,
        "accuracy": lambda s: accuracy(s.truth, s.predicted),
        "mse": lambda s: squared_error(s.truth, s.predicted) if s.valued else None,
        "hits": lambda s: len(s.truth.keys() & s.predicted.keys()),
        "true": lambda s: len(s.truth),
        "predicted": lambda s: len(s.predicted),
        "exact": lambda s: is_exact(s.truth, s.predicted),
        "exact_values": _exact_values,
        "equivalent": is_equivalent,
        "same_picture": _same_picture,
        "identical": lambda s: None if s.psnr_db is None else s.psnr_db == float("inf"),
        "cpu_seconds": lambda s: s.cpu_seconds,
        "abstained": lambda s: s.abstained,
    }
    for name in _names(samples):
        columns[f"hits/{name}"] = functools.partial(_hits, name)
        columns[f"both/{name}"] = functools.partial(_mentions, name)
    measured = {key: _column(samples, column) for key, column in columns.items()}
    return {key: column for key, column in measured.items() if column is not None}


def _column(samples: Sequence[Sample], column: Callable[[Sample], float | None]) -> Floats | None:
    values = [column(sample) for sample in samples]
    return None if None in values else np.array(values, np.float64)


def _hits(name: str, sample: Sample) -> float:
    return name in sample.truth and name in sample.predicted


def _mentions(name: str, sample: Sample) -> float:
    return (name in sample.truth) + (name in sample.predicted)


def _exact_values(sample: Sample) -> bool | None:
    return is_exact_with_values(sample.truth, sample.predicted) if sample.valued else None


def _same_picture(sample: Sample) -> bool | None:
    if sample.max_difference is None:
        return None
    return sample.max_difference <= SAME_PICTURE_MAXIMUM


def _names(samples: Sequence[Sample]) -> list[str]:
    return sorted({name for s in samples for name in (*s.truth, *s.predicted)})


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Top / bottom, NaN where nothing is divided by nothing."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _mean_of(name: str) -> Callable[[_Sums], Floats | None]:
    return lambda sums: sums[name] / sums["n"] if name in sums else None


def _macro_f1(sums: _Sums) -> Floats:
    names = [key.removeprefix("both/") for key in sums if key.startswith("both/")]
    scores = [_ratio(2 * sums[f"hits/{name}"], sums[f"both/{name}"]) for name in names]
    return np.asarray(np.nanmean(np.stack(scores), axis=0))  # T is never empty: one is a number


_FIGURES: dict[str, Callable[[_Sums], Floats | None]] = {
    "accuracy": _mean_of("accuracy"),
    "mse": _mean_of("mse"),
    "precision": lambda sums: _ratio(sums["hits"], sums["predicted"]),
    "recall": lambda sums: _ratio(sums["hits"], sums["true"]),
    "f1": lambda sums: _ratio(2 * sums["hits"], sums["predicted"] + sums["true"]),
    "macro_f1": _macro_f1,
    "exact": _mean_of("exact"),
    "exact_values": _mean_of("exact_values"),
    "equivalent": _mean_of("equivalent"),
    "same_picture": _mean_of("same_picture"),
    "identical": _mean_of("identical"),
    "cpu_seconds": _mean_of("cpu_seconds"),
    "abstained": _mean_of("abstained"),
}

FIGURES = (
    "accuracy",
    "mse",
    "precision",
    "recall",
    "f1",
    "macro_f1",
    "exact",
    "exact_values",
    "equivalent",
    "same_picture",
    "psnr_db",
    "identical",
    "cpu_seconds",
    "abstained",
)
"""The names of all figures, in the order in which they are shown."""
