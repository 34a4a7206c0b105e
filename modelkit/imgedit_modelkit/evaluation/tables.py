"""Tables of an evaluation, for people; the first one, of the paper's form, is each plugin's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imgedit_modelkit.evaluation.bootstrap import Estimate
from imgedit_modelkit.evaluation.outcomes import Done
from imgedit_modelkit.evaluation.published import MARK, Published
from imgedit_modelkit.evaluation.summaries import Differences, Point, Summary, label
from imgedit_plugins.requests import Table

Summaries = Mapping[Point, Summary]


@dataclass(frozen=True)
class Form:
    """Figures, and how they are shown.

    Attributes:
        names: of the figures, in the order of the tables.
        lower: those of which less is better.
        percent: those that are shown in percent.
        decimals: of some; others have 4.
    """

    names: tuple[str, ...]
    lower: frozenset[str] = frozenset()
    percent: frozenset[str] = frozenset()
    decimals: Mapping[str, int] = field(default_factory=dict)

    def measured(self, summaries: Summaries) -> tuple[str, ...]:
        """The figures that some row has."""
        return tuple(n for n in self.names if any(n in s.estimates for s in summaries.values()))

    def heading(self, name: str) -> str:
        """Of a figure's column."""
        return f"{name} %" if name in self.percent else name

    def shown(self, name: str, found: Estimate | None) -> float | None:
        """A figure as tables show it."""
        return None if found is None else self._scaled(name, found.value)

    def range(self, name: str, found: Estimate | None) -> str | None:
        """'0.25 … 0.31'."""
        if found is None or found.low is None:
            return None
        return f"{self._text(name, found.low)} … {self._text(name, found.high)}"

    def signed(self, name: str, found: Estimate) -> str:
        """'+0.02 (-0.01 … +0.05)'."""
        value, low, high = (self._text(name, v, "+") for v in (found.value, found.low, found.high))
        return f"{value} ({low} … {high})"

    def told(self, figures: Mapping[str, float]) -> str:
        """The figures of one edit as a list of words."""
        return ", ".join(
            f"{name} {100 * figures[name]:.1f} %"
            if name in self.percent
            else f"{name} {figures[name]:.4g}"
            for name in self.names
            if name in figures
        )

    def _text(self, name: str, value: float | None, sign: str = "") -> str:
        decimals = 2 if name in self.percent else self.decimals.get(name, 4)
        scaled = self._scaled(name, value)
        return "" if scaled is None else f"{scaled:{sign}.{decimals}f}"

    def _scaled(self, name: str, value: float | None) -> float | None:
        if value is None:
            return None
        percent = name in self.percent
        return round(100 * value, 2) if percent else round(value, self.decimals.get(name, 4))


def interval_table(summaries: Summaries, form: Form) -> Table:
    """The interval of each figure."""
    names = form.measured(summaries)
    return Table(
        title="95 % intervals",
        columns=("row", *map(form.heading, names)),
        rows=tuple(
            (label(point), *(form.range(name, summary.estimates.get(name)) for name in names))
            for point, summary in summaries.items()
        ),
    )


def difference_tables(
    summaries: Summaries, differences: Differences, form: Form
) -> Iterator[Table]:
    """Each row less the first, with intervals; none where there is nothing to compare."""
    if not differences:
        return
    first = next(iter(summaries))[0]
    names = [n for n in form.measured(summaries) if any(n in d for d in differences.values())]
    yield Table(
        title=f"Difference from {first}, on the same pictures",
        columns=("row", "n", *map(form.heading, names)),
        rows=tuple(
            (
                label(point),
                max((count for _, count in found.values()), default=0),
                *(form.signed(name, found[name][0]) if name in found else None for name in names),
            )
            for point, found in differences.items()
        ),
    )


def published_tables(
    known: Sequence[Published],
    summaries: Summaries,
    form: Form,
    told_of: Callable[[str], str],
    mark: str = MARK,
) -> Iterator[Table]:
    """What a paper reports, in columns of its own beside ours, and who says so.

    Args:
        known: the published figures; without any there are no tables.
        summaries: ours.
        form: of the figures.
        told_of: who a source is, by its name.
        mark: stands at each published column.
    """
    if not known:
        return
    titles = tuple(dict.fromkeys(title for title, _ in summaries))
    models = tuple(dict.fromkeys(name for one in known for name in one.values))
    rows = []
    for one in known:
        ours = (summaries.get((title, one.group or None)) for title in titles)
        rows.append((
            f"{one.group} {form.heading(one.figure)}".strip(),
            *(None if s is None else form.shown(one.figure, s.estimates.get(one.figure))
              for s in ours),
            *(one.values.get(model) for model in models),
            one.source,
        ))  # fmt: skip
    yield Table(
        title="As the paper reports it",
        columns=("figure", *titles, *(f"{model} ({mark})" for model in models), "quoted by"),
        rows=tuple(rows),
    )
    yield Table(
        title="Who quotes the published figures",
        columns=("quoted by", "that is"),
        rows=tuple((name, told_of(name)) for name in dict.fromkeys(one.source for one in known)),
    )


def left_out_tables(done: Done) -> Iterator[Table]:
    """What no row, or one row, has no figures of, and what rows were warned of."""
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
    told = tuple((sentence,) for sentence in done.warned())
    if told:
        yield Table(title="Warnings", columns=("what",), rows=told)
