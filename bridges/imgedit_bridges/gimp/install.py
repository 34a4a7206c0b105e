"""How the plug-in gets into GIMP 3 and away again."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from imgedit_bridges.gimp import catalogue, refresh
from imgedit_bridges.gimp.profiles import Profile
from imgedit_bridges.plugin_folder import (
    PACKAGE,
    InstallError,
    PluginFolder,
    State,
    contents,
    written,
)

__all__ = ["Change", "InstallError", "install", "uninstall"]


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


def install(profile: Profile, *, python: str = sys.executable, dry_run: bool = False) -> Change:
    """Put the plug-in into one profile; it appears whole or not at all.

    Args:
        profile: where.
        python: that starts the worker.
        dry_run: only say what would be done.

    Raises:
        InstallError: another plug-in has the place, or the folder cannot be written.
    """
    wanted = contents(profile.script.name, PACKAGE / "gimp" / "plugin.py")
    actions = refresh.recorded()
    folder = _folder(profile)
    what = folder.state(wanted, python)
    if what == "unchanged":
        if catalogue.newest_listing(profile.plugin).get("actions") == actions["actions"]:
            return Change(profile, what)
        what = "updated"
    wanted[catalogue.ACTIONS] = refresh.as_bytes(actions)
    if not dry_run:
        before = profile.script.stat().st_mtime if profile.script.exists() else 0.0
        folder.put(wanted, python)
        refresh.look_changed(profile.script, before)
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
    return PluginFolder(
        profile.plugin, profile.folder, profile.script.name, profile.prefix, (catalogue.NEXT,)
    )
