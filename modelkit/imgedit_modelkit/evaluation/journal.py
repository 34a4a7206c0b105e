"""A file that keeps finished pieces of an evaluation, so that it goes on where it was stopped.

One JSON object per line, after a first line that says what the file is. What a piece hangs on is
hashed into its key, so that a line counts only for the very same piece.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import DataError


@dataclass
class JournalFile:
    """The lines that were kept, by key.

    Attributes:
        path: the file.
        lines: what it holds.
    """

    path: Path
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keep(self, key: str, line: dict[str, Any]) -> None:
        """Write one piece down.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **line}) + "\n")
        except OSError as error:
            raise _unusable(self.path, error) from error
        self.lines[key] = line


def open_journal_file(path: Path, schema: str) -> JournalFile:
    """The journal in a file, which is made if it is not there.

    A line that a killed run left unfinished is passed over.

    Raises:
        DataError: the file is something else, or cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text and _object(text.partition("\n")[0]).get("schema") != schema:
            raise DataError(
                f"{path} is no journal of `evaluate`.",
                path=path,
                hint="Name a file that is not there yet.",
            )
        if not text or not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n" if text else json.dumps({"schema": schema}) + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error
    lines = {line["key"]: line for line in map(_object, text.splitlines()) if "key" in line}
    return JournalFile(path, lines)


def key_of(*told: Any) -> str:
    """The hash of all that a piece hangs on; anything that JSON can say."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def stamp(path: Path) -> tuple[str, int, int] | None:
    """What changes when a file is written anew: name, size, time; None where it is not there."""
    if not path.exists():
        return None
    state = path.stat()
    return path.name, state.st_size, state.st_mtime_ns


_WEIGHTS = (".safetensors", ".json", ".model", ".txt")


def folder_stamps(folder: Path) -> list[tuple[str, int, int] | None]:
    """What changes when a model's folder does: the stamps of all files that its answers hang on."""
    return [stamp(path) for path in sorted(folder.rglob("*")) if path.suffix in _WEIGHTS]


def _unusable(path: Path, error: Exception) -> DataError:
    told = write_failure(error) if isinstance(error, OSError) else "it is no text"
    return DataError(f"The journal {path} cannot be used: {told}.", path=path)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
