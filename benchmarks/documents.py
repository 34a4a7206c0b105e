"""Tables of the benchmarks as text, and their place between two markers of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imgedit_plugins.atomic import write_text_atomic

END = "<!-- end of benchmark -->"


def piped(lines: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, its first line the heading."""
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], "|---|" + "---:|" * (len(lines[0]) - 1), *rows[1:]])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The same for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def put_between(page: Path, begin: str, text: str) -> None:
    """Put a text between `begin` and `END`; other benchmarks of the page keep their own.

    Raises:
        ValueError: the page has no such markers.
    """
    before = page.read_text("utf-8")
    head, found, rest = before.partition(begin)
    _, ended, tail = rest.partition(END)
    if before.count(begin) != 1 or not found or not ended:
        raise ValueError(f"{page} needs one line '{begin}' and, behind it, a line '{END}'.")
    write_text_atomic(page, f"{head}{begin}\n\n{text}\n\n{END}{tail}")
