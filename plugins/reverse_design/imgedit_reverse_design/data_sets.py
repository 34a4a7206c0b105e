"""The data sets that can be scored, each pair of pictures in one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit.readers.gier import GIER_JSON, GierRow, read_gier
from imgedit_modelkit.readers.imad import ImadRow, edition_of, read_imad
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE
from imgedit_plugins.plan import EditPlan

GIER = "GIER"

GIER_NAMES = {
    "blur": "gaussain_blur",
    "bright": "brightness",
    "contrast": "contrast",
    "crop": "crop",
    "dehaze": "dehaze",
    "denoise": "denoise",
    "exposure": "exposure",
    "flip": "flip",
    "gaussian": "gaussain_blur",
    "grayscale": "black&white",
    "hue": "hue",
    "lightness": "lightness",
    "rotate": "rotate",
    "saturate": "saturation",
    "sharp": "sharpness",
    "straighten": "rotate",
    "temperature": "tint",
    "tint": "tint",
    "vibrance": "saturation",
}
"""Our operations by GIER's names, spelt as published; what is not here GIER has no name for."""


@dataclass(frozen=True)
class Row:
    """One pair to score.

    Attributes:
        id: the number that the data set gives it.
        img_source: the picture it was made from; rows of one picture belong together.
        source, edited: the two picture files.
        command: the edit in words; may be empty.
        operations: (name, normalised value); every value is 1.0 where none is published.
        plan: the same with parameters; None where none are published.
        definitions: profile whose levels the values are.
        local: names of operations that change only some regions; None where nothing is said.
    """

    id: int
    img_source: str
    source: Path
    edited: Path
    command: str
    operations: tuple[tuple[str, float], ...]
    plan: EditPlan | None
    definitions: str
    local: frozenset[str] | None = None

    def named(self, operation: str) -> str:
        """What the data set calls one of our operations; our name where it has none for it."""
        return operation if self.local is None else GIER_NAMES.get(operation, operation)


@dataclass(frozen=True)
class DataSet:
    """Rows and where they come from ('I-MAD-Dense', 'I-MAD-Pro', 'GIER')."""

    layout: str
    rows: tuple[Row, ...]


def read_data_set(folder: Path, job: Job) -> DataSet:
    """The pairs of a folder, which is in the layout of one of these data sets.

    Raises:
        DataError: it is in none, or malformed, or no row has an operation.
    """
    if (folder / GIER_JSON).is_file():
        return DataSet(GIER, _with_operations(read_gier(folder, job), folder, job))
    rows = tuple(_imad(row) for row in read_imad(folder, job))
    return DataSet(f"I-MAD-{edition_of(folder).capitalize()}", rows)


def _imad(row: ImadRow) -> Row:
    return Row(
        row.id,
        row.img_source,
        row.source,
        row.edited,
        row.command,
        row.operations,
        row.plan,
        row.plan.definitions,
    )


def _with_operations(rows: tuple[GierRow, ...], folder: Path, job: Job) -> tuple[Row, ...]:
    """GIER's rows; those that name no operation cannot be scored, and are told of."""
    found = tuple(_gier(row) for row in rows if row.operations)
    told = f"{len(rows) - len(found)} of {len(rows)} pairs of {folder} name no operation"
    if not found:
        raise DataError(f"{told}; there is nothing to score.", path=folder)
    if len(found) < len(rows):
        job.warn(f"{told}; they are left out.")
    return found


def _gier(row: GierRow) -> Row:
    return Row(
        row.id,
        row.img_source,
        row.source,
        row.edited,
        next((text for text in (*row.expert, *row.amateur, row.request) if text), ""),
        tuple((operation.name, 1.0) for operation in row.operations),
        None,
        DEFAULT_PROFILE,
        frozenset(operation.name for operation in row.operations if operation.local),
    )
