"""Endings of a plan that are per-channel curves, found for all sequences at once.

Brightness, contrast, inversion, summer and winter map each channel through a table. Whatever
sequence of them ends a plan, its table is one of a few thousand, so the best ending of a rendered
beginning is read off three 256-bin statistics instead of being rendered.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_reverse_design.moves import Move, Renderer, Sequence_

_GROUP = 4
"""Codes that are taken together when endings are compared roughly."""

_SHORTLIST = 48
"""Endings that are compared exactly."""

_BLACK = 6
"""Codes from black, or from white, within which averages are taken to be clipped."""

_OFFSETS = np.array([0, 256, 512], np.intp)


@dataclass(frozen=True)
class Statistics:
    """What the edited picture shows at each code of the rendered beginning.

    Attributes:
        counts: (768,) pixels at each code, red, green and blue one after another.
        sums: (768,) sum of the edited picture's codes there.
        squares: sum of all squared codes of the edited picture.
        pixels: number of pixels.
    """

    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: float
    pixels: int

    def scatter(self) -> float:
        """Mean squared error that is left when each channel goes through its best curve.

        Each used bin costs a degree of freedom, else rare codes would fit by themselves.
        """
        used = self.counts > 0
        explained = float((self.sums[used] ** 2 / self.counts[used]).sum())
        freedom = max(1.0, 3.0 * self.pixels - float(used.sum()))
        return max(0.0, self.squares - explained) / freedom


class Target:
    """The edited picture's pixels, prepared for many comparisons.

    Args:
        pixels: (n, 3) codes.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels
        self._wanted = pixels.ravel().astype(np.float64)
        self._squares = float(np.square(self._wanted).sum())

    def statistics(self, rendered: NDArray[np.uint8]) -> Statistics:
        """The statistics of (n, 3) rendered pixels against these."""
        codes = np.add(rendered, _OFFSETS, dtype=np.intp).ravel()
        counts = np.bincount(codes, minlength=768).astype(np.float64)
        sums = np.asarray(np.bincount(codes, self._wanted, 768), np.float64)
        return Statistics(counts, sums, self._squares, len(self.pixels))


def straight_ending(stats: Statistics) -> Sequence_:
    """Inversion, contrast and brightness, as far as needed, by least squares.

    Codes where the edited picture is near black or white on average are left out: it is clipped
    there. Contrast and brightness are rounded to 0.001 and to whole codes.
    """
    codes = np.tile(np.arange(256.0), 3)
    mean = stats.sums / np.maximum(stats.counts, 1)
    weight = stats.counts * ((mean > _BLACK) & (mean < 255 - _BLACK))
    if weight.sum() < 2:
        return ()
    centre = np.average(codes, weights=weight), np.average(mean, weights=weight)
    spread = float((weight * (codes - centre[0]) ** 2).sum())
    if spread == 0.0:
        return ()
    gain = float((weight * (codes - centre[0]) * (mean - centre[1])).sum()) / spread
    start = (Move("invert"),) if gain < 0 else ()
    offset = round(centre[1] - gain * centre[0] + (255 * gain if gain < 0 else 0))
    size = round(abs(gain), 3)
    moves = (*start, Move("contrast", size), Move("bright", offset))
    neutral = (Move("contrast", 1.0), Move("bright", 0))
    inside = 0.01 <= size <= 10 and abs(offset) <= 255
    return tuple(m for m in moves if m not in neutral) if inside else ()


class Endings:
    """All sequences of curve moves, at most one of each operation, with their tables."""

    def __init__(self, renderer: Renderer, moves: tuple[Move, ...], longest: int) -> None:
        curves = [m for m in moves if renderer.is_curve(m)]
        self.names = sorted({m.name for m in curves})
        self.sequences, tables = _grow(renderer, curves, longest)
        self.lengths = np.array([len(s) for s in self.sequences])
        bit = {name: 1 << i for i, name in enumerate(self.names)}
        self.used = np.array([sum(bit[m.name] for m in s) for s in self.sequences])
        self._tables = np.stack(tables).reshape(len(tables), 768).astype(np.float32)
        self._coarse = np.ascontiguousarray(self._tables[:, _GROUP // 2 :: _GROUP])
        self._coarse_squared = self._coarse**2

    def best(
        self, stats: Statistics, taken: frozenset[str], longest: int, count: int
    ) -> list[tuple[float, Sequence_]]:
        """The best endings: (mean squared error, sequence), lowest error first.

        Args:
            stats: of the beginning.
            taken: operations that the beginning has used.
            longest: moves that the ending may have.
            count: how many endings.
        """
        rows = int(np.searchsorted(self.lengths, longest, side="right"))
        rough = self._rough_errors(stats, rows)
        mask = sum(1 << i for i, name in enumerate(self.names) if name in taken)
        rough[(self.used[:rows] & mask) != 0] = np.inf
        near = np.argpartition(rough, min(_SHORTLIST, rows - 1))[:_SHORTLIST]
        near = near[np.isfinite(rough[near])]
        tables = self._tables[near].astype(np.float64)
        error = tables**2 @ stats.counts - 2.0 * (tables @ stats.sums) + stats.squares
        order = np.argsort(error, kind="stable")[:count]
        return [(float(error[i]) / (3 * stats.pixels), self.sequences[near[i]]) for i in order]

    def _rough_errors(self, stats: Statistics, rows: int) -> NDArray[np.float32]:
        """Errors up to a constant, with codes taken together in groups."""
        counts = stats.counts.reshape(-1, _GROUP).sum(axis=1).astype(np.float32)
        sums = stats.sums.reshape(-1, _GROUP).sum(axis=1).astype(np.float32)
        # Not `@`: BLAS would wake a thread on each core for a millisecond's work.
        squared = np.einsum("ij,j->i", self._coarse_squared[:rows], counts)
        crossed = np.einsum("ij,j->i", self._coarse[:rows], sums)
        return np.asarray(squared - 2.0 * crossed, np.float32)


def _grow(
    renderer: Renderer, curves: list[Move], longest: int
) -> tuple[list[Sequence_], list[NDArray[np.uint8]]]:
    identity = np.repeat(np.arange(256, dtype=np.uint8)[None], 3, axis=0)
    sequences: list[Sequence_] = [()]
    tables = [identity]
    shell: list[tuple[Sequence_, NDArray[np.uint8]]] = [((), identity)]
    for _ in range(longest):
        grown: list[tuple[Sequence_, NDArray[np.uint8]]] = []
        for (sequence, table), move in itertools.product(shell, curves):
            if all(move.name != m.name for m in sequence):
                after = renderer.table(move)
                composed = np.stack([after[table[c], c] for c in range(3)])
                grown.append(((*sequence, move), composed))
        shell = grown
        sequences += [s for s, _ in grown]
        tables += [t for _, t in grown]
    return sequences, tables
