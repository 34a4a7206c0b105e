"""How well a plan explains the edited picture, on the pictures themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.align import Turn
from imgedit_reverse_design.moves import Renderer, Sequence_
from imgedit_reverse_design.places import DEEP_MARGIN, Place
from imgedit_reverse_design.scene import Pair, compress, cut_scene

_WHOLE = 4_000_000
"""Pictures of up to that many pixels are judged whole, larger ones on a grid of tiles."""

_INVISIBLE = 1.0
"""Mean squared error, in squared codes: 48 dB."""

_TILE = 512
_TILES = 4
"""Along each axis."""


@dataclass(frozen=True)
class Verdict:
    """Mean squared errors over all judged pixels and channels, in squared 8-bit codes.

    Attributes:
        plain: the rendered picture against the edited one.
        modelled: the same, with the edited file's compression applied to the rendered picture.
        source: the source, unturned and stretched to the edited picture's size, against it.
        mean: the edited picture's mean colour against it (of each tile, if it is judged on tiles).
    """

    plain: float
    modelled: float
    source: float
    mean: float

    @property
    def explained(self) -> float:
        """Share of the edit that the plan explains, 0..1."""
        if self.modelled == 0.0 or (self.invisible and self.source < 2 * _INVISIBLE):
            return 1.0  # there is no edit beside the file's own losses
        return max(0.0, 1.0 - self.modelled / self.source) if self.source > 0.0 else 0.0

    @property
    def invisible(self) -> bool:
        """Whether hardly anybody could tell the rendered picture from the edited one."""
        return self.modelled < _INVISIBLE

    @property
    def structure(self) -> float:
        """Share of the edited picture's own variation that the rendered picture shows, 0..1."""
        if self.modelled == 0.0:
            return 1.0
        return max(0.0, 1.0 - self.modelled / self.mean) if self.mean > 0.0 else 0.0


def judge(pair: Pair, renderer: Renderer, moves: Sequence_, turn: tuple[Turn, Turn]) -> Verdict:
    """The verdict on a plan.

    Args:
        pair: both pictures as they are.
        renderer: draws moves.
        moves: the plan without its turns.
        turn: what turns the source ahead of the moves, and behind them.
    """
    before, after = turn
    turned = replace(pair, source=after.apply(before.apply(pair.source)))
    stretched = _stretched(pair)
    sums = np.zeros(5)
    for place in _tiles(*pair.edited.shape[:2]):
        window = (slice(*place.rows), slice(*place.columns))
        scene = cut_scene(turned, (place,), DEEP_MARGIN).turned_after(after)
        rendered = renderer.render_all(scene.pixels, moves)
        lossless = scene.inner(rendered)
        lossy = scene.inner(rendered, lossy=True) if pair.jpeg is not None else lossless
        unedited = scene.crops[0].compared(stretched[window])
        sums += _sums(scene.target, (lossless, lossy, unedited))
    plain, modelled, source, mean = (float(s) for s in sums[:4] / max(1.0, 3 * sums[4]))
    return Verdict(plain, modelled, source, mean)


def judge_rendered(pair: Pair, rendered: RGB8) -> Verdict:
    """The verdict on a plan that was rendered elsewhere, on the whole pictures.

    Args:
        pair: both pictures as they are.
        rendered: of the edited picture's shape.
    """
    lossy = rendered if pair.jpeg is None else compress(rendered, pair.jpeg)
    opaque = slice(None) if pair.opaque is None else pair.opaque.ravel()
    target, *shown = (
        np.ascontiguousarray(pixels.reshape(-1, 3)[opaque])
        for pixels in (pair.edited, rendered, lossy, _stretched(pair))
    )
    sums = _sums(target, tuple(shown))
    plain, modelled, source, mean = (float(s) for s in sums[:4] / max(1.0, 3 * sums[4]))
    return Verdict(plain, modelled, source, mean)


def _sums(wanted: RGB8, shown: tuple[RGB8, ...]) -> NDArray[np.float64]:
    """Squared errors of each of `shown`, then the variation of `wanted`, then its pixels."""
    import cv2

    if not len(wanted):
        return np.zeros(len(shown) + 2)
    errors = [cv2.norm(wanted, np.ascontiguousarray(s), cv2.NORM_L2SQR) for s in shown]
    _, deviation = cv2.meanStdDev(wanted.reshape(-1, 1, 3))
    return np.array([*errors, len(wanted) * float((deviation**2).sum()), len(wanted)])


def _stretched(pair: Pair) -> RGB8:
    """The source, not turned, at the edited picture's size."""
    import cv2

    height, width = pair.edited.shape[:2]
    if pair.source.shape == pair.edited.shape:
        return pair.source
    return np.asarray(cv2.resize(pair.source, (width, height), interpolation=cv2.INTER_AREA))


def _tiles(height: int, width: int) -> Iterator[Place]:
    if height * width <= _WHOLE:
        yield Place((0, height), (0, width))
        return
    for top, left in itertools.product(_starts(height), _starts(width)):
        yield Place((top, min(top + _TILE, height)), (left, min(left + _TILE, width)))


def _starts(length: int) -> list[int]:
    # On JPEG's grid, so that compressing a tile is exact inside.
    return sorted({int(s) // 16 * 16 for s in np.linspace(0, max(0, length - _TILE), _TILES)})
