"""What was done in an output folder: a JSON Lines file that only grows."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.batch.outliers import Figures
from imgedit_plugins.errors import ImgeditError

JOURNAL = ".imgedit-apply.jsonl"
"""Its name in the output folder."""

_STALE_LINES = 3
"""Times as many lines as results: time to write it anew. Each result has two at first."""

_BEGUN = -1  # size of a result of which nobody knows whether it was written

Verdict = Literal["kept", "stale", "refused"]


@dataclass(frozen=True)
class Record:
    """One result.

    Attributes:
        out: its path below the output folder, with '/'.
        source: absolute path of the picture that it was made from.
        source_size, source_mtime_ns: that file as it was when the work began.
        edit: SHA-256 of plan and options.
        out_size, out_mtime_ns: the result as it was written. Before it is: -1, and the time of
            the file that is there still (-1 where there is none).
        clipped, change: `Figures`; None where they were not measured.
    """

    out: str
    source: str
    source_size: int
    source_mtime_ns: int
    edit: str
    out_size: int
    out_mtime_ns: int
    clipped: float | None = None
    change: float | None = None

    @property
    def figures(self) -> Figures | None:
        """What was measured."""
        if self.clipped is None or self.change is None:
            return None
        return Figures(self.clipped, self.change)


class Journal:
    """The results in a folder, latest line first in rank; safe to use from several threads.

    A line that a dying process left half written is passed over: its picture is done again.

    Args:
        folder: the output folder; it exists.
        edit: SHA-256 of the plan and the options of this run.

    Raises:
        ImgeditError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, edit: str) -> None:
        self.path = folder / JOURNAL
        self.edit = edit
        self._folder = folder
        self._lock = threading.Lock()
        self._records = self._load()

    def verdict(self, source: Path, target: Path) -> Verdict:
        """What to do about a result that exists: keep it, make it again, or ask; see `to_do`."""
        record = self._records.get(self._name(target))
        if record is None:
            return "refused"
        found = stamp_of(target)
        begun = record.out_size == _BEGUN
        unwritten = begun and record.out_mtime_ns == found[1]
        same_source = (record.source_size, record.source_mtime_ns) == stamp_of(source)
        if same_source and record.edit == self.edit and not unwritten:
            return "kept"
        ours = begun or (record.out_size, record.out_mtime_ns) == found
        known = same_source or record.source == str(source.resolve())
        return "stale" if ours and known else "refused"

    def figures(self, target: Path) -> Figures | None:
        """What was measured when this result was made."""
        record = self._records.get(self._name(target))
        return record.figures if record else None

    def begin(
        self, source: Path, stamp: tuple[int, int], target: Path, figures: Figures | None
    ) -> None:
        """Note that a result is about to be written.

        Without it, a process that dies between writing and `add` would leave a file that nobody
        owns.

        Args:
            source: the picture that it is made from.
            stamp: `stamp_of` that file, taken before it was read.
            target: the result.
            figures: what was measured.

        Raises:
            ImgeditError: the journal cannot be written.
        """
        self._note(source, stamp, target, (_BEGUN, stamp_of(target)[1]), figures)

    def add(
        self, source: Path, stamp: tuple[int, int], target: Path, figures: Figures | None
    ) -> None:
        """Note that a result was written; arguments and errors as for `begin`."""
        self._note(source, stamp, target, stamp_of(target), figures)

    def _note(
        self,
        source: Path,
        stamp: tuple[int, int],
        target: Path,
        written: tuple[int, int],
        figures: Figures | None,
    ) -> None:
        record = Record(
            out=self._name(target),
            source=str(source.resolve()),
            source_size=stamp[0],
            source_mtime_ns=stamp[1],
            edit=self.edit,
            out_size=written[0],
            out_mtime_ns=written[1],
            clipped=figures.clipped if figures else None,
            change=figures.change if figures else None,
        )
        with self._lock:
            self._records[record.out] = record
            self._append(_line(record))

    def _name(self, target: Path) -> str:
        return target.relative_to(self._folder).as_posix()

    def _load(self) -> dict[str, Record]:
        try:
            text = self.path.read_bytes().decode("utf-8", "replace") if self.path.exists() else ""
            lines = text.splitlines()
            records = {r.out: r for r in map(_record, lines) if r is not None}
            torn = bool(text) and not text.endswith("\n")
            if torn or len(lines) > _STALE_LINES * len(records):
                write_text_atomic(self.path, "".join(map(_line, records.values())))
        except OSError as error:
            raise self._fault(error) from error
        return records

    def _append(self, line: str) -> None:
        try:
            # One write to a file opened for appending: two runs do not mix their lines.
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> ImgeditError:
        return ImgeditError(
            f"{self.path}, which notes what is done, cannot be used: {write_failure(error)}."
        )


def fingerprint(edit: Mapping[str, Any]) -> str:
    """SHA-256 of anything JSON can hold; the same for equal values."""
    return hashlib.sha256(json.dumps(edit, sort_keys=True).encode()).hexdigest()


def stamp_of(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds; (-1, -1) for a file that is not there."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _line(record: Record) -> str:
    return json.dumps(asdict(record)) + "\n"


def _record(line: str) -> Record | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return _from_json(data) if isinstance(data, dict) else None


_TYPES: Mapping[str, tuple[type, ...]] = {
    "out": (str,),
    "source": (str,),
    "source_size": (int,),
    "source_mtime_ns": (int,),
    "edit": (str,),
    "out_size": (int,),
    "out_mtime_ns": (int,),
    "clipped": (float, int, type(None)),
    "change": (float, int, type(None)),
}


def _from_json(data: Mapping[str, Any]) -> Record | None:
    """The record; None for a line of a later version or of somebody else."""
    if set(data) != set(_TYPES):
        return None
    if not all(isinstance(data[name], types) for name, types in _TYPES.items()):
        return None
    return Record(**data)
