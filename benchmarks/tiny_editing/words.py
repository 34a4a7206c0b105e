"""How the UNet reads edits at first: by a table of its own, which is thrown away.

What the trainings of the plugins begin with knows how to edit, and not yet what guides it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.tiny_editing import edits, scenes

_LONGEST = 9  # words


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def vocabulary() -> list[str]:
    """Every word of an expressive instruction; the empty one stands for none."""
    said = [edits.picture_becomes(name) for name in edits.ADJUSTMENTS]
    for place in ("", *(f" on the {place}" for place in scenes.PLACES)):
        said += [f"The {kind}{place} is now." for kind in scenes.KINDS]
    return sorted({"", *scenes.COLOURS, *(word for text in said for word in _words(text))})


class Table(nn.Module):
    """Words, each with its place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(len(vocabulary()), width)
        self.places = nn.Parameter(torch.randn(_LONGEST, width) * 0.5)

    def forward(self, numbered: Tensor) -> Tensor:
        """(n, words) -> (n, words, width)."""
        return torch.as_tensor(self.words(numbered) + self.places)


def numbers(texts: Sequence[str]) -> Tensor:
    """(texts, words) of expressive instructions, for the table; 0 stands for no word."""
    known = {word: number for number, word in enumerate(vocabulary())}
    found = torch.zeros(len(texts), _LONGEST, dtype=torch.long)
    for row, text in enumerate(texts):
        for place, word in enumerate(_words(text)):
            found[row, place] = known[word]
    return found
