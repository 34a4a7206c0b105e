"""The rows that a training sees: two pictures, what was asked for, and what the model shall say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from imgedit_mgie.data.prepared import PreparedRow, read_prepared
from imgedit_mgie.expressive import clean
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture

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


def split(rows: Sequence[Row], share: float) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to learn from, and a share for validation; a row is always on the same side.

    With a share above 0 and several rows there is at least one on each side.
    """

    def place(row: Row) -> str:
        return hashlib.sha256(f"validation/{row.id}".encode()).hexdigest()

    kept = round(share * len(rows))
    if share > 0 and len(rows) > 1:
        kept = min(max(1, kept), len(rows) - 1)
    chosen = {row.id for row in sorted(rows, key=place)[:kept]}
    return (
        tuple(row for row in rows if row.id not in chosen),
        tuple(row for row in rows if row.id in chosen),
    )


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash over the rows; the pictures count by their names and sizes."""
    digest = hashlib.sha256()
    for row in rows:
        sizes = [row.source.stat().st_size, row.goal.stat().st_size]
        names = [f"{path.parent.name}/{path.name}" for path in (row.source, row.goal)]
        told = [row.id, names, sizes, row.instruction, row.expressive]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def pictures_of(row: Row, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of a row, (size, size, 3) float32 in 0..1, sRGB: the middle square of each.

    Raises:
        DataError: they have different shapes, or cannot be opened.
    """
    source, goal = (open_picture(path) for path in (row.source, row.goal))
    if source.width * goal.height != goal.width * source.height:
        raise DataError(
            f"The pictures of row {row.id} have different shapes: {source.width}x{source.height} "
            f"and {goal.width}x{goal.height}.",
            path=row.source,
        )
    return square(source, size), square(goal, size)


def square(picture: Picture, size: int) -> np.ndarray:
    """The middle square of a picture, (size, size, 3) float32 in 0..1, sRGB."""
    return _square(_floats(to_srgb(picture).color), size)


def _floats(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.float32:
        return np.asarray(np.clip(np.nan_to_num(pixels), 0.0, 1.0), np.float32)
    return np.asarray(pixels / np.iinfo(pixels.dtype).max, np.float32)


def _square(pixels: np.ndarray, size: int) -> np.ndarray:
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    scaled = cv2.resize(square, (size, size), interpolation=how)
    return np.clip(np.asarray(scaled, np.float32), 0.0, 1.0)
