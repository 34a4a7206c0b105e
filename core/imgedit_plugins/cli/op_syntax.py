"""Operations as they are written after `--op`.

    NAME                              sepia
    NAME=VALUE                        bright=50
    NAME=KEY:VALUE,KEY:VALUE,...      levels=black:10,white:240
    NAME=VALUE,KEY:VALUE,...          exposure=0.5,black:0.01

A VALUE without its KEY is that of the only parameter, or of the only one that cannot be left out.
The points of a curve are X/Y, one after another: ``curves=all:0/0,0.5/0.6,1/1,red:0/0.1,1/1``.
Nothing of it needs quoting in a shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imgedit_plugins.operations import Operation, Parameter, Vocabulary
    from imgedit_plugins.plan import PlannedOperation


def parse_operation(text: str, vocabulary: Vocabulary) -> PlannedOperation:
    """One step of a plan from what follows `--op`.

    Raises:
        click.UsageError: it is malformed, or no operation with such parameters.
    """
    from imgedit_plugins.errors import OperationError
    from imgedit_plugins.plan import PlannedOperation

    name, equals, values = text.partition("=")
    try:
        operation = vocabulary[name]
        given = _parameters(text, values, operation) if equals else {}
        return PlannedOperation(name=name, parameters=operation.check(given))
    except OperationError as error:
        raise click.UsageError(f"--op {text}: {error}") from error


def format_operation(operation: Operation, parameters: Mapping[str, Any]) -> str:
    """The text that `parse_operation` turns into these parameters.

    Args:
        operation: its declaration.
        parameters: checked ones; those that may be left out and are neutral are left out.
    """
    told = {
        p.name: _written(parameters[p.name])
        for p in operation.parameters
        if p.name in parameters and not (p.optional and parameters[p.name] == p.neutral)
    }
    if not told:
        return operation.name
    main = _main(operation)
    if main is not None and list(told) == [main.name]:
        return f"{operation.name}={told[main.name]}"
    return f"{operation.name}={','.join(f'{key}:{value}' for key, value in told.items())}"


def _main(operation: Operation) -> Parameter | None:
    """The parameter whose name may be left out."""
    if len(operation.parameters) == 1:
        return operation.parameters[0]
    needed = [p for p in operation.parameters if not p.optional]
    return needed[0] if len(needed) == 1 else None


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{_written(x)}/{_written(y)}" for x, y in value)
    return repr(value).removesuffix(".0")


def _parameters(text: str, values: str, operation: Operation) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in operation.parameters}
    parts: dict[str, list[str]] = {}
    current = None
    for part in values.split(","):
        key, colon, value = part.strip().partition(":")
        if colon:
            if key in parts:
                raise click.UsageError(f"--op {text}: {key!r} is given twice.")
            current, parts[key] = key, [value]
        elif current is None:
            current = _unnamed(text, operation)
            parts[current] = [key]
        else:
            parts[current].append(key)
    return {key: _value(text, key, found, known.get(key)) for key, found in parts.items()}


def _unnamed(text: str, operation: Operation) -> str:
    main = _main(operation)
    if main is not None:
        return main.name
    names = [parameter.name for parameter in operation.parameters]
    takes = " and ".join(names) or "none"
    form = f"; write {operation.name}={names[0]}:...,..." if names else ""
    raise click.UsageError(f"--op {text}: its parameters are {takes}{form}.")


def _value(text: str, name: str, found: list[str], parameter: Parameter | None) -> Any:
    if parameter is not None and parameter.points:
        return tuple(_point(text, point) for point in found)
    if len(found) > 1:
        raise click.UsageError(
            f"--op {text}: {found[1]!r} has no name; write {name}:{found[0]},NAME:{found[1]}."
        )
    return _number(text, found[0])


def _point(text: str, point: str) -> tuple[int | float, int | float]:
    x, slash, y = point.partition("/")
    if not slash:
        raise click.UsageError(f"--op {text}: {point!r} is no point; write X/Y, such as 0.5/0.6.")
    return _number(text, x), _number(text, y)


def _number(text: str, value: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    raise click.UsageError(f"--op {text}: {value!r} is not a number.")
