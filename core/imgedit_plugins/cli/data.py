"""`imgedit-plugins data PLUGIN RECIPE`: data sets, with each recipe's options from the manifest."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli import LazyGroup, common
from imgedit_plugins.cli.terminal import print_json, running_job
from imgedit_plugins.errors import OptionError

if TYPE_CHECKING:
    from imgedit_plugins.manifest import OptionSpec, Recipe
    from imgedit_plugins.requests import DataReport

_PREFIX = "recipe_option_"
_TAKEN = ("out", "option", "seed", "json", "help")


class _Plugins(LazyGroup):
    """A command for each plugin that has recipes."""

    def helps(self) -> dict[str, str]:
        return {
            info.name: info.title
            for info in common.plugin_manager().plugins
            if info.manifest and info.manifest.data and info.status == "available"
        }

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in self.helps():
            manifest = common.manifest_of(args[0])  # says so where there is no such plugin
            raise click.UsageError(f"The plugin {manifest.name!r} has no data recipes.", ctx)
        return super().resolve_command(ctx, args)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in self.helps():
            return None
        return _Recipes(cmd_name, help=f"Recipes of the plugin {cmd_name}.")


class _Recipes(LazyGroup):
    """A command for each recipe of one plugin."""

    def helps(self) -> dict[str, str]:
        return {recipe.name: recipe.title for recipe in common.manifest_of(self.name or "").data}

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        recipe = common.manifest_of(self.name or "").recipe(cmd_name)
        return _recipe_command(self.name or "", recipe) if recipe else None


@click.group("data", cls=_Plugins)
def command() -> None:
    """Make a data set by one of a plugin's recipes.

    For example: imgedit-plugins data reverse_design make-imad --images PHOTOS --out DATA
    """


def _recipe_command(plugin: str, recipe: Recipe) -> click.Command:
    params: list[click.Parameter] = [
        click.Option(["--out"], required=True, type=common.FilePath, help="Folder to write."),
        *(_click_option(spec) for spec in recipe.options if spec.name not in _TAKEN),
    ]
    run = functools.partial(_make, plugin, recipe)
    for decorate in (common.json_option, common.seed_option, common.hook_options):
        run = decorate(run)
    made = click.command(recipe.name, help=f"{recipe.title}.\n\n{recipe.help}")(run)
    made.params = params + made.params
    return made


def _click_option(spec: OptionSpec) -> click.Option:
    """`--name VALUE` of a recipe's option; its value is checked with the others later."""
    from imgedit_plugins.options import describe_range

    name = f"{_PREFIX}{spec.name.replace('-', '_')}"
    if spec.type == "boolean":
        return click.Option(
            [f"--{spec.name}/--no-{spec.name}", name], default=None, help=_help(spec)
        )
    kind: Any = {"choice": click.Choice(spec.choices), "path": click.Path()}.get(spec.type)
    metavar = None if spec.type in ("choice", "path") else spec.type.upper()
    told = "" if spec.type in ("choice", "path", "string") else f" ({describe_range(spec)})"
    return click.Option([f"--{spec.name}", name], type=kind or str, metavar=metavar,
                        help=f"{_help(spec)}{told}")  # fmt: skip


def _help(spec: OptionSpec) -> str:
    return spec.help if spec.default in (None, "") else f"{spec.help} [{spec.default}]"


def _make(
    plugin: str,
    recipe: Recipe,
    *,
    out: Path,
    options: tuple[str, ...],
    seed: int,
    as_json: bool,
    **named: Any,
) -> None:
    resolved = _resolve(recipe, options, named)
    from imgedit_plugins.requests import DataRequest

    request = DataRequest(out=out, recipe=recipe.name, options=resolved, seed=seed)
    with running_job() as job:
        report: DataReport = common.plugin_manager().call("make_data", request, job, plugin)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    if not report.rows:  # such as a dry run, whose figures are all there is to tell
        click.echo(f"Nothing was written to {report.folder}.")
        for name, value in report.details.items():
            click.echo(f"  {name}: {value}")
        return
    before = f", {report.resumed} of them from an earlier run" if report.resumed else ""
    click.echo(f"{report.folder} has {report.rows} rows{before}.")


def _resolve(recipe: Recipe, options: tuple[str, ...], named: dict[str, Any]) -> dict[str, Any]:
    from imgedit_plugins.options import resolve_options

    given: dict[str, Any] = dict(common.parse_assignments(options))
    for spec in recipe.options:
        value = named.get(f"{_PREFIX}{spec.name.replace('-', '_')}")
        if value is None:
            continue
        if spec.name in given:
            raise OptionError(f"The option {spec.name!r} is given twice.")
        given[spec.name] = value
    return resolve_options(recipe.options, given)
