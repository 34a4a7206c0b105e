"""Abstention curves as a table and as charts."""

from __future__ import annotations

from collections.abc import Mapping

from imgedit_plugins.requests import Chart, Table
from imgedit_reverse_design.abstention import Curve
from imgedit_reverse_design.score_tables import shown

RANKS = {"confidence": "by confidence", "explained": "by explained share"}
"""What answers are ranked by: attributes of an outcome, and their words."""

Curves = Mapping[str, Curve | None]
"""Of one method, by what its answers are ranked by."""


def abstention_tables(curves: Mapping[str, Curves]) -> tuple[Table, ...]:
    """What answers are worth, by how they are ranked; no table where there is no answer."""
    rows = [
        (title, RANKS[name], *_curve_cells(found))
        for title, by_rank in curves.items()
        for name, found in by_rank.items()
        if found is not None
    ]
    if not rows:
        return ()
    table = Table(
        title="Abstention: the surest answers first",
        columns=(
            "method",
            "answers ranked",
            "answered %",
            "accuracy % of the answered",
            "F1 % of the answered",
            "area, accuracy %",
            "low",
            "high",
            "area, F1 %",
            "area, ranked at random",
            "area, ranked ideally",
        ),
        rows=tuple(rows),
    )
    return (table,)


def _curve_cells(found: Curve) -> list[float | str | None]:
    last, area = found.points[-1], found.accuracy_area
    shares = (
        last.answered,
        last.accuracy,
        last.f1,
        area.value,
        area.low,
        area.high,
        found.f1_area.value,
        found.accuracy_random,
        found.accuracy_ideal,
    )
    return [shown("accuracy", share) for share in shares]


def abstention_charts(curves: Mapping[str, Curves]) -> tuple[Chart, ...]:
    """The curves of all methods, for accuracy and for F1."""
    charts = []
    for figure, words in (("accuracy", "accuracy"), ("f1", "F1")):
        lines = {
            f"{title}, {RANKS[name]}": tuple(
                (100 * point.answered, 100 * getattr(point, figure)) for point in found.points
            )
            for title, by_rank in curves.items()
            for name, found in by_rank.items()
            if found is not None
        }
        if lines:
            charts.append(
                Chart(
                    title=f"Abstention: {words} of the answered pairs",
                    x="answered, % of all pairs",
                    y=f"{words}, %",
                    lines=lines,
                    note="From the surest answer on the left to all answers on the right.",
                )
            )
    return tuple(charts)
