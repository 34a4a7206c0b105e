"""What the language model may answer: JSON Schemas made from the vocabulary, and words about it.

The schemas say all that a grammar can enforce: names of operations, their parameters and ranges.
They are narrower than what a document may hold, for a model's sake: fewer layers, shorter texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from imgedit_plugins.operations import Operation, Parameter, Vocabulary
from imgedit_plugins.operations.described import example_parameters

_MOST_LAYERS = 4
_MOST_OPERATIONS = 6
_MOST_POINTS = 6  # of a curve
_MOST_CHOICES = 64

Schema = dict[str, Any]


def plan_form(vocabulary: Vocabulary, *, paints: bool) -> Schema:
    """An intent and layers.

    Args:
        vocabulary: the operations to choose from.
        paints: whether there is a diffusion model.
    """
    return _object(intent=_text(400), layers=_layers(vocabulary, paints=paints))


def criticism_form(vocabulary: Vocabulary, *, paints: bool) -> Schema:
    """A criticism, and layers or null."""
    layers = _layers(vocabulary, paints=paints)
    return _object(criticism=_text(400), layers={"anyOf": [{"type": "null"}, layers]})


def choice_form() -> Schema:
    """A reason, and which of two attempts is better."""
    return _object(reason=_text(300), better={"enum": ["middle", "right", "neither"]})


def plan_example(*, paints: bool) -> str:
    """An answer in the form of a plan, for prompts."""
    return _shown({"intent": "The light becomes that of a late afternoon.", **_example(paints)})


def criticism_example(*, paints: bool) -> str:
    """An answer in the form of a criticism, for prompts."""
    return _shown({"criticism": "The sky is right, the grass is too dark.", **_example(paints)})


def choice_example() -> str:
    """An answer in the form of a choice, for prompts."""
    return _shown({"reason": "Its colours are warm without a cast.", "better": "middle"})


def described(vocabulary: Vocabulary) -> str:
    """The operations, one a line."""
    return "\n".join(f"- {_line(operation)}" for operation in vocabulary)


def moving(vocabulary: Vocabulary) -> str:
    """The operations that move pixels, as an enumeration."""
    return ", ".join(o.name for o in vocabulary if o.kind == "geometric")


# --- schemas ----------------------------------------------------------------------------------


def _layers(vocabulary: Vocabulary, *, paints: bool) -> Schema:
    operations = [_operation(operation) for operation in vocabulary]
    common = {"title": _text(80), "region": {"anyOf": [{"type": "null"}, _region()]}}
    several = {
        "type": "array", "minItems": 1, "maxItems": _MOST_OPERATIONS,
        "items": {"anyOf": operations},
    }  # fmt: skip
    kinds = [_object(**common, operations=several)]
    if paints:
        kinds.append(_object(**common, paint=_text(300, shortest=1)))
    return {"type": "array", "maxItems": _MOST_LAYERS, "items": {"anyOf": kinds}}


def _region() -> Schema:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return _object(
        what=_text(80),
        box={"type": "array", "items": share, "minItems": 4, "maxItems": 4},
        shape={"enum": ["box", "ellipse"]},
        feather={"type": "number", "minimum": 0, "maximum": 0.3},
        outside={"type": "boolean"},
    )


def _operation(operation: Operation) -> Schema:
    needed = [p.name for p in operation.parameters if not p.optional]
    parameters = {
        "type": "object",
        "properties": {p.name: _parameter(p) for p in operation.parameters},
        "required": needed,
        "additionalProperties": False,
    }
    return _object(name={"const": operation.name}, parameters=parameters)


def _parameter(parameter: Parameter) -> Schema:
    number = {"type": "number", "minimum": parameter.minimum, "maximum": parameter.maximum}
    if parameter.points:
        point = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
        return {"type": "array", "items": point, "minItems": 2, "maxItems": _MOST_POINTS}
    if parameter.choices:
        return {"enum": list(parameter.choices)}
    if not (parameter.integer or parameter.odd):
        return number
    low, high = int(parameter.minimum), int(parameter.maximum)
    if parameter.odd and high - low < 2 * _MOST_CHOICES:
        return {"enum": [n for n in range(low, high + 1) if n % 2]}
    return {"type": "integer", "minimum": low, "maximum": high}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(longest: int, *, shortest: int = 0) -> Schema:
    least = {"minLength": shortest} if shortest else {}
    return {"type": "string", **least, "maxLength": longest}


# --- words ------------------------------------------------------------------------------------


def _line(operation: Operation) -> str:
    if not operation.parameters:
        return f"{operation.name}: {operation.summary}"
    shown = ", ".join(map(_range, _shortened(operation.parameters)))
    # Which way a sign goes is best said by an example.
    some = example_parameters(operation)
    given = {p.name: some[p.name] for p in operation.parameters if some[p.name] != p.neutral}
    example = f"{json.dumps(given)} is '{operation.describe(some)}'"
    return f"{operation.name} ({shown}): {operation.summary} For example, {example}."


def _shortened(parameters: tuple[Parameter, ...]) -> Iterable[Parameter | str]:
    """Parameters of one kind by the dozen, such as those of `hsl`, are told by a few."""
    if len(parameters) <= 8:
        return parameters
    return [*parameters[:3], f"… {parameters[-1].name}"]


def _range(parameter: Parameter | str) -> str:
    if isinstance(parameter, str):
        return f"[{parameter}]"
    if parameter.points:
        told = f"{parameter.name} as points [[x, y], …] from 0 to 1"
    elif parameter.choices:
        told = f"{parameter.name} {' or '.join(map(str, parameter.choices))} {parameter.unit}"
    else:
        odd = ", odd" if parameter.odd else ""
        told = (
            f"{parameter.name} {parameter.minimum:g} to {parameter.maximum:.10g} {parameter.unit}"
        ).strip() + odd
    return f"[{told.strip()}]" if parameter.optional else told.strip()


def _example(paints: bool) -> Schema:
    region = {
        "what": "the sky", "box": [0, 0, 1, 0.45], "shape": "box", "feather": 0.1,
        "outside": False,
    }  # fmt: skip
    layers: list[Schema] = [
        {
            "title": "Warmer light",
            "region": None,
            "operations": [{"name": "temperature", "parameters": {"shift": 25}}],
        },
        {
            "title": "Darker sky",
            "region": region,
            "operations": [{"name": "exposure", "parameters": {"stops": -0.5}}],
        },
    ]
    if paints:
        layers.append(
            {"title": "Swallows", "region": region, "paint": "Add a few swallows to the sky."}
        )
    return {"layers": layers}


def _shown(data: Schema) -> str:
    return json.dumps(data, ensure_ascii=False)
