"""What `imgedit-plugins doctor` says about GIMP: why a menu entry might be missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.gimp import catalogue, profiles, refresh
from imgedit_bridges.gimp.profiles import Profile
from imgedit_bridges.locations import read_record
from imgedit_bridges.plugin_folder import RECORD
from imgedit_plugins._version import __version__
from imgedit_plugins.cli.doctor import Finding, Status

_HOW = "run: imgedit-plugins install gimp"
_INSTALL = "Run: imgedit-plugins install gimp"
_QUERIED = "pluginrc"
"""Where GIMP keeps what plug-ins told it, with the times of their scripts in seconds."""


def findings() -> Iterator[Finding]:
    """One finding for each configuration folder of GIMP."""
    found = profiles.find_profiles()
    for profile in found:
        subject = f"GIMP {profile.folder.name} ({profile.kind})"
        if not profile.plugin.exists():
            yield Finding(subject, "missing", f"the plug-in is not installed; {_HOW}")
        elif fault := next(_faults(profile), ""):
            yield Finding(subject, "problem", fault, _INSTALL)
        else:
            status, detail = _state(profile)
            yield Finding(subject, status, detail)
    for folder in profiles.find_old() if not found else []:
        detail = "too old for the plug-in, which needs GIMP 3"
        yield Finding(f"GIMP {folder.name}", "note", detail)


def _faults(profile: Profile) -> Iterator[str]:
    """What is wrong with an installed plug-in; installing it again mends all of it."""
    try:
        record = read_record(profile.plugin / RECORD)
    except BridgeError as error:
        yield error.message.rstrip(".")
        return
    if record.version != __version__:
        yield f"the plug-in is of version {record.version}, this is {__version__}"
    if not Path(record.python).is_file():
        yield f"the Python that runs the worker is gone: {record.python}"
    if not profile.script.is_file():
        yield f"{profile.script} is missing"
    elif not os.access(profile.script, os.X_OK):
        yield f"{profile.script} is not executable, so GIMP does not start it"
    if not catalogue.read_listing(profile.plugin / catalogue.ACTIONS):
        yield "its list of the plugins' actions is missing or damaged"


def _state(profile: Profile) -> tuple[Status, str]:
    """Whether GIMP knows what is installed."""
    if profile.kind == "snap":
        return "note", "installed, but GIMP from Snap may not start the worker"
    if _asked(profile) != int(profile.script.stat().st_mtime):
        return "note", "installed; GIMP has not been started since, start it (again)"
    known = catalogue.newest_listing(profile.plugin).get("actions")
    if known != refresh.recorded()["actions"]:
        return "note", f"plugins have changed since; {_HOW}"
    actions = catalogue.read_actions(profile.plugin, asked=False)
    return "ok", f"installed, {len(actions)} entries of plugins"


def _asked(profile: Profile) -> int:
    """The time of the script that GIMP asked last; 0 where it has asked none."""
    try:
        told = (profile.folder / _QUERIED).read_text("utf-8", "replace")
    except OSError:
        return 0
    found = re.search(r'plug-in-def "[^"]*imgedit[/\\]+imgedit\.py" (\d+)', told)
    return int(found[1]) if found else 0
