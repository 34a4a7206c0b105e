"""`imgedit-plugins install` and `uninstall`: the plug-ins inside the editors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json

if TYPE_CHECKING:
    from imgedit_bridges.gimp.install import Change
    from imgedit_bridges.gimp.profiles import Profile

_Folder = click.Path(file_okay=False, exists=True, path_type=Path)
_profile = click.option(
    "--profile", type=_Folder, help="Only GIMP's configuration folder given here."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@click.group("install")
def install() -> None:
    """Put the plug-in into an editor."""


@click.group("uninstall")
def uninstall() -> None:
    """Remove the plug-in from an editor."""


@install.command("gimp")
@_profile
@_dry_run
@common.json_option
def install_gimp(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Put the plug-in into every GIMP 3 of this user: Filters > imgedit."""
    from imgedit_bridges.gimp.install import install as put

    profiles = _profiles(profile)
    _tell([put(one, dry_run=dry_run) for one in profiles], dry_run=dry_run, as_json=as_json)


@uninstall.command("gimp")
@_profile
@_dry_run
@common.json_option
def uninstall_gimp(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Remove the plug-in from every GIMP 3 of this user."""
    from imgedit_bridges.gimp.install import uninstall as remove

    profiles = _profiles(profile)
    _tell([remove(one, dry_run=dry_run) for one in profiles], dry_run=dry_run, as_json=as_json)


def _profiles(chosen: Path | None) -> list[Profile]:
    from imgedit_bridges.gimp import profiles
    from imgedit_bridges.gimp.install import InstallError

    if chosen is not None:
        return [profiles.Profile("chosen", chosen.absolute())]
    if found := profiles.find_profiles():
        return found
    raise InstallError(
        "No configuration folder of GIMP 3 was found.",
        hint="Start GIMP 3 once and run the command again, or name the folder with --profile.",
    )


_SAID = {
    "installed": ("installed in", "would be installed in"),
    "updated": ("updated in", "would be updated in"),
    "unchanged": ("up to date in", "up to date in"),
    "removed": ("removed from", "would be removed from"),
    "absent": ("not in", "not in"),
}


_SANDBOXES = {
    "flatpak": "GIMP from Flatpak may start this Python only if you allow it to run programs of "
    "your system: flatpak override --user --talk-name=org.freedesktop.Flatpak org.gimp.GIMP",
    "snap": "GIMP from Snap may not start programs of your system, this Python included: the "
    "entries are there, but none can work. Use GIMP from your distribution or from Flatpak.",
}


def _tell(changes: Iterable[Change], *, dry_run: bool, as_json: bool) -> None:
    changes = list(changes)
    if as_json:
        print_json([_as_json(one) for one in changes])
        return
    for one in changes:
        click.echo(f"The plug-in is {_SAID[one.what][dry_run]} {one.profile.plugin}")
        if dry_run:
            for name in one.files:
                click.echo(f"  {name}")
        for name in one.kept:
            click.echo(f"  {name} is not ours and stays")
        if one.what in ("installed", "updated") and one.profile.kind in _SANDBOXES:
            click.echo(f"  {_SANDBOXES[one.profile.kind]}")
    if not dry_run and any(one.what in ("installed", "updated") for one in changes):
        click.echo("Start GIMP again to see Filters > imgedit.")


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.profile.kind,
        "folder": str(change.profile.plugin),
        "what": change.what,
        "files": list(change.files),
        "kept": list(change.kept),
    }
