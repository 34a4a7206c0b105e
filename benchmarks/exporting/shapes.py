"""LLaMA shapes that are measured, and the texts that they read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Of a LLaMA.

    Attributes:
        name: for people.
        width, inner: of the states, and of the feed-forward layers.
        layers, heads, groups: groups are the heads of keys and values.
        vocabulary: tokens.
        repeated: whether files are made of three layers, of which the middle one is repeated with
            weights of its own: a whole model in float32 is too large to make.
    """

    name: str
    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    vocabulary: int = 32000
    repeated: bool = True

    @property
    def numbers(self) -> int:
        """How many weights it has."""
        small = self.width * self.width // self.heads * self.groups
        layer = 2 * self.width**2 + 2 * small + 3 * self.width * self.inner + 2 * self.width
        return self.layers * layer + 2 * self.vocabulary * self.width + self.width

    @property
    def made(self) -> int:
        """Layers of the model that files are made of."""
        return min(self.layers, 3) if self.repeated else self.layers

    def as_task(self) -> dict[str, Any]:
        """For an engine's process."""
        return asdict(self)

    @classmethod
    def of(cls, task: Mapping[str, Any]) -> Shape:
        """What `as_task` made."""
        return cls(**task)


M110 = Shape("110M", 768, 2048, 12, 12, 12, repeated=False)
B1 = Shape("1.1B", 2048, 5632, 22, 32, 4)
B7 = Shape("7B", 4096, 11008, 32, 32, 32)
TINY = Shape("tiny", 64, 128, 2, 4, 2, vocabulary=512, repeated=False)
TINY_DEEP = Shape("tiny, repeated", 64, 128, 5, 4, 2, vocabulary=512)


@dataclass(frozen=True)
class Lengths:
    """Tokens of a prompt, and of the text behind it."""

    prompt: int = 128
    new: int = 32


def prompt(vocabulary: int, lengths: Lengths, number: int) -> list[int]:
    """The prompt of a round: another one each time, since prompts are remembered."""
    import numpy as np

    drawn = np.random.default_rng([8, number]).integers(3, vocabulary, lengths.prompt)
    return [int(token) for token in drawn]
