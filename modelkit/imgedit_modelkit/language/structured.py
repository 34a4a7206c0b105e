"""Answers of a wanted form: asked for with a JSON Schema, checked, and asked for again.

A model that answers something else is told what is wrong with it, a few times; then the question
is given up. What it answered is never repaired beyond taking the object out of the text around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import msgspec

from imgedit_modelkit.language.chats import Chat, LanguageModel, Message, Reply

T = TypeVar("T", bound=msgspec.Struct)

_AGAIN = "This answer cannot be used: {reason}. Answer again with the JSON object and nothing else."
_BROKEN_OFF = "it was broken off"
_KEPT = 500
"""Characters of a bad answer that the model is shown again."""


class UnusableError(ValueError):
    """What a check raises: why an answer of the right form will not do, as a clause."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """A conversation whose answer must have a form.

    Attributes:
        chat: with the question at its end; `schema` is filled in.
        form: fields and their types.
        choices: the values that a field may have, for some fields: texts, or numbers in a row.
        check: raises `UnusableError` where an answer of that form will not do.
        attempts: how often it is asked, at most.
    """

    chat: Chat
    form: type[T]
    choices: Mapping[str, Sequence[str] | range] = field(default_factory=dict)
    check: Callable[[T], None] = lambda _: None
    attempts: int = 3

    @property
    def schema(self) -> dict[str, Any]:
        """Of the answer, as servers want it: one object without references."""
        found = msgspec.json.schema(self.form)
        if "$ref" in found:
            found = found["$defs"][found["$ref"].rpartition("/")[2]]
        fields = {name: dict(told) for name, told in found["properties"].items()}
        for name, values in self.choices.items():
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

    def refuse(self, value: T) -> None:
        """Refuse an answer that will not do.

        Raises:
            UnusableError: says why.
        """
        for name, values in self.choices.items():
            if getattr(value, name) not in values:
                shown = ", ".join(map(str, values))
                raise UnusableError(
                    f"{name!r} must be one of {shown}, not {getattr(value, name)!r}"
                )
        self.check(value)


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

    def __init__(self, question: Question[T]) -> None:
        self.question = question
        self.chat = replace(question.chat, schema=question.schema)
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
        try:
            value = parse(reply, self.question.form)
            self.question.refuse(value)
            self.value = value
        except UnusableError as error:
            self.reasons.append(reply.fault.rstrip(".") or str(error))
            self._ask_again(reply.text, str(error))

    def _ask_again(self, text: str, reason: str) -> None:
        """The next call shows the last bad answer; earlier ones would only lead astray."""
        told = [Message("assistant", text[:_KEPT])] if text else []
        told.append(Message("user", _AGAIN.format(reason=reason)))
        seed = None if self.chat.seed is None else self.chat.seed + 1
        first = self.question.chat.messages
        self.chat = replace(self.chat, messages=(*first, *told), seed=seed)

    @property
    def answered(self) -> Answered[T]:
        return Answered(
            self.value, tuple(self.reasons), self.calls, self.tokens_in, self.tokens_out
        )


def ask(
    model: LanguageModel,
    questions: Sequence[Question[T]],
    on_wait: Callable[[], None] = lambda: None,
) -> list[Answered[T]]:
    """Ask all questions at the same time, and those again whose answers will not do.

    Args:
        model: to ask.
        questions: independent of each other.
        on_wait: called often; what it raises ends the work.

    Raises:
        EndpointError, WeightsError: the model cannot be used.
    """
    asked = [_Open(question) for question in questions]
    while waiting := [one for one in asked if one.waits]:
        replies = model.replies([one.chat for one in waiting], on_wait)
        for one, reply in zip(waiting, replies, strict=True):
            one.take(reply)
    return [one.answered for one in asked]


def parse(reply: Reply, form: type[T]) -> T:
    """The object in an answer.

    Raises:
        UnusableError: there is none, or it is of another form.
    """
    if reply.fault or not reply.text:
        raise UnusableError("there is no text in it")
    text = reply.text
    first, last = text.find("{"), text.rfind("}")
    if first < 0 or last < first:
        raise UnusableError("there is no JSON object in it" if reply.ended else _BROKEN_OFF)
    try:
        return msgspec.json.decode(text[first : last + 1], type=form)
    except msgspec.ValidationError as error:
        raise UnusableError(str(error).rstrip(".")) from error
    except (msgspec.DecodeError, RecursionError) as error:
        told = f"it is no valid JSON ({error})" if reply.ended else _BROKEN_OFF
        raise UnusableError(told) from error
