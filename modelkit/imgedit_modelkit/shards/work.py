"""A folder that is being filled: begun or gone on with, its list of items, its shards."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit import folders
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError

INDEX, LOCK = "index.jsonl", "lock"
ROWS, SKIPPED = "metadata.jsonl", "skipped.json"


@dataclass(frozen=True)
class Kind:
    """What makes such a folder.

    Attributes:
        schema: of the record.
        record: its file's name.
        command: that makes it, such as 'data mgie prepare'.
        items: what the rows are made from, such as 'pairs'; the record counts them so.
    """

    schema: str
    record: str
    command: str
    items: str = "pairs"

    @property
    def recipe(self) -> str:
        """The command's last word."""
        return self.command.rpartition(" ")[2]


@dataclass(frozen=True)
class Work:
    """A folder, and what it is filled with.

    Attributes:
        out: the folder.
        kind: what makes it.
        settings: a dataclass of what JSON can hold, among it `shard_rows`; requests are the same
            when these are.
    """

    out: Path
    kind: Kind
    settings: Any

    @functools.cached_property
    def items(self) -> tuple[str, ...]:
        """What the rows are made from, in order; a row's number is its place here."""
        path = self.out / INDEX
        try:
            return tuple(json.loads(line) for line in path.read_text("utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}.", path=path) from error

    @property
    def shards(self) -> int:
        """How many shards there will be."""
        return -(-len(self.items) // int(self.settings.shard_rows))

    def rows_of(self, shard: int) -> range:
        """The numbers of a shard's rows."""
        first = shard * self.settings.shard_rows
        return range(first, min(first + self.settings.shard_rows, len(self.items)))

    def folder_of(self, shard: int) -> Path:
        """The folder of a shard; it is there when the shard is complete."""
        return self.out / f"shard-{shard:05d}"


def refuse_occupied(out: Path, kind: Kind, *also: str) -> None:
    """Refuse a folder with something in it that such a run did not begin.

    Args:
        out: the folder.
        kind: what is to be made there.
        also: names of what a run may leave before its record.

    Raises:
        DataError: it has.
    """
    if not out.is_dir() or (out / kind.record).exists():
        return
    # The list without the record is what a run leaves that was killed in between.
    ours = {INDEX, LOCK, *also}
    names = (path.name for path in sorted(out.iterdir()) if not path.name.startswith("."))
    taken = next((name for name in names if name not in ours), None)
    if taken:
        raise DataError(
            f"{out} holds {taken!r} already, which no run of {kind.recipe} began.",
            path=out,
            hint="Choose an empty folder.",
        )


def begin(out: Path, kind: Kind, settings: Any, items: Callable[[], Iterable[str]]) -> Work:
    """The work in a folder: as recorded by an earlier run, or else begun.

    Args:
        out: the folder, which nobody else works on.
        kind: what is made.
        settings: see `Work`.
        items: what the rows are made from; only asked for when the work begins.

    Raises:
        DataError: the folder holds the work of another request; and as `items`.
    """
    record = out / kind.record
    if record.exists():
        _check_same(record, kind, settings)
    else:
        found = tuple(items())
        write_text_atomic(out / INDEX, "".join(f"{json.dumps(item)}\n" for item in found))
        document = {"schema": kind.schema, "request": vars(settings), kind.items: len(found)}
        write_text_atomic(record, json.dumps(document, indent=1) + "\n")
    folders.remove_leftovers(out)
    return Work(out, kind, settings)


def read_record(path: Path, kind: Kind) -> dict[str, Any]:
    """What the record says.

    Raises:
        DataError: it is missing, or something else.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        schema, request = document["schema"], document["request"]
    except FileNotFoundError:
        raise DataError(
            f"There is no file {path}.", path=path, hint=f"`{kind.command}` makes such a folder."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not what {kind.recipe} writes: {error}.", path=path) from error
    if schema != kind.schema or not isinstance(request, dict):
        raise DataError(
            f"{path} is not what {kind.recipe} writes: its schema is {schema!r}.", path=path
        )
    return dict(document)


def counts_of(folder: Path, kind: Kind) -> dict[str, Any]:
    """How many rows a complete shard has; how many were skipped, why, and the first of them.

    Raises:
        DataError: the shard is damaged.
    """
    try:
        skipped = json.loads((folder / SKIPPED).read_text("utf-8"))
        rows = (folder / ROWS).read_text("utf-8").splitlines() if (folder / ROWS).exists() else []
        first = f"{skipped[0]['source']}: {skipped[0]['reason']}" if skipped else ""
        kinds = Counter(str(entry.get("kind", "damaged")) for entry in skipped)
        shard = int(folder.name.rpartition("-")[2])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder} is not what {kind.recipe} writes: {error}.",
            path=folder,
            hint="Move it away and start again: it will be made anew.",
        ) from error
    return {
        "shard": shard,
        "rows": len(rows),
        "skipped": len(skipped),
        "first": first,
        "kinds": dict(kinds),
    }


def _check_same(record: Path, kind: Kind, settings: Any) -> None:
    before, now = read_record(record, kind)["request"], vars(settings)
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        told = "; ".join(f"{n}: {before.get(n)!r} there, {now[n]!r} asked for" for n in differing)
        raise DataError(
            f"{record.parent} holds data of another request ({told}).",
            path=record.parent,
            hint="Choose another folder, or give the same options to go on with it.",
        )
