"""Asking the language model until its answer can be used, or the attempts are spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from imgedit_modelkit.language.chats import Chat, LanguageModel, Message
from imgedit_modelkit.language.endpoint import KEY_VARIABLE, EndpointError
from imgedit_modelkit.language.structured import Form, Question, ask
from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job

T = TypeVar("T")

ANSWERS_NOT = (
    "Check that the server runs, that its address goes up to and with /v1, that it has this model, "
    f"and that {KEY_VARIABLE} holds its key where it wants one; the option 'timeout' gives it more "
    "time."
)


class ReasoningError(ImgeditError):
    """The language model gave no answer that can be used."""


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

    def ask(
        self, messages: tuple[Message, ...], form: Form[T], *, what: str, stage: str
    ) -> tuple[T, int]:
        """An answer, and after how many attempts; each one is told what was wrong with the last.

        Args:
            messages: with the question at their end.
            form: of the answer.
            what: it is asked for, as in 'gave no plan'.
            stage: what the user is told meanwhile.

        Raises:
            ReasoningError: none of them can be used.
            ImgeditError: the model cannot be reached or loaded.
            JobCancelledError: cancelled.
        """

        def report(number: int) -> None:
            self.job.report(f"{stage} (attempt {number + 1})" if number else stage)

        chat = Chat(messages, max_new_tokens=self.longest, seed=self.seed)
        try:
            (found,) = ask(
                self.model, [Question(chat, form, self.attempts)], self.job.check, on_round=report
            )
        except EndpointError as error:
            raise ReasoningError(error.message, hint=ANSWERS_NOT) from error
        self.job.check()
        if found.value is None:
            raise self._no_answer(what, found.reasons[-1])
        return found.value, found.calls

    def _no_answer(self, what: str, why: str) -> ReasoningError:
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return ReasoningError(
            f"{self.model.identity} was asked {times} and gave no {what} that can be used: {why}.",
            hint="Say the instruction in other words, or use another model.",
        )
