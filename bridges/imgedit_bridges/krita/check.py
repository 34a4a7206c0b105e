"""What `imgedit-plugins doctor` says about Krita: why the docker or the menu might be missing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.krita.install import (
    ABOUT,
    NAME,
    InstallError,
    Profile,
    find_profiles,
    plugin_folder,
)
from imgedit_bridges.krita.kritarc import is_on
from imgedit_bridges.locations import read_record
from imgedit_bridges.plugin_folder import RECORD
from imgedit_plugins._version import __version__
from imgedit_plugins.cli.doctor import Finding, Status

_HOW = "run: imgedit-plugins install krita"
_INSTALL = "Run: imgedit-plugins install krita"
_SWITCH = "Settings > Configure Krita > Python Plugin Manager"


def findings() -> Iterator[Finding]:
    """One finding for each resource folder of Krita; one where there is none."""
    profiles = find_profiles()
    for profile in profiles:
        yield _finding(profile)
    if not profiles:
        there = "Krita has never been started here" if shutil.which("krita") else "no Krita is here"
        yield Finding("Krita", "missing", f"{there}; start it once, then {_HOW}")


def _finding(profile: Profile) -> Finding:
    subject = f"Krita ({profile.kind})"
    try:
        listed = plugin_folder(profile).installed()
        if listed is None:
            return Finding(subject, "missing", f"the extension is not installed; {_HOW}")
        fault = next(_faults(profile, listed), "")
        if not fault:
            return Finding(subject, *_state(profile))
    except InstallError as error:
        return Finding(subject, "problem", error.message.rstrip("."), error.hint or _INSTALL)
    return Finding(subject, "problem", fault, _INSTALL)


def _faults(profile: Profile, listed: dict[str, str]) -> Iterator[str]:
    """What is wrong with an installed extension; installing it again mends all of it."""
    try:
        record = read_record(profile.plugin / RECORD)
    except BridgeError as error:
        yield error.message.rstrip(".")
        return
    if record.version != __version__:
        yield f"the extension is of version {record.version}, this is {__version__}"
    if not Path(record.python).is_file():
        yield f"the Python that runs the worker is gone: {record.python}"
    damaged = [name for name, known in listed.items() if _hash(profile.plugin / name) != known]
    if damaged:
        more = f" and {len(damaged) - 1} more files" if len(damaged) > 1 else ""
        yield f"{profile.plugin / damaged[0]}{more} is missing or not as it was installed"
    if not profile.desktop.is_file() or profile.desktop.read_bytes() != ABOUT.encode():
        yield f"{profile.desktop} is missing or damaged, so Krita does not know of the extension"
    if _switched(profile) is None:
        yield f"{profile.settings} does not switch the extension on, so Krita does not load it"


def _state(profile: Profile) -> tuple[Status, str]:
    """Whether Krita loads what is installed."""
    if not _switched(profile):
        how = f"switch it on in Krita ({_SWITCH}), or {_HOW}"
        return "note", f"installed, but switched off in {profile.settings}; {how}"
    if profile.kind in ("flatpak", "snap"):
        room = profile.kind.title()
        return "note", f"installed, but Krita from {room} may not be able to start the worker"
    # Python compiles the modules beside them when Krita imports them.
    if not any(profile.plugin.rglob("__pycache__")):
        return "note", "installed; Krita has not been started since, start it (again)"
    return "ok", "installed and switched on"


def _switched(profile: Profile) -> bool | None:
    try:
        return is_on(profile.settings.read_bytes(), NAME)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstallError(f"{profile.settings} cannot be read: {error.strerror}.") from error


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
