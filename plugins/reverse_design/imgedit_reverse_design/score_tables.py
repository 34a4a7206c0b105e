"""Scores as tables for people and as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from imgedit_modelkit.evaluation.bootstrap import Estimate
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.requests import Table
from imgedit_reverse_design import scores

Summary = Mapping[str, Estimate]

_PERCENT = frozenset(scores.FIGURES) - {"mse", "psnr_db", "cpu_seconds"}
_TITLES = {
    "accuracy": "accuracy %",
    "mse": "MSE",
    "precision": "precision %",
    "recall": "recall %",
    "f1": "F1 %",
    "macro_f1": "macro F1 %",
    "exact": "exact set %",
    "exact_values": "exact values %",
    "equivalent": "equivalent %",
    "same_picture": "same picture %",
    "psnr_db": "median PSNR dB",
    "identical": "identical %",
    "cpu_seconds": "CPU s/pair",
    "abstained": "abstained %",
}
_DECIMALS = {"mse": 4, "cpu_seconds": 3}


def figures_table(
    title: str, first: str, summaries: Mapping[str, Summary], counts: Mapping[str, int]
) -> Table:
    """All figures, a row for each summary, with the number of pairs behind it.

    Figures that no summary has, such as errors of values that were not published, are left out.
    """
    figures = [
        figure
        for figure in scores.FIGURES
        if any(summary[figure].value is not None for summary in summaries.values())
    ]
    return Table(
        title=title,
        columns=(first, "n", *(_TITLES[figure] for figure in figures)),
        rows=tuple(
            (row, counts[row], *(shown(figure, summary[figure].value) for figure in figures))
            for row, summary in summaries.items()
        ),
    )


def interval_table(title: str, summary: Summary) -> Table:
    """All figures of one summary with their intervals."""
    return Table(
        title=title,
        columns=("figure", "value", "low", "high"),
        rows=tuple(
            (_TITLES[name], *(shown(name, x) for x in (found.value, found.low, found.high)))
            for name, found in summary.items()
            if found.value is not None or name == "precision"
        ),
    )


_OPERATION_COLUMNS = ("true", "predicted", "precision %", "recall %", "F1 %", "value MAE")


def operation_table(title: str, by_operation: Mapping[str, scores.OperationScore]) -> Table:
    """Precision, recall and value error of each operation that occurs."""
    order = [operation.name for operation in default_vocabulary()]
    names = [name for name in order if name in by_operation]
    return Table(
        title=title,
        columns=("operation", *_OPERATION_COLUMNS),
        rows=tuple((name, *_operation_cells(by_operation[name])) for name in names),
    )


def label_table(title: str, by_operation: Mapping[str, scores.OperationScore]) -> Table:
    """The same for names alone, the most frequent first, with the averages over operations."""
    names = sorted(by_operation, key=lambda name: (-by_operation[name].true, name))
    found = [(name, by_operation[name]) for name in names]
    found += [
        ("all, micro", scores.micro(by_operation)),
        ("all, macro", scores.macro(by_operation)),
    ]
    return Table(
        title=title,
        columns=("operation", *_OPERATION_COLUMNS[:-1]),
        rows=tuple((name, *_operation_cells(score)[:-1]) for name, score in found),
    )


def _operation_cells(score: scores.OperationScore) -> tuple[int | float | str | None, ...]:
    return (
        score.true,
        score.predicted,
        shown("precision", score.precision),
        shown("recall", score.recall),
        shown("f1", score.f1),
        shown("mse", score.value_mae),
    )


def shown(figure: str, value: float | None) -> float | str | None:
    """A figure as a table shows it: shares in percent, rounded."""
    if value is None:
        return None
    if math.isinf(value):
        return "identical"
    if figure in _PERCENT:
        value *= 100
    return round(value, _DECIMALS.get(figure, 2))


def plain(summaries: Mapping[str, Summary]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For JSON, which has no infinity."""
    return {
        row: {
            name: {key: finite(value) for key, value in asdict(found).items()}
            for name, found in summary.items()
        }
        for row, summary in summaries.items()
    }


def finite(value: float | None) -> float | None:
    """The value; None for infinity, which JSON has not."""
    return None if value is None or math.isinf(value) else value
