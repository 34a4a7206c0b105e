"""What commands print: tables, JSON, progress and warnings."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job, Progress

_REDRAW_SECONDS = 0.1
_BAR = 20
_LEAST_TEXT = 12
_LONGEST_HEADING = 24


def print_json(data: object) -> None:
    """`data` as JSON on the standard output."""
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, indent: str = "") -> None:
    """Rows under bold headings; columns that hold only numbers are set to the right.

    A heading that is longer than its column needs stands on several lines.
    """
    numeric = [_is_numeric(rows, index) for index in range(len(columns))]
    cells = [[_text(value) for value in row] for row in rows]
    headings = _headings(columns)
    widths = [max(map(len, column)) for column in zip(*headings, *cells, strict=True)]
    if widths and not numeric[-1]:
        widths[-1] = 0  # nothing comes after it
    for line in headings:
        heads = [click.style(head, bold=True) for head in _aligned(line, widths, numeric)]
        click.echo(f"{indent}{'  '.join(heads)}")
    for row in cells:
        click.echo(f"{indent}{'  '.join(_aligned(row, widths, numeric))}".rstrip())


def _headings(columns: Sequence[str]) -> list[list[str]]:
    """The lines of the headings; what is short stands on the last one."""
    import textwrap

    folded = [
        textwrap.wrap(name, _LONGEST_HEADING, break_long_words=False) or [""] for name in columns
    ]
    height = max(map(len, folded), default=1)
    padded = [[""] * (height - len(lines)) + lines for lines in folded]
    return [list(line) for line in zip(*padded, strict=True)]


def _is_numeric(rows: Sequence[Sequence[Any]], index: int) -> bool:
    values = [row[index] for row in rows if row[index] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _aligned(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> Iterator[str]:
    for cell, width, right in zip(cells, widths, numeric, strict=True):
        yield cell.rjust(width) if right else cell.ljust(width)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class ProgressLine:
    """One line on the standard error stream, drawn over; nothing at all where it is no terminal.

    Args:
        prefix: put before the stage, such as '2/5 beach.jpg: '.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._lock = threading.Lock()
        self._last = 0.0
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        """Draw, but not more often than the eye can follow."""
        now = time.monotonic()
        with self._lock:
            if self._live and now - self._last >= _REDRAW_SECONDS:
                self._last = now
                self._draw(progress)

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._drawn:
                self._write("\r\x1b[K")
                self._drawn = False

    def _draw(self, progress: Progress) -> None:
        import shutil

        width = shutil.get_terminal_size().columns - 1
        text = f"{self._prefix}{progress.stage}{_bar(progress)}"
        text += _end(progress.text, width - len(text))
        self._write(f"\r\x1b[K{text[:width]}")
        self._drawn = True

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _end(text: str, room: int) -> str:
    """The end of what is being written, as far as there is room for it behind a line."""
    shown = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    if not shown or room < _LEAST_TEXT:
        return ""
    return f"  {shown}" if len(shown) + 2 <= room else f"  …{shown[3 - room :]}"


def _bar(progress: Progress) -> str:
    if progress.total <= 0:
        return f" {progress.done}" if progress.done else " ..."
    share = min(max(progress.done / progress.total, 0.0), 1.0)
    full = round(share * _BAR)
    bar = "#" * full + "-" * (_BAR - full)
    return f" [{bar}] {progress.done}/{progress.total} {share:4.0%}"


@contextlib.contextmanager
def running_job(prefix: str = "") -> Iterator[Job]:
    """A job whose progress and warnings appear on the standard error stream."""
    from imgedit_plugins.jobs import Job

    line = ProgressLine(prefix)

    def warn(message: str) -> None:
        line.clear()
        click.echo(f"Warning: {message}", err=True)

    try:
        yield Job(on_progress=line, on_warning=warn)
    finally:
        line.clear()
