"""Moves of the search: operations at definite parameters, rendered fast, and their curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.operations import (
    Operation,
    ParameterValue,
    Profile,
    default_vocabulary,
)
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.render import render_rgb

SEARCHED = (
    "grayscale", "sepia", "summer", "winter", "hdr", "blur",
    "bright", "sharp", "contrast", "saturate", "gaussian", "invert",
)  # fmt: skip
"""What is searched besides flips and turns, which `align` settles."""

EXPENSIVE = frozenset({"hdr"})
"""Operations whose rendering takes more than ten times as long as the others'."""

_WIDE: dict[str, tuple[ParameterValue, ...]] = {
    "blur": (3, 5, 7, 9, 11, 15, 21, 27, 35),
    "gaussian": (3, 5, 7, 9, 11, 13, 17, 21, 27, 35),
    "bright": (-80, -60, -40, -25, -10, 10, 25, 40, 60, 80),
    "contrast": (0.4, 0.55, 0.7, 0.85, 1.15, 1.3, 1.5, 1.8, 2.2),
    "saturate": (0.0, 0.25, 0.5, 0.75, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0),
}
"""Levels for edits made by somebody who does not use the profile's levels."""


@dataclass(frozen=True)
class Move:
    """One operation at definite parameters; `value` is its only parameter, None for on/off."""

    name: str
    value: ParameterValue | None = None


Sequence_ = tuple[Move, ...]


class Renderer:
    """Renders moves with one profile, and knows which of them are per-channel curves."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._operations: dict[str, Operation] = {n: default_vocabulary()[n] for n in SEARCHED}
        self._curves = {name: self._is_curve(name) for name in SEARCHED}
        self._tables: dict[Move, NDArray[np.uint8]] = {}

    def render(self, pixels: RGB8, move: Move) -> RGB8:
        """One move on 8-bit RGB pixels."""
        if self._curves[move.name]:
            import cv2

            return np.asarray(cv2.LUT(pixels, self.table(move)[None]))
        return self._render(pixels, move)

    def _render(self, pixels: RGB8, move: Move) -> RGB8:
        operation = self._operations[move.name]
        return render_rgb(pixels, operation, self.parameters(move), self.profile)

    def render_all(self, pixels: RGB8, moves: Iterable[Move]) -> RGB8:
        """Several moves one after another."""
        for move in moves:
            pixels = self.render(pixels, move)
        return pixels

    def allows(self, moves: Iterable[Move]) -> bool:
        """Whether all parameters are in range and none leaves the picture unchanged."""
        return all(self._allows_one(move) for move in moves)

    def _allows_one(self, move: Move) -> bool:
        if move.value is None:
            return True
        parameter = self._operations[move.name].parameters[0]
        inside = parameter.minimum <= move.value <= parameter.maximum
        return inside and move.value != parameter.neutral

    def parameters(self, move: Move) -> dict[str, ParameterValue]:
        """The move's parameters as the operation wants them."""
        parameters = self._operations[move.name].parameters
        return {parameters[0].name: move.value} if move.value is not None else {}

    def is_curve(self, move: Move) -> bool:
        """Whether the move maps each channel through a table of its own."""
        return self._curves[move.name]

    def table(self, move: Move) -> NDArray[np.uint8]:
        """The table of a curve move: (256, 3) codes."""
        if move not in self._tables:
            self._tables[move] = np.ascontiguousarray(self._render(_ramp(), move)[:, 0])
        return self._tables[move]

    def moves(self, *, wide: bool = False) -> tuple[Move, ...]:
        """All moves at the profile's levels, or at a wide choice of levels."""
        found: list[Move] = []
        for name in SEARCHED:
            operation = self._operations[name]
            if not operation.parameters:
                found.append(Move(name))
                continue
            levels = _WIDE[name] if wide else self.profile.levels(name)
            neutral = operation.parameters[0].neutral
            found += [Move(name, level) for level in levels if level != neutral]
        return tuple(found)

    def _is_curve(self, name: str) -> bool:
        """Pointwise, and a random picture agrees with the table read off a grey ramp."""
        operation = self._operations[name]
        if operation.kind != "pointwise":
            return False
        levels = self.profile.levels(name)
        move = Move(name, levels[0] if operation.parameters and levels else None)
        table = self._render(_ramp(), move)[:, 0]
        noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        through = np.stack([table[noise[..., c], c] for c in range(3)], axis=-1)
        return bool(np.array_equal(self._render(noise, move), through))


def _ramp() -> RGB8:
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
