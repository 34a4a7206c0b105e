"""JSON documents that people write: read strictly, every fault told with its place.

What JSON readers do not agree on (a field that stands twice, `NaN`, numbers without end, half
characters, endless nesting) is refused, whatever the document is about.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.operations.vocabulary import shorten

_DEEPEST = 32  # levels of nesting in a document; a plan has five

Problems = tuple[tuple[str, str], ...]
"""(place such as ``operations[1].name``, what is wrong) of each fault."""


class _Doubled(dict[str, Any]):
    """A JSON object in which `field` stands twice."""

    field: str


def decode(text: str | bytes, what: str, fault: Callable[[str], ImgeditError]) -> object:
    """What `json.loads` makes of a text; fields that stand twice are told by `problems_of`.

    Args:
        text: JSON.
        what: it should be, as in 'no edit plan'.
        fault: makes the error of a message.

    Raises:
        ImgeditError: it is no JSON, or nested endlessly.
    """
    try:
        return json.loads(text, parse_int=_whole_number, object_pairs_hook=_object)
    except RecursionError as error:
        raise fault(f"This is no {what}: it is nested too deeply.") from error
    except ValueError as error:
        raise fault(f"This is not JSON: {error}.") from error


def _whole_number(digits: str) -> int | float:
    """A number of hundreds of digits is infinite, as 1e400 is; Python would refuse to read it."""
    return int(digits) if len(digits) <= 300 else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    names = [name for name, _ in pairs]
    doubled = _Doubled(data)
    doubled.field = next(name for name in names if names.count(name) > 1)
    return doubled


def problems_of(document: Mapping[Any, Any]) -> Problems:
    """What no JSON document can hold, or what JSON readers do not agree on."""
    return tuple(_unspeakable(document))


def problems_in(error: ValidationError) -> Problems:
    """The faults that pydantic found."""
    return tuple(_problem(cast(Mapping[str, Any], fault)) for fault in error.errors())


def told(problems: Problems) -> str:
    """All of them in one line."""
    return "; ".join(f"{place}: {what}" if place else what for place, what in problems)


def _unspeakable(document: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    todo: list[tuple[tuple[int | str, ...], object]] = [((), document)]
    while todo:
        location, value = todo.pop()
        if what := _fault_of(value):
            yield _place(location), what
        if isinstance(value, _Doubled):
            yield _place((*location, value.field)), "this field stands twice in one object"
        inside: list[tuple[Any, Any]] = []
        if isinstance(value, Mapping):
            inside = list(value.items())
        elif isinstance(value, list | tuple):
            inside = list(enumerate(value))
        if inside and len(location) >= _DEEPEST:
            yield _place(location[:3]), "this is nested too deeply"
            return
        for key, item in reversed(inside):
            if isinstance(value, Mapping) and not (isinstance(key, str) and _is_unicode(key)):
                yield _place(location), f"{shorten(key)} is no name of a field"
            todo.append(((*location, key), item))


def _fault_of(value: object) -> str:
    if isinstance(value, str) and not _is_unicode(value):
        return f"this is no Unicode text: {shorten(value)}"
    if isinstance(value, int) and abs(value) >= 10**300:
        return "this number is too large"
    if isinstance(value, float) and not math.isfinite(value):
        return f"a number must be finite, not {value!r}"
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _problem(fault: Mapping[str, Any]) -> tuple[str, str]:
    context = fault.get("ctx", {})
    place = _place((*fault["loc"], *context.get("place", ())))
    # The message of an operation's fault may hold braces, which pydantic would fill in.
    message = context.get("message", fault["msg"])
    return place, _sentence(fault["type"], message, fault.get("input"))


def _place(location: tuple[int | str, ...]) -> str:
    if location[-3:-2] == ("parameters",) and location[-1] in ("int", "float"):
        location = location[:-1]  # a branch of a union, not a place in the document
    place = ""
    for part in location:
        if isinstance(part, str) and part.replace("-", "_").isidentifier():
            place += f".{part}" if place else part
        else:
            place += f"[{shorten(part)}]"
    return place


_SHOULD = {
    "tuple_type": "input should be a list",
    "dict_type": "input should be an object",
    "model_type": "input should be an object",
}


def _sentence(kind: str, message: str, value: object) -> str:
    if kind in ("operation", "rule"):
        return message
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "this field is missing"
    message = _SHOULD.get(kind, f"{message[0].lower()}{message[1:]}")
    return f"{message}, not {shorten(value)}"
