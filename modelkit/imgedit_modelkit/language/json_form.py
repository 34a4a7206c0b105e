"""The JSON objects that follow a flat schema, as an automaton for constrained decoding.

Fields come in the schema's order, without white space but one blank after ':' and ','. A field is a
text (optionally one of several), or a whole number within bounds. A text may hold any printable
character; quotes and backslashes in it are left out, so that each text is written in one way only.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Choice:
    """One of several texts, written as they are."""

    texts: tuple[str, ...]


_Parts = tuple[_Choice | None, ...]
"""What is still to be written; None is a text that the model is free to choose."""

_State = tuple[_Parts, str]
"""The parts from the present one on, and what is written of it."""


class JsonForms:
    """Accepts the objects of any schema; see `constrained_decoding.Automaton`.

    A state holds all that is still to be written, so that one constraint serves many schemas and
    finds the same tokens for the same rest only once.
    """

    @property
    def start(self) -> _State:
        """Of nothing: each schema has its own, see `start_of`."""
        return (), ""

    def step(self, state: Hashable, character: str) -> _State | None:
        """The state after a character; None where the text cannot go on so."""
        assert isinstance(state, tuple)
        parts: _Parts = state[0]
        written: str = state[1]
        if not parts:
            return None
        wanted, rest = parts[0], parts[1:]
        if wanted is None:
            if character == '"':
                return (rest, "") if written else None
            return (parts, "x") if character.isprintable() and character != "\\" else None
        longer = written + character
        if not any(text.startswith(longer) for text in wanted.texts):
            # '1' may be all of '1', or the beginning of '12': only what follows can tell.
            return self.step((rest, ""), character) if written in wanted.texts else None
        unfinished = any(t.startswith(longer) and t != longer for t in wanted.texts)
        return (parts, longer) if unfinished else (rest, "")

    def is_end(self, state: Hashable) -> bool:
        """Whether the text may end here."""
        return state == ((), "")


def start_of(schema: dict[str, Any]) -> _State:
    """The state before the first character of a schema's object.

    Args:
        schema: of an object whose properties are 'string' (with or without 'enum') or 'integer'
            with 'minimum' and 'maximum'.

    Raises:
        ValueError: the schema has something else in it.
    """
    parts: list[_Choice | None] = []
    for number, (name, field) in enumerate(schema["properties"].items()):
        parts.append(_Choice((f"{', ' if number else '{'}{json.dumps(name)}: ",)))
        parts += _field(name, field)
    return (*parts, _Choice(("}",))), ""


def _field(name: str, field: dict[str, Any]) -> list[_Choice | None]:
    if "enum" in field:
        return [_Choice(tuple(json.dumps(text, ensure_ascii=False) for text in field["enum"]))]
    if field.get("type") == "string":
        return [_Choice(('"',)), None]
    if field.get("type") == "integer" and {"minimum", "maximum"} <= set(field):
        numbers = range(field["minimum"], field["maximum"] + 1)
        return [_Choice(tuple(map(str, numbers)))]
    raise ValueError(f"the field {name!r} has no form that can be written: {field}")
