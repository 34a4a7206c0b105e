"""The automaton of answers, for constrained decoding: whatever it accepts, `parsing` reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.minigpt4.targets import ASSIGNED, LEADS, SEPARATOR

FREE_LEAD = 160
"""Longest sentence, in characters, that a free lead may have."""

_PROSE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.'")
_NO_LETTERS = frozenset(" ,.'")
_VALUES = frozenset(
    {"1.0", "1.00", *(f"0.{n}" for n in range(10)), *(f"0.{n:02}" for n in range(100))}
)
_BEGINNINGS = frozenset(value[:n] for value in _VALUES for n in range(1, len(value) + 1))


@dataclass(frozen=True)
class State:
    """Where an answer stands: the part that is being written, and the operations named so far."""

    part: Literal["lead", "name", "assigned", "value", "separator"]
    written: str = ""
    named: frozenset[str] = frozenset()


class AnswerGrammar:
    """Answers of the form of `targets`: a lead, then 1 to `longest` pairs, no name twice.

    Args:
        leads: the sentences that may come first, each ending with a line break; None lets the
            model find its own, as a checkpoint must that was trained with other sentences.
        longest: pairs, at most.
        names: the operations.
    """

    def __init__(
        self,
        leads: Sequence[str] | None = LEADS,
        longest: int = 5,
        names: Sequence[str] = OPERATION_NAMES,
    ) -> None:
        self.leads = leads
        self.longest = min(longest, len(names))
        self.names = frozenset(names)

    @property
    def start(self) -> State:
        """Before the first character."""
        return State("lead")

    @property
    def length(self) -> int:
        """Characters of the longest answer, a leading space included."""
        lead = FREE_LEAD + 1 if self.leads is None else max(map(len, self.leads))
        pair = max(map(len, self.names)) + len(ASSIGNED) + len("0.00") + len(SEPARATOR)
        return 1 + lead + self.longest * pair

    def is_end(self, state: Hashable) -> bool:
        """Whether the answer may end: behind a whole value."""
        assert isinstance(state, State)
        return state.part == "value" and state.written in _VALUES

    def step(self, state: Hashable, character: str) -> State | None:
        """The state after a character, or None."""
        assert isinstance(state, State)
        written = state.written + character
        if state.part == "lead":
            return self._lead(written)
        if state.part == "name":
            return self._name(state, character)
        if state.part == "value":
            return self._value(state, written)
        whole = ASSIGNED if state.part == "assigned" else SEPARATOR
        if not whole.startswith(written):
            return None
        if written != whole:
            return replace(state, written=written)
        return State("value" if state.part == "assigned" else "name", "", state.named)

    def _lead(self, written: str) -> State | None:
        # sentencepiece puts a space in front, and takes it away again
        bare = written.removeprefix(" ")
        if self.leads is not None:
            if bare in self.leads:
                return State("name")
            return State("lead", written) if _begins(bare, self.leads) else None
        if len(bare) > 1 and bare[-1] == "\n":
            return State("name")
        # It begins with a letter, so that it can end wherever it gets too long.
        fits = len(bare) <= FREE_LEAD and set(bare[-1:]) <= _PROSE and bare[:1] not in _NO_LETTERS
        if not bare:
            return State("lead", written)
        # Only the length counts, so that the states of all answers are the same few.
        return State("lead", "x" * len(bare)) if fits else None

    def _name(self, state: State, character: str) -> State | None:
        if character == ASSIGNED[0] and state.written in self.names - state.named:
            return State("assigned", character, state.named | {state.written})
        written = state.written + character
        return (
            replace(state, written=written) if _begins(written, self.names - state.named) else None
        )

    def _value(self, state: State, written: str) -> State | None:
        if written in _BEGINNINGS:
            return replace(state, written=written)
        more = len(state.named) < self.longest and state.written in _VALUES
        if more and written[-1] == SEPARATOR[0]:
            return State("separator", written[-1], state.named)
        return None


def grammar_of(longest: int, *, own_sentences: bool) -> AnswerGrammar:
    """What an answer of a model may look like.

    Args:
        longest: pairs, at most.
        own_sentences: whether it was trained on our answers' sentences.
    """
    return AnswerGrammar(LEADS if own_sentences else None, longest)


def _begins(written: str, wholes: Sequence[str] | frozenset[str]) -> bool:
    return any(whole.startswith(written) for whole in wholes)
