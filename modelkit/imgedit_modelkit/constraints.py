"""What a language model may write: an automaton over characters, as sets of tokens; no torch.

The automaton reads characters; a trie of the tokenizer's strings turns its states into sets of
allowed tokens, found once for each state. End of text is allowed where the automaton is at an end.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
        self._allowed: dict[Hashable, NDArray[np.int64]] = {}

    def allowed(self, state: Hashable) -> NDArray[np.int64]:
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
            self._allowed[state] = np.array(sorted(tokens), np.int64)
        return self._allowed[state]

    def after(self, state: Hashable, token: int) -> Hashable:
        """The state after a token that `allowed` named."""
        for character in self.strings[token]:
            following = self.automaton.step(state, character)
            if following is None:
                raise ValueError(f"token {token} ({self.strings[token]!r}) is not allowed here")
            state = following
        return state
