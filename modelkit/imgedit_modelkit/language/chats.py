"""What is said to a language model and what it answers; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who says it.
        text: what is said.
        pictures: (height, width, 3), shown after the text; only to models that see.
    """

    role: Role
    text: str
    pictures: tuple[RGB8, ...] = ()


@dataclass(frozen=True)
class Chat:
    """A conversation that waits for its next turn.

    Attributes:
        messages: the turns so far.
        max_new_tokens: where the answer is broken off.
        temperature: 0 for the likeliest answer; higher ones draw.
        seed: of what is drawn, where the model knows seeds.
        schema: JSON Schema that the answer shall follow; a server may ignore it.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int | None = None
    schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        text: without white space around it; empty where there is none.
        fault: why there is no text.
        ended: False where it was broken off at `max_new_tokens`.
        tokens_in, tokens_out: of the conversation and of the answer; None where nobody counted.
    """

    text: str
    fault: str = ""
    ended: bool = True
    tokens_in: int | None = None
    tokens_out: int | None = None


OnReply = Callable[[int, Reply], None]
"""Told the number of a conversation and its answer."""


class LanguageModel(Protocol):
    """A server or a local model."""

    @property
    def identity(self) -> str:
        """Names the model, for provenance."""

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        """One for each conversation.

        Args:
            chats: independent of each other.
            on_wait: called often; what it raises ends the work.
            on_reply: told each answer when it is there, in any order.
        """


def one_by_one(
    chats: Sequence[Chat], answer: Callable[[Chat], Reply], on_reply: OnReply
) -> list[Reply]:
    """The answers of a model that gives one at a time."""
    found = []
    for number, chat in enumerate(chats):
        found.append(answer(chat))
        on_reply(number, found[-1])
    return found
