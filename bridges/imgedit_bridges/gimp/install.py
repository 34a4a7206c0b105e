"""Where GIMP 3 looks for plug-ins, and how ours gets there and away again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_bridges.plugin_folder import (
    PACKAGE,
    InstallError,
    PluginFolder,
    State,
    contents,
    written,
)

__all__ = ["Change", "InstallError", "Profile", "find_profiles", "install", "uninstall"]

NAME = "imgedit"


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
    what: State
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
    wanted = contents(f"{NAME}.py", PACKAGE / "gimp" / "plugin.py")
    folder = _folder(profile)
    what = folder.state(wanted, python)
    if what == "unchanged":
        return Change(profile, what)
    if not dry_run:
        folder.put(wanted, python)
    return Change(profile, what, written(wanted))


def uninstall(profile: Profile, *, dry_run: bool = False) -> Change:
    """Remove what `install` put into a profile; files that others added stay.

    Raises:
        InstallError: another plug-in has the place, or a file cannot be removed.
    """
    folder = _folder(profile)
    if folder.installed() is None:
        return Change(profile, "absent")
    files, kept = folder.parts()
    if not dry_run:
        folder.remove(files)
    return Change(profile, "removed", files, kept)


def _folder(profile: Profile) -> PluginFolder:
    # Parts lie beside plug-ins, where GIMP does not look; it starts executable files only.
    return PluginFolder(profile.plugin, profile.folder, executable=f"{NAME}.py")
