"""How the edited picture lies over its source: one of eight flips and turns, and a scale.

The edit itself is unknown, so the eight candidates are compared by how well the edited thumbnail
can be predicted from the source thumbnail through any curve (the correlation ratio), which
brightness, inversion, toning or blur barely touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8
from imgedit_plugins.plan import PlannedOperation, step

_THUMBNAIL = 64
_BINS = 24


@dataclass(frozen=True)
class Turn:
    """One of the eight flips and turns.

    Attributes:
        flipped: left and right are exchanged first.
        quarters: quarter turns clockwise afterwards, 0..3.
    """

    flipped: bool
    quarters: int

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The pixels flipped and turned, C-contiguous."""
        if self.flipped:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self.quarters))

    def undo(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """What `apply` was given, from what it returned."""
        pixels = np.rot90(pixels, self.quarters)
        return np.ascontiguousarray(pixels[:, ::-1] if self.flipped else pixels)

    def splits(self) -> tuple[tuple[Turn, Turn], ...]:
        """All (before, after) that come to this turn, whole before first."""
        if self == UPRIGHT:
            return ((self, self),)
        whole = ((self, UPRIGHT), (UPRIGHT, self))
        if not (self.flipped and self.quarters):
            return whole
        flip = Turn(flipped=True, quarters=0)
        forth = Turn(flipped=False, quarters=self.quarters)
        back = Turn(flipped=False, quarters=-self.quarters % 4)
        return (*whole, (flip, forth), (back, flip))

    def operations(self) -> tuple[PlannedOperation, ...]:
        """The same as steps of a plan."""
        flip = (step("flip"),) if self.flipped else ()
        return (*flip, step("rotate", degrees=90 * self.quarters)) if self.quarters else flip


UPRIGHT = Turn(flipped=False, quarters=0)
TURNS = tuple(Turn(flipped, quarters) for flipped in (False, True) for quarters in range(4))


@dataclass(frozen=True)
class Alignment:
    """One way to lay the edited picture over its source.

    Attributes:
        turn: what brings the source into the edited picture's orientation.
        score: 0..1, the share of the edited thumbnail's variance that a curve over the
            turned source thumbnail predicts.
    """

    turn: Turn
    score: float


def same_aspect(source: RGB8, edited: RGB8, turn: Turn) -> bool:
    """Whether a turned source has the edited picture's aspect ratio, to one pixel."""
    height, width = source.shape[:2]
    if turn.quarters % 2:
        height, width = width, height
    edited_height, edited_width = edited.shape[:2]
    scale = (edited_height + edited_width) / (height + width)
    off = max(abs(height * scale - edited_height), abs(width * scale - edited_width))
    return bool(off <= 1.0)


def alignments(source: RGB8, edited: RGB8) -> tuple[Alignment, ...]:
    """All turns that fit the edited picture's shape, the best score first; empty if none fits.

    Args:
        source: 8-bit RGB of any size.
        edited: 8-bit RGB of any size.
    """
    side = min(_THUMBNAIL, *source.shape[:2], *edited.shape[:2])
    before, after = _thumbnail(source, side), _thumbnail(edited, side)
    fitting = (turn for turn in TURNS if same_aspect(source, edited, turn))
    found = (Alignment(turn, _predictability(turn.apply(before), after)) for turn in fitting)
    # Ties (a single colour, a symmetric picture) go to the turn with the fewest operations.
    return tuple(sorted(found, key=lambda a: (-a.score, len(a.turn.operations()))))


def _thumbnail(pixels: RGB8, side: int) -> NDArray[np.float32]:
    """A square thumbnail, so that turned and unturned ones compare pixel by pixel."""
    import cv2

    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _predictability(source: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Correlation ratio of the target given the source's luma, best of the target's channels."""
    luma = source.reshape(-1, 3) @ np.array([0.299, 0.587, 0.114], np.float32)
    ranks = np.argsort(np.argsort(luma, kind="stable"), kind="stable")
    bins = ranks * _BINS // luma.size
    counts = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    best = 0.0
    for channel in target.reshape(-1, 3).T.astype(np.float64):
        total = float(channel.var())
        if total > 1e-6:
            sums = np.bincount(bins, channel, _BINS)
            explained = float((sums**2 / counts).sum() / channel.size) - float(channel.mean()) ** 2
            best = max(best, explained / total)
    return best
