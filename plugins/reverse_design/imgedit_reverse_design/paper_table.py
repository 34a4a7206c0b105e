"""The table of the paper: accuracy and MSE, on average, with text, and without.

Azizi and Koochaki, 'MiniGPT-Reverse-Designing: Predicting Image Adjustments Utilizing MiniGPT-4',
2024, table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgedit_plugins.requests import Table
from imgedit_reverse_design.score_tables import Summary, shown

MARK = "published, not reproduced here, other test set"

PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "experiment 1": {
        "average": (71.96, 0.29), "with text": (93.78, 0.17), "without text": (50.14, 0.40),
    },
    "experiment 2": {
        "average": (72.5, 0.23), "with text": (94.37, 0.09), "without text": (50.63, 0.37),
    },
    "experiment 3": {
        "average": (70.69, 0.26), "with text": (92.81, 0.11), "without text": (48.57, 0.42),
    },
    "experiment 4": {
        "average": (68.98, 0.28), "with text": (92.04, 0.11), "without text": (45.93, 0.44),
    },
}  # fmt: skip
"""Accuracy in percent and MSE, by experiment and by what the model was given."""

GIVEN = ("average", "with text", "without text")


def paper_table(measured: Mapping[str, Mapping[str, Summary]], *, baseline: bool) -> Table:
    """A row for each figure, a column for each method.

    Args:
        measured: method -> what it was given (some of `GIVEN`) -> figures.
        baseline: whether the published figures stand beside, marked as what they are.
    """
    published = PUBLISHED if baseline else {}
    return Table(
        title="As the paper reports it",
        columns=("given", "figure", *measured, *(f"{name} ({MARK})" for name in published)),
        rows=tuple(
            (
                given,
                name,
                *_ours(measured, given, figure),
                *(rows[given][place] for rows in published.values()),
            )
            for place, (figure, name) in enumerate((("accuracy", "accuracy %"), ("mse", "MSE")))
            for given in GIVEN
        ),
    )


def _ours(
    measured: Mapping[str, Mapping[str, Summary]], given: str, figure: str
) -> Iterator[float | str | None]:
    for by_given in measured.values():
        summary = by_given.get(given)
        yield None if summary is None else shown(figure, summary[figure].value)
