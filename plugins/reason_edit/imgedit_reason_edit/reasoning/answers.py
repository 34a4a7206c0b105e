"""Reading what the language model answered: the JSON in it, or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from imgedit_plugins import documents
from imgedit_plugins.errors import ImgeditError

_MOST_BEGINNINGS = 200  # of objects that are tried; prose has few braces
_THOUGHT = re.compile(r"^.*?</think>", re.DOTALL | re.IGNORECASE)
_SHOWN = 120


class AnswerError(ImgeditError):
    """An answer cannot be used; the message is what the model is told."""


def read_answer(text: str, key: str, *, cut: bool = False) -> Mapping[str, Any]:
    """The JSON object in an answer; prose around it is passed over.

    Args:
        text: the answer.
        key: a field of the object that is looked for; of several objects, the first with it counts.
        cut: whether the answer was broken off at the limit of tokens.

    Raises:
        AnswerError: says what the model should be told.
    """
    said = _THOUGHT.sub("", text, count=1).strip()
    found = _objects(said)
    for source, data in found:
        if key in data:
            return _strict(source)
    if cut:
        raise AnswerError("it was broken off because it became too long; be shorter.")
    if found:
        raise AnswerError(f"the JSON object has no field {key!r}.")
    if "{" in said:
        raise AnswerError("it is not valid JSON, or not whole.")
    shown = " ".join(said.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    raise AnswerError(
        f"there is no JSON object in it, only {shown!r}." if shown else "it is empty."
    )


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
    data = documents.decode(source, "answer", AnswerError)
    assert isinstance(data, Mapping)
    if problems := documents.problems_of(data):
        raise AnswerError(f"{documents.told(problems)}.")
    return data
