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
from typing import Literal

import imgedit_bridges
from imgedit_bridges.locations import Record, write_record
from imgedit_plugins._version import __version__
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import ImgeditError

NAME = "imgedit"
RECORD = "bridge.json"
FILES = "files.json"

_PACKAGE = Path(imgedit_bridges.__file__).parent


class InstallError(ImgeditError):
    """The plug-in cannot be put into GIMP's folder, or not be removed."""


@dataclass(frozen=True)
class Profile:
    """One configuration folder of GIMP.

    Attributes:
        kind: whose GIMP uses it.
        folder: such as ~/.config/GIMP/3.0.
    """

    kind: Literal["chosen", "system", "flatpak", "snap"]
    folder: Path

    @property
    def plugin(self) -> Path:
        """The plug-in's folder."""
        return self.folder / "plug-ins" / NAME


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


def find_profiles(
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
    platform: str = sys.platform,
) -> list[Profile]:
    """Every configuration folder of a GIMP 3 that has been started once.

    Args:
        environ: where GIMP3_DIRECTORY, XDG_CONFIG_HOME and APPDATA are looked up.
        home: the user's folder.
        platform: as `sys.platform`.
    """
    home = home or Path.home()
    found: dict[Path, Profile] = {}
    for profile in _candidates(environ, home, platform):
        if profile.folder.is_dir():
            found.setdefault(profile.folder.resolve(), profile)
    return list(found.values())


def _candidates(environ: Mapping[str, str], home: Path, platform: str) -> Iterator[Profile]:
    if chosen := environ.get("GIMP3_DIRECTORY"):
        yield Profile("chosen", Path(chosen))
    if platform == "win32":
        bases = [Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "GIMP"]
    elif platform == "darwin":
        bases = [home / "Library" / "Application Support" / "GIMP"]
    else:
        bases = [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "GIMP"]
    for base in bases:
        yield from (Profile("system", folder) for folder in sorted(base.glob("3.*")))
    if platform in ("win32", "darwin"):
        return
    flatpak = home / ".var/app/org.gimp.GIMP/config/GIMP"
    yield from (Profile("flatpak", folder) for folder in sorted(flatpak.glob("3.*")))
    for part in ("current", "common"):
        snap = home / "snap/gimp" / part / ".config/GIMP"
        yield from (Profile("snap", folder) for folder in sorted(snap.glob("3.*")))


# --- installing -------------------------------------------------------------------------------


def install(profile: Profile, *, python: str = sys.executable, dry_run: bool = False) -> Change:
    """Put the plug-in into one profile; it appears whole or not at all.

    Args:
        profile: where.
        python: that starts the worker.
        dry_run: only say what would be done.

    Raises:
        InstallError: another plug-in has the place, or the folder cannot be written.
    """
    wanted = _contents()
    folder = profile.plugin
    there = _installed(folder)
    if there is not None and _is_current(folder, wanted, python):
        return Change(profile, "unchanged")
    change = Change(profile, "installed" if there is None else "updated", _written(wanted))
    if not dry_run:
        _replace(profile, wanted, python)
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
    ours = {*there, FILES, RECORD}
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


def _written(wanted: Mapping[str, bytes]) -> tuple[str, ...]:
    return (*sorted(wanted), FILES, RECORD)


def _replace(profile: Profile, wanted: Mapping[str, bytes], python: str) -> None:
    folder = profile.plugin
    token = secrets.token_hex(4)
    # Not in plug-ins, where GIMP would look into them.
    new = profile.folder / f".{NAME}-{token}.part"
    old = profile.folder / f".{NAME}-{token}.old"
    try:
        try:
            _write(new, wanted, python)
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


def _write(folder: Path, wanted: Mapping[str, bytes], python: str) -> None:
    for name, data in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / f"{NAME}.py").chmod(0o755)  # GIMP starts executable files only
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    (folder / FILES).write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
    write_record(Record(python, __version__), folder / RECORD)


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


def _is_current(folder: Path, wanted: Mapping[str, bytes], python: str) -> bool:
    try:
        record = json.loads((folder / RECORD).read_bytes())
        same = all((folder / name).read_bytes() == data for name, data in wanted.items())
    except (OSError, ValueError):
        return False
    runs = os.access(folder / f"{NAME}.py", os.X_OK)
    return same and runs and record == {"python": python, "version": __version__}


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
