"""Test pictures: which, with whose instructions, and how far what was made of them is off."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from imgedit_plugins.pictures import RGB8

FAMILY = "family"
"""A field of each row, beside those that the plugins' data has."""


class Row(Protocol):
    """A row of the plugins' readers."""

    @property
    def instruction(self) -> str:
        """What is asked for."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Other fields of the data."""
        ...


R = TypeVar("R", bound=Row)


def family_of(row: Row) -> str:
    """What kind of edit a row is."""
    return str(row.provenance[FAMILY])


def chosen(rows: Sequence[R], each: int) -> list[R]:
    """The first so many rows of each family."""
    counts: dict[str, int] = {}
    found = []
    for row in rows:
        family = family_of(row)
        counts[family] = counts.get(family, 0) + 1
        if counts[family] <= each:
            found.append(row)
    return found


def others(rows: Sequence[Row], seed: int) -> list[str]:
    """For each row the instruction of another row, never the same text; each row's is used once.

    Raises:
        ValueError: one instruction is more than half of all.
    """
    order = sorted(range(len(rows)), key=lambda n: rows[n].instruction)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.instruction] = counts.get(row.instruction, 0) + 1
    most = max(counts.values())
    if 2 * most > len(rows):
        raise ValueError("One instruction is more than half of all, so they cannot be exchanged.")
    shift = random.Random(seed).randint(most, len(rows) - most)
    taken = [""] * len(rows)
    for place, number in enumerate(order):
        taken[number] = rows[order[(place + shift) % len(rows)]].instruction
    return taken


def difference(one: RGB8, other: RGB8) -> float:
    """Mean absolute difference of two pictures, in 0..1."""
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean() / 255)


def within(one: RGB8, other: RGB8, region: np.ndarray) -> float:
    """The same over the pixels of a region, (height, width) of bool.

    Raises:
        ValueError: it has no pixel.
    """
    if not region.any():
        raise ValueError("The region has no pixel.")
    return difference(one[region], other[region])
