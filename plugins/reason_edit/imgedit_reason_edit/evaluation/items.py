"""What is scored: a picture with a direct or a reasoning instruction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imgedit_modelkit.evaluation.items import Item, items_of_pairs
from imgedit_modelkit.evaluation.rows import drawn
from imgedit_modelkit.readers.instructed import REASONED, read_instructed, set_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.layout import BENCHMARK, MADE
from imgedit_reason_edit.data.reading import ReasonRow, read_rows
from imgedit_reason_edit.evaluation.layout import DIRECT, REASONING
from imgedit_reason_edit.evaluation.settings import BOTH, OURS, PICTURES, Settings

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def read_items(settings: Settings, job: Job) -> tuple[str, tuple[Item, ...]]:
    """The name of the data set and what is scored of it.

    Raises:
        DataError: it is malformed, the split is empty, or it has no such instructions.
    """
    folder = settings.data
    name = settings.set_name or _set_of(folder, pictures=bool(settings.sentence))
    items = items_of(folder, name, settings.split, settings.sentence, job)
    if settings.group != BOTH and not settings.sentence:
        items = tuple(item for item in items if item.group == settings.group)
        if not items:
            raise DataError(f"{folder} has no {settings.group} instructions.", path=folder)
    return name, limited(items, settings)


def limited(items: tuple[Item, ...], settings: Settings) -> tuple[Item, ...]:
    """So many as the limit says; both instructions of a row are drawn, or neither."""
    by_row: dict[str, list[Item]] = {}
    for item in items:
        by_row.setdefault(_row_of(item), []).append(item)
    chosen = drawn([*by_row.values()], settings.limit, settings.seed)
    return tuple(item for some in chosen for item in some)


def _row_of(item: Item) -> str:
    return item.name.removesuffix(f"-{item.group}")


def _set_of(folder: Path, *, pictures: bool) -> str:
    if any((folder / kind.record).is_file() for kind in (BENCHMARK, MADE)):
        return OURS
    return PICTURES if pictures and _pictures(folder) else set_of(folder)


def items_of(folder: Path, name: str, split: str, sentence: str, job: Job) -> tuple[Item, ...]:
    """The items of a data set.

    Args:
        folder: where it is.
        name: of the data set.
        split: 'all', 'train', 'validation' or 'test'.
        sentence: to edit all pictures by; '' for the instructions of the data set.
        job: progress and warnings.

    Raises:
        DataError: it is malformed, or the split is empty.
    """
    if name == PICTURES:
        pairs = tuple(
            InstructedPair(path.stem, path.name, path, path, ()) for path in _pictures(folder)
        )
    elif name == OURS:
        pairs = tuple(pair for row in read_rows(folder, job) for pair in _pairs(row))
    else:
        pairs = read_instructed(folder, name, job)
    if sentence:
        first: dict[str, InstructedPair] = {}
        for pair in pairs:
            first.setdefault(pair.img_source, _unedited(pair, sentence))
        return items_of_pairs(tuple(first.values()), split, folder, every=True)
    if name == PICTURES:
        raise DataError(
            f"{folder} has pictures and no instructions.",
            path=folder,
            hint="`-O table=sentence -O sentence=TEXT` edits all by one.",
        )

    def group(pair: InstructedPair, _: int) -> str:
        if name == OURS:
            return pair.id.rpartition("-")[2]
        return REASONING if name in REASONED else DIRECT

    return items_of_pairs(pairs, split, folder, every=True, group=group)


def _pairs(row: ReasonRow) -> tuple[InstructedPair, InstructedPair]:
    """A row twice: with its direct, and with its reasoning instruction."""
    said = ((DIRECT, row.direct_instruction), (REASONING, row.instruction))
    direct, reasoning = (
        InstructedPair(
            id=f"{row.id}-{group}",
            img_source=row.img_source,
            source=row.source,
            edited=row.edited,
            instructions=(instruction,),
            captions=row.captions,
        )
        for group, instruction in said
    )
    return direct, reasoning


def _unedited(pair: InstructedPair, sentence: str) -> InstructedPair:
    """A picture that nobody has edited by a sentence: it stands for its own goal."""
    name = pair.id.removesuffix(f"-{DIRECT}")
    return replace(
        pair, id=name, edited=pair.source, instructions=(sentence,), captions=("", ""), mask=None
    )


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", path=folder)
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
