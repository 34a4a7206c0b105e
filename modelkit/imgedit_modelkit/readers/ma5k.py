"""Reader of MA5k with requests (Shi et al. 2021), as MGIE uses MIT-Adobe FiveK.

'Learning by Planning: Language-Guided Global Image Editing'. Layout, as published
(github.com/jshi31/T2ONet, data/FiveK)::

    FiveK.json             a list of pairs: input, output, request
    images/NUMBERO.jpg     the photograph
    images/NUMBERA.jpg     an expert's retouched version (A to E)
    annotations/SPLIT_sess_1.json, or splits/SPLIT_sess_1.json
                           the pairs of each split (train, val, test); not needed

The published split is by photograph.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.pairs import (
    InstructedPair,
    file_name_of,
    load_entries,
    text_of,
    with_pictures,
)
from imgedit_plugins.jobs import Job

SPLITS = ("train", "val", "test")

_HINT = "MA5k with requests holds FiveK.json and images, and annotations where there are any."


def read_ma5k(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """The pairs in the order of the list, those without pictures left out with a warning.

    Raises:
        DataError: the list is missing, or a file is malformed (the entry is named), or no pair
            has both pictures.
    """
    path = folder / "FiveK.json"
    splits = _splits(folder)
    entries = enumerate(load_entries(path, _HINT))
    pairs = [_pair(entry, number, path, splits) for number, entry in entries]
    return with_pictures(pairs, folder, job)


def _pair(
    entry: Mapping[str, Any], number: int, path: Path, splits: Mapping[str, str]
) -> InstructedPair:
    where = f"pair {number}"
    before, after = (file_name_of(entry, key, where, path) for key in ("input", "output"))
    images = path.parent / "images"
    return InstructedPair(
        id=str(number),
        img_source=before,
        source=images / before,
        edited=images / after,
        instructions=(text_of(entry, "request", where, path),),
        split=splits.get(before, ""),
    )


def _splits(folder: Path) -> dict[str, str]:
    """The split of each photograph, as far as it is told."""
    found: dict[str, str] = {}
    for split in SPLITS:
        places = (folder / name / f"{split}_sess_1.json" for name in ("annotations", "splits"))
        path = next((place for place in places if place.exists()), None)
        for number, entry in enumerate(load_entries(path, _HINT) if path else ()):
            found[file_name_of(entry, "input", f"pair {number}", path or folder)] = split
    return found
