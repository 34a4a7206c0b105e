"""What predictions of one or several methods come to: tables, charts, worst cases, details."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgedit_plugins.requests import Case, EvaluateReport, Table
from imgedit_reverse_design import scores
from imgedit_reverse_design.abstention import Curve, curve
from imgedit_reverse_design.abstention_tables import RANKS, abstention_charts, abstention_tables
from imgedit_reverse_design.baselines import baseline_samples
from imgedit_reverse_design.data_sets import GIER
from imgedit_reverse_design.local_flags import local_scores, local_table
from imgedit_reverse_design.outcomes import Outcome, sample_of, withheld
from imgedit_reverse_design.paper_table import paper_table
from imgedit_reverse_design.score_tables import (
    Summary,
    figures_table,
    finite,
    interval_table,
    label_table,
    operation_table,
    plain,
)
from imgedit_reverse_design.scores import Sample
from imgedit_reverse_design.worst_cases import worst_cases

WITHHELD = ", may abstain"

_ROWS = {"average": "", "with text": ", with command", "without text": ", without command"}
"""What is added to a method's name, by what it was given."""


@dataclass(frozen=True)
class Asked:
    """What the report is of.

    Attributes:
        layout: of the data set.
        options: as they were resolved, for the details.
        both: whether pairs were predicted once with and once without their command.
        min_explained: what an answer must explain where a method may abstain.
        baseline: whether the paper's figures are wanted.
        worst: how many cases of each method are wanted.
        seed: of the bootstrap.
    """

    layout: str
    options: dict[str, Any]
    both: bool
    min_explained: float
    baseline: bool
    worst: int
    seed: int


@dataclass(frozen=True)
class Method:
    """One method's predictions.

    Attributes:
        outcomes: in the order of the rows.
        withholds: whether every answer was kept, so that rows tell what abstaining would bring.
    """

    outcomes: tuple[Outcome, ...]
    withholds: bool = False


def report_of(methods: Mapping[str, Method], asked: Asked) -> EvaluateReport:
    """The report of some methods on the same pairs.

    `details` is that of the method, or maps the methods to theirs where there are several.
    """
    figures = {title: _Figures(title, method, asked) for title, method in methods.items()}
    first = next(iter(methods.values())).outcomes
    once = [o for o in first if not o.with_command] if asked.both else first
    trivial = baseline_samples(once)
    baselines = {n: scores.summarise(group, seed=asked.seed) for n, group in trivial.items()}
    details = {title: found.details(baselines) for title, found in figures.items()}
    curves = {title: found.curves for title, found in figures.items()}
    return EvaluateReport(
        tables=(
            _overall_table(figures, baselines, {n: len(group) for n, group in trivial.items()}),
            *_tables_by_method(figures, asked),
            *_paper_tables(figures, asked),
            *abstention_tables(curves),
        ),
        details=details if len(details) > 1 else next(iter(details.values())),
        charts=abstention_charts(curves),
        cases=tuple(_cases(methods, asked)),
    )


class _Figures:
    """All figures of one method."""

    def __init__(self, title: str, method: Method, asked: Asked) -> None:
        self.outcomes, self.asked = method.outcomes, asked
        samples = [sample_of(outcome) for outcome in method.outcomes]
        by_count = scores.by_count(samples)
        self.groups = {
            name: _by_given(outcomes) for name, outcomes in _variants(title, method, asked).items()
        }
        self.overall = {
            name: {given: self._summary(group) for given, group in groups.items()}
            for name, groups in self.groups.items()
        }
        self.counts = {str(k): len(group) for k, group in by_count.items()}
        self.by_count = {str(k): self._summary(group) for k, group in by_count.items()}
        self.by_operation = scores.by_operation(samples)
        self.local = local_scores(method.outcomes) if asked.layout == GIER else {}
        self.curves = {
            name: curve(samples, [getattr(o, name) for o in method.outcomes], seed=asked.seed)
            for name in RANKS
        }

    def _summary(self, samples: Sequence[Sample]) -> Summary:
        return scores.summarise(samples, seed=self.asked.seed)

    def rows(self) -> Iterator[tuple[str, Summary, int]]:
        """(row of the table, figures, pairs), the method itself first."""
        for name, by_given in self.overall.items():
            for given, summary in by_given.items():
                added = _ROWS[given] if len(by_given) > 1 else ""
                yield f"{name}{added}", summary, len(self.groups[name][given])

    def details(self, baselines: Mapping[str, Summary]) -> dict[str, Any]:
        """Everything for programs."""
        overall = {name: summary for name, summary, _ in self.rows()}
        local = {name: asdict(score) for name, score in self.local.items()}
        return {
            "data": self.asked.layout,
            "options": self.asked.options,
            "figures": {
                "overall": plain({**overall, **baselines}),
                "by_number_of_operations": plain(self.by_count),
                "by_operation": {n: asdict(score) for n, score in self.by_operation.items()},
                **({"local": local} if local else {}),
            },
            "abstention": {name: _plain_curve(found) for name, found in self.curves.items()},
            "samples": [_described(outcome) for outcome in self.outcomes],
        }


def _variants(title: str, method: Method, asked: Asked) -> dict[str, Sequence[Outcome]]:
    """The method as it is, and what it would be worth if it abstained."""
    found: dict[str, Sequence[Outcome]] = {title: method.outcomes}
    if method.withholds:
        found[f"{title}{WITHHELD}"] = [_checked(o, asked.min_explained) for o in method.outcomes]
    return found


def _checked(outcome: Outcome, min_explained: float) -> Outcome:
    explained = outcome.explained
    kept = outcome.abstained or explained is None or explained >= min_explained
    return outcome if kept else withheld(outcome)


def _by_given(outcomes: Sequence[Outcome]) -> dict[str, list[Sample]]:
    """Samples by what the method was given; 'average' where some had a command and some not."""
    parts = {
        "with text": [sample_of(outcome) for outcome in outcomes if outcome.with_command],
        "without text": [sample_of(outcome) for outcome in outcomes if not outcome.with_command],
    }
    if all(parts.values()):
        return {"average": [sample_of(outcome) for outcome in outcomes], **parts}
    return {given: group for given, group in parts.items() if group}


def _plain_curve(found: Curve | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {**asdict(found), "points": [asdict(point) for point in found.points]}


def _described(outcome: Outcome) -> dict[str, Any]:
    sample, row = sample_of(outcome), outcome.row
    error = scores.squared_error(sample.truth, sample.predicted) if sample.valued else None
    return {
        "id": row.id,
        "img_source": row.img_source,
        "with_command": outcome.with_command,
        "truth": [list(pair) for pair in row.operations],
        **({} if row.local is None else {"local": sorted(row.local)}),
        "predicted": [asdict(step) for step in outcome.steps],
        "abstained": outcome.abstained,
        "failure": outcome.failure,
        "confidence": outcome.confidence,
        "explained": outcome.explained,
        "accuracy": scores.accuracy(sample.truth, sample.predicted),
        "squared_error": error,
        "exact": scores.is_exact(sample.truth, sample.predicted),
        "equivalent": scores.is_equivalent(sample),
        "psnr_db": finite(outcome.rendered.psnr_db),
        "identical": math.isinf(outcome.rendered.psnr_db),
        "mean_difference": outcome.rendered.mean_difference,
        "max_difference": outcome.rendered.max_difference,
        "cpu_seconds": outcome.cpu_seconds,
        "wall_seconds": outcome.wall_seconds,
    }


# --- tables -----------------------------------------------------------------------------------


def _overall_table(
    figures: Mapping[str, _Figures], baselines: Mapping[str, Summary], counts: Mapping[str, int]
) -> Table:
    """The methods first, then their parts, then the baselines."""
    rows = [row for found in figures.values() for row in found.rows()]
    rows.sort(key=lambda row: row[0] not in figures)
    return figures_table(
        "Overall",
        "method",
        {**{name: summary for name, summary, _ in rows}, **baselines},
        {**{name: count for name, _, count in rows}, **counts},
    )


def _tables_by_method(figures: Mapping[str, _Figures], asked: Asked) -> Iterator[Table]:
    """Intervals, by number of operations, by operation, and for GIER by region."""
    label = label_table if asked.layout == GIER else operation_table
    yield _joined(
        "95 % intervals",
        {t: interval_table("", next(found.rows())[1]) for t, found in figures.items()},
        ": ",
    )
    yield _joined(
        "by number of operations",
        {t: figures_table("", "operations", f.by_count, f.counts) for t, f in figures.items()},
    )
    yield _joined("by operation", {t: label("", f.by_operation) for t, f in figures.items()})
    if asked.layout == GIER:
        yield _joined("local operations", {t: local_table("", f.local) for t, f in figures.items()})


def _joined(name: str, tables: Mapping[str, Table], separator: str = ", ") -> Table:
    """One table; of several methods, the rows of the same name below each other."""
    first = next(iter(tables.values()))
    if len(tables) == 1:
        title = f"{next(iter(tables))}{separator}{name}"
        return Table(title=title, columns=first.columns, rows=first.rows)
    columns = max((table.columns for table in tables.values()), key=len)
    names = dict.fromkeys(row[0] for table in tables.values() for row in table.rows)
    rows = tuple(
        (f"{wanted}, {method}", *_cells(row, table.columns, columns))
        for wanted in names
        for method, table in tables.items()
        for row in table.rows
        if row[0] == wanted
    )
    return Table(title=f"{name[0].upper()}{name[1:]}", columns=columns, rows=rows)


def _cells(
    row: Sequence[str | int | float | None], have: Sequence[str], wanted: Sequence[str]
) -> list[str | int | float | None]:
    found = dict(zip(have, row, strict=True))
    return [found.get(column) for column in wanted[1:]]


def _paper_tables(figures: Mapping[str, _Figures], asked: Asked) -> tuple[Table, ...]:
    if asked.layout == GIER or not (asked.both or asked.baseline):
        return ()
    measured = {name: row for found in figures.values() for name, row in found.overall.items()}
    return (paper_table(measured, baseline=asked.baseline),)


# --- cases ------------------------------------------------------------------------------------


def _cases(methods: Mapping[str, Method], asked: Asked) -> Iterator[Case]:
    if asked.worst:
        for title, method in methods.items():
            yield from worst_cases(title, method.outcomes, asked.worst)
