"""A vision-language model of transformers in this process, behind the door of `chats`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imgedit_modelkit.language.chats import Chat, Message, OnReply, Reply, one_by_one
from imgedit_modelkit.picture_answers import LocalModel, PictureAnswers
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8

_SPEAKERS = {"assistant": "You answered:\n", "user": "", "system": ""}


class SeeingModel:
    """Answers about one picture a conversation, held to the conversation's schema if it has one.

    Such models are trained on single questions, so turns are put together to one. Temperature and
    seed are not looked at: the likeliest answer is taken.

    Args:
        source: the model's folder; nothing is loaded before the first question.
        held: whether answers are held to schemas.
    """

    def __init__(self, source: LocalModel, *, held: bool = True) -> None:
        self._source = source
        self._held = held
        self._answers = PictureAnswers(source)

    @property
    def identity(self) -> str:
        """The folder's name and how the hash of its weights begins."""
        return self._source.identity

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        """Answers, one after another.

        Args:
            chats: each with one picture.
            on_wait: called after each token; what it raises ends the work.
            on_reply: told each answer.

        Raises:
            ImgeditError: the model cannot be loaded, cannot be held to a schema, or reads less than
                it was told.
        """
        return one_by_one(chats, lambda chat: self._reply(chat, on_wait), on_reply)

    def _reply(self, chat: Chat, on_wait: Callable[[], None]) -> Reply:
        pictures = [picture for message in chat.messages for picture in message.pictures]
        if len(pictures) != 1:
            raise ImgeditError(f"This model answers about one picture, not {len(pictures)}.")
        tokens = 0

        def count() -> None:
            nonlocal tokens
            tokens += 1
            on_wait()

        self._answers.max_new_tokens = chat.max_new_tokens
        schema = chat.schema if self._held else None
        (text,) = self._answers([_shown(pictures[0])], [_joined(chat.messages)], count,
                                schema=schema)  # fmt: skip
        return Reply(text, ended=tokens < chat.max_new_tokens, tokens_out=tokens)


def _joined(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"{_SPEAKERS[one.role]}{one.text}" for one in messages)


def _shown(picture: RGB8) -> Any:
    return np.ascontiguousarray(picture)
