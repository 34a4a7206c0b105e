"""`imgedit-plugins weights`: what weights there are, fetching, importing, verifying."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import LazyGroup, common
from imgedit_plugins.cli.terminal import print_json, print_table, running_job

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from imgedit_plugins.manifest import WeightsPart
    from imgedit_plugins.weights import Known, Record
    from imgedit_plugins.weights_fetching import Planned

_PREFIX = "part_"


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from imgedit_plugins.weights import known

    names = [(one.name, one.weights.title) for one in known(common.plugin_manager())]
    return [CompletionItem(n, help=title) for n, title in names if n.startswith(incomplete)]


@click.group("weights")
def command() -> None:
    """List, fetch, import and verify models' weights.

    They lie in your data folder, or in $IMGEDIT_WEIGHTS.
    """


# --- list -------------------------------------------------------------------------------------


@command.command("list")
@common.json_option
def list_(*, as_json: bool) -> None:
    """Show the weights that plugins can use, and which of them are here."""
    from imgedit_plugins.weights import known, state

    rows = [
        {
            "name": one.name,
            "title": one.weights.title,
            "licence": one.weights.licence,
            "source": one.weights.source,
            "size": one.size,
            "ways": [w for w, there in _ways(one) if there],
            "folder": str(one.folder),
            "state": state(one.folder),
        }
        for one in known(common.plugin_manager())
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("No installed plugin uses weights.")
    else:
        columns = ("name", "state", "size", "licence", "by", "title")
        cells = [
            (r["name"], r["state"], _size(r["size"]), r["licence"], _joined(r["ways"]), r["title"])
            for r in rows
        ]
        print_table(columns, cells)


def _ways(one: Known) -> tuple[tuple[str, bool], ...]:
    return ("fetch", bool(one.weights.files)), ("import", bool(one.weights.parts))


def _joined(ways: Any) -> str:
    return " or ".join(ways)


def _size(size: Any) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "not known"


# --- fetch ------------------------------------------------------------------------------------


@command.command("fetch")
@click.argument("name", metavar="PLUGIN/ID", shell_complete=_complete)
@click.option("-o", "--out", type=common.FilePath, help="Folder to write [your data folder].")
@click.option("--mirror", "mirrors", metavar="URL", multiple=True, help="Ask this hub as well.")
@click.option("--offline", is_flag=True, help="Only verify what is here; ask nobody.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether size and licence are fine.")
@common.json_option
def fetch_(
    *,
    name: str,
    out: Path | None,
    mirrors: tuple[str, ...],
    offline: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Fetch weights from their publisher, after showing their size and licence.

    A broken download goes on where it stopped.
    """
    from imgedit_plugins import weights_fetching
    from imgedit_plugins.weights import find

    one = find(common.plugin_manager(), name)
    folder = out or one.folder
    with running_job() as job, weights_fetching.quiet():
        if offline or weights_fetching.is_offline():
            _tell(one, folder, weights_fetching.without_network(one, folder, job), as_json)
            return
        planned = weights_fetching.plan_fetch(one, job, mirrors)
        _agree(one, planned, folder, yes=yes)
        record = weights_fetching.fetch(one, planned, folder, job, mirrors)
    _tell(one, folder, record, as_json)


def _agree(one: Known, planned: tuple[Planned, ...], folder: Path, *, yes: bool) -> None:
    total = sum(item.size for item in planned)
    click.echo(
        f"{one.weights.title}: {_size(total)} in {len(planned)} files, licence "
        f"{one.weights.licence}, from {one.weights.source}, to {folder}.",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Say --yes to fetch this where nobody can be asked.")
    click.confirm("Fetch them?", abort=True, err=True)


# --- import -----------------------------------------------------------------------------------


class _Importable(LazyGroup):
    """A command for each set of weights that can be imported."""

    def helps(self) -> dict[str, str]:
        from imgedit_plugins.weights import known

        everything = known(common.plugin_manager())
        return {one.name: one.weights.title for one in everything if one.weights.parts}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument; a plugin's name stands for its own weights.

        These are the ones of that name, or the only ones that can be imported.
        """
        names = self.helps()
        same = f"{args[0]}/{args[0]}"
        own = [same] if same in names else [n for n in names if n.startswith(f"{args[0]}/")]
        return super().resolve_command(ctx, [*own, *args[1:]] if len(own) == 1 else args)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        from imgedit_plugins.weights import find

        return _import_command(find(common.plugin_manager(), cmd_name))


@command.group("import", cls=_Importable)
def import_() -> None:
    """Take published files that you have, check every key, and write our own form.

    For example: imgedit-plugins weights import PLUGIN/ID --help
    """


def _import_command(one: Known) -> click.Command:
    params: list[click.Parameter] = [
        *(_part_option(part) for part in one.weights.parts),
        click.Option(["-o", "--out"], type=common.FilePath, help="Folder to write."),
    ]
    run = functools.partial(_import, one)
    for decorate in (common.json_option, common.hook_options):
        run = decorate(run)
    told = f"{one.weights.title}.\n\nLicence: {one.weights.licence}. From {one.weights.source}."
    made = click.command(one.name, help=told)(run)
    made.params = params + made.params
    return made


def _part_option(part: WeightsPart) -> click.Option:
    return click.Option(
        [f"--{part.name}", f"{_PREFIX}{part.name.replace('-', '_')}"],
        type=common.FilePath,
        metavar=part.kind.upper(),
        help=f"{part.help} {part.source} ({part.licence}){', optional' if part.optional else ''}",
    )


def _import(
    one: Known, *, out: Path | None, options: tuple[str, ...], as_json: bool, **parts: Path | None
) -> None:
    given = common.parse_assignments(options)
    resolved = common.resolve_for("import_weights", frozenset({"weights"}), one.plugin, given)
    from imgedit_plugins.weights import import_weights

    names = {f"{_PREFIX}{part.name.replace('-', '_')}": part.name for part in one.weights.parts}
    files = {names[key]: path for key, path in parts.items() if path is not None}
    folder = out or one.folder
    with running_job() as job:
        report = import_weights(common.plugin_manager(), one, files, folder, job, resolved)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    click.echo(f"{one.name} is in {folder}: {len(report.files)} files.")
    for title, keys in (("Missing", report.missing_keys), ("Unexpected", report.unexpected_keys)):
        if keys:
            click.echo(f"{title} keys:")
            for key in keys:
                click.echo(f"  {key}")


# --- verify -----------------------------------------------------------------------------------


@command.command("verify")
@click.argument("name", metavar="PLUGIN/ID|FOLDER", shell_complete=_complete)
@common.json_option
def verify_(*, name: str, as_json: bool) -> None:
    """Hash every file of weights that are here."""
    from imgedit_plugins.weights import find, verify

    folder = Path(name) if Path(name).is_dir() else find(common.plugin_manager(), name).folder
    with running_job() as job:
        record = verify(folder, job)
    _tell(None, folder, record, as_json)


def _tell(one: Known | None, folder: Path, record: Record, as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json({"folder": str(folder), **msgspec.to_builtins(record)})
        return
    total = sum(file.size for file in record.files.values())
    name = one.name if one else record.weights
    click.echo(f"{name} is in {folder}: {len(record.files)} files, {_size(total)}, all verified.")
