"""The contact sheet: before and after of the pictures that stand out, as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from imgedit_plugins import __version__
from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.batch.outliers import FEWEST, Figures, Outlier
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.report import data_uri, html_template

_MOST = 60
_SIDE = 480
_VERBS = {"clipped": "clips", "change": "changes"}


@dataclass(frozen=True)
class SheetEntry:
    """One picture that the sheet knows of.

    Attributes:
        name: heading, such as its path below the output folder.
        before, after: the files.
        figures: how hard the edit hit it.
    """

    name: str
    before: Path
    after: Path
    figures: Figures


def write_contact_sheet(
    path: Path, entries: Sequence[SheetEntry], outliers: Sequence[Outlier], job: Job
) -> None:
    """Write the page; it appears whole or not at all.

    The pictures are inside, at most 480 pixels wide and high: the 60 outliers that stand out most
    (all of them are in the table), and for comparison the picture nearest to the medians.

    Args:
        path: the HTML file.
        entries: all pictures that were measured.
        outliers: those of them that stand out; `index` is a place in `entries`.
        job: told about progress.

    Raises:
        PictureReadError: a picture cannot be opened any more.
        ImgeditError: the page cannot be written.
        JobCancelledError: the job was cancelled.
    """
    few = len(entries) < FEWEST
    shown = outliers[:_MOST]
    cards = []
    for number, outlier in enumerate(shown):
        job.report("contact sheet", number, len(shown))
        cards.append(_card(entries[outlier.index], _reasons(outlier, few=few)))
    standing = {outlier.index for outlier in outliers}
    rest = [entry for index, entry in enumerate(entries) if index not in standing]
    html = html_template("contact-sheet.html.j2").render(
        version=__version__,
        total=len(entries),
        few=few,
        medians=_medians(entries),
        rows=[_row(entries[outlier.index], _reasons(outlier, few=few)) for outlier in outliers],
        cards=cards,
        typical=_card(_typical(rest, entries), "") if rest and not few else None,
    )
    try:
        write_text_atomic(path, html)
    except OSError as error:
        raise ImgeditError(
            f"The contact sheet {path} cannot be written: {write_failure(error)}."
        ) from error


def _reasons(outlier: Outlier, *, few: bool) -> str:
    does = " and ".join(_VERBS[reason] for reason in outlier.reasons)
    return f"{does} a lot" if few else f"{does} far more than the rest"


def _row(entry: SheetEntry, why: str) -> dict[str, Any]:
    return {"name": entry.name, "why": why, **_told(entry.figures.clipped, entry.figures.change)}


def _card(entry: SheetEntry, why: str) -> dict[str, Any]:
    return {
        **_row(entry, why),
        "before": _thumbnail(entry.before),
        "after": _thumbnail(entry.after),
    }


def _thumbnail(path: Path) -> str:
    from imgedit_plugins.picture_files import open_picture

    return data_uri(open_picture(path), _SIDE)


def _told(clipped: float, change: float) -> dict[str, str]:
    return {"clipped": f"{clipped:.1%}".replace("%", " %"), "change": f"{change:.1f}"}


def _medians(entries: Sequence[SheetEntry]) -> dict[str, str] | None:
    if not entries:
        return None
    return _told(
        median(entry.figures.clipped for entry in entries),
        median(entry.figures.change for entry in entries),
    )


def _typical(rest: Sequence[SheetEntry], entries: Sequence[SheetEntry]) -> SheetEntry:
    """The picture nearest to both medians; a percentage point counts as much as a code."""
    clipped = median(entry.figures.clipped for entry in entries)
    change = median(entry.figures.change for entry in entries)
    return min(
        rest,
        key=lambda e: abs(e.figures.clipped - clipped) * 100 + abs(e.figures.change - change),
    )
