"""The figures as text for the terminal and as a table for docs/rendering.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rendering.files import COMMAND, IN_PROCESS, FileTime, fastest
from benchmarks.rendering.goals import PEER, Verdict
from benchmarks.rendering.measuring import IN_PLACE, INTO, YARDSTICKS, Cell, Measured

BEGIN = "<!-- benchmark: written by `python -m benchmarks.render --write-docs` -->"
END = "<!-- end of benchmark -->"

_MARKS = (
    "`~`: timed on a part of the picture and scaled, as it is far behind; `≠`: the result differs "
    "by more than the tolerance, so it is not timed; `–`: cannot be expressed, see below; `!`: "
    "failed; `·`: the same as the column before."
)


def cell_text(cell: Cell | None) -> str:
    """Milliseconds, warm / cold, or a sign instead."""
    if cell is None:
        return "·"
    if not cell.equal:
        return "≠"
    if cell.seconds is None:
        return "–" if cell.note.startswith("cannot") else "!"
    warm = milliseconds(cell.seconds)
    if cell.scaled:
        return f"~{warm}"
    return f"{warm} / {milliseconds(cell.cold)}" if cell.times else warm


def milliseconds(seconds: float | None) -> str:
    """Three digits."""
    if seconds is None:
        return "–"
    value = seconds * 1000
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def table(found: Sequence[Measured], names: Sequence[str]) -> list[list[str]]:
    """Heading and rows: plan, everyone's times, and how many times as fast as the fastest."""
    heading = ["row", *names, "fastest peer / ours"]
    return [heading, *(_line(measured, names) for measured in found)]


def _line(measured: Measured, names: Sequence[str]) -> list[str]:
    cells = [
        "" if name in IN_PLACE.values() and name not in measured.cells
        else cell_text(measured.cells.get(name))
        for name in names
    ]  # fmt: skip
    hardest = [found for variant in measured.variants if (found := measured.hardest(variant))]
    told = ", ".join(f"{ratio:.2f}" for _, ratio in hardest)
    whom = ", ".join(dict.fromkeys(peer for peer, _ in hardest))
    return [measured.row.name, *cells, f"{told} ({whom})" if told else "–"]


def columns(found: Sequence[Measured], installed: Sequence[str]) -> list[str]:
    """Names of the contenders that the table shows, ours and the copies first."""
    seen = {name for measured in found for name in measured.cells}
    ours = (*YARDSTICKS, *INTO, *INTO.values(), *IN_PLACE.values())
    own = [name for name in ours if name in seen]
    return own + [name for name in installed if name in seen]


def plain(lines: Sequence[Sequence[str]]) -> str:
    """A table for the terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    texts = (
        line[0].ljust(widths[0])
        + "".join(f"  {text:>{width}}" for text, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )
    return "\n".join(text.rstrip() for text in texts)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The same for docs."""
    rows = [f"| {' | '.join(line)} |" for line in lines]
    marks = "|---|" + "---:|" * (len(lines[0]) - 1)
    return "\n".join([rows[0], marks, *rows[1:]])


def file_table(files: Sequence[FileTime]) -> list[list[str]]:
    """Heading and rows of the whole files."""
    names = list(dict.fromkeys(f.name for f in files))
    lines = [["open, edit, save", *names, "fastest peer / ours"]]
    for file in dict.fromkeys(f.file for f in files):
        for way in (IN_PROCESS, COMMAND):
            times = {f.name: f for f in files if (f.file, f.way) == (file, way)}
            pair = fastest(files, file, way)
            ratio = (pair[1].seconds or 0) / pair[0].seconds if pair and pair[0].seconds else None
            told = f"{ratio:.2f} ({pair[1].name})" if ratio and pair else "–"
            cells = [_file_cell(times.get(name)) for name in names]
            lines.append([f"{file}, {way}", *cells, told])
    return lines


def _file_cell(time: FileTime | None) -> str:
    if time is None:
        return "–"
    return milliseconds(time.seconds) if time.seconds else "≠" if not time.note else "!"


def notes(found: Sequence[Measured]) -> Iterator[str]:
    """Who could not do what, or did it differently, one line a peer and reason."""
    told: dict[tuple[str, str], list[str]] = {}
    for measured in found:
        for name, cell in measured.cells.items():
            verb, _, what = cell.note.partition(": ")
            row = f"{measured.row.name} ({measured.bits})"
            if verb == "differs" and cell.difference:
                what = "{} by {:.3g}, mean {:.2g}".format(row, *cell.difference)
            if verb == "failed":
                what = f"{row}: {what}"
            if verb and what not in told.setdefault((name, verb), []):
                told[name, verb].append(what)
    for (name, verb), whats in told.items():
        yield f"{name} {verb}: {'; '.join(whats)}."


def goal_table(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """Heading and goals: how many rows reach each, and the worst of them."""
    lines = [["goal", "limit", "reached", "worst", "verdict"]]
    groups: dict[tuple[str, float, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.goal, verdict.limit, verdict.against), []).append(verdict)
    for (goal, limit, against), group in groups.items():
        known = [v for v in group if v.value is not None]
        pick = min if against == PEER else max
        worst = pick(known, key=lambda v: v.value or 0.0) if known else None
        told = f"{worst.value:.2f}: {worst.row}, {worst.variant}" if worst else "–"
        passed = sum(v.verdict == "PASS" for v in group)
        missed = any(v.verdict == "FAIL" for v in group)
        end = "FAIL" if missed else "PASS" if known else "NOT RUN"
        sign = "≥" if against == PEER else "≤"
        lines.append([goal, f"{sign} {limit:g} x", f"{passed} of {len(group)}", told, end])
    return lines


def written(path: Path, results: Mapping[str, Any], text: str) -> None:
    """Put the tables between the markers of a page, which must be there.

    Raises:
        ValueError: the page has no markers.
    """
    page = path.read_text("utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{path} needs one line '{BEGIN}' and one line '{END}'.")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    where = results["machine"]
    machine = f"{where['processor']}, {where['cores']} cores, {where['system']}"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    about = (
        f"`{results['command']}`, {results['date']}; {machine}; Python {where['python']}, "
        f"numpy {where['numpy']}; compiled kernels: {results['kernels']}; {versions}."
    )
    page = f"{head}{BEGIN}\n\n{about}\n\n{text}\n\n{END}{tail}"
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(page, "utf-8")
    partial.replace(path)


def for_docs(
    results: Mapping[str, Any],
    found: Sequence[Measured],
    files: Sequence[FileTime],
    verdicts: Sequence[Verdict],
    memory: Sequence[str],
) -> str:
    """Everything between the markers, as Markdown."""
    parts = []
    for bits in dict.fromkeys(m.bits for m in found):
        rows = [m for m in found if m.bits == bits]
        names = columns(rows, results["installed"])
        size = f"{results['width']} x {results['height']} pixels, RGB of {bits} bits"
        parts.append(f"**{size}**; milliseconds, warm / cold\n\n{markdown(table(rows, names))}")
    parts.append(_MARKS)
    if files:
        parts.append(f"Whole files, milliseconds:\n\n{markdown(file_table(files))}")
    plans = {m.row.name: m.row.described() for m in found if not m.row.single}
    parts.append("\n".join(f"- *{name}*: {plan}" for name, plan in plans.items()))
    parts.append("\n".join(f"- {line}" for line in notes(found)))
    if verdicts:
        parts.append(f"Goals:\n\n{markdown(goal_table(verdicts))}")
    parts.append("\n".join(f"- Memory: {line}" for line in memory))
    return "\n\n".join(part for part in parts if part)
