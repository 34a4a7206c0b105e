"""What the pages about the editors say: their three steps, tables of operations, screenshots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Between the largest error and the reason there may be that inside the border.
_ROW = re.compile(
    r"^\| `([a-z-]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|(?:[^|]*\|)?([^|]*)\|$", re.MULTILINE
)
_NOT_LIVE = ("rendered", "turned", "baked")


@dataclass(frozen=True)
class Row:
    """One row of a table of operations.

    Attributes:
        name: of the operation.
        form: how the editor holds it.
        mean, largest: errors in 8-bit codes; None where a dash stands.
        reason: why it is held so.
    """

    name: str
    form: str
    mean: float | None
    largest: float | None
    reason: str

    @property
    def is_live(self) -> bool:
        """Whether the editor holds it in filters."""
        return not any(word in self.form for word in _NOT_LIVE)


def rows(page: Path) -> list[Row]:
    """The rows of the page's table."""
    found = []
    for name, form, *figures, reason in _ROW.findall(page.read_text("utf-8")):
        mean, largest = (_number(figure) for figure in figures)
        found.append(Row(name, form.strip(), mean, largest, reason.strip()))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def steps(page: Path) -> int:
    """How many numbered steps lead from nothing to a recovered edit."""
    text = page.read_text("utf-8")
    section = text.partition("## From nothing to a recovered edit")[2].partition("\n## ")[0]
    return len(re.findall(r"^\d+\. ", section, re.MULTILINE))


def pictures(page: Path) -> dict[str, bool]:
    """The screenshots that a page shows, and whether each is there."""
    shown = re.findall(r"(screenshots/[\w./-]+\.(?:png|webp))", page.read_text("utf-8"))
    return {name: (page.parent / name).is_file() for name in dict.fromkeys(shown)}
