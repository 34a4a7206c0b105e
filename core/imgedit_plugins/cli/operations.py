"""`imgedit-plugins operations`: the vocabulary of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import complete_operation, json_option, plugin_manager
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from imgedit_plugins.operations import Operation, Parameter

_MOST_OPTIONAL = 5  # in the table; an operation by colour bands has two dozen
_WIDEST = 100


@click.command("operations")
@click.argument("name", required=False, shell_complete=complete_operation)
@json_option
def command(*, name: str | None, as_json: bool) -> None:
    """Show the operations that plans are made of, or everything about one."""
    vocabulary = plugin_manager().vocabulary()
    if name is not None:
        operation = vocabulary[name]
        if as_json:
            print_json(_as_json(operation))
        else:
            _print_one(operation)
    elif as_json:
        print_json([_as_json(operation) for operation in vocabulary])
    else:
        rows = [(op.name, op.kind, _parameters(op), op.summary) for op in vocabulary]
        print_table(("name", "kind", "parameters", "what it does"), rows)


def _parameters(operation: Operation) -> str:
    """'amount -100..100 %, [radius]'; in brackets is what may be left out."""
    needed = [f"{p.name} {_range(p)}" for p in operation.parameters if not p.optional]
    names = [p.name for p in operation.parameters if p.optional]
    if len(names) > _MOST_OPTIONAL:
        names[_MOST_OPTIONAL - 1 :] = [f"{len(names) - _MOST_OPTIONAL + 1} more"]
    return ", ".join([*needed, f"[{', '.join(names)}]"] if names else needed)


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return "/".join(str(c) for c in parameter.choices) + parameter.unit
    odd = ", odd" if parameter.odd else ""
    return f"{parameter.minimum:g}..{parameter.maximum:g} {parameter.unit}".rstrip() + odd


def _print_one(operation: Operation) -> None:
    click.echo(click.style(f"{operation.name}: {operation.title}", bold=True))
    click.echo(f"{operation.summary}\n")
    for head, text in (
        ("kind", operation.kind),
        ("source", operation.source),
        ("compares", operation.compares),
    ):
        if text:
            click.echo(_wrapped(f"{head:10}", text))
    for parameter in operation.parameters:
        click.echo(f"  {parameter.name} ({parameter.title}): {_described(parameter)}")
    click.echo(f"\nFor example: --op {example(operation)}")


def _wrapped(head: str, text: str) -> str:
    import shutil

    width = min(shutil.get_terminal_size().columns, _WIDEST)
    return click.wrap_text(text, width, initial_indent=head, subsequent_indent=" " * len(head))


def _described(parameter: Parameter) -> str:
    parts = [parameter.describe_range()]
    neutral = parameter.neutral
    if parameter.optional:
        usual = "a straight line" if isinstance(neutral, tuple) else f"{neutral:g}"
        parts.append(f"{usual} if left out")
    elif neutral is not None:
        parts.append(f"{neutral:g} changes nothing")
    return "; ".join(parts)


def example(operation: Operation) -> str:
    """What to write after `--op` to see the operation at work."""
    from imgedit_plugins.cli.op_syntax import format_operation
    from imgedit_plugins.operations.described import example_parameters

    return format_operation(operation, example_parameters(operation))


def _as_json(operation: Operation) -> dict[str, Any]:
    from imgedit_plugins.operations.described import described

    return {**described(operation), "example": example(operation)}
