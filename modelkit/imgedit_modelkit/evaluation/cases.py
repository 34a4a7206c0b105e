"""Single edits as pictures: the worst of each row and its best, or all rows side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from imgedit_modelkit.evaluation.methods import COPY
from imgedit_modelkit.evaluation.outcomes import Done, Outcome
from imgedit_modelkit.evaluation.settings import Settings
from imgedit_modelkit.evaluation.summaries import Point, Summary, label
from imgedit_modelkit.evaluation.tables import Form
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.squares import square
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Case

_BEST = 3  # one good case for so many bad ones


def cases_of(
    summaries: Mapping[Point, Summary],
    settings: Settings,
    form: Form,
    ranks: Sequence[str],
    number: int,
) -> tuple[Case, ...]:
    """So many of the worst edits of each row, and a third as many of the best.

    Of a curve its first and last point; a row that computes nothing has none.

    Args:
        summaries: of all rows.
        settings: of the evaluation.
        form: of the figures.
        ranks: figures that decide which is the worst: the first that was measured.
        number: of the worst.
    """
    found: list[Case] = []
    for point in _points(summaries, settings) if number else ():
        outcomes = [o for o in summaries[point].outcomes if o.task.method.kind != COPY]
        rank = next((n for n in ranks if _has(outcomes, n)), None)
        if rank is None:
            continue
        sign = 1 if rank in form.lower else -1
        outcomes.sort(key=lambda o: (-sign * o.figures[rank], o.task.item.name))
        best = outcomes[number:][::-1][: -(-number // _BEST)]
        for what, some in (("worst", outcomes[:number]), ("best", best)):
            heading = f"{label(point)}, {what} by {rank}"
            found += [_case(heading, one, settings.size, form) for one in some]
    return tuple(found)


def _points(summaries: Mapping[Point, Summary], settings: Settings) -> Iterator[Point]:
    if not settings.curve:
        yield from summaries
        return
    for title in dict.fromkeys(title for title, _ in summaries):
        own = [point for point in summaries if point[0] == title]
        yield from dict.fromkeys((own[0], own[-1]))


def _has(outcomes: Sequence[Outcome], name: str) -> bool:
    return bool(outcomes) and all(name in outcome.figures for outcome in outcomes)


def _case(what: str, outcome: Outcome, size: int, form: Form) -> Case:
    item = outcome.task.item
    told = [("Instruction", item.instruction)]
    if outcome.expressive and outcome.expressive != item.instruction:
        told.append(("Expressive instruction", outcome.expressive))
    pictures = [("Input", "", _picture(item.source(size)))]
    if outcome.picture is not None:
        pictures.append(("Edited", outcome.task.method.title, _edited(outcome.picture, size)))
    return Case(
        title=f"{what}: {item.name}",
        told=(*told, ("Figures", form.told(outcome.figures))),
        pictures=(*pictures, ("Goal", "", _picture(item.goal(size)))),
    )


def sheets_of(
    done: Done, size: int, form: Form, number: int, *, goals: bool = True
) -> tuple[Case, ...]:
    """What all rows made of the first items, side by side.

    Args:
        done: what came of the evaluation.
        size: side of the squares, in pixels.
        form: of the figures.
        number: of items.
        goals: whether there is something that the edits should be like.
    """
    by_item: dict[str, list[Outcome]] = {}
    for outcomes in done.outcomes.values():
        for one in outcomes:
            if one.task.number == 0 and one.task.item.name not in done.unreadable:
                by_item.setdefault(one.task.item.name, []).append(one)
    return tuple(_sheet(some, size, form, goals=goals) for some in [*by_item.values()][:number])


def _sheet(outcomes: Sequence[Outcome], size: int, form: Form, *, goals: bool) -> Case:
    item = outcomes[0].task.item
    pictures = [("Input", "", _picture(item.source(size)))]
    told = [("Instruction", item.instruction)]
    for one in outcomes:
        title = one.task.method.title
        if one.failure:
            told.append((title, one.failure))
        elif one.picture is not None:
            pictures.append((title, form.told(one.figures), _edited(one.picture, size)))
        if one.expressive and one.expressive != item.instruction:
            told.append((title, one.expressive))
    if goals:
        pictures.append(("Goal", "", _picture(item.goal(size))))
    named = item.name.endswith(item.group)
    return Case(
        title=item.name if named else f"{item.name}, {item.group}",
        told=tuple(told),
        pictures=tuple(pictures),
    )


def _edited(path: Path, size: int) -> Picture:
    return _picture(square(open_picture(path), size))


def _picture(pixels: Map) -> Picture:
    return Picture(np.rint(pixels * 255).astype(np.uint8))
