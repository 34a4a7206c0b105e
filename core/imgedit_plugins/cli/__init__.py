"""The command line. One module per command, imported only when that command runs.

Exit codes: 0 done, 1 error, 2 wrong usage, 3 the plugin abstained, 4 some of several inputs
failed, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins._version import __version__
from imgedit_plugins.errors import ImgeditError, JobCancelledError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "list": "Show the installed plugins.",
    "describe": "Show everything about one plugin.",
    "predict": "Recover the edit plan behind a picture and its edited version.",
    "apply": "Edit pictures by a plan, by operations or by an instruction.",
    "operations": "Show the operations that plans are made of.",
    "plan": "Show, check, invert, compose and compare edit plans.",
    "train": "Train a plugin's model.",
    "evaluate": "Score a plugin on a data set.",
    "data": "Make a data set by one of a plugin's recipes.",
    "weights": "List, fetch, import and verify models' weights.",
    "new": "Write a new plugin to start from.",
    "validate": "Check a plugin against the contract.",
    "doctor": "Check this installation and say what to do.",
}
"""Commands and their one-line helps, so that neither `--help` nor completion imports them."""

_MODULES = {"list": "listing"}  # a submodule `list` would hide Python's own in this module

EXIT_ERROR, EXIT_USAGE, EXIT_ABSTAINED, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 2, 3, 4, 130

_OUTCOMES = (click.exceptions.Exit, click.Abort, click.ClickException)


class LazyGroup(click.Group):
    """A group whose commands are looked up by name, from a table of helps."""

    def helps(self) -> dict[str, str]:
        """Names of the commands and their one-line helps."""
        raise NotImplementedError

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the table."""
        return list(self.helps())

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of commands in `--help`."""
        if rows := list(self.helps().items()):
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument.

        Raises:
            click.UsageError: there is no such command.
        """
        name = args[0]
        if name not in self.helps() and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"There is no {name!r} here.{_near(name, self.helps())}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin with `incomplete`."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=text)
            for name, text in self.helps().items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


class _Main(LazyGroup):
    """The whole program: finds commands, and turns what goes wrong into a sentence and a code."""

    def helps(self) -> dict[str, str]:
        """Our own commands, then those of other packages, which cannot take our names."""
        from imgedit_plugins.foreign_commands import foreign_commands, help_of

        others = {n: point for n, point in foreign_commands().items() if n not in COMMANDS}
        return COMMANDS | {name: help_of(point) for name, point in others.items()}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in COMMANDS:  # without a look at other packages
            return args[0], self.get_command(ctx, args[0]), args[1:]
        return super().resolve_command(ctx, args)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            from imgedit_plugins.foreign_commands import foreign_commands, load

            point = foreign_commands().get(cmd_name)
            return None if point is None else load(point)
        module = importlib.import_module(f"{__name__}.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, not when Python shuts down
            return result
        except _OUTCOMES as error:
            if isinstance(error, click.Abort):
                return _interrupted()
            raise
        except KeyboardInterrupt:
            return _interrupted()
        except BrokenPipeError:
            return _closed_pipe()
        except Exception as error:
            return _tell(error, debug=bool(ctx.params.get("debug")))


def _interrupted() -> None:
    click.echo("\nInterrupted; nothing was left half written.", err=True)
    raise click.exceptions.Exit(EXIT_INTERRUPTED)


def _closed_pipe() -> None:
    """Whoever read our output (`| head`) has enough: leave without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise click.exceptions.Exit(EXIT_ERROR)


def _tell(error: Exception, *, debug: bool) -> None:
    if isinstance(error, JobCancelledError):
        _interrupted()
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ImgeditError):
        click.echo(f"Error: {error}", err=True)
        raise click.exceptions.Exit(error.exit_code)
    hint = "" if debug else " Run again with --debug (right after imgedit-plugins) to see where."
    click.echo(f"Error: {unexpected(error)}{hint}", err=True)
    raise click.exceptions.Exit(EXIT_ERROR)


def unexpected(error: Exception) -> str:
    """A sentence about an error that nobody foresaw."""
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return f"Something unexpected went wrong ({what})."


def _near(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, list(known), n=2)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imgedit-plugins", message="%(prog)s %(version)s")
@click.option("--trace-hooks", is_flag=True, help="Print every call of a plugin's hook.")
@click.option("--debug", is_flag=True, help="Show where in the code an error comes from.")
def cli(**_: bool) -> None:  # `_Main.invoke` and `common.plugin_manager` read the switches
    """Recover, plan and carry out edits of pictures.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 no plan found, 4 some of several inputs failed.
    """


def main() -> None:
    """The console script `imgedit-plugins`."""
    try:
        cli(prog_name="imgedit-plugins")
    except KeyboardInterrupt:  # before or after the command itself
        sys.exit(EXIT_INTERRUPTED)
