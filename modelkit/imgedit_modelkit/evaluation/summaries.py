"""The figures of each row over all its pictures, with intervals, and against the first row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgedit_modelkit.evaluation.bootstrap import Estimate, mean
from imgedit_modelkit.evaluation.outcomes import Done, Outcome, Task
from imgedit_modelkit.evaluation.settings import Settings

Variant = float | str | None
"""The image guidance of one point of a curve, or the group of instructions; None for all."""

Point = tuple[str, Variant]
"""A row's title, and which part of it."""

ALPHA_V = "\u03b1_V"
"""What MGIE's paper calls the guidance towards the picture."""

Differences = dict[Point, dict[str, tuple[Estimate, int]]]
"""By figure: the mean difference, and the number of items that it is of."""


@dataclass(frozen=True)
class Summary:
    """The figures of a row, or of a part of it.

    Attributes:
        estimates: by figure; those that were measured.
        outcomes: that they are of.
    """

    estimates: dict[str, Estimate]
    outcomes: tuple[Outcome, ...]


def label(point: Point) -> str:
    """A row's title, with what part of it this is."""
    title, part = point
    if part is None:
        return title
    return f"{title}, {part if isinstance(part, str) else f'{ALPHA_V} {part:g}'}"


def summaries_of(done: Done, settings: Settings, names: Sequence[str]) -> dict[Point, Summary]:
    """The figures of all rows, with intervals; parts of a row follow one another.

    Args:
        done: what came of the evaluation.
        settings: with the seed of the bootstrap, and whether rows are curves.
        names: of the figures.
    """
    found = {}
    for point, outcomes in _points(done, settings).items():
        found[point] = Summary(_known(outcomes, names, settings.seed), tuple(outcomes))
    return found


def with_all(
    done: Done, settings: Settings, names: Sequence[str], name: str = "all"
) -> dict[Point, Summary]:
    """As `summaries_of`, each row with a further part of that name, which has all of its items."""
    parts = summaries_of(done, settings, names)
    found: dict[Point, Summary] = {}
    for title in done.outcomes:
        own = {point: summary for point, summary in parts.items() if point[0] == title}
        outcomes = [one for summary in own.values() for one in summary.outcomes]
        found |= own
        found[title, name] = Summary(_known(outcomes, names, settings.seed), tuple(outcomes))
    return found


def _points(done: Done, settings: Settings) -> dict[Point, list[Outcome]]:
    """A row without any answer is seen as well, but not in a curve."""
    found: dict[Point, list[Outcome]] = {}
    for title, outcomes in done.outcomes.items():
        for outcome in outcomes:
            if outcome.failure and settings.curve:
                continue
            point = found.setdefault((title, _part(outcome.task, settings)), [])
            if not outcome.failure:
                point.append(outcome)
    return found


def _part(task: Task, settings: Settings) -> Variant:
    return task.image_guidance if settings.curve else task.item.group or None


def _known(outcomes: Sequence[Outcome], names: Sequence[str], seed: int) -> dict[str, Estimate]:
    estimates = {name: _estimate(outcomes, name, seed) for name in names}
    return {name: found for name, found in estimates.items() if found.value is not None}


def _estimate(outcomes: Sequence[Outcome], name: str, seed: int) -> Estimate:
    measured = [one for one in outcomes if name in one.figures]
    values = [one.figures[name] for one in measured]
    return mean(values, [one.task.item.pair.img_source for one in measured], seed=seed)


def differences_of(summaries: Mapping[Point, Summary], settings: Settings) -> Differences:
    """Each row less the first, part by part, on the items that both have; none for curves."""
    if settings.curve or not summaries:
        return {}
    first = next(iter(summaries))[0]
    found: Differences = {}
    for (title, part), summary in summaries.items():
        base = summaries.get((first, part))
        if title == first or base is None:
            continue
        figures = {n: _difference(base, summary, n, settings.seed) for n in base.estimates}
        found[title, part] = {name: one for name, one in figures.items() if one[1]}
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
    """For JSON: each row or part of it with its figures, unrounded, none in percent."""
    return [
        {
            "row": title,
            **({} if part is None else {_key(part): part}),
            "n": len(summary.outcomes),
            "figures": {name: asdict(found) for name, found in summary.estimates.items()},
        }
        for (title, part), summary in summaries.items()
    ]


def plain_differences(differences: Differences) -> dict[str, dict[str, dict[str, Any]]]:
    """For JSON, by the row's label and the figure."""
    return {
        label(point): {name: {**asdict(e), "n": n} for name, (e, n) in found.items()}
        for point, found in differences.items()
    }


def _key(part: float | str) -> str:
    return "instructions" if isinstance(part, str) else "image_guidance"
