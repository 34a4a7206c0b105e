"""The figures of each row over all its pictures, with intervals, and against the first row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgedit_mgie.evaluation.figures import FIGURES
from imgedit_mgie.evaluation.outcomes import Outcome
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.evaluation.subjects import ALPHA_V
from imgedit_mgie.evaluation.work import Done
from imgedit_modelkit.evaluation.bootstrap import Estimate, mean

Point = tuple[str, float | None]
"""A row's title, and the image guidance where it is one point of a curve."""


@dataclass(frozen=True)
class Summary:
    """The figures of a row, or of a point of its curve.

    Attributes:
        estimates: by figure; those that were measured.
        outcomes: that they are of.
    """

    estimates: dict[str, Estimate]
    outcomes: tuple[Outcome, ...]


def label(point: Point) -> str:
    """A row's title, or that of a point of its curve."""
    title, at = point
    return title if at is None else f"{title}, {ALPHA_V} {at:g}"


def summaries_of(done: Done, settings: Settings) -> dict[Point, Summary]:
    """The figures of all rows, with intervals."""
    names = FIGURES[settings.subject.work]
    found = {}
    for point, outcomes in _points(done, settings).items():
        estimates = {name: _estimate(outcomes, name, settings.seed) for name in names}
        known = {name: e for name, e in estimates.items() if e.value is not None}
        found[point] = Summary(known, tuple(outcomes))
    return found


def _points(done: Done, settings: Settings) -> dict[Point, list[Outcome]]:
    found: dict[Point, list[Outcome]] = {}
    curve = settings.subject.work == "trade-off"
    for title, outcomes in done.outcomes.items():
        if not curve:
            found[title, None] = []  # a row without any answer is seen as well
        for outcome in outcomes:
            if not outcome.failure:
                at = outcome.task.image_guidance if curve else None
                found.setdefault((title, at), []).append(outcome)
    return found


def _estimate(outcomes: Sequence[Outcome], name: str, seed: int) -> Estimate:
    measured = [one for one in outcomes if name in one.figures]
    values = [one.figures[name] for one in measured]
    return mean(values, [one.task.item.pair.img_source for one in measured], seed=seed)


def differences_of(
    summaries: Mapping[Point, Summary], settings: Settings
) -> dict[str, dict[str, tuple[Estimate, int]]]:
    """Each row less the first, with the number of items that both have; none for curves."""
    if settings.subject.work == "trade-off":
        return {}
    first, *others = summaries.items()
    found: dict[str, dict[str, tuple[Estimate, int]]] = {}
    for (title, _), summary in others:
        figures = {n: _difference(first[1], summary, n, settings.seed) for n in first[1].estimates}
        found[title] = {name: one for name, one in figures.items() if one[1]}
    return found


def _difference(base: Summary, other: Summary, name: str, seed: int) -> tuple[Estimate, int]:
    """Means over seeds first, so that a row without them compares with one that has several."""
    (ours, images), (theirs, _) = (_by_item(summary, name) for summary in (base, other))
    both = [item for item in ours if item in theirs]
    values = [theirs[item] - ours[item] for item in both]
    return mean(values, [images[item] for item in both], seed=seed), len(both)


def _by_item(summary: Summary, name: str) -> tuple[dict[str, float], dict[str, str]]:
    found: dict[str, list[float]] = {}
    images = {}
    for one in summary.outcomes:
        if name in one.figures:
            found.setdefault(one.task.item.name, []).append(one.figures[name])
            images[one.task.item.name] = one.task.item.pair.img_source
    return {item: sum(values) / len(values) for item, values in found.items()}, images


def plain(summaries: Mapping[Point, Summary]) -> list[dict[str, Any]]:
    """For JSON: each row or point with its figures, unrounded, none in percent."""
    return [
        {
            "row": title,
            **({} if at is None else {"image_guidance": at}),
            "n": len(summary.outcomes),
            "figures": {name: asdict(found) for name, found in summary.estimates.items()},
        }
        for (title, at), summary in summaries.items()
    ]
