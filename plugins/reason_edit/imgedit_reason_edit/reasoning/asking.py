"""Asking the language model until its answer can be used, or the attempts are spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from imgedit_modelkit.language.chats import Chat, LanguageModel, Message, Reply
from imgedit_modelkit.language.endpoint import EndpointError
from imgedit_plugins import documents
from imgedit_plugins.errors import ImgeditError
from imgedit_reason_edit.reasoning.answers import AnswerError, read_answer
from imgedit_reason_edit.reasoning.document import DocumentError
from imgedit_reason_edit.reasoning.prompts import RETRY, prompt

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.pictures import RGB8

T = TypeVar("T")

ANSWERS_NOT = (
    "Check that the server runs, that its address goes up to and with /v1, and that it has this "
    "model; the option 'timeout' gives it more time."
)

_RETRY_TEMPERATURE = 0.4
"""A model that only ever takes its likeliest word would make the same mistake again."""

_REMEMBERED = 4000  # characters of an answer that the model is shown again


class ReasoningError(ImgeditError):
    """The language model gave no answer that can be used."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """What the model is asked.

    Attributes:
        picture: (height, width, 3) that it sees.
        text: the prompt.
        schema: JSON Schema of the answer.
        key: a field that the answer has.
        read: makes something of the answer; raises `AnswerError` or `DocumentError` where that
            cannot be.
        what: it is asked for, as in 'gave no plan'.
        stage: what the user is told meanwhile.
    """

    picture: RGB8
    text: str
    schema: dict[str, Any]
    key: str
    read: Callable[[Mapping[str, Any]], T]
    what: str
    stage: str


@dataclass(frozen=True)
class Asker:
    """A language model with the patience that it is given.

    Attributes:
        model: is asked.
        attempts: how often, for one answer.
        longest: tokens of an answer.
        seed: of what later attempts draw.
        job: progress and cancellation.
    """

    model: LanguageModel
    attempts: int
    longest: int
    seed: int
    job: Job

    def ask(self, question: Question[T]) -> tuple[T, int]:
        """An answer, and after how many attempts; each one is told what was wrong with the last.

        Raises:
            ReasoningError: none of them can be used.
            ImgeditError: the model cannot be reached or loaded.
            JobCancelledError: cancelled.
        """
        asked = Message("user", question.text, (question.picture,))
        messages: tuple[Message, ...] = (asked,)
        why = ""
        for attempt in range(self.attempts):
            self._report(question.stage, attempt)
            reply = self._reply(messages, question.schema, attempt)
            try:
                return _read(question, reply), attempt + 1
            except AnswerError as error:
                why = str(error)
            except DocumentError as error:
                why = documents.told(error.problems) or error.message
            messages = (
                asked,
                Message("assistant", reply.text[:_REMEMBERED] or "(nothing)"),
                Message("user", prompt(RETRY, reason=why)),
            )
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        raise ReasoningError(
            f"{self.model.identity} was asked {times} and gave no {question.what} that can be "
            f"used: {why}",
            hint="Say the instruction in other words, or use another model.",
        )

    def _reply(self, messages: tuple[Message, ...], schema: dict[str, Any], attempt: int) -> Reply:
        chat = Chat(
            messages,
            max_new_tokens=self.longest,
            temperature=_RETRY_TEMPERATURE if attempt else 0.0,
            seed=self.seed + attempt,
            schema=schema,
        )
        try:
            (reply,) = self.model.replies([chat], self.job.check)
        except EndpointError as error:
            raise ReasoningError(error.message, hint=ANSWERS_NOT) from error
        self.job.check()
        return reply

    def _report(self, stage: str, attempt: int) -> None:
        self.job.report(f"{stage} (attempt {attempt + 1})" if attempt else stage)


def _read(question: Question[T], reply: Reply) -> T:
    if not reply.text and reply.fault:
        raise AnswerError(reply.fault)
    return question.read(read_answer(reply.text, question.key, cut=not reply.ended))
