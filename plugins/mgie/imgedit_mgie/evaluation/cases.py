"""Single edits as pictures: the worst of each row, and its best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from imgedit_mgie.evaluation.figures import FIGURES, LOWER, PERCENT
from imgedit_mgie.evaluation.outcomes import Outcome
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.evaluation.summaries import Point, Summary, label
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.squares import square
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Case

_BEST = 3  # one good case for so many bad ones

_RANKS = {
    "edits": ("DINO", "CVS", "LPIPS", "SSIM"),
    "trade-off": ("edit",),
    "texts": ("CLIP-S goal",),
}
"""What decides which is the worst: the first that was measured."""


def cases_of(
    summaries: Mapping[Point, Summary], settings: Settings, number: int
) -> tuple[Case, ...]:
    """So many of the worst edits of each row, and a third as many of the best.

    Of a curve its first and last point; a row that computes nothing has none.
    """
    found: list[Case] = []
    for point in _points(summaries) if number else ():
        outcomes = [o for o in summaries[point].outcomes if o.task.method.kind != "copy"]
        rank = next((n for n in _RANKS[settings.subject.work] if _has(outcomes, n)), None)
        if rank is None:
            continue
        sign = 1 if rank in LOWER else -1
        outcomes.sort(key=lambda o: (-sign * o.figures[rank], o.task.item.name))
        best = outcomes[number:][::-1][: -(-number // _BEST)]
        for what, some in (("worst", outcomes[:number]), ("best", best)):
            found += [_case(f"{label(point)}, {what} by {rank}", one, settings) for one in some]
    return tuple(found)


def _points(summaries: Mapping[Point, Summary]) -> Iterator[Point]:
    for title in dict.fromkeys(title for title, _ in summaries):
        own = [point for point in summaries if point[0] == title]
        yield from dict.fromkeys((own[0], own[-1]))


def _has(outcomes: Sequence[Outcome], name: str) -> bool:
    return bool(outcomes) and all(name in outcome.figures for outcome in outcomes)


def _case(what: str, outcome: Outcome, settings: Settings) -> Case:
    task = outcome.task
    return Case(
        title=f"{what}: {task.item.name}",
        told=tuple(_told(outcome, settings)),
        pictures=tuple(_pictures(outcome, settings.size)),
    )


def _told(outcome: Outcome, settings: Settings) -> Iterator[tuple[str, str]]:
    yield "Instruction", outcome.task.item.instruction
    if outcome.expressive and outcome.expressive != outcome.task.item.instruction:
        yield "Expressive instruction", outcome.expressive
    yield (
        "Figures",
        ", ".join(
            f"{name} {100 * value:.1f} %" if name in PERCENT else f"{name} {value:.4g}"
            for name in FIGURES[settings.subject.work]
            if (value := outcome.figures.get(name)) is not None
        ),
    )


def _pictures(outcome: Outcome, size: int) -> Iterator[tuple[str, str, Picture]]:
    item = outcome.task.item
    yield "Input", "", _picture(item.source(size))
    if outcome.picture is not None:
        pixels = square(open_picture(outcome.picture), size)
        yield "Edited", outcome.task.method.title, _picture(pixels)
    yield "Goal", "", _picture(item.goal(size))


def _picture(pixels: Map) -> Picture:
    return Picture(np.rint(pixels * 255).astype(np.uint8))
