"""Answers of a wanted form: asked for with a JSON Schema, checked, and asked for again.

A model that answers something else is told what is wrong with it, a few times; then the question
is given up. What it answered is never repaired beyond taking the object out of the text around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec

from imgedit_modelkit.language.answers import UnusableError, read_object
from imgedit_modelkit.language.chats import Chat, LanguageModel, Message, Reply
from imgedit_modelkit.language.prompts import PromptFile, retry_prompt

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_KEPT = 4000
"""Characters of a bad answer that the model is shown again."""

_AGAIN_TEMPERATURE = 0.4
"""At the least: a model that only takes its likeliest word would make the same mistake again."""


@dataclass(frozen=True)
class Form(Generic[T]):
    """What an answer must be.

    Attributes:
        schema: JSON Schema of the object.
        key: a field that it has.
        read: makes something of the object; raises `UnusableError` where that cannot be.
    """

    schema: dict[str, Any]
    key: str
    read: Callable[[Mapping[str, Any]], T]


@dataclass(frozen=True)
class Question(Generic[T]):
    """A conversation whose answer must have a form.

    Attributes:
        chat: with the question at its end; the form's schema is filled in.
        form: of the answer.
        attempts: how often it is asked, at most.
    """

    chat: Chat
    form: Form[T]
    attempts: int = 3


@dataclass(frozen=True)
class Answered(Generic[T]):
    """What came of a question.

    Attributes:
        value: the answer, or None where it was given up.
        reasons: what was wrong with the answers before, or with all of them.
        calls: how often the model was asked.
        tokens_in, tokens_out: of all calls; estimated at four characters where nobody counted.
    """

    value: T | None
    reasons: tuple[str, ...]
    calls: int
    tokens_in: int
    tokens_out: int


class _Open(Generic[T]):
    """A question that has no answer yet."""

    def __init__(self, question: Question[T], again: PromptFile) -> None:
        self.question, self._again = question, again
        self.chat = replace(question.chat, schema=question.form.schema)
        self.value: T | None = None
        self.reasons: list[str] = []
        self.calls = self.tokens_in = self.tokens_out = 0

    @property
    def waits(self) -> bool:
        return self.value is None and self.calls < self.question.attempts

    def take(self, reply: Reply) -> None:
        said = sum(len(message.text) for message in self.chat.messages)
        self.calls += 1
        self.tokens_in += said // 4 if reply.tokens_in is None else reply.tokens_in
        self.tokens_out += len(reply.text) // 4 if reply.tokens_out is None else reply.tokens_out
        form = self.question.form
        try:
            self.value = form.read(read_object(reply, form.key))
        except UnusableError as error:
            self.reasons.append(error.reason)
            self._ask_again(reply.text, error.reason)

    def _ask_again(self, text: str, reason: str) -> None:
        """The next call shows the last bad answer; earlier ones would only lead astray."""
        first = self.question.chat.messages
        # Never two turns of one side in a row: many chat templates refuse that.
        said = Message("assistant", text[:_KEPT] or "(nothing)")
        self.chat = replace(
            self.chat,
            messages=(*first, said, *self._again.messages({"reason": reason})),
            temperature=max(self.chat.temperature, _AGAIN_TEMPERATURE),
            seed=None if self.chat.seed is None else self.chat.seed + 1,
        )

    @property
    def answered(self) -> Answered[T]:
        return Answered(
            self.value, tuple(self.reasons), self.calls, self.tokens_in, self.tokens_out
        )


def ask(
    model: LanguageModel,
    questions: Sequence[Question[T]],
    on_wait: Callable[[], None] = lambda: None,
    *,
    again: PromptFile | None = None,
    on_round: Callable[[int], None] = lambda _: None,
) -> list[Answered[T]]:
    """Ask all questions at the same time, and those again whose answers will not do.

    Args:
        model: to ask.
        questions: independent of each other.
        on_wait: called often; what it raises ends the work.
        again: what is said of an answer that will not do; `retry_prompt()` where none is given.
        on_round: told the number of each round before it, from 0.

    Raises:
        EndpointError, WeightsError: the model cannot be used.
    """
    again = again or retry_prompt()
    asked = [_Open(question, again) for question in questions]
    number = 0
    while waiting := [one for one in asked if one.waits]:
        on_round(number)
        replies = model.replies([one.chat for one in waiting], on_wait)
        for one, reply in zip(waiting, replies, strict=True):
            one.take(reply)
        number += 1
    return [one.answered for one in asked]


# --- forms of structs -------------------------------------------------------------------------


def form_of(
    kind: type[S],
    choices: Mapping[str, Sequence[str] | range] | None = None,
    check: Callable[[S], None] = lambda _: None,
) -> Form[S]:
    """The form of a struct.

    Args:
        kind: fields and their types.
        choices: the values that a field may have, for some fields: texts, or numbers in a row.
        check: raises `UnusableError` where an answer of that form will not do.
    """
    choices = choices or {}

    def read(data: Mapping[str, Any]) -> S:
        try:
            value = msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            raise UnusableError(str(error)) from error
        _refuse_others(value, choices)
        check(value)
        return value

    schema = _schema(kind, choices)
    return Form(schema, next(iter(schema["properties"])), read)


def _schema(
    kind: type[msgspec.Struct], choices: Mapping[str, Sequence[str] | range]
) -> dict[str, Any]:
    """As servers want it: one object without references."""
    found = msgspec.json.schema(kind)
    if "$ref" in found:
        found = found["$defs"][found["$ref"].rpartition("/")[2]]
    fields = {name: dict(told) for name, told in found["properties"].items()}
    for name, values in choices.items():
        if isinstance(values, range):
            fields[name] |= {"minimum": values[0], "maximum": values[-1]}
        else:
            fields[name]["enum"] = list(values)
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _refuse_others(value: Any, choices: Mapping[str, Sequence[str] | range]) -> None:
    for name, values in choices.items():
        if getattr(value, name) not in values:
            shown = ", ".join(map(str, values))
            raise UnusableError(f"{name!r} must be one of {shown}, not {getattr(value, name)!r}")
