"""The rows that a training sees: two pictures and one instruction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_modelkit.readers.splits import split_share
from imgedit_modelkit.readers.stored import Stored
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.layout import EDITED, INPUT
from imgedit_reason_edit.data.reading import ReasonRow, read_rows

Told = Literal["reasoning", "direct", "both"]

PARTS = ("I", "II", "III")


@dataclass(frozen=True)
class Row:
    """One pair, asked for in one way.

    Attributes:
        id: its own: part, number, and 'direct' where the instruction is.
        part: 'I', 'II' or 'III'.
        picture: that it was made from; rows of one picture belong together.
        source, goal: the pictures.
        instruction: as people say it.
        source_sha256, goal_sha256: over the files of the pictures, as the data says.
    """

    id: str
    part: str
    picture: str
    source: Stored
    goal: Stored
    instruction: str
    source_sha256: str
    goal_sha256: str


def folders_of(data: Path) -> list[Path]:
    """The folders of the option '--data': one, or several with commas."""
    if data.is_dir():
        return [data]
    return [Path(one.strip()) for one in str(data).split(",") if one.strip()]


def parts_of(text: str) -> tuple[str, ...]:
    """The parts of the option 'parts': 'all', or some of I, II, III with commas.

    Raises:
        OptionError: it names another one, or none.
    """
    if text.strip() == "all":
        return PARTS
    parts = tuple(part.strip() for part in text.split(","))
    if strange := [part for part in parts if part not in PARTS]:
        raise OptionError(
            f"The option 'parts' is 'all' or some of I, II, III with commas, not {strange[0]!r}.",
            hint="Such as -O parts=I,II.",
        )
    return tuple(dict.fromkeys(parts))


def rows_of(data: Path, parts: Sequence[str], told: Told, job: Job) -> tuple[Row, ...]:
    """The rows of folders that `data reason_edit make` wrote, in either layout.

    Args:
        data: a folder, or several with commas.
        parts: which rows.
        told: which of a row's instructions; with 'both' a pair comes once with each.
        job: progress and warnings.

    Raises:
        DataError: a folder is none of these, or no row is of these parts.
    """
    found: list[Row] = []
    for number, folder in enumerate(folders_of(data)):
        for row in read_rows(folder, job):
            if row.part in parts:
                found += _told(row, told, number)
    if not found:
        raise DataError(f"{data} has no row of part {' or '.join(parts)}.", path=data)
    return tuple(found)


def split(rows: Sequence[Row], share: float) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to learn from, and those of a share of the pictures for validation."""
    pictures = list(dict.fromkeys(row.picture for row in rows))
    _, kept = split_share(pictures, share, str)
    chosen = set(kept)
    return (
        tuple(row for row in rows if row.picture not in chosen),
        tuple(row for row in rows if row.picture in chosen),
    )


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash over the rows and their pictures."""
    digest = hashlib.sha256()
    for row in rows:
        told = [row.id, row.source_sha256, row.goal_sha256, row.instruction]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def _told(row: ReasonRow, told: Told, folder: int) -> list[Row]:
    name = f"{row.part}-{folder}-{row.id}"
    texts = {name: row.instruction, f"{name}-direct": row.direct_instruction}
    wanted = {"reasoning": [name], "direct": [f"{name}-direct"], "both": list(texts)}[told]
    hashes = [str(row.provenance[f"{side}_sha256"]) for side in (INPUT, EDITED)]
    return [
        Row(one, row.part, row.img_source, row.source, row.edited, texts[one], *hashes)
        for one in wanted
        if texts[one].strip()
    ]
