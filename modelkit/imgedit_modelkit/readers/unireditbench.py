"""Reader of UniREditBench (Han et al. 2025), 2,700 edits that have to be reasoned about.

Layout (hub maplebb/UniREditBench, its zip files unpacked)::

    data.json               a list of cases, or one on each line
    original_image/...      the pictures before
    reference_image/...     and after

Fields of a case, from github.com/Maplebb/UniREditBench (README, gen_images_mp_uniredit.py,
eval/gpt_eval_uniredit.py): `original_image_path` and `reference_image_path`, below the folder;
`instruction`; `rules` of a game, which stand in front of the instruction; `name`, the dimension;
`idx`, the number in it; `reference_effect`, what the result should show. `data.json` itself was not
at hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

LIST = "data.json"

_MARK = b'"original_image_path"'


def is_unireditbench(folder: Path) -> bool:
    """Whether a folder holds the benchmark; other data sets have a data.json too."""
    path = folder / LIST
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK in file.read(10_000)


def read_unireditbench(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    """All cases as pairs; the job is warned about those without their pictures.

    Their id is `name/idx`, which is where published results of models lie.

    Raises:
        DataError: the list is missing or malformed (the case is named), or no case has both
            pictures.
    """
    path = folder / LIST
    pairs = [
        _pair(entry, f"case {number}", path) for number, entry in enumerate(_entries(path, folder))
    ]
    return with_pictures(pairs, folder, job)


def _entries(path: Path, folder: Path) -> list[Mapping[str, Any]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise DataError(f"There is no UniREditBench in {folder}.", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error
    if text.lstrip().startswith("["):
        return load_entries(path, "")
    try:
        entries = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise DataError(f"{path} must hold JSON objects.", path=path)
    return entries


def _pair(entry: Mapping[str, Any], where: str, path: Path) -> InstructedPair:
    name, number = text_of(entry, "name", where, path), entry.get("idx")
    if not isinstance(number, str | int) or isinstance(number, bool):
        raise DataError(f"{path}, {where}: 'idx' must be a number, not {number!r}.", path=path)
    before, after = (
        path_below(path.parent, entry, key, where, path)
        for key in ("original_image_path", "reference_image_path")
    )
    rules, effect = entry.get("rules"), entry.get("reference_effect")
    instruction = text_of(entry, "instruction", where, path)
    if isinstance(rules, str) and rules.strip():
        instruction = f"{rules.strip()} {instruction}"
    return InstructedPair(
        id=f"{name}/{number}",
        img_source=before.relative_to(path.parent).as_posix(),
        source=before,
        edited=after,
        instructions=(instruction,),
        captions=("", effect.strip() if isinstance(effect, str) else ""),
    )
