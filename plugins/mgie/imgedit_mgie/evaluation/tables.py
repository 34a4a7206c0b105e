"""Tables and curves of an evaluation, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgedit_mgie.evaluation.figures import FIGURES, PERCENT
from imgedit_mgie.evaluation.published import MARK, published_figures, told_of_source
from imgedit_mgie.evaluation.settings import Settings
from imgedit_mgie.evaluation.subjects import ALPHA_V, ALPHA_X
from imgedit_mgie.evaluation.summaries import Point, Summary, differences_of, label
from imgedit_mgie.evaluation.work import Done, warned
from imgedit_modelkit.evaluation.bootstrap import Estimate
from imgedit_plugins.requests import Chart, Table

_DECIMALS = {"words": 1} | {
    name: 3 for names in FIGURES.values() for name in names if "CLIP" in name
}


def further_tables(
    summaries: Mapping[Point, Summary],
    done: Done,
    settings: Settings,
    set_name: str,
    *,
    baseline: bool,
) -> Iterator[Table]:
    """Intervals, differences, what is published, and what was left out."""
    yield _interval_table(summaries, settings)
    yield from _difference_tables(summaries, settings)
    if baseline:
        yield from _published_tables(summaries, settings, set_name)
    yield from _left_out(done)


def main_table(
    summaries: Mapping[Point, Summary], done: Done, settings: Settings, set_name: str
) -> Table:
    """The table or figure itself; figures that were not measured have empty columns."""
    subject = settings.subject
    names = FIGURES[subject.work]
    if not any("CLIP-S expressive" in summary.estimates for summary in summaries.values()):
        names = tuple(name for name in names if name != "CLIP-S expressive")
    curve = (ALPHA_V,) if subject.work == "trade-off" else ()
    sizes = ("parameters, million",) if subject.sizes else ()
    rows = []
    for (title, at), summary in summaries.items():
        cells = [shown(name, summary.estimates.get(name)) for name in names]
        million = round(done.parameters[title] / 1e6, 2) or None
        rows.append(
            (title, *([at] if curve else []), len(summary.outcomes), *cells,
             *([million] if sizes else []))
        )  # fmt: skip
    return Table(
        title=f"{subject.title}: {set_name}",
        columns=("row", *curve, "n", *map(_heading, names), *sizes),
        rows=tuple(rows),
    )


def _interval_table(summaries: Mapping[Point, Summary], settings: Settings) -> Table:
    names = _measured(summaries, settings)
    return Table(
        title="95 % intervals",
        columns=("row", *map(_heading, names)),
        rows=tuple(
            (label(point), *(_range(name, summary.estimates.get(name)) for name in names))
            for point, summary in summaries.items()
        ),
    )


def _measured(summaries: Mapping[Point, Summary], settings: Settings) -> tuple[str, ...]:
    """The figures that some row has."""
    names = FIGURES[settings.subject.work]
    return tuple(n for n in names if any(n in s.estimates for s in summaries.values()))


def _difference_tables(summaries: Mapping[Point, Summary], settings: Settings) -> Iterator[Table]:
    differences = differences_of(summaries, settings)
    if not differences:
        return
    first = next(iter(summaries))[0]
    names = [n for n in _measured(summaries, settings) if any(n in d for d in differences.values())]
    yield Table(
        title=f"Difference from {first}, on the same pictures",
        columns=("row", "n", *map(_heading, names)),
        rows=tuple(
            (
                title,
                max((count for _, count in found.values()), default=0),
                *(_signed(name, found[name][0]) if name in found else None for name in names),
            )
            for title, found in differences.items()
        ),
    )


def _published_tables(
    summaries: Mapping[Point, Summary], settings: Settings, set_name: str
) -> Iterator[Table]:
    known = published_figures(settings.table, set_name)
    if not known:
        return
    models = tuple(dict.fromkeys(name for one in known for name in one.values))
    yield Table(
        title="As the paper reports it",
        columns=(
            "figure",
            *(title for title, _ in summaries),
            *(f"{model} ({MARK})" for model in models),
            "quoted by",
        ),
        rows=tuple(
            (
                _heading(one.figure),
                *(shown(one.figure, s.estimates.get(one.figure)) for s in summaries.values()),
                *(one.values.get(model) for model in models),
                one.source,
            )
            for one in known
        ),
    )
    yield Table(
        title="Who quotes the published figures",
        columns=("quoted by", "that is"),
        rows=tuple(
            (name, told_of_source(name)) for name in dict.fromkeys(one.source for one in known)
        ),
    )


def _left_out(done: Done) -> Iterator[Table]:
    rows: list[tuple[str, int, str]] = []
    if done.unreadable:
        first = next(iter(done.unreadable.values()))
        rows.append(("all rows: pictures that cannot be opened", len(done.unreadable), first))
    for title in done.outcomes:
        failures = done.failures(title)
        if failures:
            rows.append((f"{title}: no answer", len(failures), failures[0].failure))
    if rows:
        yield Table(title="Left out", columns=("what", "n", "the first"), rows=tuple(rows))
    told = tuple((sentence,) for sentence in warned(done))
    if told:
        yield Table(title="Warnings", columns=("what",), rows=told)


# --- the curve --------------------------------------------------------------------------------


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


# --- cells ------------------------------------------------------------------------------------


def shown(name: str, found: Estimate | None) -> float | None:
    """A figure as tables show it."""
    return None if found is None else _scaled(name, found.value)


def _range(name: str, found: Estimate | None) -> str | None:
    """'0.25 … 0.31'."""
    if found is None or found.low is None:
        return None
    return f"{_text(name, found.low)} … {_text(name, found.high)}"


def _signed(name: str, found: Estimate) -> str:
    """'+0.02 (-0.01 … +0.05)'."""
    value, low, high = (_text(name, v, "+") for v in (found.value, found.low, found.high))
    return f"{value} ({low} … {high})"


def _text(name: str, value: float | None, sign: str = "") -> str:
    decimals = 2 if name in PERCENT else _DECIMALS.get(name, 4)
    scaled = _scaled(name, value)
    return "" if scaled is None else f"{scaled:{sign}.{decimals}f}"


def _scaled(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    return round(100 * value, 2) if name in PERCENT else round(value, _DECIMALS.get(name, 4))


def _heading(name: str) -> str:
    return f"{name} %" if name in PERCENT else name
