"""Reader of what `data mgie prepare` makes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_mgie.data.layout import KIND
from imgedit_modelkit.shards.work import ROWS, read_record
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


@dataclass(frozen=True)
class PreparedRow:
    """One pair with its expressive instruction.

    Attributes:
        id: its number in the list of pairs, from 0; skipped pairs leave gaps.
        img_source: the pair's picture; here each row has its own.
        source, edited: the two picture files.
        instruction: as people say it.
        expressive: what the picture will be like, in one or two sentences.
        summarised: the same in about 32 words.
        answer: of the vision-language model, uncleaned.
        provenance: all other fields, see docs/data.md.
    """

    id: int
    img_source: str
    source: Path
    edited: Path
    instruction: str
    expressive: str
    summarised: str
    answer: str
    provenance: dict[str, Any]


def read_prepared(folder: Path, job: Job) -> tuple[PreparedRow, ...]:
    """The rows of all shards that are there, in order; the job is warned where some are not.

    Raises:
        DataError: the folder or a shard is not what `prepare` writes, a picture is missing, or
            there is no row.
    """
    record = read_record(folder / KIND.record, KIND)
    wanted = -(-int(record["pairs"]) // int(record["request"]["shard_rows"]))
    shards = sorted(
        (path for path in folder.glob("shard-*") if path.is_dir()),
        key=lambda path: (len(path.name), path.name),
    )
    rows: list[PreparedRow] = []
    for number, shard in enumerate(shards):
        job.report("reading", number, len(shards))
        rows += _rows(shard)
    if not rows:
        raise DataError(f"{folder} has no rows.", path=folder)
    if len(shards) < wanted:
        job.warn(f"{folder} is not complete: {len(shards)} of {wanted} shards are there.")
    return tuple(rows)


def _rows(shard: Path) -> list[PreparedRow]:
    path = shard / ROWS
    if not path.exists():  # every pair of it was skipped
        return []
    there = {entry.name for entry in shard.iterdir()}
    rows = []
    try:
        for line in path.read_text("utf-8").splitlines():
            fields = json.loads(line)
            names = fields.pop("input_file_name"), fields.pop("goal_file_name")
            if not there.issuperset(names):
                raise DataError(f"{shard} lacks a picture of {names[0]}, {names[1]}.", path=shard)
            rows.append(
                PreparedRow(
                    id=int(fields.pop("id")),
                    img_source=str(fields["source"]),
                    source=shard / names[0],
                    edited=shard / names[1],
                    **{
                        name: str(fields.pop(name))
                        for name in ("instruction", "expressive", "summarised", "answer")
                    },
                    provenance=fields,
                )
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not what prepare writes: {error}.", path=path) from error
    return rows
