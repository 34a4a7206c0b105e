"""The paper's tables and curve of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgedit_mgie.evaluation.figures import FIGURES, form_of
from imgedit_mgie.evaluation.published import published_figures, told_of_source
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.evaluation.subjects import ALPHA_X
from imgedit_modelkit.evaluation.outcomes import Done
from imgedit_modelkit.evaluation.summaries import ALPHA_V, Point, Summary, differences_of
from imgedit_modelkit.evaluation.tables import (
    difference_tables,
    interval_table,
    left_out_tables,
    published_tables,
)
from imgedit_plugins.requests import Chart, Table


def further_tables(
    summaries: Mapping[Point, Summary],
    done: Done,
    settings: Settings,
    set_name: str,
    *,
    baseline: bool,
) -> Iterator[Table]:
    """Intervals, differences, what is published, and what was left out."""
    form = form_of(settings.subject.work)
    yield interval_table(summaries, form)
    yield from difference_tables(summaries, differences_of(summaries, settings), form)
    if baseline:
        known = published_figures(settings.table, set_name)
        yield from published_tables(known, summaries, form, told_of_source)
    yield from left_out_tables(done)


def main_table(
    summaries: Mapping[Point, Summary], done: Done, settings: Settings, set_name: str
) -> Table:
    """The table or figure itself; figures that were not measured have empty columns."""
    subject = settings.subject
    form = form_of(subject.work)
    names = form.names
    if not any("CLIP-S expressive" in summary.estimates for summary in summaries.values()):
        names = tuple(name for name in names if name != "CLIP-S expressive")
    curve = (ALPHA_V,) if subject.work == "trade-off" else ()
    sizes = ("parameters, million",) if subject.sizes else ()
    rows = []
    for (title, at), summary in summaries.items():
        cells = [form.shown(name, summary.estimates.get(name)) for name in names]
        million = round(done.parameters[title] / 1e6, 2) or None
        rows.append(
            (title, *([at] if curve else []), len(summary.outcomes), *cells,
             *([million] if sizes else []))
        )  # fmt: skip
    return Table(
        title=f"{subject.title}: {set_name}",
        columns=("row", *curve, "n", *map(form.heading, names), *sizes),
        rows=tuple(rows),
    )


def charts_of(summaries: Mapping[Point, Summary], settings: Settings) -> tuple[Chart, ...]:
    """The trade-off curve, a line for each row."""
    if settings.subject.work != "trade-off":
        return ()
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for (title, at), summary in summaries.items():
        edit, kept = (summary.estimates[name].value for name in FIGURES["trade-off"])
        assert edit is not None  # this work is not done without CLIP
        assert kept is not None
        lines.setdefault(title, []).append((edit, kept, f"{at:g}"))
    points = {title: sorted(line) for title, line in lines.items()}
    guidance = float(settings.options["guidance"])
    return (
        Chart(
            title=settings.subject.title,
            x="edit (CLIP direction to the goal)",
            y="input consistency (CLIP)",
            lines={title: tuple((x, y) for x, y, _ in line) for title, line in points.items()},
            marks={title: tuple(mark for *_, mark in line) for title, line in points.items()},
            note=f"The numbers are {ALPHA_V}; {ALPHA_X} is {guidance:g}. More is better.",
        ),
    )
