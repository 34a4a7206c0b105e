"""Constrained decoding: a language model that can only write what an automaton accepts.

The automaton reads characters; a trie of the tokenizer's strings turns its states into sets of
allowed tokens, found once for each state. End of text is allowed where the automaton is at an end.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import LogitsProcessor

from imgedit_plugins.errors import ImgeditError


class Automaton(Protocol):
    """Accepts texts, character by character; states are hashable and never changed."""

    @property
    def start(self) -> Hashable:
        """The state before the first character."""

    def step(self, state: Hashable, character: str) -> Hashable | None:
        """The state after a character; None where the text cannot go on so."""

    def is_end(self, state: Hashable) -> bool:
        """Whether the text may end here."""


class _Node:
    """A node of the trie: the tokens that end here, and the characters that lead on."""

    __slots__ = ("children", "tokens")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.tokens: list[int] = []


class Constraint:
    """An automaton together with a tokenizer's strings; may be used for many texts.

    Args:
        automaton: what may be written.
        strings: of each token (see `token_strings`); '' for tokens that are never allowed.
        end: the token that ends a text.
    """

    def __init__(self, automaton: Automaton, strings: Sequence[str], end: int) -> None:
        self.automaton = automaton
        self.strings = strings
        self.end = end
        self._root = _Node()
        for token, text in enumerate(strings):
            if text:
                node = self._root
                for character in text:
                    node = node.children.setdefault(character, _Node())
                node.tokens.append(token)
        self._allowed: dict[Hashable, Tensor] = {}

    def allowed(self, state: Hashable) -> Tensor:
        """The tokens that may follow a state, as ids.

        Raises:
            ImgeditError: the tokenizer has no token that leads on, and the text cannot end here.
        """
        if state not in self._allowed:
            tokens = [self.end] if self.automaton.is_end(state) else []
            todo = [(self._root, state)]
            while todo:
                node, here = todo.pop()
                tokens += node.tokens
                for character, child in node.children.items():
                    after = self.automaton.step(here, character)
                    if after is not None:
                        todo.append((child, after))
            if not tokens:
                raise ImgeditError(
                    "This language model's tokenizer cannot write an answer of the wanted form.",
                    hint="Turn constrained decoding off.",
                )
            self._allowed[state] = torch.tensor(sorted(tokens))
        return self._allowed[state]

    def after(self, state: Hashable, token: int) -> Hashable:
        """The state after a token that `allowed` named."""
        for character in self.strings[token]:
            following = self.automaton.step(state, character)
            if following is None:
                raise ValueError(f"token {token} ({self.strings[token]!r}) is not allowed here")
            state = following
        return state

    def processor(self) -> LogitsProcessor:
        """A fresh processor for one call of `generate` from embeddings."""
        return _Processor(self)


class _Processor(LogitsProcessor):
    """Minus infinity for every token that the constraint does not allow.

    With `generate(inputs_embeds=...)` the ids that arrive are those of the new tokens alone.
    """

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._states: dict[tuple[int, ...], Hashable | None] = {(): constraint.automaton.start}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        limited = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids.tolist()):
            state = self._state(tuple(ids))
            allowed = (
                torch.tensor([self._constraint.end])
                if state is None
                else self._constraint.allowed(state)
            ).to(scores.device)
            limited[row, allowed] = scores[row, allowed]
        return limited

    def _state(self, ids: tuple[int, ...]) -> Hashable | None:
        """The state after these tokens; None after the end."""
        if ids not in self._states:
            before = self._state(ids[:-1])
            ended = before is None or ids[-1] == self._constraint.end
            self._states[ids] = None if ended else self._constraint.after(before, ids[-1])
        return self._states[ids]
