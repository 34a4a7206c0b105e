"""Where Krita looks for Python extensions, and how ours gets there and away again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_bridges.krita.kritarc import switched_off, switched_on
from imgedit_bridges.plugin_folder import (
    PACKAGE,
    InstallError,
    PluginFolder,
    State,
    contents,
    written,
)
from imgedit_plugins.atomic import write_failure

__all__ = [
    "Change", "InstallError", "Profile", "chosen_profile", "find_profiles", "install", "uninstall"
]  # fmt: skip

NAME = "imgedit"
DESKTOP = f"{NAME}.desktop"
MANUAL = "Manual.html"

ABOUT = f"""[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library={NAME}
X-Python-2-Compatible=false
X-Krita-Manual={MANUAL}
Name=imgedit
Comment=Recover the edit between two layers as live filter layers, and carry it to other pictures
"""
"""What tells Krita of the extension."""

_HELP = """<!DOCTYPE html>
<meta charset="utf-8">
<title>imgedit</title>
<h1>imgedit</h1>
<p>Recovers the edit between two layers as live filter layers, and carries it to other pictures:
<i>Tools &#9656; Scripts &#9656; imgedit</i>.</p>
<p>The work is done by <code>imgedit-plugins</code>, which put this extension here;
<code>imgedit-plugins doctor</code> says what may be missing.</p>
"""


@dataclass(frozen=True)
class Profile:
    """The resources of one user's Krita.

    Attributes:
        kind: whose Krita uses them.
        folder: such as ~/.local/share/krita.
        settings: Krita's kritarc, which need not exist.
    """

    kind: Literal["chosen", "system", "flatpak", "snap"]
    folder: Path
    settings: Path

    @property
    def plugin(self) -> Path:
        """The extension's folder."""
        return self.folder / "pykrita" / NAME

    @property
    def desktop(self) -> Path:
        """What tells Krita of the extension."""
        return self.folder / "pykrita" / DESKTOP


@dataclass(frozen=True)
class Change:
    """What was done to one profile, or would be.

    Attributes:
        profile: where.
        what: 'installed', 'updated', 'unchanged', 'removed', or 'absent'.
        files: that were written or removed, relative to the extension's folder.
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
    """The resources of every Krita that has been started once.

    Args:
        environ: where XDG_DATA_HOME, XDG_CONFIG_HOME, APPDATA and LOCALAPPDATA are looked up.
        home: the user's folder.
        platform: as `sys.platform`.
    """
    home = home or Path.home()
    candidates = _candidates(environ, home, platform)
    return [profile for profile in candidates if profile.folder.is_dir()]


def chosen_profile(
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
    platform: str = sys.platform,
) -> Profile:
    """The profile whose resources are in `folder`; kritarc lies where it does for such a folder.

    That is the profile's own for a folder of `find_profiles`, `config/kritarc` or
    `.config/kritarc` beside it in a tree of that shape, and else the user's usual one.
    """
    candidates = list(_candidates(environ, home or Path.home(), platform))
    for profile in candidates:
        if profile.folder == folder:
            return profile
    if folder.parts[-3:] == (".local", "share", "krita"):
        return Profile("chosen", folder, folder.parents[2] / ".config" / "kritarc")
    if folder.parts[-2:] == ("data", "krita"):
        return Profile("chosen", folder, folder.parents[1] / "config" / "kritarc")
    return Profile("chosen", folder, candidates[0].settings)


def _candidates(environ: Mapping[str, str], home: Path, platform: str) -> Iterator[Profile]:
    if platform == "win32":
        roaming = Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
        local = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
        yield Profile("system", roaming / "krita", local / "kritarc")
        return
    if platform == "darwin":
        library = home / "Library"
        folder = library / "Application Support" / "krita"
        yield Profile("system", folder, library / "Preferences" / "kritarc")
        return
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield Profile("system", data / "krita", config / "kritarc")  # an AppImage's, too
    flatpak = home / ".var" / "app" / "org.kde.krita"
    yield Profile("flatpak", flatpak / "data" / "krita", flatpak / "config" / "kritarc")
    snap = home / "snap" / "krita" / "current"
    yield Profile("snap", snap / ".local/share/krita", snap / ".config/kritarc")


# --- installing -------------------------------------------------------------------------------


def install(profile: Profile, *, python: str = sys.executable, dry_run: bool = False) -> Change:
    """Put the extension into one profile, whole or not at all, and switch it on.

    Args:
        profile: where.
        python: that starts the worker.
        dry_run: only say what would be done.

    Raises:
        InstallError: another extension has the place, or something cannot be written.
    """
    wanted = contents("__init__.py", PACKAGE / "krita" / "plugin.py")
    wanted[MANUAL] = _HELP.encode()
    folder = plugin_folder(profile)
    what = folder.state(wanted, python)
    settings = _read(profile.settings)
    enabled = switched_on(settings, NAME)
    told = profile.desktop.read_bytes() if profile.desktop.is_file() else b""
    if what == "unchanged" and enabled == settings and told == ABOUT.encode():
        return Change(profile, what)
    if not dry_run:
        if what != "unchanged":
            folder.put(wanted, python)
        _write(profile.desktop, ABOUT.encode())
        if enabled != settings:
            _write(profile.settings, enabled)
    outside = (f"../{DESKTOP}", str(profile.settings))
    return Change(profile, "updated" if what == "unchanged" else what, (*written(wanted), *outside))


def uninstall(profile: Profile, *, dry_run: bool = False) -> Change:
    """Remove what `install` put into a profile; files that others added stay.

    Raises:
        InstallError: another extension has the place, or a file cannot be removed.
    """
    folder = plugin_folder(profile)
    if folder.installed() is None:
        return Change(profile, "absent")
    files, kept = folder.parts()
    settings = _read(profile.settings)
    disabled = switched_off(settings, NAME)
    if not dry_run:
        if disabled != settings:
            _write(profile.settings, disabled)
        try:
            profile.desktop.unlink(missing_ok=True)
        except OSError as error:
            raise InstallError(
                f"{profile.desktop} cannot be removed: {write_failure(error)}."
            ) from error
        folder.remove(files)
    return Change(profile, "removed", (*files, f"../{DESKTOP}", str(profile.settings)), kept)


def plugin_folder(profile: Profile) -> PluginFolder:
    """The extension's folder in a profile, as it is written and read."""
    return PluginFolder(profile.plugin, profile.folder)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InstallError(f"{path} cannot be read: {write_failure(error)}.") from error


def _write(path: Path, data: bytes) -> None:
    """Replace a file, or what a link leads to, with its permissions."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}-{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InstallError(f"{path} cannot be written: {write_failure(error)}.") from error
