"""GIMP's configuration folders: of the distribution's GIMP, of Flatpak's and of Snap's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgedit_bridges.starting import FLATPAK

NAME = "imgedit"

Kind = Literal["chosen", "system", "flatpak", "snap"]


@dataclass(frozen=True)
class Profile:
    """One configuration folder of GIMP.

    Attributes:
        kind: whose GIMP uses it.
        folder: such as ~/.config/GIMP/3.0.
    """

    kind: Kind
    folder: Path

    @property
    def plugin(self) -> Path:
        """The plug-in's folder."""
        return self.folder / "plug-ins" / NAME

    @property
    def script(self) -> Path:
        """What GIMP starts, and whose time tells it whether to ask for procedures again."""
        return self.plugin / f"{NAME}.py"

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before a command that this GIMP starts outside of its sandbox."""
        return FLATPAK if self.kind == "flatpak" else ()


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


def find_old(
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
    platform: str = sys.platform,
) -> list[Path]:
    """Configuration folders of GIMP 2, which has no Python 3 and cannot have the plug-in."""
    bases = _bases(environ, home or Path.home(), platform)
    return sorted(folder for _, base in bases for folder in base.glob("2.*") if folder.is_dir())


def _candidates(environ: Mapping[str, str], home: Path, platform: str) -> Iterator[Profile]:
    if chosen := environ.get("GIMP3_DIRECTORY"):
        yield Profile("chosen", Path(chosen))
    for kind, base in _bases(environ, home, platform):
        yield from (Profile(kind, folder) for folder in sorted(base.glob("3.*")))


def _bases(environ: Mapping[str, str], home: Path, platform: str) -> Iterator[tuple[Kind, Path]]:
    if platform == "win32":
        yield "system", Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "GIMP"
    elif platform == "darwin":
        yield "system", home / "Library" / "Application Support" / "GIMP"
    else:
        yield "system", Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "GIMP"
        yield "flatpak", home / ".var/app/org.gimp.GIMP/config/GIMP"
        for part in ("current", "common"):
            yield "snap", home / "snap/gimp" / part / ".config/GIMP"
