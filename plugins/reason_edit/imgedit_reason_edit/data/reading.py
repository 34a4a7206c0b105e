"""Reader of what `data reason_edit make` and `benchmark` write, in both layouts."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.readers.stored import Stored, TarPicture
from imgedit_modelkit.shards.work import ROWS, Kind, read_record
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_reason_edit.data.layout import BENCHMARK, EDITED, INPUT, MADE, TAR
from imgedit_reason_edit.data.squares import Box


@dataclass(frozen=True)
class ReasonRow:
    """One pair with its instructions.

    Attributes:
        id: its number in the pool of its part, from 0; pictures that were left out leave gaps.
        part: 'I', 'II' or 'III'.
        img_source: the picture it was made from; rows of one picture belong together.
        source, edited: the two pictures.
        instruction: that has to be reasoned about.
        direct_instruction: the same edit, said directly.
        captions: of the two pictures.
        category, target: what was replaced by what; empty in part I.
        box: what was painted, in pixels: left, top, right, bottom.
        provenance: all other fields, see docs/reason_edit.md.
    """

    id: int
    part: str
    img_source: str
    source: Stored
    edited: Stored
    instruction: str
    direct_instruction: str
    captions: tuple[str, str]
    category: str
    target: str
    box: Box
    provenance: dict[str, Any]


def read_rows(folder: Path, job: Job) -> tuple[ReasonRow, ...]:
    """The rows of all shards that are there, in order; the job is warned where some are missing.

    Raises:
        DataError: the folder or a shard is not what the recipes write, a picture is missing, or
            there is no row.
    """
    kind = BENCHMARK if (folder / BENCHMARK.record).exists() else MADE
    record = read_record(folder / kind.record, kind)
    shards = sorted(
        (path for path in folder.glob("shard-*") if path.is_dir()),
        key=lambda path: (len(path.name), path.name),
    )
    rows: list[ReasonRow] = []
    for number, shard in enumerate(shards):
        job.report("reading", number, len(shards))
        rows += _rows(shard, kind)
    if not rows:
        raise DataError(f"{folder} has no rows.", path=folder)
    wanted = record["request"].get("count")
    if not isinstance(wanted, int):
        raise DataError(f"{folder / kind.record} does not say how many rows were wanted.",
                        path=folder)  # fmt: skip
    if len(rows) < wanted:
        job.warn(f"{folder} has {len(rows)} of {wanted} rows.")
    return tuple(rows)


def _rows(shard: Path, kind: Kind) -> list[ReasonRow]:
    path = shard / ROWS
    if not path.exists():  # no picture of it became a row
        return []
    find = _in_tar(shard / TAR) if (shard / TAR).exists() else _in_folder(shard)
    try:
        return [_row(json.loads(line), find) for line in path.read_text("utf-8").splitlines()]
    except KeyError as error:
        raise DataError(f"{shard} lacks {error}.", path=shard) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not what {kind.recipe} writes: {error}.", path=path) from error


def _row(fields: dict[str, Any], find: Callable[[str, int, str], Stored]) -> ReasonRow:
    number = int(fields.pop("id"))
    pictures = [find(fields.pop(f"{what}_file_name"), number, what) for what in (INPUT, EDITED)]
    left, top, right, bottom = (int(value) for value in fields.pop("box"))
    captions = str(fields.pop("input_caption")), str(fields.pop("edited_caption"))
    texts = {
        name: str(fields.pop(name))
        for name in ("part", "instruction", "direct_instruction", "category", "target")
    }
    return ReasonRow(
        id=number,
        img_source=str(fields["source"]),
        source=pictures[0],
        edited=pictures[1],
        captions=captions,
        box=(left, top, right, bottom),
        provenance=fields,
        **texts,
    )


def _in_folder(shard: Path) -> Callable[[str, int, str], Stored]:
    there = {entry.name: entry for entry in shard.iterdir()}
    return lambda name, _number, _what: there[name]


def _in_tar(path: Path) -> Callable[[str, int, str], Stored]:
    try:
        with tarfile.open(path) as tar:
            there = {
                member.name: TarPicture(path, member.name, member.offset_data, member.size)
                for member in tar.getmembers()
            }
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error
    return lambda name, number, what: there[f"{number:07d}.{what}{Path(name).suffix}"]
