"""Reader of GIER (Shi et al. 2020, 'A Benchmark and Baseline for Language-Driven Image Editing').

Layout, as published (github.com/jshi31/T2ONet, data/GIER/README.md)::

    GIER.json               a list of pairs of pictures, see below
    images/ID_ID.jpg        the picture that somebody asked to have edited
    images/ID_OTHER.jpg     one of the answers
    masks/ID_ID_mask.json   regions of that picture, as COCO writes masks; for some
    features/               the authors' features; not read

A pair has `input` and `output`, names in images/; `operator`, which maps the name of an operation
to `local` (whether only some regions are changed) and `ids` (which masks these are); and requests
in words: `expert_summary` and `amateur_summary`, lists, and `request`, the original one. Further
fields do no harm. Parameters of the operations are not published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

GIER_JSON, IMAGES, MASKS = "GIER.json", "images", "masks"

_NAMED = 3  # examples in a message


@dataclass(frozen=True)
class GierOperation:
    """One operation of a pair.

    Attributes:
        name: as GIER has it, such as 'brightness' or 'inpaint_obj'.
        local: whether only some regions are changed.
        mask_ids: which of the masks these are; empty where it is not local.
    """

    name: str
    local: bool
    mask_ids: tuple[int, ...]


@dataclass(frozen=True)
class GierRow:
    """One pair of the data set.

    Attributes:
        id: its place in GIER.json, from 0.
        img_source: the picture it was made from; rows of one picture belong together.
        source, edited: the two picture files, which may differ in size.
        operations: in the order of the file; names are distinct.
        expert, amateur: requests in words, written by people who saw both pictures.
        request: what was originally asked for; may be empty.
        masks: the file with the masks of the source, or None.
    """

    id: int
    img_source: str
    source: Path
    edited: Path
    operations: tuple[GierOperation, ...]
    expert: tuple[str, ...]
    amateur: tuple[str, ...]
    request: str
    masks: Path | None


def read_gier(folder: Path, job: Job) -> tuple[GierRow, ...]:
    """The pairs of a data set whose pictures are both there, in the order of GIER.json.

    Pairs without their pictures are left out, and the job is warned with their number.

    Raises:
        DataError: a file is missing or malformed (the pair is named), or no pair has both pictures.
    """
    path = folder / GIER_JSON
    pairs = _load(path)
    if not isinstance(pairs, list) or not pairs:
        raise DataError(f"{path} must hold a list of pairs.", path=path)
    rows, missing = [], []
    for number, pair in enumerate(pairs):
        if number % 1000 == 0:
            job.report("reading", number, len(pairs))
        row = _row(folder, number, pair)
        if row.source.is_file() and row.edited.is_file():
            rows.append(row)
        else:
            missing.append(number)
    if missing:
        examples = ", ".join(map(str, missing[:_NAMED])) + (", ..." if missing[_NAMED:] else "")
        told = f"{len(missing)} of {len(pairs)} pairs of {folder} lack a picture ({examples})"
        if not rows:
            raise DataError(f"{told}; none is left.", path=folder)
        job.warn(f"{told}; they are left out.")
    return tuple(rows)


def read_masks(path: Path) -> tuple[NDArray[np.bool_], ...]:
    """The masks of a picture, each (height, width); they do not overlap.

    Raises:
        DataError: the file is missing or malformed.
    """
    masks = _load(path)
    if not isinstance(masks, list):
        raise DataError(f"{path} must hold a list of masks.", path=path)
    try:
        return tuple(_decoded(mask["counts"], *mask["size"]) for mask in masks)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds a mask that is no COCO mask: {error}.", path=path) from error


def as_pairs(rows: Sequence[GierRow]) -> tuple[InstructedPair, ...]:
    """The rows that somebody put in words, as the readers of other data sets give theirs.

    The instructions are those of experts, then of amateurs, as MGIE counts them.
    """
    return tuple(
        InstructedPair(str(row.id), row.img_source, row.source, row.edited, said)
        for row in rows
        if (said := tuple(line for line in (*row.expert, *row.amateur) if line))
    )


def _row(folder: Path, number: int, pair: Any) -> GierRow:
    path = folder / GIER_JSON

    def fault(what: str) -> DataError:
        return DataError(f"{path}, pair {number}: {what}.", path=path)

    if not isinstance(pair, Mapping):
        raise fault("it is no JSON object")
    names: list[str] = []
    for key in ("input", "output"):
        name = pair.get(key)
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise fault(f"{key!r} must be the name of a file, not {name!r}")
        names.append(name)
    texts = {key: pair.get(key, []) for key in ("expert_summary", "amateur_summary")}
    for key, text in texts.items():
        if not isinstance(text, list) or not all(isinstance(line, str) for line in text):
            raise fault(f"{key!r} must be a list of sentences, not {text!r}")
    operators = pair.get("operator")
    if not isinstance(operators, Mapping):
        raise fault(f"'operator' must be an object, not {operators!r}")
    masks = folder / MASKS / f"{Path(names[0]).stem}_mask.json"
    return GierRow(
        id=number,
        img_source=names[0].partition("_")[0],
        source=folder / IMAGES / names[0],
        edited=folder / IMAGES / names[1],
        operations=tuple(_operation(name, told, fault) for name, told in operators.items()),
        expert=tuple(line.strip() for line in texts["expert_summary"]),
        amateur=tuple(line.strip() for line in texts["amateur_summary"]),
        request=str(pair.get("request") or "").strip(),
        masks=masks if masks.is_file() else None,
    )


def _operation(name: str, told: Any, fault: Callable[[str], DataError]) -> GierOperation:
    fields = told if isinstance(told, Mapping) else {}
    local, ids = fields.get("local"), fields.get("ids")
    numbers = [i for i in ids if type(i) is int and i >= 0] if isinstance(ids, list) else None
    if not isinstance(local, bool) or numbers is None or numbers != ids:
        raise fault(f"{name!r} must say 'local' (true or false) and 'ids' (numbers), not {told!r}")
    return GierOperation(name, local, tuple(numbers))


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        hint = f"GIER holds {GIER_JSON}, {IMAGES} and {MASKS}."
        raise DataError(f"There is no file {path}.", path=path, hint=hint) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


def _decoded(counts: str | Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """COCO's run lengths: pixels off, on, off, ... down the columns.

    Raises:
        ValueError: they do not add up to the size.
    """
    runs = _unpacked(counts) if isinstance(counts, str) else list(counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs add up to {sum(runs)}, not to {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """Run lengths from COCO's letters.

    Each number is five bits a letter, the lowest first; the sixth bit says that more follow, and
    the highest of the last five is the sign. From the fourth number on they are differences to
    the number two before.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"there is a letter {letter!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("its letters end within a number")
    return runs
