"""Reader of MagicBrush (Zhang et al. 2023), in both published layouts.

Hub (osunlp/MagicBrush; train and dev)::

    data/SPLIT-*.parquet    img_id, turn_index, source_img, mask_img, instruction, target_img

Archive (the test split comes only so)::

    edit_turns.json         a list of turns: input, mask, output, instruction
    images/ID/...           the files that it names; a name begins with the picture's ID and a '-'

The folder may be that of one split, or hold `train`, `dev` and `test`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.pairs import (
    InstructedPair,
    file_name_of,
    load_entries,
    text_of,
    with_pictures,
)
from imgedit_modelkit.readers.stored import ParquetPicture, columns_of, each_row, parquet_files
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

SPLITS = ("train", "dev", "test")
TURNS = "edit_turns.json"

_COLUMNS = ("img_id", "turn_index", "source_img", "instruction", "target_img")


def read_magicbrush(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """All turns, each as a pair of its own; rows of one photograph have one `img_source`.

    Turns without their pictures are left out with a warning.

    Raises:
        DataError: neither layout is there, a file is malformed (the entry is named), or no turn
            has both pictures.
        PluginError: the layout of the hub needs pyarrow.
    """
    lists = [(folder, folder.name if folder.name in SPLITS else "")]
    lists += [(folder / split, split) for split in SPLITS]
    lists = [(place, split) for place, split in lists if (place / TURNS).exists()]
    files = parquet_files(folder)
    if not lists and not files:
        raise DataError(
            f"There is no MagicBrush in {folder}.",
            path=folder,
            hint=f"Looked for data/*.parquet, {TURNS} and SPLIT/{TURNS}.",
        )
    pairs = [pair for path in files for pair in _of_parquet(path)]
    pairs += [pair for place, split in lists for pair in _of_archive(place, split)]
    return with_pictures(pairs, folder, job)


def _of_parquet(path: Path) -> Iterator[InstructedPair]:
    absent = [name for name in _COLUMNS if name not in columns_of(path)]
    if absent:
        raise DataError(f"{path} has no column {absent[0]!r}.", path=path)
    has_mask = "mask_img" in columns_of(path)
    split = re.split(r"[-.]", path.name)[0]
    for number, cells in enumerate(each_row(path, ("img_id", "turn_index", "instruction"))):
        yield InstructedPair(
            id=f"{cells['img_id']}-{cells['turn_index']}",
            img_source=str(cells["img_id"]),
            source=ParquetPicture(path, "source_img", number),
            edited=ParquetPicture(path, "target_img", number),
            instructions=(text_of(cells, "instruction", f"row {number}", path),),
            split=split if split in SPLITS else "",
            mask=ParquetPicture(path, "mask_img", number) if has_mask else None,
        )


def _of_archive(folder: Path, split: str) -> Iterator[InstructedPair]:
    path = folder / TURNS
    for number, entry in enumerate(load_entries(path, "")):
        yield _turn(entry, number, path, split)


def _turn(entry: Mapping[str, Any], number: int, path: Path, split: str) -> InstructedPair:
    where = f"turn {number}"
    before, after = (file_name_of(entry, key, where, path) for key in ("input", "output"))
    picture = before.partition("-")[0]
    images = path.parent / "images" / picture
    mask = images / file_name_of(entry, "mask", where, path) if entry.get("mask") else None
    turn = re.search(r"(\d+)\.\w+$", after)
    return InstructedPair(
        id=f"{picture}-{turn.group(1) if turn else number}",
        img_source=picture,
        source=images / before,
        edited=images / after,
        instructions=(text_of(entry, "instruction", where, path),),
        split=split,
        mask=mask if mask and mask.is_file() else None,
    )
