"""The pictures that rows are made from: InstructPix2Pix's pairs, or V3Det's pictures."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit.readers.instruct_pix2pix import list_pairs, read_pair
from imgedit_modelkit.readers.stored import Stored
from imgedit_modelkit.readers.v3det import list_v3det
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.settings import Settings


@dataclass(frozen=True)
class Source:
    """What one row is made from.

    Attributes:
        id: names it within its data set.
        picture: before the edit.
        edited: after it; None for V3Det.
        captions: of both; empty where there are none.
        instruction: the direct one; empty for V3Det.
    """

    id: str
    picture: Stored
    edited: Stored | None
    captions: tuple[str, str]
    instruction: str


def list_sources(settings: Settings, job: Job) -> tuple[str, ...]:
    """The ids of all pictures of the pool, in an order drawn by the seed.

    Raises:
        DataError: the folder is missing or holds something else.
        PluginError: Parquet files need pyarrow.
    """
    folder = Path(settings.source)
    if settings.part == "III":
        found = list(list_v3det(folder, settings.split))
    else:
        found = list(list_pairs(folder, job))
    random.Random(f"order/{settings.seed}/{settings.part}").shuffle(found)  # noqa: S311
    return tuple(found[: settings.pool or None])


def read_source(settings: Settings, name: str) -> Source:
    """One of them; its pictures were not decoded.

    Raises:
        DataError: an instruction or a picture is missing or malformed.
    """
    folder = Path(settings.source)
    if settings.part == "III":
        return Source(name, folder / name, None, ("", ""), "")
    pair = read_pair(folder, name)
    return Source(name, pair.source, pair.edited, pair.captions, pair.instructions[0])


def refuse_vanished(settings: Settings) -> None:
    """Where the whole folder is gone, as with its disk, the pictures are not damaged.

    Raises:
        DataError: it is.
    """
    folder = Path(settings.source)
    if not folder.is_dir() or next(folder.iterdir(), None) is None:
        raise DataError(
            f"The pictures in {folder} are not there any more.",
            path=folder,
            hint="The same command goes on from here when they are.",
        )
