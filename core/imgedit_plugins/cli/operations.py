"""`imgedit-plugins operations`: the vocabulary of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import complete_operation, json_option, plugin_manager
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgedit_plugins.operations import Operation, Parameter

_MOST_OPTIONAL = 5  # in the table; an operation by colour bands has two dozen
_WIDEST = 100
_S_CURVE = ((0.0, 0.0), (0.25, 0.2), (0.75, 0.8), (1.0, 1.0))


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
    from imgedit_plugins.operations import load_profile

    levels = load_profile().levels(operation.name)
    if levels:
        given: dict[str, Any] = {operation.parameters[0].name: levels[len(levels) // 2]}
    else:
        given = {p.name: _some_value(p) for p in _shown_in_example(operation)}
    return format_operation(operation, operation.check(given))


def _shown_in_example(operation: Operation) -> Sequence[Parameter]:
    """Those that are needed; else the first two, or the first curve."""
    needed = [p for p in operation.parameters if not p.optional]
    if needed or not operation.parameters:
        return needed
    return operation.parameters[: 1 if operation.parameters[0].points else 2]


def _some_value(parameter: Parameter) -> Any:
    """A moderate value: about a quarter of the way from neutral to the end of the range."""
    if parameter.points:
        low, high = parameter.minimum, parameter.maximum
        return tuple((low + x * (high - low), low + y * (high - low)) for x, y in _S_CURVE)
    if parameter.choices:
        return parameter.choices[0]
    neutral, end = parameter.neutral, parameter.maximum
    if neutral is None or isinstance(neutral, tuple):
        neutral = parameter.minimum
    if neutral == end:
        end = parameter.minimum
    if parameter.minimum > 0:  # a factor, or a size: in proportion
        value = neutral * (end / neutral) ** (0.5 if parameter.neutral is None else 0.25)
    else:
        value = neutral + (end - neutral) / 4
    value = float(f"{value:.2g}")
    if parameter.odd:
        return 2 * round(value / 2) + 1
    return round(value) if parameter.integer else value


def _as_json(operation: Operation) -> dict[str, Any]:
    import dataclasses

    return {
        "name": operation.name,
        "title": operation.title,
        "kind": operation.kind,
        "summary": operation.summary,
        "source": operation.source,
        "compares": operation.compares,
        "parameters": [dataclasses.asdict(p) for p in operation.parameters],
        "example": example(operation),
    }
