"""What the language model writes: indirect instructions (eq. 2, 3) and replacements (eq. 6)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from imgedit_modelkit.language.answers import UnusableError
from imgedit_modelkit.language.chats import Chat, LanguageModel
from imgedit_modelkit.language.prompts import PromptFile
from imgedit_modelkit.language.structured import Answered, Question, ask, form_of
from imgedit_reason_edit.data.wording import is_direct
from imgedit_reason_edit.prompting import GENERATE, REPLACE, RETRY, SELECT

_LONGEST = 240
_TARGET_WORDS = 5
_APART = 1000
"""Seeds between two candidates: further attempts count up from each."""


T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Generated(msgspec.Struct):
    """One candidate."""

    instruction: Text


class Selected(msgspec.Struct):
    """The number of the best candidate, from 1."""

    best: int


class Replacement(msgspec.Struct):
    """What to replace, by what, and how to ask for it."""

    category: str
    target: Text
    instruction: Text


@dataclass(frozen=True)
class Effort:
    """How much the language model is asked.

    Attributes:
        candidates: n of eq. 2.
        attempts: how often for one answer.
        temperature: of candidates and replacements; the choice is the likeliest one.
        max_new_tokens: where an answer is broken off.
    """

    candidates: int = 5
    attempts: int = 3
    temperature: float = 1.0
    max_new_tokens: int = 256


@dataclass(frozen=True)
class Told:
    """What the language model gets to know of a pair of Part I.

    Attributes:
        before, after: captions.
        instruction: the direct one.
        seed: of the row.
    """

    before: str
    after: str
    instruction: str
    seed: int


@dataclass
class Usage:
    """What was asked for one row; sums may be added.

    Attributes:
        calls: of the language model.
        tokens_in, tokens_out: of all of them.
        reasons: why answers would not do.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    reasons: tuple[str, ...] = ()

    def add(self, answered: Answered[Any]) -> None:
        """Count one question."""
        self.calls += answered.calls
        self.tokens_in += answered.tokens_in
        self.tokens_out += answered.tokens_out
        self.reasons += answered.reasons


@dataclass(frozen=True)
class Chosen:
    """The instruction of a row of Part I.

    Attributes:
        instruction: the best candidate; empty where there is none.
        candidates: all of them, each once.
        usage: what it took.
    """

    instruction: str
    candidates: tuple[str, ...]
    usage: Usage


class Writer:
    """The language model with its prompts.

    Args:
        model: that is asked.
        prompts: by their names in `prompting`.
        effort: how much it is asked.
    """

    def __init__(
        self, model: LanguageModel, prompts: dict[str, PromptFile], effort: Effort
    ) -> None:
        self._model, self._prompts, self._effort = model, prompts, effort

    def reasoning(
        self, pairs: Sequence[Told], on_wait: Callable[[], None] = lambda: None
    ) -> list[Chosen]:
        """An indirect instruction for each pair: n candidates, and the best of them (eq. 2, 3).

        Raises:
            EndpointError, WeightsError: the model cannot be used.
        """
        count = self._effort.candidates
        questions = [
            self._generate(told, told.seed + _APART * n) for told in pairs for n in range(count)
        ]
        answers = self._ask(questions, on_wait)
        usages = [Usage() for _ in pairs]
        candidates: list[dict[str, None]] = [{} for _ in pairs]
        for number, answered in enumerate(answers):
            usages[number // count].add(answered)
            if answered.value:
                candidates[number // count][_tidy(answered.value.instruction)] = None
        found = [tuple(names) for names in candidates]
        several = [n for n, names in enumerate(found) if len(names) > 1]
        choices = self._ask([self._select(pairs[n], found[n]) for n in several], on_wait)
        best = {n: names[0] if len(names) == 1 else "" for n, names in enumerate(found)}
        for n, choice in zip(several, choices, strict=True):
            usages[n].add(choice)
            best[n] = found[n][choice.value.best - 1] if choice.value else ""
        return [Chosen(best[n], found[n], usages[n]) for n in range(len(pairs))]

    def replacements(
        self,
        captions: Sequence[str],
        categories: Sequence[Sequence[str]],
        seeds: Sequence[int],
        on_wait: Callable[[], None] = lambda: None,
    ) -> list[Answered[Replacement]]:
        """What to replace in each picture, by what, and an indirect instruction for it (eq. 6).

        Args:
            captions: of the pictures.
            categories: that each picture has a box for, at least one.
            seeds: of the rows.
            on_wait: called often; what it raises ends the work.

        Raises:
            EndpointError, WeightsError: the model cannot be used.
        """
        rows = zip(captions, categories, seeds, strict=True)
        return self._ask([self._replace(*row) for row in rows], on_wait)

    def _ask(
        self, questions: Sequence[Question[T]], on_wait: Callable[[], None]
    ) -> list[Answered[T]]:
        return ask(self._model, questions, on_wait, again=self._prompts[RETRY])

    def _generate(self, told: Told, seed: int) -> Question[Generated]:
        values = {"before": told.before, "after": told.after, "instruction": told.instruction}

        def check(value: Generated) -> None:
            _check_sentence(value.instruction)
            if is_direct(value.instruction, told.instruction, told.after):
                raise UnusableError("the instruction says directly what to change")

        chat = self._chat(GENERATE, values, seed, self._effort.temperature)
        return Question(chat, form_of(Generated, check=check), self._effort.attempts)

    def _select(self, told: Told, candidates: Sequence[str]) -> Question[Selected]:
        numbered = " ".join(f'{n}. "{text}"' for n, text in enumerate(candidates, 1))
        values = {"before": told.before, "after": told.after, "instruction": told.instruction}
        chat = self._chat(SELECT, {**values, "candidates": numbered}, told.seed, 0.0)
        choices = {"best": range(1, len(candidates) + 1)}
        return Question(chat, form_of(Selected, choices), self._effort.attempts)

    def _replace(self, caption: str, categories: Sequence[str], seed: int) -> Question[Replacement]:
        values = {"caption": caption, "categories": ", ".join(categories)}
        chat = self._chat(REPLACE, values, seed, self._effort.temperature)
        check = functools.partial(_check_replacement, categories)
        form = form_of(Replacement, {"category": list(categories)}, check)
        return Question(chat, form, self._effort.attempts)

    def _chat(self, name: str, values: dict[str, str], seed: int, temperature: float) -> Chat:
        messages = self._prompts[name].messages(values)
        return Chat(messages, self._effort.max_new_tokens, temperature, seed)


def _check_replacement(categories: Sequence[str], value: Replacement) -> None:
    """Refuse replacements that are none.

    Raises:
        UnusableError: says why.
    """
    target = " ".join(value.target.lower().split())
    if not target or len(target.split()) > _TARGET_WORDS or not any(map(str.isalpha, target)):
        raise UnusableError(
            f"the target must be one to {_TARGET_WORDS} words, not {value.target!r}"
        )
    if target in {category.lower() for category in categories}:
        raise UnusableError(f"the target {value.target!r} is in the picture already")
    _check_sentence(value.instruction)
    if is_direct(value.instruction, f"turn {value.category} into {target}"):
        raise UnusableError("the instruction says directly what to change")


def _check_sentence(text: str) -> None:
    tidy = _tidy(text)
    if not any(map(str.isalpha, tidy)):
        raise UnusableError("the instruction is empty")
    if len(tidy) > _LONGEST:
        raise UnusableError(f"the instruction has {len(tidy)} characters, more than {_LONGEST}")


def _tidy(text: str) -> str:
    return " ".join(text.split())
