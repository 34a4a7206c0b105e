"""`imgedit-plugins install` and `uninstall`: the plug-ins inside the editors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json

if TYPE_CHECKING:
    from imgedit_bridges.gimp import install as gimp
    from imgedit_bridges.gimp.profiles import Profile as GimpProfile
    from imgedit_bridges.krita import install as krita

    Change = gimp.Change | krita.Change

_Folder = click.Path(file_okay=False, exists=True, path_type=Path)
_gimp_profile = click.option(
    "--profile", type=_Folder, help="Only GIMP's configuration folder given here."
)
_krita_profile = click.option(
    "--profile",
    type=_Folder,
    help="Only Krita's resource folder given here (such as ~/.local/share/krita).",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@click.group("install")
def install() -> None:
    """Put the plug-in into an editor."""


@click.group("uninstall")
def uninstall() -> None:
    """Remove the plug-in from an editor."""


# --- GIMP -------------------------------------------------------------------------------------


@install.command("gimp")
@_gimp_profile
@_dry_run
@common.json_option
def install_gimp(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Put the plug-in into every GIMP 3 of this user: Filters > imgedit."""
    from imgedit_bridges.gimp.install import install as put

    changes = [put(one, dry_run=dry_run) for one in _gimp_profiles(profile)]
    _tell(changes, dry_run=dry_run, as_json=as_json, sandboxes=_GIMP_SANDBOXES)
    _say_where(changes, "Start GIMP again to see Filters > imgedit.", told=dry_run or as_json)


@uninstall.command("gimp")
@_gimp_profile
@_dry_run
@common.json_option
def uninstall_gimp(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Remove the plug-in from every GIMP 3 of this user."""
    from imgedit_bridges.gimp.install import uninstall as remove

    changes = [remove(one, dry_run=dry_run) for one in _gimp_profiles(profile)]
    _tell(changes, dry_run=dry_run, as_json=as_json)


def _gimp_profiles(chosen: Path | None) -> list[GimpProfile]:
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


# --- Krita ------------------------------------------------------------------------------------


@install.command("krita")
@_krita_profile
@_dry_run
@common.json_option
def install_krita(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Put the extension into every Krita of this user: Tools > Scripts > imgedit."""
    from imgedit_bridges.krita.install import install as put

    changes = [put(one, dry_run=dry_run) for one in _krita_profiles(profile)]
    _tell(changes, dry_run=dry_run, as_json=as_json)
    _say_where(
        changes, "Start Krita again to see Tools > Scripts > imgedit.", told=dry_run or as_json
    )


@uninstall.command("krita")
@_krita_profile
@_dry_run
@common.json_option
def uninstall_krita(*, profile: Path | None, dry_run: bool, as_json: bool) -> None:
    """Remove the extension from every Krita of this user."""
    from imgedit_bridges.krita.install import uninstall as remove

    changes = [remove(one, dry_run=dry_run) for one in _krita_profiles(profile)]
    _tell(changes, dry_run=dry_run, as_json=as_json)


def _krita_profiles(chosen: Path | None) -> list[krita.Profile]:
    from imgedit_bridges.krita.install import InstallError, chosen_profile, find_profiles

    if chosen is not None:
        return [chosen_profile(chosen.absolute())]
    if found := find_profiles():
        return found
    raise InstallError(
        "No resource folder of Krita was found.",
        hint="Start Krita once and run the command again, or name the folder with --profile.",
    )


# --- what is said -----------------------------------------------------------------------------

_SAID = {
    "installed": ("is installed in", "would be installed in"),
    "updated": ("is updated in", "would be updated in"),
    "unchanged": ("is up to date in", "is up to date in"),
    "removed": ("is removed from", "would be removed from"),
    "absent": ("is not in", "is not in"),
}


_GIMP_SANDBOXES = {
    "flatpak": "GIMP from Flatpak may start this Python only if you allow it to run programs of "
    "your system: flatpak override --user --talk-name=org.freedesktop.Flatpak org.gimp.GIMP",
    "snap": "GIMP from Snap may not start programs of your system, this Python included: the "
    "entries are there, but none can work. Use GIMP from your distribution or from Flatpak.",
}
_SANDBOXES = {
    kind: f"An editor from {kind.capitalize()} may not be allowed to start the worker: edits work "
    "only where it can run this Python."
    for kind in ("flatpak", "snap")
}


def _tell(
    changes: Iterable[Change],
    *,
    dry_run: bool,
    as_json: bool,
    sandboxes: Mapping[str, str] = _SANDBOXES,
) -> None:
    if as_json:
        print_json([_as_json(one) for one in changes])
        return
    for one in changes:
        click.echo(f"The plug-in {_SAID[one.what][dry_run]} {one.profile.plugin}")
        if dry_run:
            for name in one.files:
                click.echo(f"  {name}")
        for name in one.kept:
            click.echo(f"  {name} is not ours and stays")
        if _is_new(one) and one.profile.kind in sandboxes:
            click.echo(f"  {sandboxes[one.profile.kind]}")


def _say_where(changes: Iterable[Change], sentence: str, *, told: bool) -> None:
    if not told and any(map(_is_new, changes)):
        click.echo(sentence)


def _is_new(change: Change) -> bool:
    return change.what in ("installed", "updated")


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.profile.kind,
        "folder": str(change.profile.plugin),
        "what": change.what,
        "files": list(change.files),
        "kept": list(change.kept),
    }
