"""The work of `data mgie prepare`: begun or gone on with, its list of pairs, its shards."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from imgedit_mgie.data.layout import INDEX, LOCK, RECORD, SCHEMA, read_record
from imgedit_mgie.data.settings import Settings
from imgedit_modelkit import folders
from imgedit_modelkit.readers.instruct_pix2pix import list_pairs
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


@dataclass(frozen=True)
class Work:
    """A folder that is being filled, and what it is filled with."""

    out: Path
    settings: Settings

    @functools.cached_property
    def pairs(self) -> tuple[str, ...]:
        """The ids of the pairs, in order; a row's number is its place here."""
        path = self.out / INDEX
        try:
            return tuple(json.loads(line) for line in path.read_text("utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}.", path=path) from error

    @property
    def shards(self) -> int:
        """How many shards there will be."""
        return -(-len(self.pairs) // self.settings.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The numbers of a shard's rows."""
        first = shard * self.settings.shard_rows
        return range(first, min(first + self.settings.shard_rows, len(self.pairs)))

    def folder_of(self, shard: int) -> Path:
        """The folder of a shard; it is there when the shard is complete."""
        return self.out / f"shard-{shard:05d}"


def refuse_occupied(out: Path) -> None:
    """Refuse a folder with something in it that `prepare` did not begin.

    Raises:
        DataError: it has.
    """
    if not out.is_dir() or (out / RECORD).exists():
        return
    # The list without the record is what a run leaves that was killed in between.
    ours = {INDEX, LOCK}
    names = (path.name for path in sorted(out.iterdir()) if not path.name.startswith("."))
    taken = next((name for name in names if name not in ours), None)
    if taken:
        raise DataError(
            f"{out} holds {taken!r} already, which no run of prepare began.",
            path=out,
            hint="Choose an empty folder.",
        )


def begin(out: Path, settings: Settings, job: Job) -> Work:
    """The work in a folder: as recorded by an earlier run, or else begun.

    Raises:
        DataError: the folder holds the work of another request, or there are no pairs.
    """
    record = out / RECORD
    if record.exists():
        _check_same(record, settings)
    else:
        pairs = pairs_of(settings, job)
        lines = "".join(f"{json.dumps(pair)}\n" for pair in pairs)
        write_text_atomic(out / INDEX, lines)
        document = {"schema": SCHEMA, "request": vars(settings), "pairs": len(pairs)}
        write_text_atomic(record, json.dumps(document, indent=1) + "\n")
    folders.remove_leftovers(out)
    return Work(out, settings)


def pairs_of(settings: Settings, job: Job) -> tuple[str, ...]:
    """The ids of the pairs that the request means; raises as `list_pairs`."""
    return list_pairs(Path(settings.pairs), job)[: settings.limit or None]


def _check_same(record: Path, settings: Settings) -> None:
    before, now = read_record(record)["request"], vars(settings)
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        told = "; ".join(f"{n}: {before.get(n)!r} there, {now[n]!r} asked for" for n in differing)
        raise DataError(
            f"{record.parent} holds data of another request ({told}).",
            path=record.parent,
            hint="Choose another folder, or give the same options to go on with it.",
        )
