"""`imgedit-plugins describe PLUGIN`: its manifest, readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import json_option, plugin_argument, plugin_manager
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgedit_plugins.manifest import Action, Manifest, OptionSpec, Weights
    from imgedit_plugins.plugins import PluginInfo


@click.command("describe")
@plugin_argument
@json_option
def command(*, plugin: str, as_json: bool) -> None:
    """Show what a plugin does, what it takes, its options, recipes and weights."""
    info = plugin_manager().get(plugin)
    if as_json:
        print_json(_as_json(info))
        return
    _print_head(info)
    if info.manifest:
        _print_manifest(info.manifest)


def _as_json(info: PluginInfo) -> dict[str, Any]:
    import msgspec

    return {
        "name": info.name,
        "distribution": info.distribution,
        "version": info.version,
        "module": info.module,
        "status": info.status,
        "reason": info.reason,
        "manifest": msgspec.to_builtins(info.manifest),
    }


def _print_head(info: PluginInfo) -> None:
    click.echo(click.style(f"{info.name}: {info.title}", bold=True))
    if info.manifest:
        click.echo(info.manifest.summary)
    click.echo()
    click.echo(f"status   {info.status}{': ' + info.reason if info.reason else ''}")
    click.echo(f"from     {info.distribution} {info.version}, module {info.module}")


def _print_manifest(manifest: Manifest) -> None:
    if manifest.extra:
        click.echo(f"needs    the extra [{manifest.extra}]")
    if manifest.operations:
        click.echo(f"adds     operations {', '.join(manifest.operations)}")
    _print_hooks(manifest)
    if manifest.actions:
        _head("Menu entries of editors")
        rows = [(a.label, a.hook, ", ".join(a.inputs), _fixed(a), a.help) for a in manifest.actions]
        print_table(("label", "hook", "inputs", "with", "help"), rows, indent="  ")
    for recipe in manifest.data:
        _head(f"Data recipe {recipe.name}: {recipe.title}")
        click.echo(f"  {recipe.help}")
        _print_options(recipe.options)
    for weights in manifest.weights:
        _print_weights(weights)


def _fixed(action: Action) -> str:
    """The options that a menu entry stands for."""
    return " ".join(f"{name}={value}" for name, value in action.fixed.items())


def _print_hooks(manifest: Manifest) -> None:
    for hook in manifest.hooks:
        _head(f"Hook {hook}")
        for accepts in manifest.accepts:
            if accepts.hook == hook:
                optional = f", optionally {', '.join(accepts.optional)}" if accepts.optional else ""
                inputs = " + ".join(accepts.inputs) or "nothing"
                click.echo(f"  takes {inputs}{optional} (rank {accepts.rank})")
        _print_options(manifest.options_for(hook))


def _print_options(options: Sequence[OptionSpec]) -> None:
    from imgedit_plugins.options import describe_range

    if not options:
        return
    rows = [(o.name, describe_range(o), _default(o), o.help) for o in options]
    print_table(("option", "value", "default", "help"), rows, indent="  ")


def _default(option: OptionSpec) -> str:
    if option.default is None:
        return "(needed)"
    return str(option.default).lower() if isinstance(option.default, bool) else str(option.default)


def _print_weights(weights: Weights) -> None:
    _head(f"Weights {weights.id}: {weights.title}")
    click.echo(f"  licence {weights.licence}, from {weights.source}")
    if weights.files:
        rows = [(f.path, _megabytes(f.size), f.sha256 or "the hub's") for f in weights.files]
        print_table(("file to fetch", "size", "SHA-256"), rows, indent="  ")
    if weights.parts:
        parts = [
            (f"--{p.name}", p.kind, "no" if p.optional else "yes", p.licence, p.help)
            for p in weights.parts
        ]
        print_table(("part to import", "kind", "needed", "licence", "what"), parts, indent="  ")


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "not known"


def _head(text: str) -> None:
    click.echo()
    click.echo(click.style(text, bold=True))
