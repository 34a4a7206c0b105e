"""Reader of EVR, the Image Editing Request corpus (Tan et al. 2019).

'Expressing Visual Relationships via Language'. Layout, as published
(github.com/airsplay/VisualRelationships, `data/`; the pictures are a download of their own)::

    train.json, valid.json, test.json    lists of pairs: img0, img1, sents, uid
    images/                              the pictures; they may also lie beside the lists

`img0` and `img1` name the pictures before and after, with or without a folder in front; `sents`
are requests, one in training and several otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.pairs import (
    InstructedPair,
    load_entries,
    text_of,
    with_pictures,
)
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

SPLITS = ("train", "valid", "test")

_HINT = "EVR holds train.json, valid.json and test.json, and the pictures in images."


def read_evr(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """The pairs of all lists that are there, those without pictures left out with a warning.

    Raises:
        DataError: there is no list, one is malformed (the entry is named), or no pair has both
            pictures.
    """
    lists = [(split, folder / f"{split}.json") for split in SPLITS]
    found = [(split, path) for split, path in lists if path.exists()]
    if not found:
        raise DataError(f"There is no list of EVR in {folder}.", path=folder, hint=_HINT)
    images = folder / "images" if (folder / "images").is_dir() else folder
    pairs = [
        _pair(entry, split, path, number, images)
        for split, path in found
        for number, entry in enumerate(load_entries(path, _HINT))
    ]
    return with_pictures(pairs, folder, job)


def _pair(
    entry: Mapping[str, Any], split: str, path: Path, number: int, images: Path
) -> InstructedPair:
    where = f"pair {number}"
    before, after = (
        text_of(entry, key, where, path).replace("\\", "/").rpartition("/")[2]
        for key in ("img0", "img1")
    )
    sentences = entry.get("sents")
    if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
        raise DataError(
            f"{path}, {where}: 'sents' must be a list of sentences, not {sentences!r}.", path=path
        )
    said = tuple(s.strip() for s in sentences if s.strip())
    if not said:
        raise DataError(f"{path}, {where}: 'sents' is empty.", path=path)
    return InstructedPair(
        id=str(entry.get("uid", f"{split}-{number}")),
        img_source=before,
        source=images / before,
        edited=images / after,
        instructions=said,
        split=split,
    )
