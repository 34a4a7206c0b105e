"""The rows that a training sees: two pictures, what was asked for, and what the model shall say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_mgie.data.prepared import PreparedRow, read_prepared
from imgedit_mgie.expressive import clean
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

Told = Literal["summarised", "full", "short"]

_ALL = 10**6


@dataclass(frozen=True)
class Row:
    """One pair.

    Attributes:
        id: its own, of the data set.
        source, goal: files.
        instruction: as people say it.
        expressive: what the language model shall write.
    """

    id: int
    source: Path
    goal: Path
    instruction: str
    expressive: str


def read_rows(folder: Path, told: Told, job: Job) -> tuple[Row, ...]:
    """The rows of a folder that `data mgie prepare` made.

    Args:
        folder: of the data.
        told: which expressive instructions: summarised ones, the whole of the answers ('full'), or
            their first two sentences ('short').
        job: progress and warnings.

    Raises:
        DataError: it is no such folder, or no row has such an instruction.
    """
    rows = [
        Row(row.id, row.source, row.edited, row.instruction, text)
        for row in read_prepared(folder, job)
        if (text := told_of(row)[told]) and row.instruction.strip()
    ]
    if not rows:
        raise DataError(f"No row of {folder} has a {told} instruction.", path=folder)
    return tuple(rows)


def told_of(row: PreparedRow) -> dict[Told, str]:
    """A row's expressive instructions, by their form; '' where there is none."""
    return {
        "full": clean(row.answer, sentences=_ALL),
        "short": row.expressive,
        "summarised": row.summarised,
    }


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash over the rows; the pictures count by their names and sizes."""
    digest = hashlib.sha256()
    for row in rows:
        sizes = [row.source.stat().st_size, row.goal.stat().st_size]
        names = [f"{path.parent.name}/{path.name}" for path in (row.source, row.goal)]
        told = [row.id, names, sizes, row.instruction, row.expressive]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()
