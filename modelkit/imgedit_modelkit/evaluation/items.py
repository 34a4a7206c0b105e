"""What is scored: pairs of pictures, each with one instruction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_modelkit.evaluation.journal import stamp
from imgedit_modelkit.readers.instructed import part_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_modelkit.readers.stored import Stored, open_stored
from imgedit_modelkit.squares import square
from imgedit_plugins.errors import DataError


@dataclass(frozen=True)
class Item:
    """One edit to make and to score.

    Attributes:
        name: distinct, and usable as a file's name.
        pair: the pictures.
        instruction: what is asked for.
        told: expressive instructions that the data has, by their form.
        group: of instructions, if they are scored in groups.
    """

    name: str
    pair: InstructedPair
    instruction: str
    told: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    @property
    def stamp(self) -> list[Any]:
        """What changes when the item does."""
        pair = self.pair
        files = [_place(picture) for picture in (pair.source, pair.edited)]
        captions = [list(pair.captions)] if any(pair.captions) else []
        return [self.name, self.instruction, sorted(self.told.items()), files, *captions]

    def source(self, size: int) -> np.ndarray:
        """The picture before the edit: its middle square, (size, size, 3) in 0..1.

        Raises:
            PictureReadError, DataError: it cannot be opened.
        """
        return square(open_stored(self.pair.source), size)

    def goal(self, size: int) -> np.ndarray:
        """The same of the picture after it."""
        return square(open_stored(self.pair.edited), size)


def items_of_pairs(
    pairs: tuple[InstructedPair, ...],
    split: str,
    folder: Path,
    *,
    every: bool,
    told: Mapping[str, Mapping[str, str]] | None = None,
    group: Callable[[InstructedPair, int], str] = lambda _pair, _number: "",
) -> tuple[Item, ...]:
    """Each pair of a split with each of its instructions.

    Args:
        pairs: the whole data set.
        split: 'all', 'train', 'validation' or 'test'.
        folder: where the data set is, for errors.
        every: whether each of a pair's instructions makes an item, or only the first.
        told: expressive instructions by the pair's id, and by their form.
        group: of an instruction, by its pair and its number there.

    Raises:
        DataError: the split is empty.
    """
    chosen = {id(pair) for pair in part_of(pairs, split)}
    named = _named(pairs, told or {}, group, every=every)
    items = tuple(item for item in named if id(item.pair) in chosen)
    if not items:
        raise DataError(
            f"The split {split!r} of {folder} is empty.",
            path=folder,
            hint="Other choices: -O split=all, train, validation, test.",
        )
    return items


def _named(
    pairs: Iterable[InstructedPair],
    told: Mapping[str, Mapping[str, str]],
    group: Callable[[InstructedPair, int], str],
    *,
    every: bool,
) -> list[Item]:
    """Names are numbered where they occur again."""
    seen: dict[str, int] = {}
    found = []
    for pair in pairs:
        for place, instruction in enumerate(pair.instructions if every else pair.instructions[:1]):
            stem = re.sub(r"[^\w.-]+", "_", pair.id).strip(".") or "row"
            number = seen[stem] = seen.get(stem, 0) + 1
            name = stem if number == 1 else f"{stem}~{number}"
            its = told.get(pair.id, {})
            found.append(Item(name, pair, instruction, its, group(pair, place)))
    return found


def _place(picture: Stored) -> list[Any]:
    if isinstance(picture, Path):
        return [stamp(picture), None]
    return [stamp(picture.path), repr(picture)]
