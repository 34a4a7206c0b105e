"""Weights on this machine: where they lie, what is there, and whether it is what it should be.

A plugin's manifest says which weights it can use. Each set has a folder of its own, and in it a
record (``weights.json``) of what was fetched or imported, from where, under which licence, and the
SHA-256 of every file. `weights_fetching` fills the folder from the publisher, `import_weights` from
files that the user has. Nothing here opens a file of weights, and nothing imports a model library.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from imgedit_plugins.atomic import write_bytes_atomic
from imgedit_plugins.errors import WeightsError

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.manifest import Weights, WeightsPart
    from imgedit_plugins.plugins import PluginManager
    from imgedit_plugins.requests import Options, WeightsReport

RECORD = "weights.json"
VARIABLE = "IMGEDIT_WEIGHTS"

_CHUNK = 1 << 22


class FileRecord(msgspec.Struct, frozen=True):
    """What a file was when it was written."""

    sha256: str
    size: int


class Record(msgspec.Struct, frozen=True):
    """Contents of ``weights.json``.

    Attributes:
        schema: 'imgedit-weights/1'.
        weights: 'PLUGIN/ID'.
        title, licence, source: from the manifest.
        revision: the publisher's commit, where weights were fetched.
        files: of each file, by its path in the folder.
        parts: of each imported part, the file or folder that it came from.
    """

    weights: str
    title: str
    licence: str
    source: str
    files: dict[str, FileRecord]
    schema: Literal["imgedit-weights/1"] = "imgedit-weights/1"
    revision: str = ""
    parts: dict[str, str] = {}


@dataclass(frozen=True)
class Known:
    """Weights of an installed plugin.

    Attributes:
        name: 'PLUGIN/ID'.
        plugin: the plugin's name.
        weights: its manifest's entry.
    """

    plugin: str
    weights: Weights

    @property
    def name(self) -> str:
        """How users name them."""
        return f"{self.plugin}/{self.weights.id}"

    @property
    def folder(self) -> Path:
        """Where they lie unless the user says otherwise."""
        return home() / self.plugin / self.weights.id

    @property
    def size(self) -> int | None:
        """Bytes of all files, as far as the manifest knows; None where it knows none."""
        sizes = [file.size for file in self.weights.files if file.size]
        return sum(sizes) or None


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of all weights: $IMGEDIT_WEIGHTS, or a place in the user's data folder."""
    if given := environ.get(VARIABLE):
        return Path(given)
    user = Path.home()
    if sys.platform == "darwin":
        base = user / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or user / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_DATA_HOME") or user / ".local" / "share")
    return base / "imgedit-plugins" / "weights"


def known(manager: PluginManager) -> tuple[Known, ...]:
    """The weights of all available plugins, by name."""
    found = [
        Known(info.name, weights)
        for info in manager.plugins
        if info.manifest and info.status == "available"
        for weights in info.manifest.weights
    ]
    return tuple(sorted(found, key=lambda k: k.name))


def find(manager: PluginManager, name: str) -> Known:
    """The weights of a name 'PLUGIN/ID', or 'PLUGIN' for those of the plugin's own name.

    Raises:
        WeightsError: there are none.
    """
    from imgedit_plugins.options import did_you_mean

    by_name = {one.name: one for one in known(manager)}
    for full in (name, f"{name}/{name}"):
        if full in by_name:
            return by_name[full]
    hint = did_you_mean(name, by_name) or "`imgedit-plugins weights list` shows all."
    raise WeightsError(f"There are no weights {name!r}.", hint=hint)


# --- what is there ----------------------------------------------------------------------------


def read_record(folder: Path) -> Record | None:
    """The record of a folder; None where there is none.

    Raises:
        WeightsError: it is malformed.
    """
    path = folder / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}.", path=path) from error


def write_record(folder: Path, record: Record) -> Path:
    """Write the record, as the last of all files."""
    path = folder / RECORD
    write_bytes_atomic(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    return path


def state(folder: Path) -> str:
    """'here', 'in part' (with what is missing or has another size) or 'not here'; no hashing."""
    record = read_record(folder)
    if record is None:
        return "in part" if folder.is_dir() and any(folder.iterdir()) else "not here"
    wrong = [
        path
        for path, file in record.files.items()
        if not (folder / path).is_file() or (folder / path).stat().st_size != file.size
    ]
    return f"in part: {', '.join(wrong)} missing or cut" if wrong else "here"


def verify(folder: Path, job: Job) -> Record:
    """Hash every file of the record.

    Raises:
        WeightsError: there is no record, or files are missing or changed; each is named.
    """
    record = read_record(folder)
    if record is None:
        raise WeightsError(
            f"{folder} has no {RECORD}, so nothing is known of what should be there.", path=folder
        )
    faults = []
    for number, (path, file) in enumerate(record.files.items()):
        job.report(f"checking {path}", number, len(record.files))
        faults += [f"{path} {told}" for told in _faults(folder / path, file, job)]
    if faults:
        raise WeightsError(
            f"{folder} is not what was written: {'; '.join(faults)}.",
            path=folder,
            hint="Fetch or import it again.",
        )
    return record


def _faults(path: Path, file: FileRecord, job: Job) -> list[str]:
    if not path.is_file():
        return ["is missing"]
    if path.stat().st_size != file.size:
        return [f"has {path.stat().st_size} bytes, not {file.size}"]
    return [] if sha256_of(path, job) == file.sha256 else ["has another content"]


def sha256_of(path: Path, job: Job) -> str:
    """SHA-256 of a file of any size; stops when the job is cancelled."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
            job.check()
    return digest.hexdigest()


def record_of(one: Known, folder: Path, paths: tuple[str, ...], job: Job) -> Record:
    """A record of files as they are now."""
    files = {
        path: FileRecord(sha256_of(folder / path, job), (folder / path).stat().st_size)
        for path in paths
    }
    weights = one.weights
    return Record(one.name, weights.title, weights.licence, weights.source, files)


# --- importing --------------------------------------------------------------------------------


def import_weights(
    manager: PluginManager,
    one: Known,
    given: Mapping[str, Path],
    out: Path,
    job: Job,
    options: Options | None = None,
) -> WeightsReport:
    """Let the plugin take files that the user has, and record what it wrote.

    Args:
        manager: the installed plugins.
        one: which weights.
        given: files and folders by the name of their part.
        out: the folder to write.
        job: progress and cancellation.
        options: of the plugin's `import_weights`.

    Raises:
        WeightsError: a part is missing, unknown, or not the file or folder that it should be.
    """
    from imgedit_plugins.requests import WeightsRequest

    _check_parts(one, given)
    request = WeightsRequest(
        weights=one.weights.id, files=dict(given), out=out, options=dict(options or {})
    )
    report: WeightsReport = manager.call("import_weights", request, job, one.plugin)
    paths = tuple(path.relative_to(out).as_posix() for path in report.files)
    record = record_of(one, out, paths, job)
    parts = {name: str(path.resolve()) for name, path in given.items()}
    write_record(out, msgspec.structs.replace(record, parts=parts))
    return report


def _check_parts(one: Known, given: Mapping[str, Path]) -> None:
    parts = {part.name: part for part in one.weights.parts}
    if not parts:
        raise WeightsError(
            f"{one.name} is not imported.", hint=f"`imgedit-plugins weights fetch {one.name}`"
        )
    for name in given.keys() - parts.keys():
        raise WeightsError(f"{one.name} has no part {name!r}.", hint=f"It has {', '.join(parts)}.")
    missing = [part for part in parts.values() if not part.optional and part.name not in given]
    if missing:
        raise WeightsError(
            f"{one.name} needs {missing[0].name!r}: {missing[0].help}",
            hint=f"It is published at {missing[0].source} (licence: {missing[0].licence}).",
        )
    for name, path in given.items():
        _check_part(parts[name], path)


def _check_part(part: WeightsPart, path: Path) -> None:
    there = path.is_dir() if part.kind == "folder" else path.is_file()
    if not there:
        raise WeightsError(f"{path} is no {part.kind}, and {part.name!r} must be one.", path=path)
