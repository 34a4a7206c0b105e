"""The figures as tables, for the terminal and for docs/export.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.documents import piped
from benchmarks.exporting.goals import Verdict
from benchmarks.exporting.results import Result

BEGIN = "<!-- benchmark: written by `python -m benchmarks.export --write-docs` -->"
MB = 1e6

Lines = list[list[str]]


def texts(results: Sequence[Result]) -> Lines:
    """Rows of texts."""
    heading = ["text", "by", "written, tokens/s", "read, tokens/s", "memory, MB", "first token, s"]
    return [heading, *(line for one in results if one.kind == "text" for line in _text(one))]


def pictures(results: Sequence[Result]) -> Lines:
    """Rows of parts and of whole edits."""
    heading = ["pictures", "by", "seconds", "memory, MB", "first result, s"]
    return [heading, *(line for one in results if one.kind != "text" for line in _picture(one))]


def goals(verdicts: Sequence[Verdict]) -> Lines:
    """Each goal on each row."""
    heading = ["goal", "row", "ratio", "beside", ""]
    words = {"PASS": "reached", "FAIL": "missed", "NOT RUN": "not run"}
    return [
        heading,
        *(
            [v.goal, v.row, "–" if v.value is None else f"{v.value:.2f}", v.peer or "–",
             words[v.verdict]]
            for v in verdicts
        ),
    ]  # fmt: skip


def notes(results: Sequence[Result]) -> list[str]:
    """What was not run and why, and how results differ from ours."""
    found = [f"{one.row} was not run: {one.not_run}." for one in results if one.not_run]
    for one in results:
        found += [f"{one.row}, {name}: not here ({why})." for name, why in one.left_out.items()]
        found += [f"{one.row}, {f.name}: {f.fault}." for f in one.figures.values() if f.fault]
        told = {name: told for name in one.figures if (told := one.apart(name))}
        if told:
            what = ", ".join(f"{name} {text}" for name, text in told.items())
            found.append(f"{one.row}, beside ours: {what}.")
    return found


def for_docs(
    told: dict[str, Any],
    results: Sequence[Result],
    verdicts: Sequence[Verdict],
    installed: dict[str, float],
) -> str:
    """All of it as Markdown."""
    where = told["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
    first = (
        f"`{told['command']}`, {told['date']}: {where['processor']}, {where['cores']} cores, "
        f"{told['threads']} threads for everybody, {told['rounds']} rounds by turns "
        f"and up to 15 of quick work, medians; {packages}."
    )
    tables = [t for t in (texts(results), pictures(results), goals(verdicts)) if len(t) > 1]
    size = "; ".join(f"{extras}: {size / MB:.0f} MB" for extras, size in installed.items())
    listed = "\n".join(f"- {note}" for note in notes(results))
    parts = [first, *map(piped, tables), listed, size and f"Installed packages: {size}."]
    return "\n\n".join(part for part in parts if part)


def _text(result: Result) -> Lines:
    return [
        [
            result.row.removeprefix("text "),
            name,
            _number(result.speed(name)),
            _number(result.prefill(name)),
            _number(figures.peak / MB),
            _number(figures.seconds - float(figures.warm_up.get("rest", 0.0))),
        ]
        for name, figures in result.figures.items()
        if not figures.fault
    ]


def _picture(result: Result) -> Lines:
    return [
        [
            result.row,
            name,
            _number(figures.middle("seconds")),
            _number(figures.peak / MB),
            _number(figures.seconds),
        ]
        for name, figures in result.figures.items()
        if not figures.fault
    ]


def _number(value: float | None) -> str:
    """Three digits."""
    if not value:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
