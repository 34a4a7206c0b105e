"""Operations as plain data, for programs that show them: lists, menus, panes with sliders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from imgedit_plugins.operations.profiles import load_profile
from imgedit_plugins.operations.vocabulary import Operation, Parameter

_S_CURVE = ((0.0, 0.0), (0.25, 0.2), (0.75, 0.8), (1.0, 1.0))


def described(operation: Operation) -> dict[str, Any]:
    """An operation as JSON can hold it.

    Returns:
        'name', 'title', 'kind', 'summary', 'source', 'compares'; 'parameters', each with the
        fields of `Parameter`; 'start': parameters with which it visibly does something;
        'per_channel': whether it is one curve for each channel.
    """
    start = example_parameters(operation)
    return {
        "name": operation.name,
        "title": operation.title,
        "kind": operation.kind,
        "summary": operation.summary,
        "source": operation.source,
        "compares": operation.compares,
        "parameters": [dataclasses.asdict(parameter) for parameter in operation.parameters],
        "start": start,
        "per_channel": _is_per_channel(operation, start),
    }


def example_parameters(operation: Operation) -> dict[str, Any]:
    """Checked parameters with which an operation visibly does something."""
    levels = load_profile().levels(operation.name)
    if levels:
        given: dict[str, Any] = {operation.parameters[0].name: levels[len(levels) // 2]}
    else:
        given = {p.name: _some_value(p) for p in _shown_in_example(operation)}
    return operation.check(given)


def _is_per_channel(operation: Operation, parameters: dict[str, Any]) -> bool:
    from imgedit_plugins.operations.forms import Curves

    if operation.form is None:
        return False
    constants = load_profile().of(operation.name)
    return isinstance(operation.form(parameters, constants), Curves)


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
