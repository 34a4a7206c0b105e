"""Where GIMP 3 looks for plug-ins, and how ours gets there and away again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import imgedit_bridges
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.gimp import catalogue, refresh
from imgedit_bridges.gimp.profiles import NAME, Profile
from imgedit_bridges.locations import Record, read_record, write_record
from imgedit_plugins._version import __version__
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import ImgeditError

RECORD = "bridge.json"
FILES = "files.json"

_PACKAGE = Path(imgedit_bridges.__file__).parent


class InstallError(ImgeditError):
    """The plug-in cannot be put into GIMP's folder, or not be removed."""


@dataclass(frozen=True)
class Change:
    """What was done to one profile, or would be.

    Attributes:
        profile: where.
        what: 'installed', 'updated', 'unchanged', 'removed', or 'absent'.
        files: that were written or removed, relative to the plug-in's folder.
        kept: that were left since they are not ours.
    """

    profile: Profile
    what: Literal["installed", "updated", "unchanged", "removed", "absent"]
    files: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


# --- installing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wanted:
    """What the plug-in's folder shall hold: files by name, the actions, and the record."""

    files: Mapping[str, bytes]
    actions: dict[str, Any]
    record: Record

    @property
    def names(self) -> tuple[str, ...]:
        return (*sorted(self.files), catalogue.ACTIONS, FILES, RECORD)


def install(profile: Profile, *, python: str = sys.executable, dry_run: bool = False) -> Change:
    """Put the plug-in into one profile; it appears whole or not at all.

    Args:
        profile: where.
        python: that starts the worker.
        dry_run: only say what would be done.

    Raises:
        InstallError: another plug-in has the place, or the folder cannot be written.
    """
    files, found = _contents(), refresh.recorded()
    wanted = _Wanted(files, found, Record(python, __version__, profile.prefix))
    there = _installed(profile.plugin)
    if there is not None and _is_current(profile, wanted):
        return Change(profile, "unchanged")
    change = Change(profile, "installed" if there is None else "updated", wanted.names)
    if not dry_run:
        _replace(profile, wanted)
    return change


def uninstall(profile: Profile, *, dry_run: bool = False) -> Change:
    """Remove what `install` put into a profile; files that others added stay.

    Raises:
        InstallError: another plug-in has the place, or a file cannot be removed.
    """
    folder = profile.plugin
    there = _installed(folder)
    if there is None:
        return Change(profile, "absent")
    ours = {*there, catalogue.ACTIONS, catalogue.NEXT, FILES, RECORD}
    files = sorted(name for name in ours if (folder / name).is_file())
    kept = sorted(_others(folder, ours))
    if not dry_run:
        try:
            _remove(folder, files)
        except OSError as error:
            raise InstallError(f"{folder} cannot be removed: {write_failure(error)}.") from error
    return Change(profile, "removed", tuple(files), tuple(kept))


def _contents() -> dict[str, bytes]:
    """The plug-in's files by name, relative to its folder: the script and all that it imports."""
    script = (_PACKAGE / "gimp" / "plugin.py").read_bytes()
    files = {f"{NAME}.py": script}
    todo = sorted(_imported(script))
    while todo:
        path = todo.pop()
        name = path.relative_to(_PACKAGE.parent).as_posix()
        if name not in files:
            files[name] = path.read_bytes()
            todo.extend(_imported(files[name]))
    return files


def _imported(source: bytes) -> Iterator[Path]:
    """The files of this package that a module imports, packages' own included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE.name):
            module = str(node.module)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            for name in names:
                path = _PACKAGE.parent.joinpath(*name.split("."))
                yield from (one for one in (path / "__init__.py", path.with_suffix(".py"))
                            if one.is_file())  # fmt: skip


def _replace(profile: Profile, wanted: _Wanted) -> None:
    folder = profile.plugin
    token = secrets.token_hex(4)
    # Not in plug-ins, where GIMP would look into them.
    new = profile.folder / f".{NAME}-{token}.part"
    old = profile.folder / f".{NAME}-{token}.old"
    try:
        try:
            before = profile.script.stat().st_mtime if profile.script.exists() else 0.0
            _write(new, wanted)
            refresh.look_changed(new / f"{NAME}.py", before)
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


def _write(folder: Path, wanted: _Wanted) -> None:
    for name, data in wanted.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / f"{NAME}.py").chmod(0o755)  # GIMP starts executable files only
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.files.items()}
    (folder / FILES).write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
    (folder / catalogue.ACTIONS).write_bytes(refresh.as_bytes(wanted.actions))
    write_record(wanted.record, folder / RECORD)


# --- what is there ----------------------------------------------------------------------------


def _installed(folder: Path) -> dict[str, str] | None:
    """The files of ours that are there, by name; None where the place is free.

    Raises:
        InstallError: something else is there.
    """
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


def _is_inside(name: object) -> bool:
    return isinstance(name, str) and not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_current(profile: Profile, wanted: _Wanted) -> bool:
    folder = profile.plugin
    try:
        record = read_record(folder / RECORD)
        same = all((folder / name).read_bytes() == data for name, data in wanted.files.items())
    except (OSError, BridgeError):
        return False
    newest = catalogue.newest_listing(folder)
    known = newest.get("actions") == wanted.actions["actions"]
    return same and known and os.access(profile.script, os.X_OK) and record == wanted.record


def _others(folder: Path, ours: set[str]) -> Iterator[str]:
    """Files that others put there; what Python compiled from ours is ours."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in ours and path.parent.name != "__pycache__":
            yield name


def _remove(folder: Path, files: list[str]) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    for name in files:
        (folder / name).unlink()
    inner = sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True)
    for path in (*inner, folder):
        if not any(path.iterdir()):
            path.rmdir()
