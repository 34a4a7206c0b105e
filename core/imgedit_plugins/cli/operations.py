"""`imgedit-plugins operations`: the vocabulary of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgedit_plugins.cli.common import complete_operation, json_option, plugin_manager
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from imgedit_plugins.operations import Operation, Parameter


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
    return ", ".join(f"{p.name} {_range(p)}" for p in operation.parameters)


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return "/".join(str(c) for c in parameter.choices) + parameter.unit
    odd = ", odd" if parameter.odd else ""
    return f"{parameter.minimum:g}..{parameter.maximum:g} {parameter.unit}".rstrip() + odd


def _print_one(operation: Operation) -> None:
    click.echo(click.style(f"{operation.name}: {operation.title}", bold=True))
    click.echo(f"{operation.summary}\n")
    click.echo(f"kind     {operation.kind}")
    click.echo(f"source   {operation.source}")
    for parameter in operation.parameters:
        neutral = "" if parameter.neutral is None else f"; {parameter.neutral:g} changes nothing"
        click.echo(f"  {parameter.name} ({parameter.title}): {parameter.describe_range()}{neutral}")
    click.echo(f"\nFor example: --op {_example(operation)}")


def _example(operation: Operation) -> str:
    from imgedit_plugins.operations import load_profile

    usual = load_profile().levels(operation.name)
    values = [
        (p.name, usual[len(usual) // 2] if usual else (p.choices or (p.maximum,))[0])
        for p in operation.parameters
    ]
    if len(values) == 1:
        return f"{operation.name}={values[0][1]:g}"
    told = ",".join(f"{name}:{value:g}" for name, value in values)
    return f"{operation.name}={told}" if told else operation.name


def _as_json(operation: Operation) -> dict[str, Any]:
    import dataclasses

    return {
        "name": operation.name,
        "title": operation.title,
        "kind": operation.kind,
        "summary": operation.summary,
        "source": operation.source,
        "parameters": [dataclasses.asdict(p) for p in operation.parameters],
    }
