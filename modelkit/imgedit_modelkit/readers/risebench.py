"""Reader of RISEBench (Zhao et al. 2025), edits that have to be reasoned about.

Layout (hub PhoenixZ/RISEBench: a list and data.zip; github.com/PhoenixZ810/RISEBench: data/)::

    datav2_total_w_subtask.json, data_total.json or overall_data.json    a list of cases
    data/temporal_reasoning_images/1.png ...     the pictures, below the list's folder or its `data`

Fields of a case, as the repository's gpt_eval.py and README read them: `index`, such as
'temporal_reasoning_1'; `category`, one of four; `instruction`; `image`, the picture's path;
`reference` or `reference_txt`, what the result should show; `reference_img`, a picture of it, which
some spatial and logical cases have; `consistency_free`, where nothing need stay as it was.
RISEBench++ (RISEBench++/data/overall_data.json) has lists of pictures as `image`. The hub's list
itself was not at hand: its name and its fields are from public code that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.pairs import (
    InstructedPair,
    load_entries,
    path_below,
    text_of,
    with_pictures,
)
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

LISTS = ("datav2_total_w_subtask.json", "data_total.json", "overall_data.json")

CATEGORIES = ("temporal_reasoning", "causal_reasoning", "spatial_reasoning", "logical_reasoning")


@dataclass(frozen=True)
class RiseCase:
    """One edit to make.

    Attributes:
        index: names it.
        category: one of `CATEGORIES`.
        instruction: what is asked for.
        source: the picture.
        reference: what the result should show, in words; '' where only a picture says it.
        reference_picture: of the result, or None.
        keeps: whether all else must stay as it was.
    """

    index: str
    category: str
    instruction: str
    source: Path
    reference: str = ""
    reference_picture: Path | None = None
    keeps: bool = True


def list_of(folder: Path) -> Path | None:
    """The list of cases of a folder; None where there is none."""
    places = (folder / below / name for below in ("", "data") for name in LISTS)
    return next((path for path in places if path.is_file()), None)


def read_cases(folder: Path, job: Job) -> tuple[RiseCase, ...]:
    """All cases of one picture; the job is warned about others.

    Raises:
        DataError: there is no list, it is malformed (the case is named), or no case is left.
    """
    path = list_of(folder)
    if path is None:
        raise DataError(
            f"There is no RISEBench in {folder}.",
            path=folder,
            hint=f"Looked for {', '.join(LISTS)}, there and in its folder data.",
        )
    entries = load_entries(path, "")
    cases = [_case(entry, f"case {number}", path) for number, entry in enumerate(entries)]
    single = tuple(case for case in cases if case is not None)
    if not single:
        raise DataError(f"{path} has no case of one picture.", path=path)
    if several := len(cases) - len(single):
        job.warn(f"{several} of {len(cases)} cases of {folder} have several pictures; left out.")
    return single


def read_risebench(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """The cases that have a picture of their result, as pairs; the job is warned about others.

    Raises:
        DataError: as `read_cases`, or no case has one.
    """
    cases = read_cases(folder, job)
    pairs = [
        InstructedPair(
            id=case.index,
            img_source=case.source.name,
            source=case.source,
            edited=case.reference_picture,
            instructions=(case.instruction,),
            captions=("", case.reference),
        )
        for case in cases
        if case.reference_picture is not None
    ]
    if without := len(cases) - len(pairs):
        job.warn(
            f"{without} of {len(cases)} cases of {folder} have no picture of their result, so that "
            "they can be judged, but not measured; they are left out."
        )
    return with_pictures(pairs, folder, job)


def _case(entry: Mapping[str, Any], where: str, path: Path) -> RiseCase | None:
    """None for one of several pictures."""
    picture = entry.get("image")
    if isinstance(picture, list):
        if len(picture) != 1:
            return None
        entry = {**entry, "image": picture[0]}
    where = f"{where} ({entry.get('index')})"
    category = text_of(entry, "category", where, path)
    if category not in CATEGORIES:
        raise DataError(
            f"{path}, {where}: 'category' must be one of {', '.join(CATEGORIES)}, not "
            f"{category!r}.",
            path=path,
        )
    shown = _path(entry, "reference_img", where, path) if entry.get("reference_img") else None
    return RiseCase(
        index=text_of(entry, "index", where, path),
        category=category,
        instruction=text_of(entry, "instruction", where, path),
        source=_path(entry, "image", where, path),
        reference=_words(entry, "reference") or _words(entry, "reference_txt"),
        reference_picture=shown,
        keeps=not entry.get("consistency_free"),
    )


def _words(entry: Mapping[str, Any], key: str) -> str:
    found = entry.get(key)
    return found.strip() if isinstance(found, str) else ""


def _path(entry: Mapping[str, Any], key: str, where: str, path: Path) -> Path:
    """Below the list's folder, or below `data` there."""
    found = path_below(path.parent, entry, key, where, path)
    data = path_below(path.parent / "data", entry, key, where, path)
    return data if data.is_file() else found
