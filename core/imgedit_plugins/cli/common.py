"""Options, completions and plugin calls that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from imgedit_plugins.manifest import Manifest, OptionSpec
    from imgedit_plugins.plan import EditPlan
    from imgedit_plugins.plugins import PluginManager
    from imgedit_plugins.requests import Options

F = TypeVar("F", bound=Callable[..., Any])

FilePath = click.Path(path_type=Path)
MAX_SEED = 2**63 - 1

_MANAGER = "imgedit_plugins.cli.manager"


def plugin_manager() -> PluginManager:
    """The installed plugins; found once in a run of the program."""
    from imgedit_plugins.plugins import TRACE_VARIABLE, PluginManager

    context = click.get_current_context(silent=True)
    root = context.find_root() if context else None
    if root is None or root.resilient_parsing:  # completion
        return PluginManager.discover()
    if _MANAGER not in root.meta:
        switch = {TRACE_VARIABLE: "1"} if root.params.get("trace_hooks") else {}
        root.meta[_MANAGER] = PluginManager.discover({**os.environ, **switch})
    manager: PluginManager = root.meta[_MANAGER]
    return manager


# --- completion -------------------------------------------------------------------------------


def complete_plugin(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Plugins that begin with `incomplete`."""
    plugins = [info for info in plugin_manager().plugins if info.status != "disabled"]
    return _items(((info.name, info.title) for info in plugins), incomplete)


def complete_operation(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Operations that begin with `incomplete`."""
    return _items(((op.name, op.summary) for op in plugin_manager().vocabulary()), incomplete)


def complete_option(
    ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Options of the command's hook as NAME=, or the values of a choice as NAME=VALUE."""
    hook = {
        "predict": "predict_operations",
        "apply": "apply_edit",
        "evaluate": "evaluate",
        "train": "train",
    }
    wanted = ctx.params.get("plugin")
    found: dict[str, str] = {}
    for info in plugin_manager().plugins:
        if info.manifest and info.status == "available" and wanted in (None, info.name):
            for spec in info.manifest.options_for(hook.get(ctx.info_name or "", "")):
                found.update(_values(spec, incomplete))
    return _items(found.items(), incomplete)


def _values(spec: OptionSpec, incomplete: str) -> dict[str, str]:
    choices = ("true", "false") if spec.type == "boolean" else spec.choices
    if choices and incomplete.startswith(f"{spec.name}="):
        return {f"{spec.name}={choice}": spec.help for choice in choices}
    return {f"{spec.name}=": spec.help}


def _items(pairs: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name, help=text) for name, text in pairs if name.startswith(incomplete)]


# --- options ----------------------------------------------------------------------------------


def json_option(function: F) -> F:
    """`--json`: for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(
        function
    )


def plugin_option(function: F) -> F:
    """`--plugin NAME`: ask this one only."""
    return click.option(
        "--plugin",
        metavar="NAME",
        shell_complete=complete_plugin,
        help="Ask this plugin (else: the one that ranks itself highest).",
    )(function)


def _check_seed(_: click.Context, __: click.Parameter, value: int) -> int:
    """What `click.IntRange` does, without filling the help with its range."""
    if not 0 <= value <= MAX_SEED:
        raise click.BadParameter(f"{value} is not from 0 to 2^63 - 1.")
    return value


def seed_option(function: F) -> F:
    """`--seed N`: for anything random."""
    return click.option(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        callback=_check_seed,
        help="For anything random; the same seed gives the same result [0].",
    )(function)


def hook_options(function: F) -> F:
    """`--option NAME=VALUE`, as often as needed."""
    return click.option(
        "-O",
        "--option",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        shell_complete=complete_option,
        help="Set an option of the plugin; `imgedit-plugins describe` lists them.",
    )(function)


def overwrite_option(function: F) -> F:
    """`--overwrite`: existing files may be replaced."""
    return click.option("--overwrite", is_flag=True, help="Replace files that exist already.")(
        function
    )


def plugin_argument(function: F) -> F:
    """PLUGIN as an argument."""
    return click.argument("plugin", metavar="PLUGIN", shell_complete=complete_plugin)(function)


# --- values -----------------------------------------------------------------------------------


def parse_assignments(texts: Iterable[str], flag: str = "--option") -> dict[str, str]:
    """'NAME=VALUE' texts as a dictionary.

    Raises:
        click.UsageError: there is no '=' in one, or a name comes twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{flag} takes NAME=VALUE, not {text!r}.")
        if name in values:
            raise click.UsageError(f"{flag} {name} is given twice.")
        values[name] = value
    return values


def resolve_for(
    hook: str, inputs: frozenset[str], plugin: str | None, given: dict[str, str]
) -> Options:
    """The options of whichever plugin is asked first, checked and completed."""
    from imgedit_plugins.options import resolve_options

    manager = plugin_manager()
    info = manager.route(hook, inputs, plugin)[0]
    return resolve_options(manager.options_for(info, hook), given)


def manifest_of(plugin: str) -> Manifest:
    """The manifest of a plugin that can be used.

    Raises:
        UnknownPluginError: there is none of that name.
        PluginQuarantinedError: it has no valid manifest.
    """
    from imgedit_plugins.errors import PluginQuarantinedError

    info = plugin_manager().get(plugin)
    if info.manifest is None:
        raise PluginQuarantinedError(plugin, info.reason)
    return info.manifest


def read_plan_argument(source: str) -> EditPlan:
    """The plan in a JSON file, in a picture's XMP or in an XMP sidecar file; '-' is stdin.

    Raises:
        PlanError: it cannot be read, is not valid, or the picture holds none.
        PictureReadError: the picture cannot be read.
    """
    from imgedit_plugins.picture_files import formats, plan_in_file
    from imgedit_plugins.plan import parse_plan, read_plan

    plugin_manager().vocabulary()  # plans may use plugins' operations
    if source == "-":
        return parse_plan(sys.stdin.buffer.read())
    path = Path(source)
    return plan_in_file(path) if formats.may_hold_xmp(path) else read_plan(path)


def write_output(path: Path, text: str, *, inputs: Iterable[Path] = ()) -> None:
    """Write a result that replaces an earlier one, but never one of the inputs.

    Raises:
        click.UsageError: `path` is one of the inputs.
        ImgeditError: it cannot be written.
    """
    from imgedit_plugins.atomic import write_failure, write_text_atomic
    from imgedit_plugins.errors import ImgeditError

    refuse_inputs(path, inputs)
    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise ImgeditError(f"{path} cannot be written: {write_failure(error)}.") from error


def refuse_inputs(path: Path, inputs: Iterable[Path]) -> None:
    """Stop where an output would replace an input.

    Raises:
        click.UsageError: `path` is one of the inputs.
    """
    for given in inputs:
        if path.exists() and given.exists() and path.samefile(given):
            raise click.UsageError(f"{path} is an input; choose another file for the output.")
