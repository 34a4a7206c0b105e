"""The paper's tables and figures of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator

from imgedit_modelkit.evaluation.methods import COPY
from imgedit_modelkit.evaluation.outcomes import Done
from imgedit_modelkit.evaluation.summaries import Differences, Variant
from imgedit_modelkit.evaluation.tables import (
    Form,
    Summaries,
    difference_tables,
    interval_table,
    left_out_tables,
    published_tables,
)
from imgedit_plugins.requests import Chart, Table
from imgedit_reason_edit.evaluation.published import MARK, published_figures, told_of_source
from imgedit_reason_edit.evaluation.subjects import SUBJECTS, Subject


def main_table(summaries: Summaries, form: Form, title: str) -> Table:
    """A row for each method; the figures of direct and of reasoning instructions beside them.

    Figures that were not measured have empty columns.
    """
    groups = _groups(summaries)
    columns = ["row"]
    for group in groups:
        columns += [_heading(group, name) for name in ("n", *map(form.heading, form.names))]
    rows = []
    for row in dict.fromkeys(title for title, _ in summaries):
        cells: list[str | float | None] = [row]
        for group in groups:
            found = summaries.get((row, group))
            cells.append(len(found.outcomes) if found else 0)
            known = found.estimates if found else {}
            cells += [form.shown(name, known.get(name)) for name in form.names]
        rows.append(tuple(cells))
    return Table(title=title, columns=tuple(columns), rows=tuple(rows))


def judged_table(summaries: Summaries, form: Form, title: str) -> Table:
    """A line for each row and category, and for all of them."""
    return Table(
        title=title,
        columns=("row", "cases", "n", *map(form.heading, form.names)),
        rows=tuple(
            (
                row,
                str(part),
                len(found.outcomes),
                *(form.shown(name, found.estimates.get(name)) for name in form.names),
            )
            for (row, part), found in summaries.items()
        ),
    )


def _groups(summaries: Summaries) -> tuple[Variant, ...]:
    return tuple(dict.fromkeys(group for _, group in summaries))


def _heading(group: Variant, name: str) -> str:
    return name if group is None else f"{group}: {name}"


def further_tables(
    summaries: Summaries, differences: Differences, done: Done, form: Form
) -> Iterator[Table]:
    """Intervals, differences, and what was left out."""
    yield interval_table(summaries, form)
    yield from difference_tables(summaries, differences, form)
    yield from left_out_tables(done)


def baseline_tables(
    table: str, set_name: str, summaries: Summaries, form: Form
) -> tuple[Table, ...]:
    """What the paper has, as numbers or in words."""
    known = published_figures(table, set_name)
    found = [*published_tables(known, summaries, form, told_of_source, MARK)]
    if statement := SUBJECTS[table].statement:
        found.append(
            Table(title="What the paper says", columns=(MARK,), rows=((statement,),)),
        )
    return tuple(found)


def charts_of(summaries: Summaries, subject: Subject) -> tuple[Chart, ...]:
    """Figure 15: CLIP-I from row to row, a line for each kind of instructions.

    The input itself is left out: it is no step of the way that the figure shows.
    """
    if not subject.charted:
        return ()
    titles = dict.fromkeys(
        title
        for (title, _), summary in summaries.items()
        if any(one.task.method.kind != COPY for one in summary.outcomes)
    )
    places = {title: number for number, title in enumerate(titles, 1)}
    lines: dict[str, list[tuple[float, float]]] = {}
    for (title, group), summary in summaries.items():
        found = summary.estimates.get("CLIP-I")
        if title in places and found is not None and found.value is not None:
            lines.setdefault(str(group), []).append((float(places[title]), found.value))
    return (
        Chart(
            title=subject.title,
            x="row",
            y="CLIP-I (1 is the goal)",
            lines={name: tuple(line) for name, line in lines.items()},
            note="Rows: " + ", ".join(f"{number} {title}" for title, number in places.items()),
        ),
    )
