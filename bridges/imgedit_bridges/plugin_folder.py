"""A folder with a plug-in in it, inside an editor's configuration: put there, renewed, removed.

Belongs to the command line. The folder holds the editor-side modules of this package, the
installation record, and a list of what is ours.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imgedit_bridges
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Record, read_record, write_record
from imgedit_plugins._version import __version__
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import ImgeditError

RECORD = "bridge.json"
FILES = "files.json"

PACKAGE = Path(imgedit_bridges.__file__).parent

State = Literal["installed", "updated", "unchanged", "removed", "absent"]


class InstallError(ImgeditError):
    """The plug-in cannot be put into the editor's folder, or not be removed."""


@dataclass(frozen=True)
class PluginFolder:
    """Where a plug-in goes.

    Attributes:
        folder: of the plug-in.
        scratch: on the same disk, where its parts may lie for a moment and the editor does not
            look for plug-ins.
        executable: the file in it that must be one; may be empty.
        prefix: words before the Python that starts the worker; see `Record`.
        made: names of files that the plug-in itself writes there.
    """

    folder: Path
    scratch: Path
    executable: str = ""
    prefix: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    def state(self, wanted: Mapping[str, bytes], python: str) -> State:
        """What `put` will do: 'installed', 'updated' or 'unchanged'.

        Raises:
            InstallError: another plug-in has the place.
        """
        if self.installed() is None:
            return "installed"
        return "unchanged" if self._is_current(wanted, python) else "updated"

    def installed(self) -> dict[str, str] | None:
        """The files of ours that are there, by name; None where the place is free.

        Raises:
            InstallError: something else is there.
        """
        folder = self.folder
        if not folder.exists() and not folder.is_symlink():
            return None
        try:
            listed = json.loads((folder / FILES).read_bytes())
        except (OSError, ValueError):
            listed = None
        if folder.is_symlink() or not isinstance(listed, dict) or not all(map(_is_inside, listed)):
            raise InstallError(
                f"{folder} is there already and is not ours.",
                hint="Move it away and run the command again.",
            )
        return listed

    def put(self, wanted: Mapping[str, bytes], python: str) -> None:
        """Write the plug-in; it appears whole or not at all.

        Raises:
            InstallError: the folder cannot be written.
        """
        folder = self.folder
        token = secrets.token_hex(4)
        new = self.scratch / f".{folder.name}-{token}.part"
        old = self.scratch / f".{folder.name}-{token}.old"
        try:
            try:
                self._write(new, wanted, python)
                folder.parent.mkdir(exist_ok=True)
                if folder.exists():
                    folder.rename(old)
                new.rename(folder)
            except BaseException:
                if old.exists() and not folder.exists():
                    old.rename(folder)
                raise
            finally:
                shutil.rmtree(new, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise InstallError(f"{folder} cannot be written: {write_failure(error)}.") from error

    def parts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the files that `remove` removes, and of those that others put there.

        Raises:
            InstallError: another plug-in has the place.
        """
        ours = {*(self.installed() or ()), FILES, RECORD, *self.made}
        files = sorted(name for name in ours if (self.folder / name).is_file())
        return tuple(files), tuple(sorted(_others(self.folder, ours)))

    def remove(self, files: tuple[str, ...]) -> None:
        """Remove files and what becomes empty.

        Raises:
            InstallError: a file cannot be removed.
        """
        try:
            _remove(self.folder, files)
        except OSError as error:
            raise InstallError(
                f"{self.folder} cannot be removed: {write_failure(error)}."
            ) from error

    def _write(self, folder: Path, wanted: Mapping[str, bytes], python: str) -> None:
        for name, data in wanted.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if self.executable:
            (folder / self.executable).chmod(0o755)
        listed = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
        (folder / FILES).write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
        write_record(Record(python, __version__, self.prefix), folder / RECORD)

    def _is_current(self, wanted: Mapping[str, bytes], python: str) -> bool:
        folder = self.folder
        try:
            record = read_record(folder / RECORD)
            same = all((folder / name).read_bytes() == data for name, data in wanted.items())
        except (OSError, BridgeError):
            return False
        runs = not self.executable or os.access(folder / self.executable, os.X_OK)
        return same and runs and record == Record(python, __version__, self.prefix)


def contents(script: str, module: Path) -> dict[str, bytes]:
    """A plug-in's files by name, relative to its folder: the script and all that it imports.

    Args:
        script: name of the script in the plug-in's folder.
        module: where it is in this package.
    """
    files = {script: module.read_bytes()}
    todo = sorted(_imported(files[script]))
    while todo:
        path = todo.pop()
        name = path.relative_to(PACKAGE.parent).as_posix()
        if name not in files:
            files[name] = path.read_bytes()
            todo.extend(_imported(files[name]))
    return files


def written(wanted: Mapping[str, bytes]) -> tuple[str, ...]:
    """Names of all files that `PluginFolder.put` writes."""
    return (*sorted(wanted), FILES, RECORD)


def _imported(source: bytes) -> Iterator[Path]:
    """The files of this package that a module imports, packages' own included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            module = str(node.module)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            for name in names:
                path = PACKAGE.parent.joinpath(*name.split("."))
                yield from (one for one in (path / "__init__.py", path.with_suffix(".py"))
                            if one.is_file())  # fmt: skip


def _is_inside(name: object) -> bool:
    return isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts


def _others(folder: Path, ours: set[str]) -> Iterator[str]:
    """Files that others put there; what Python compiled from ours is ours."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ours and path.parent.name != "__pycache__":
            yield name


def _remove(folder: Path, files: tuple[str, ...]) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    for name in files:
        (folder / name).unlink()
    inner = sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True)
    for path in (*inner, folder):
        if not any(path.iterdir()):
            path.rmdir()
