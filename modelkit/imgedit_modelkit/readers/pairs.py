"""What the readers of instruction-guided editing have in common: a row, and how files are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.stored import Stored
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job

_NAMED = 3  # examples in a message


@dataclass(frozen=True)
class InstructedPair:
    """A picture, its edited version, and the edit in words.

    Attributes:
        id: names the row within its data set.
        img_source: the picture it was made from; rows of one picture belong together.
        source, edited: the two pictures, which may differ in size.
        instructions: one or several ways to say the same edit, in the file's order.
        split: as published, such as 'train' or 'test'; empty where there is none.
        mask: white where the picture may change; for some data sets.
        captions: of the picture and of its edited version; empty where there are none.
    """

    id: str
    img_source: str
    source: Stored
    edited: Stored
    instructions: tuple[str, ...]
    split: str = ""
    mask: Stored | None = None
    captions: tuple[str, str] = ("", "")


def with_pictures(
    pairs: Sequence[InstructedPair], folder: Path, job: Job
) -> tuple[InstructedPair, ...]:
    """The rows whose two pictures are there; the job is warned about others.

    Raises:
        DataError: no row is left.
    """
    rows: list[InstructedPair] = []
    missing: list[InstructedPair] = []
    for number, pair in enumerate(pairs):
        if number % 1000 == 0:
            job.report("reading", number, len(pairs))
        there = all(not isinstance(p, Path) or p.is_file() for p in (pair.source, pair.edited))
        (rows if there else missing).append(pair)
    if missing or not rows:
        named = [pair.id for pair in missing[:_NAMED]] + ["..."] * (len(missing) > _NAMED)
        told = f"{len(missing)} of {len(pairs)} pairs of {folder} lack a picture"
        told += f" ({', '.join(named)})" if named else ""
        if not rows:
            raise DataError(f"{told}; none is left.", path=folder)
        job.warn(f"{told}; they are left out.")
    return tuple(rows)


def load_json(path: Path, hint: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        hint: what the data set holds, for whoever has not got the file.

    Raises:
        DataError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.", path=path, hint=hint) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


def load_entries(path: Path, hint: str) -> list[Mapping[str, Any]]:
    """The content of a JSON file that holds a list of objects; raises as `load_json`."""
    entries = load_json(path, hint)
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise DataError(f"{path} must hold a list of JSON objects.", path=path)
    return entries


def text_of(entry: Mapping[str, Any], key: str, where: str, path: Path) -> str:
    """A field that must hold words, without white space around it.

    Raises:
        DataError: it does not; `where` names the entry.
    """
    text = entry.get(key)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{path}, {where}: {key!r} must be a text, not {text!r}.", path=path)
    return text.strip()


def file_name_of(entry: Mapping[str, Any], key: str, where: str, path: Path) -> str:
    """A field that must name a file, without a folder.

    Raises:
        DataError: it does not; `where` names the entry.
    """
    name = text_of(entry, key, where, path)
    if Path(name).name != name or "\\" in name or "\0" in name:
        raise DataError(
            f"{path}, {where}: {key!r} must be the name of a file, not {name!r}.", path=path
        )
    return name


def path_below(folder: Path, entry: Mapping[str, Any], key: str, where: str, path: Path) -> Path:
    """A field that must name a file below a folder.

    Raises:
        DataError: it does not; `where` names the entry of the file `path`.
    """
    name = text_of(entry, key, where, path)
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or "\\" in name or "\0" in name:
        raise DataError(
            f"{path}, {where}: {key!r} must be a path below the folder, not {name!r}.", path=path
        )
    return folder / name
