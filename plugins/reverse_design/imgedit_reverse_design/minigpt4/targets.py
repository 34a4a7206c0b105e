"""What the model shall answer: a sentence, a line break, then `name: value` pairs.

Four sentences for one operation and four for several (the paper's figure 5); values with two
decimals; pairs are joined by a comma and a line break. The sentences are our own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LEADS_FOR_ONE = (
    "One edit was made, and its value is\n",
    "A single edit leads to the second picture, with the value\n",
    "The only edit here and its value are\n",
    "Just one edit is needed, with this value\n",
)

LEADS_FOR_SEVERAL = (
    "Several edits were made, and their values are\n",
    "These edits lead to the second picture, with the values\n",
    "The edits here and their values are\n",
    "More than one edit is needed, with these values\n",
)

LEADS = LEADS_FOR_ONE + LEADS_FOR_SEVERAL
SEPARATOR = ",\n"
ASSIGNED = ": "

Span = tuple[int, int]
"""Characters of a text: start, and stop behind the last."""


@dataclass(frozen=True)
class Target:
    """An answer to be learnt.

    Attributes:
        text: without the end-of-text token.
        operations: (name, value in 0..1, rounded to two decimals), in the order of the edit.
        names, values: where each stands in `text`.
    """

    text: str
    operations: tuple[tuple[str, float], ...]
    names: tuple[Span, ...]
    values: tuple[Span, ...]


def target(operations: Sequence[tuple[str, float]], rng: random.Random) -> Target:
    """The answer for an edit, with a sentence drawn from those that fit.

    Args:
        operations: (name, normalised value in 0..1), at least one.
        rng: only `random` is called.
    """
    leads = LEADS_FOR_ONE if len(operations) == 1 else LEADS_FOR_SEVERAL
    text = leads[int(rng.random() * len(leads))]
    names, values = [], []
    for number, (name, value) in enumerate(operations):
        text += SEPARATOR if number else ""
        names.append((len(text), len(text) + len(name)))
        text += name + ASSIGNED
        written = f"{value:.2f}"
        values.append((len(text), len(text) + len(written)))
        text += written
    rounded = tuple((name, round(value, 2)) for name, value in operations)
    return Target(text, rounded, tuple(names), tuple(values))
