"""Tokens that stand for numbers, and the number that a model expects at a place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from imgedit_reverse_design.minigpt4.spans import touching
from imgedit_reverse_design.minigpt4.targets import Span


@dataclass(frozen=True)
class Numerals:
    """Tokens that are alike but for their digits, such as the ten of one digit.

    Attributes:
        tokens: their ids.
        numbers: what each stands for, read as a whole number.
    """

    tokens: Tensor
    numbers: Tensor


@dataclass
class NumberTokens:
    """The numeral tokens of a vocabulary.

    Args:
        strings: what each token writes.
    """

    strings: Sequence[str]
    _kin: dict[int, Numerals] = field(init=False)

    def __post_init__(self) -> None:
        families: dict[tuple[str, int], list[int]] = defaultdict(list)
        for token, text in enumerate(self.strings):
            bare = text.strip(" ")
            if bare.isascii() and bare.isdecimal():
                families[text.replace(bare, "", 1), len(bare)].append(token)
        self._kin = {}
        for tokens in families.values():
            numbers = torch.tensor([float(self.strings[token]) for token in tokens])
            kin = Numerals(torch.tensor(tokens), numbers)
            self._kin |= dict.fromkeys(tokens, kin)

    @property
    def any(self) -> bool:
        """Whether the vocabulary has numerals at all."""
        return bool(self._kin)

    def expected(
        self, logits: Tensor, tokens: Sequence[int], spans: Sequence[Span], text: str, place: Span
    ) -> Tensor:
        """The expected value of a number under the model, all other tokens being as they are.

        Each numeral token is replaced by the mean of its kin, weighted by the probabilities that
        the logits give them among themselves; so a gradient flows from the number to the logits.
        What is no numeral (the point, or a token such as ': 0.') counts as it is written.

        Args:
            logits: (tokens, vocabulary): row i predicts token i.
            tokens: the answer's.
            spans: which characters each of them writes.
            text: the answer.
            place: the number in the text, such as '0.67'.

        Returns:
            A scalar, float32.
        """
        point = text.find(".", *place)
        point = place[1] if point < 0 else point
        total = torch.zeros((), device=logits.device)
        for i in touching(spans, place):
            kin = self._kin.get(tokens[i])
            start, stop = max(spans[i][0], place[0]), min(spans[i][1], place[1])
            if kin is None:
                total = total + sum(
                    int(text[k]) * _weight(k, point)
                    for k in range(start, stop)
                    if text[k].isdecimal()
                )
                continue
            chances = logits[i, kin.tokens.to(logits.device)].float().softmax(-1)
            total = total + (chances * kin.numbers.to(chances)).sum() * _weight(stop - 1, point)
        return total


def _weight(digit: int, point: int) -> float:
    """What one unit of a digit is worth, from where it and the point stand."""
    return 10.0 ** (point - digit - 1 if digit < point else point - digit)
