"""`imgedit-plugins new NAME`: a plugin to start from."""

from __future__ import annotations

from pathlib import Path

import click

from imgedit_plugins.cli import common


@click.command("new")
@click.argument("name")
@click.option("--into", type=common.FilePath, default=Path(), help="Folder to make it in [.].")
def command(*, name: str, into: Path) -> None:
    """Write a new plugin distribution: manifest, one module, tests, README."""
    from imgedit_plugins.authoring import scaffold

    folder = scaffold.new(name, into)
    click.echo(f"Made {folder}. To try it:")
    click.echo(f"  pip install -e {folder} && python -m pytest {folder}")
