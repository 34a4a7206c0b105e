"""What an edit of a small picture does to the large one that it was made from.

Around each pixel of the small picture, what the edit changes is written as a linear function of the
picture, and a rest:

    after - before = alpha * picture + beta + rest

after the guided filter (He et al. 2013). The large picture gets the same function of its own
pixels, which carries its finest detail along: as it is where the edit leaves it or shifts it
(alpha = 0), stronger or weaker with the contrast, and gone where something else was painted over it
(alpha = -1), where the rest is what was painted. Where nothing changed, all three are exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.regions.resampling import Map, strips

_FLAT = 0.01**2
"""Variance below which a picture shows nothing that a change could hang on."""

_LIMITS = (-2.0, 3.0)
"""Of alpha: from a negative to four times the contrast."""

_KEPT, _PAINTED = 0.2, 0.5
"""Shares of the energy that the picture does not explain: what is the same, what is another."""

_QUANTISATION = (0.5 / 255) ** 2
"""Variance of a rest that is no more than rounding to 8 bits."""


@dataclass(frozen=True, eq=False)
class Change:
    """An edit of a small picture.

    Attributes:
        alpha: (height, width, 3).
        beta: the same shape.
        rest: the same shape, what noise explains left out.
    """

    alpha: Map
    beta: Map
    rest: Map

    @classmethod
    def of(
        cls,
        picture: Map,
        before: Map,
        after: Map,
        *,
        noise: Map | None = None,
        radius: int = 6,
    ) -> Change:
        """The change between two pictures, as a function of a third.

        Args:
            picture: (height, width, 3) in 0..1, the small picture.
            before: what the model makes of it when it changes nothing.
            after: what it made of it.
            noise: (height, width, 3), variance of what the model changes without meaning to.
            radius: of the neighbourhood, in pixels.
        """
        difference = after - before
        chance: Map = np.full((*picture.shape[:2], 1), _QUANTISATION, np.float32)
        if noise is not None:
            chance += _around(noise, radius).mean(axis=2, keepdims=True)
        mean, change = _around(picture, radius), _around(difference, radius)
        variance = np.maximum(_around(picture * picture, radius) - mean * mean, 0.0)
        together = _around(picture * difference, radius) - mean * change
        alpha = np.clip(together / (variance + _FLAT), *_LIMITS).astype(np.float32)
        alpha, beta = _around(alpha, radius), _around(change - alpha * mean, radius)
        rest = difference - alpha * picture - beta
        repainted = _repainted(rest, np.square(1 + alpha) * variance, chance, radius)
        # What the model lost of the picture is put back where the picture still stands, only.
        difference = difference + repainted * (before - picture)
        alpha = alpha * (1 - repainted) - repainted
        beta = beta * (1 - repainted) + _around(picture + difference, radius) * repainted
        rest = difference - alpha * picture - beta
        # As in Wiener's filter: the share of the rest's energy that noise does not explain.
        energy = _around(rest * rest, radius).mean(axis=2, keepdims=True)
        share = np.clip(1.0 - chance / np.maximum(energy, 1e-12), 0.0, 1.0)
        return cls(alpha, beta, np.asarray(rest * np.maximum(share, repainted), np.float32))

    def add_to(self, total: Map, large: NDArray[Any], white: float, weight: Map | None) -> None:
        """Add what the edit does to the large picture to `total`.

        Args:
            total: (height, width, 3), in 0..1; written to.
            large: (height, width, 1 or 3) pixels, `white` is 1.
            white: see above.
            weight: (height, width, 1) of this edit; None is 1.
        """
        maps = np.concatenate([self.alpha, self.beta + self.rest], axis=2)
        for rows, strip in strips(maps, (large.shape[0], large.shape[1])):
            values = _numbers(large[rows], white)
            change = strip[:, :, :3] * values + strip[:, :, 3:]
            if weight is not None:
                change *= weight[rows]
            total[rows] += change


def _repainted(rest: Map, explained: Map, chance: Map, radius: int) -> Map:
    """Where something else stands now, 0..1, (height, width, 1).

    There the rest has more energy than what the picture explains, and than noise. What little the
    picture seems to explain of it is chance, and would shine through.
    """
    energy = np.maximum(_around(rest * rest, radius).mean(axis=2, keepdims=True) - 2 * chance, 0.0)
    known = explained.mean(axis=2, keepdims=True) + 1e-5
    share = np.clip((energy / (energy + known) - _KEPT) / (_PAINTED - _KEPT), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _numbers(pixels: NDArray[Any], white: float) -> Map:
    values = np.multiply(pixels, np.float32(1.0 / white), dtype=np.float32)
    return np.asarray(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0), np.float32)


def _around(values: Map, radius: int) -> Map:
    """The mean of the neighbourhood."""
    import cv2

    side = 2 * radius + 1
    border = cv2.BORDER_REFLECT
    means = cv2.boxFilter(np.ascontiguousarray(values), -1, (side, side), borderType=border)
    return np.asarray(means, np.float32).reshape(values.shape)
