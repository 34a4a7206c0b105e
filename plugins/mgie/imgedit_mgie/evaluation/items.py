"""What is scored: pairs of pictures, each with one instruction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_mgie.data.layout import KIND
from imgedit_mgie.data.prepared import PreparedRow, read_prepared
from imgedit_mgie.evaluation.settings import PREPARED, Settings
from imgedit_mgie.rows import told_of
from imgedit_modelkit.evaluation.journal import stamp
from imgedit_modelkit.evaluation.rows import drawn
from imgedit_modelkit.readers.instructed import part_of, read_instructed, set_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_modelkit.readers.stored import Stored, open_stored
from imgedit_modelkit.squares import square
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


@dataclass(frozen=True)
class Item:
    """One edit to make and to score.

    Attributes:
        name: distinct, and usable as a file's name.
        pair: the pictures.
        instruction: what is asked for.
        told: expressive instructions that the data has, by their form.
    """

    name: str
    pair: InstructedPair
    instruction: str
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def stamp(self) -> list[Any]:
        """What changes when the item does."""
        pair = self.pair
        files = [_place(picture) for picture in (pair.source, pair.edited)]
        return [self.name, self.instruction, sorted(self.told.items()), files]

    def source(self, size: int) -> np.ndarray:
        """The picture before the edit: its middle square, (size, size, 3) in 0..1.

        Raises:
            PictureReadError, DataError: it cannot be opened.
        """
        return square(open_stored(self.pair.source), size)

    def goal(self, size: int) -> np.ndarray:
        """The same of the picture after it."""
        return square(open_stored(self.pair.edited), size)


def read_items(settings: Settings, job: Job) -> tuple[str, tuple[Item, ...]]:
    """The name of the data set and what is scored of it.

    Raises:
        DataError: it is malformed, or the split is empty.
    """
    folder = settings.data
    name = settings.set_name or (PREPARED if (folder / KIND.record).is_file() else set_of(folder))
    items = items_of(folder, name, settings.split, job, every=settings.every_instruction)
    return name, tuple(drawn(items, settings.limit, settings.seed))


def items_of(folder: Path, name: str, split: str, job: Job, *, every: bool) -> tuple[Item, ...]:
    """The items of a data set.

    Args:
        folder: where it is.
        name: of the data set.
        split: 'all', 'train', 'validation' or 'test'.
        job: progress and warnings.
        every: whether each of a pair's instructions makes an item, or only the first.

    Raises:
        DataError: it is malformed, or the split is empty.
    """
    told: dict[str, Mapping[str, str]] = {}
    if name == PREPARED:
        rows = read_prepared(folder, job)
        pairs = tuple(map(_pair, rows))
        told = {str(row.id): dict[str, str](told_of(row).items()) for row in rows}
    else:
        pairs = read_instructed(folder, name, job)
    chosen = {id(pair) for pair in part_of(pairs, split)}
    items = tuple(item for item in _named(pairs, told, every=every) if id(item.pair) in chosen)
    if not items:
        raise DataError(
            f"The split {split!r} of {folder} is empty.",
            path=folder,
            hint="Other choices: -O split=all, train, validation, test.",
        )
    return items


def _pair(row: PreparedRow) -> InstructedPair:
    return InstructedPair(str(row.id), row.img_source, row.source, row.edited, (row.instruction,))


def _named(
    pairs: Iterable[InstructedPair], told: Mapping[str, Mapping[str, str]], *, every: bool
) -> list[Item]:
    """Each pair with each of its instructions; names are numbered where they occur again."""
    seen: dict[str, int] = {}
    found = []
    for pair in pairs:
        for instruction in pair.instructions if every else pair.instructions[:1]:
            stem = re.sub(r"[^\w.-]+", "_", pair.id).strip(".") or "row"
            number = seen[stem] = seen.get(stem, 0) + 1
            name = stem if number == 1 else f"{stem}~{number}"
            found.append(Item(name, pair, instruction, told.get(pair.id, {})))
    return found


def _place(picture: Stored) -> list[Any]:
    if isinstance(picture, Path):
        return [stamp(picture), None]
    return [stamp(picture.path), repr(picture)]
