"""What is scored: the pairs of a data set, or of what `data mgie prepare` makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imgedit_mgie.data.layout import KIND
from imgedit_mgie.data.prepared import PreparedRow, read_prepared
from imgedit_mgie.evaluation.settings import PREPARED, Settings
from imgedit_mgie.rows import told_of
from imgedit_modelkit.evaluation.items import Item, items_of_pairs
from imgedit_modelkit.evaluation.rows import drawn
from imgedit_modelkit.readers.instructed import read_instructed, set_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_plugins.jobs import Job


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
    return items_of_pairs(pairs, split, folder, every=every, told=told)


def _pair(row: PreparedRow) -> InstructedPair:
    return InstructedPair(str(row.id), row.img_source, row.source, row.edited, (row.instruction,))
