"""Commands that other packages add to `imgedit-plugins`, listed without importing their code.

A package declares an entry point in the group `imgedit_plugins.commands`: the name of the command,
and where its `click.Command` is. Its help is the first line of the command function's docstring, or
of the module's, read from the source.
"""

from __future__ import annotations

import ast
import importlib.metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

from imgedit_plugins.discovery import OWN_DISTRIBUTION, find_without_import
from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    import click

GROUP = "imgedit_plugins.commands"

_BROKEN = "(cannot be used: it is not installed completely)"


def foreign_commands() -> dict[str, EntryPoint]:
    """The entry points by name, in the order of their names.

    Where two distributions claim a name, the core's own has it, else the first by name.
    """
    found = sorted(
        importlib.metadata.entry_points(group=GROUP),
        key=lambda point: (_owner(point) != OWN_DISTRIBUTION, _owner(point)),
    )
    named: dict[str, EntryPoint] = {}
    for point in found:
        named.setdefault(point.name, point)
    return dict(sorted(named.items()))


def help_of(point: EntryPoint) -> str:
    """The command's help in one line; nothing of its module is carried out."""
    try:
        spec = find_without_import(_module(point))
        if spec is None or spec.origin is None:
            return _BROKEN
        module = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, ImportError):
        return _BROKEN
    told = ast.get_docstring(module)
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == point.value.partition(":")[2]:
            told = ast.get_docstring(node) or told
    return told.partition("\n")[0] if told else f"(from {_owner(point)})"


def load(point: EntryPoint) -> click.Command:
    """Import a command.

    Raises:
        ImgeditError: it cannot be imported, or is no command.
    """
    import click

    from imgedit_plugins.faults import one_line

    try:
        command = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ImgeditError(
            f"The command {point.name!r} of {_owner(point)} cannot be used: {one_line(error)}.",
            hint=f"Install {_owner(point)} again, or remove it.",
        ) from error
    if not isinstance(command, click.Command):
        raise ImgeditError(
            f"The command {point.name!r} of {_owner(point)} is no click command, "
            f"but {type(command).__name__}."
        )
    return command


def _module(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition("[")[0].strip()


def _owner(point: EntryPoint) -> str:
    return (point.dist.name if point.dist else "") or "an unknown package"
