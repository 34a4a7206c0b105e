"""`evaluate` with `model=minigpt4`: the model alone, and checked by the search, row beside row."""

from __future__ import annotations

from collections.abc import Mapping

from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Options, Table
from imgedit_reverse_design.evaluation import evaluate
from imgedit_reverse_design.outcomes import Predict

ALONE, VERIFIED = "model alone", "model + verification"

_METHODS: dict[str, Options] = {
    ALONE: {"verify": False, "min-explained": 0.0},  # every answer counts, as in the paper
    VERIFIED: {"verify": True},
}
_TITLES = ("Overall", "95 % intervals", "By number of operations", "By operation")


def evaluate_model(
    request: EvaluateRequest, job: Job, predict: Predict, predict_options: Options
) -> EvaluateReport:
    """Score the model's answers as they are, and after the verified search.

    The pairs, their prompts and so the model's answers are the same both times. Unless the option
    'workers' says otherwise, one process predicts, which holds the model once.

    Args:
        request: as for `evaluation.evaluate`.
        job: progress and cancellation.
        predict: the plugin's `predict_operations`.
        predict_options: of the predictions, 'verify' aside.

    Returns:
        The tables of `evaluation.evaluate`, each with both methods; `details` by method.
    """
    options = {**request.options, "workers": request.options.get("workers") or 1}
    asked = request.model_copy(update={"options": options})
    reports = {
        title: evaluate(
            asked,
            job,
            predict,
            plugin=title,
            predict_options={**predict_options, **how},
        )
        for title, how in _METHODS.items()
    }
    tables = zip(*(report.tables for report in reports.values()), strict=True)
    return EvaluateReport(
        tables=tuple(
            _merged(title, dict(zip(reports, group, strict=True)))
            for title, group in zip(_TITLES, tables, strict=True)
        ),
        details={title: report.details for title, report in reports.items()},
    )


def _merged(title: str, tables: Mapping[str, Table]) -> Table:
    """One table with a row of each method below each other; rows of no method come once."""
    columns = next(iter(tables.values())).columns
    rows: dict[str, tuple[str | int | float | None, ...]] = {}
    names = dict.fromkeys(str(row[0]) for table in tables.values() for row in table.rows)
    if title == "Overall":
        for table in tables.values():
            rows |= {str(row[0]): row for row in table.rows if str(row[0]) not in rows}
        order = sorted(rows, key=lambda name: not name.startswith((ALONE, VERIFIED)))
        return Table(title=title, columns=columns, rows=tuple(rows[name] for name in order))
    for name in names:
        for method, table in tables.items():
            for row in table.rows:
                if row[0] == name:
                    rows[f"{name}, {method}"] = (f"{name}, {method}", *row[1:])
    return Table(title=title, columns=columns, rows=tuple(rows.values()))
