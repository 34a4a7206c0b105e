"""The figures of `evaluate` as one HTML page: tables, charts, and single cases as pictures.

One file with everything inside, so that it can be sent around.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgedit_plugins import __version__
from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.charts import look, svg
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.report import data_uri, html_template
from imgedit_plugins.requests import Case, Chart, EvaluateReport, Table

_THUMBNAIL = 480
_LONG = 70  # letters of a cell that still stand on one line
_NO_BREAK = "\u00a0"


def write_evaluation(path: Path, report: EvaluateReport, *, title: str, made_by: str) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        path: the HTML file.
        report: what the hook returned.
        title: heading.
        made_by: the command, for whoever reads the page later.

    Raises:
        ImgeditError: the file cannot be written.
    """
    html = html_template("evaluation.html.j2").render(
        title=title,
        made_by=made_by,
        version=__version__,
        tables=[_shown_table(table) for table in report.tables],
        charts=[_shown_chart(chart) for chart in report.charts],
        cases=[_shown_case(case) for case in report.cases],
        residuals=any(what == "Residual" for case in report.cases for what, *_ in case.pictures),
    )
    try:
        write_text_atomic(path, html)
    except OSError as error:
        raise ImgeditError(
            f"The report {path} cannot be written: {write_failure(error)}."
        ) from error


def _shown_table(table: Table) -> dict[str, Any]:
    numeric = [
        _is_numeric([row[place] for row in table.rows]) for place in range(len(table.columns))
    ]
    return {
        "title": table.title,
        "columns": [
            (name.replace(" %", _NO_BREAK + "%"), right)
            for name, right in zip(table.columns, numeric, strict=True)
        ],
        "rows": [
            [(_text(cell), _kind(cell, right)) for cell, right in zip(row, numeric, strict=True)]
            for row in table.rows
        ],
    }


def _is_numeric(cells: Sequence[str | float | None]) -> bool:
    """Whether a column has numbers, or nothing at all, and is set to the right."""
    return any(isinstance(c, int | float) for c in cells) or all(c is None for c in cells)


def _kind(cell: str | float | None, right: bool) -> str:
    """The class of a cell; long sentences are broken into lines."""
    if right:
        return "number"
    return "long" if isinstance(cell, str) and len(cell) > _LONG else ""


def _text(cell: str | float | None) -> str:
    if cell is None:
        return "–"
    text = f"{cell:.4g}" if isinstance(cell, float) else str(cell)
    return text.replace(" %", _NO_BREAK + "%")


def _shown_chart(chart: Chart) -> dict[str, Any]:
    names = [(name, *look(number)) for number, name in enumerate(chart.lines)]
    return {"title": chart.title, "note": chart.note, "svg": svg(chart), "names": names}


def _shown_case(case: Case) -> dict[str, Any]:
    pictures = [
        {
            "title": title,
            "note": note,
            "size": f"{picture.width} x {picture.height}",
            "uri": data_uri(picture, _THUMBNAIL),
        }
        for title, note, picture in case.pictures
    ]
    return {"title": case.title, "told": case.told, "pictures": pictures}
