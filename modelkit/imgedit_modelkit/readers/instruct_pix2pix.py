"""Reader of InstructPix2Pix's pairs (Brooks et al. 2023), in both published layouts.

Folders (github.com/timothybrooks/instruct-pix2pix; `shard-NN` in front of them does no harm)::

    NNNNNNN/prompt.json      with the instruction in its field 'edit', and mostly the captions of
                             both pictures in 'input' (or 'caption') and 'output'
    NNNNNNN/SEED_0.jpg       the picture
    NNNNNNN/SEED_1.jpg       the picture edited; several seeds for one instruction

Hub (timbrooks/instructpix2pix-clip-filtered and the like)::

    data/*.parquet           original_image or input_image, edit_prompt, edited_image, and for some
                             the captions original_prompt and edited_prompt

A pair's id is `NNNNNNN/SEED`, or `FILE.parquet#ROW`. Listing opens no folder's files, so that a
million pairs can be listed; what is wrong with a pair shows when it is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.pairs import InstructedPair, load_json, text_of
from imgedit_modelkit.readers.stored import (
    ParquetPicture,
    columns_of,
    parquet_files,
    read_cells,
    rows_of,
)
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

PROMPT = "prompt.json"

_PICTURE = re.compile(r"(.+)_[01]\.(?:jpe?g|png|webp)", re.IGNORECASE)
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".JPG", ".JPEG", ".PNG")
_CAPTIONS = ("original_prompt", "edited_prompt")
_SOURCES = ("original_image", "input_image", "source_image")


def list_pairs(folder: Path, job: Job) -> tuple[str, ...]:
    """The ids of all pairs, by name; those of damaged pairs too.

    Raises:
        DataError: the folder is missing or holds neither layout.
        PluginError: the layout of the hub needs pyarrow.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", path=folder)
    files = parquet_files(folder)
    ids = [
        f"{path.relative_to(folder).as_posix()}#{row}"
        for path in files
        for row in range(rows_of(path))
    ]
    if not files:
        for number, (edit, seeds) in enumerate(_edits(folder)):
            if number % 1000 == 0:
                job.report("listing", number)
            ids += [f"{edit}/{seed}" for seed in sorted(seeds or {""})]
    if not ids:
        raise DataError(
            f"There are no pairs of InstructPix2Pix in {folder}.",
            path=folder,
            hint=f"Looked for FOLDER/{PROMPT} with SEED_0.jpg and SEED_1.jpg, and for *.parquet.",
        )
    return tuple(ids)


def read_pair(folder: Path, pair: str) -> InstructedPair:
    """A pair by its id; both pictures are there, but were not decoded.

    Raises:
        DataError: an instruction or a picture is missing or malformed.
    """
    if "#" in pair:
        return _row(folder, pair)
    name, _, seed = pair.rpartition("/")
    edit = folder / name
    if not seed:
        raise DataError(f"{edit} has no pictures.", path=edit)
    prompt = load_json(edit / PROMPT, "")
    if not isinstance(prompt, dict):
        raise DataError(f"{edit / PROMPT} must hold a JSON object.", path=edit / PROMPT)
    before, after = (_picture(edit, f"{seed}_{which}") for which in (0, 1))
    return InstructedPair(
        id=pair,
        img_source=f"{name}/{seed}",
        source=before,
        edited=after,
        instructions=(text_of(prompt, "edit", "the edit", edit / PROMPT),),
        captions=(_caption(prompt, "input", "caption"), _caption(prompt, "output")),
    )


def read_instruct_pix2pix(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """All pairs that are whole; the job is warned about the number of others.

    Raises:
        DataError: as `list_pairs`, or no pair is whole.
    """
    ids, rows, damaged = list_pairs(folder, job), [], []
    for number, pair in enumerate(ids):
        if number % 1000 == 0:
            job.report("reading", number, len(ids))
        try:
            rows.append(read_pair(folder, pair))
        except DataError as error:
            damaged.append(str(error))
    if damaged:
        told = f"{len(damaged)} of {len(ids)} pairs of {folder} are damaged (the first: "
        told += f"{damaged[0].rstrip('.')})"
        if not rows:
            raise DataError(f"{told}; none is left.", path=folder)
        job.warn(f"{told}; they are left out.")
    return tuple(rows)


def _edits(folder: Path, depth: int = 2) -> Iterator[tuple[str, set[str]]]:
    """The folders of edits below the folder, by name: paths with slashes, and the seeds there."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        names = os.listdir(entry.path)  # noqa: PTH208 (a million folders: names are enough)
        seeds = {match.group(1) for match in map(_PICTURE.fullmatch, names) if match}
        if PROMPT in names or seeds:
            yield entry.name, seeds
        elif depth > 1:
            below = _edits(Path(entry.path), depth - 1)
            yield from ((f"{entry.name}/{name}", seeds) for name, seeds in below)


def _picture(edit: Path, stem: str) -> Path:
    found = next((edit / f"{stem}{s}" for s in _SUFFIXES if (edit / f"{stem}{s}").is_file()), None)
    if found is None:
        raise DataError(f"There is no picture {edit / stem}.jpg.", path=edit)
    return found


def _row(folder: Path, pair: str) -> InstructedPair:
    name, _, row = pair.rpartition("#")
    path, number = folder / name, int(row)
    there = columns_of(path)
    source = next((column for column in _SOURCES if column in there), None)
    wanted = (source or _SOURCES[0], "edit_prompt", "edited_image")
    absent = [column for column in wanted if column not in there]
    if absent or source is None:
        raise DataError(f"{path} has no column {absent[0]!r}.", path=path)
    texts = [column for column in ("edit_prompt", *_CAPTIONS) if column in there]
    cells = read_cells(path, texts, number)
    return InstructedPair(
        id=pair,
        img_source=pair,
        source=ParquetPicture(path, source, number),
        edited=ParquetPicture(path, "edited_image", number),
        instructions=(text_of(cells, "edit_prompt", f"row {number}", path),),
        captions=(_caption(cells, _CAPTIONS[0]), _caption(cells, _CAPTIONS[1])),
    )


def _caption(fields: Mapping[str, Any], *names: str) -> str:
    """The first of some fields that holds words; empty where none does."""
    texts = (fields.get(name) for name in names)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
