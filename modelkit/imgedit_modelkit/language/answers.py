"""Reading what a language model answered: the JSON object in it, or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from imgedit_modelkit.language.chats import Reply
from imgedit_plugins import documents
from imgedit_plugins.errors import ImgeditError

_MOST_BEGINNINGS = 200  # of objects that are tried; prose has few braces
_THOUGHT = re.compile(r"^.*?</think>", re.DOTALL | re.IGNORECASE)
_SHOWN = 120


class UnusableError(ImgeditError):
    """An answer cannot be used; the message is a clause that the model is told."""

    @property
    def reason(self) -> str:
        """The message without a full stop."""
        return self.message.rstrip(".")


def read_object(reply: Reply, key: str) -> Mapping[str, Any]:
    """The JSON object in an answer; prose and thoughts around it are passed over.

    Args:
        reply: the answer.
        key: a field of the object that is looked for; of several objects, the first with it counts.

    Raises:
        UnusableError: there is none, or it is one that not all readers would read alike.
    """
    if reply.fault and not reply.text:
        raise UnusableError(reply.fault)
    said = _THOUGHT.sub("", reply.text, count=1).strip()
    found = _objects(said)
    for source, data in found:
        if key in data:
            return _strict(source)
    raise UnusableError(_why_none(said, key, is_there=bool(found), cut=not reply.ended))


def _why_none(said: str, key: str, *, is_there: bool, cut: bool) -> str:
    if cut:
        return "it was broken off because it became too long; be shorter"
    if is_there:
        return f"the JSON object has no field {key!r}"
    if "{" in said:
        return "it is not valid JSON, or not whole"
    if not said:
        return "it is empty"
    shown = " ".join(said.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    return f"there is no JSON object in it, only {shown!r}"


def _objects(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects in a text, outermost first, each with its source."""
    found: list[tuple[str, dict[str, Any]]] = []
    decoder = json.JSONDecoder()
    place, tried = text.find("{"), 0
    while place >= 0 and tried < _MOST_BEGINNINGS:
        tried += 1
        try:
            data, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            found.append((text[place:end], data))
        place = text.find("{", end)
    return found


def _strict(source: str) -> Mapping[str, Any]:
    data = documents.decode(source, "answer", UnusableError)
    assert isinstance(data, Mapping)
    if problems := documents.problems_of(data):
        raise UnusableError(documents.told(problems))
    return data
