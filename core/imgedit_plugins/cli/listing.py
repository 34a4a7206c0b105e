"""`imgedit-plugins list`: the installed plugins, from their manifests alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import json_option, plugin_manager
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from imgedit_plugins.plugins import PluginInfo


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that IMGEDIT_PLUGINS disables.")
@json_option
def command(*, everything: bool, as_json: bool) -> None:
    """Show the installed plugins, and why one cannot be used."""
    manager = plugin_manager()
    shown = [info for info in manager.plugins if everything or info.status != "disabled"]
    if as_json:
        print_json([_as_json(info) for info in shown])
    elif shown:
        _print(shown)
    else:
        click.echo("No plugins.")
    hidden = len(manager.plugins) - len(shown)
    if hidden and not as_json:
        click.echo(f"{hidden} more switched off by IMGEDIT_PLUGINS; --all shows them.", err=True)
    for name in manager.missing:
        click.echo(f"Warning: IMGEDIT_PLUGINS names {name!r}, which is not installed.", err=True)


def _print(shown: list[PluginInfo]) -> None:
    columns = ("name", "version", "status", "title")
    print_table(columns, [(i.name, i.version, i.status, i.title) for i in shown])
    for info in shown:
        if info.reason:
            click.echo(f"\n{info.name} is {info.status}: {info.reason}")


def _as_json(info: PluginInfo) -> dict[str, Any]:
    manifest = info.manifest
    return {
        "name": info.name,
        "title": info.title,
        "summary": manifest.summary if manifest else "",
        "distribution": info.distribution,
        "version": info.version,
        "status": info.status,
        "reason": info.reason,
        "hooks": list(manifest.hooks) if manifest else [],
    }
