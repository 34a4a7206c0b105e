"""How well a plan explains the edited picture, on the pictures themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.align import Turn
from imgedit_reverse_design.moves import Renderer, Sequence_
from imgedit_reverse_design.scene import DEEP_MARGIN, Pair, compress, resize

_WHOLE = 4_000_000
"""Pictures of up to that many pixels are judged whole, larger ones on a grid of tiles."""

_TILE = 512
_TILES_PER_AXIS = 4


@dataclass(frozen=True)
class Verdict:
    """Mean squared errors over all judged pixels and channels, in squared 8-bit codes.

    Attributes:
        plain: the rendered picture against the edited one.
        modelled: the same, with the edited file's compression applied to the rendered picture.
        source: the source, unturned and stretched to the edited picture's size, against it.
        mean: the edited picture's mean colour against it.
    """

    plain: float
    modelled: float
    source: float
    mean: float

    @property
    def explained(self) -> float:
        """Share of the edit that the plan explains, 0..1."""
        if self.modelled == 0.0:
            return 1.0
        return max(0.0, 1.0 - self.modelled / self.source) if self.source > 0.0 else 0.0

    @property
    def structure(self) -> float:
        """Share of the edited picture's own variation that the rendered picture shows, 0..1."""
        if self.modelled == 0.0:
            return 1.0
        return max(0.0, 1.0 - self.modelled / self.mean) if self.mean > 0.0 else 0.0


def judge(pair: Pair, renderer: Renderer, moves: Sequence_, before: Turn, after: Turn) -> Verdict:
    """The verdict on a plan.

    Args:
        pair: both pictures as they are.
        renderer: draws moves.
        moves: the plan without its turns.
        before: turn ahead of the moves.
        after: turn behind them.
    """
    height, width = pair.edited.shape[:2]
    stretched = resize(pair.source, (height, width), pair.interpolation)
    colour = pair.edited.reshape(-1, 3).mean(axis=0)
    sums = np.zeros(4)
    pixels = 0
    turned = before.apply(pair.source)
    for rows, columns in _tiles(height, width):
        shown = _render_tile(pair, renderer, moves, turned, after, rows, columns)
        wanted = pair.edited[rows, columns].astype(np.float32)
        opaque = (
            np.ones(wanted.shape[:2], bool) if pair.opaque is None else pair.opaque[rows, columns]
        )
        lossy = compress(shown, pair.jpeg) if pair.jpeg is not None else shown
        others = (shown, lossy, stretched[rows, columns], colour)
        sums += [float(np.square(wanted - other)[opaque].sum()) for other in others]
        pixels += int(opaque.sum())
    return Verdict(*(float(s) for s in sums / max(1, 3 * pixels)))


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    if height * width <= _WHOLE:
        yield slice(0, height), slice(0, width)
        return
    for top in _starts(height):
        for left in _starts(width):
            yield slice(top, top + _TILE), slice(left, left + _TILE)


def _starts(length: int) -> list[int]:
    last = max(0, length - _TILE)
    # On JPEG's grid, so that compressing a tile is exact inside.
    return sorted({int(s) // 16 * 16 for s in np.linspace(0, last, _TILES_PER_AXIS)})


def _render_tile(
    pair: Pair,
    renderer: Renderer,
    moves: Sequence_,
    turned: RGB8,
    after: Turn,
    rows: slice,
    columns: slice,
) -> RGB8:
    """The edited picture's tile as the plan draws it."""
    height, width = pair.edited.shape[:2]
    if rows == slice(0, height) and columns == slice(0, width):
        whole = after.apply(renderer.render_all(turned, moves))
        return resize(whole, (height, width), pair.interpolation)
    final = after.apply(turned)  # a view of large pictures' pixels; moves are drawn on tiles only
    scale = (final.shape[0] / height, final.shape[1] / width)
    top, left = _native(rows, scale[0]), _native(columns, scale[1])
    wide = (_widen(top, final.shape[0]), _widen(left, final.shape[1]))
    piece = after.undo(final[wide[0], wide[1]])
    drawn = after.apply(renderer.render_all(piece, moves))
    inner = drawn[
        top.start - wide[0].start : top.stop - wide[0].start,
        left.start - wide[1].start : left.stop - wide[1].start,
    ]
    size = (min(rows.stop, height) - rows.start, min(columns.stop, width) - columns.start)
    return resize(np.ascontiguousarray(inner), size, pair.interpolation)


def _native(span: slice, scale: float) -> slice:
    return slice(round(span.start * scale), round(span.stop * scale))


def _widen(span: slice, length: int) -> slice:
    return slice(max(0, span.start - DEEP_MARGIN), min(length, span.stop + DEEP_MARGIN))
