"""Which parts of the edited picture are compared: textured, colourful, not clipped."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8

MARGIN = 16
"""Pixels around a place that blurs and sharpening need."""

DEEP_MARGIN = 48
"""Pixels around a place that the detail enhancement of 'hdr' needs to be exact inside."""

COUNT = 3
_INNER = 80
_INSET = 8
_SCALED_INSET = 20
_GRID = 16
"""Places start on JPEG's grid of coding units, so that compressing a crop is exact inside."""

_STARTS = 12
_STEP = 4
_COLOUR_LEVELS = 6

_Span = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """A rectangle of the edited picture, without margin.

    Attributes:
        rows: first row, and one behind the last.
        columns: first column, and one behind the last.
    """

    rows: _Span
    columns: _Span

    def inset(self, shape: tuple[int, ...], *, scaled: bool) -> Place:
        """The middle of the place; the whole place on an axis that it covers altogether.

        Args:
            shape: of the edited picture.
            scaled: take less, since a pixel of a scaled picture costs several of the source.
        """
        by = _SCALED_INSET if scaled else _INSET
        rows, columns = _shrink(self.rows, shape[0], by), _shrink(self.columns, shape[1], by)
        return dataclasses.replace(self, rows=rows, columns=columns)


def choose_places(
    source: RGB8, edited: RGB8, opaque: NDArray[np.bool_] | None
) -> tuple[Place, ...]:
    """A few places that do not overlap and together show much texture and many colours.

    All have one height, and `MARGIN` pixels around them unless they cover a whole axis.

    Args:
        source: turned to the edited picture's orientation; of any size.
        edited: what it became.
        opaque: (height, width) of the edited picture; where False, nothing is compared.
    """
    columns = _spans(edited.shape[1], _INNER)
    # Crops that take the whole width cannot lie side by side, so there is one longer crop.
    count = 1 if len(columns) == 1 else COUNT
    rows = _spans(edited.shape[0], _INNER * COUNT // count)
    places = [Place(r, c) for r, c in itertools.product(rows, columns)]
    if len(places) == 1:
        return tuple(places)
    features = list(map(_Features(source, edited, opaque).of, places))
    worth, texture, colours = (np.array(part) for part in zip(*features, strict=True))
    texture = np.sqrt(texture / max(float(texture.max()), 1e-6))
    return tuple(places[i] for i in _greedy(places, worth, texture, colours, count))


def _greedy(
    places: list[Place],
    worth: NDArray[np.float64],
    texture: NDArray[np.float64],
    colours: NDArray[np.float64],
    count: int,
) -> list[int]:
    chosen: list[int] = []
    seen = np.zeros(colours.shape[1])
    free = np.ones(len(places), bool)
    while len(chosen) < count and free.any():
        gain = np.maximum(seen, colours).sum(axis=1) - seen.sum()
        value = worth * (0.4 * gain / max(float(gain.max()), 1e-6) + 0.6 * texture)
        best = int(np.where(free, value, -1.0).argmax())
        chosen.append(best)
        seen = np.maximum(seen, colours[best])
        free &= ~np.array([_overlap(place, places[best]) for place in places])
    return chosen


def _spans(length: int, inner: int) -> list[_Span]:
    """Candidate ranges on one axis, all of one length; the whole axis if it is short."""
    if length <= inner + 2 * MARGIN + 2 * _GRID:
        return [(0, length)]
    starts = range(MARGIN, length - inner - MARGIN + 1, _GRID)
    return [(s, s + inner) for s in starts[:: max(1, len(starts) // _STARTS)]]


def _shrink(span: _Span, length: int, by: int) -> _Span:
    return span if span == (0, length) else (span[0] + by, span[1] - by)


class _Features:
    """What every fourth pixel of the pair tells about a place."""

    def __init__(self, source: RGB8, edited: RGB8, opaque: NDArray[np.bool_] | None) -> None:
        height, width = edited.shape[:2]
        rows, columns = np.arange(0, height, _STEP), np.arange(0, width, _STEP)
        after = edited[::_STEP, ::_STEP]
        self._usable = ((after > 2) & (after < 253)).mean(axis=2)
        self._opaque = np.ones_like(self._usable) if opaque is None else opaque[::_STEP, ::_STEP]
        before = source[
            np.ix_(rows * source.shape[0] // height, columns * source.shape[1] // width)
        ]
        luma = before.astype(np.float32).mean(axis=2)
        self._texture = np.zeros_like(luma)
        self._texture[1:] += np.abs(np.diff(luma, axis=0))
        self._texture[:, 1:] += np.abs(np.diff(luma, axis=1))
        coarse = (before.astype(np.int32) * _COLOUR_LEVELS) >> 8
        self._codes = coarse @ np.array([_COLOUR_LEVELS**2, _COLOUR_LEVELS, 1])

    def of(self, place: Place) -> tuple[float, float, NDArray[np.float64]]:
        """(worth, texture, log count of each coarse colour)."""
        window = tuple(
            slice(-(-a // _STEP), -(-b // _STEP)) for a, b in (place.rows, place.columns)
        )
        counts = np.bincount(self._codes[window].ravel(), minlength=_COLOUR_LEVELS**3)
        usable = self._usable[window].mean() * self._opaque[window].mean() ** 4
        return 0.05 + float(usable), float(self._texture[window].mean()), np.log1p(counts)


def _overlap(a: Place, b: Place) -> bool:
    return all(s[0] < t[1] and t[0] < s[1] for s, t in ((a.rows, b.rows), (a.columns, b.columns)))
