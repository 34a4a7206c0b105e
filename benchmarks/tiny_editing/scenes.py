"""Generated pictures: one or two things of known kinds, each in some colour, on a soft ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from imgedit_plugins.pictures import RGB8

SIDE = 64
_FINER = 4  # masks are drawn so much larger, for smooth edges

Mask = npt.NDArray[np.float32]
Pen = Callable[[npt.NDArray[np.uint8], float, float, float], None]
"""Draws a thing into a mask: at x, y, with that radius."""

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (205, 45, 45),
    "orange": (240, 140, 35),
    "yellow": (245, 215, 60),
    "green": (60, 160, 65),
    "blue": (55, 105, 215),
    "purple": (140, 70, 175),
}

NATURAL: Mapping[str, str] = {
    "heart": "red",
    "cherry": "red",
    "carrot": "orange",
    "pumpkin": "orange",
    "star": "yellow",
    "moon": "yellow",
    "leaf": "green",
    "tree": "green",
    "drop": "blue",
    "fish": "blue",
    "flower": "purple",
    "grape": "purple",
}
"""Kinds of things -> the colour that each has by nature."""

KINDS = tuple(NATURAL)
PLACES = ("left", "right")


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Attributes:
        kind, colour: of `KINDS` and `COLOURS`.
        x, y, radius: in pixels.
        shade: how light it is, about 1.
    """

    kind: str
    colour: str
    x: float
    y: float
    radius: float
    shade: float = 1.0


@dataclass(frozen=True)
class Scene:
    """One or two things, the left one first, on a ground that fades from one tone to another."""

    things: tuple[Thing, ...]
    grounds: tuple[tuple[float, float, float], tuple[float, float, float]]

    def with_colour(self, number: int, colour: str) -> Scene:
        """The same scene with one thing in another colour."""
        things = list(self.things)
        things[number] = replace(things[number], colour=colour)
        return replace(self, things=tuple(things))


def draw_scene(rng: np.random.Generator, count: int) -> Scene:
    """A scene of one thing, or of two different ones in different colours."""
    kinds = [str(kind) for kind in rng.choice(KINDS, count, replace=False)]
    colours = [str(colour) for colour in rng.choice(list(COLOURS), count, replace=False)]
    things = tuple(
        _placed(rng, kind, colour, number, count)
        for number, (kind, colour) in enumerate(zip(kinds, colours, strict=True))
    )
    first, second = (tuple(map(float, rng.uniform(90, 225) + rng.normal(0, 12, 3))) for _ in "ab")
    return Scene(things, (first, second))  # type: ignore[arg-type]


def with_kinds(scene: Scene, *kinds: str) -> Scene:
    """The same scene with things of these kinds in the place of its own."""
    things = zip(scene.things, kinds, strict=True)
    return replace(scene, things=tuple(replace(thing, kind=kind) for thing, kind in things))


def _placed(rng: np.random.Generator, kind: str, colour: str, number: int, count: int) -> Thing:
    radius = float(rng.uniform(18, 24) if count == 1 else rng.uniform(12.5, 14.2))
    middle = SIDE / 2 if count == 1 else SIDE * (0.25, 0.75)[number]
    x = middle + float(rng.uniform(-1, 1)) * (5 if count == 1 else 0.5)
    y = SIDE / 2 + float(rng.uniform(-1, 1)) * (5 if count == 1 else 12)
    return Thing(kind, colour, x, y, radius, float(rng.uniform(0.9, 1.08)))


def drawn(scene: Scene) -> RGB8:
    """The picture of a scene, (SIDE, SIDE, 3)."""
    down = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    first, second = (np.array(ground, np.float32) for ground in scene.grounds)
    canvas = np.broadcast_to(first + (second - first) * down, (SIDE, SIDE, 3)).copy()
    for thing in scene.things:
        mask = mask_of(thing)[..., None]
        light = _lit(thing)[..., None]
        canvas += mask * (np.array(COLOURS[thing.colour], np.float32) * light - canvas)
    return np.asarray(np.rint(np.clip(canvas, 0, 255)), np.uint8)


def _lit(thing: Thing) -> Mask:
    """Light from above on the left."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    slope = (x - thing.x + y - thing.y) / (2 * thing.radius)
    return np.asarray(thing.shade * (1 - 0.14 * np.clip(slope, -1, 1)), np.float32)


def mask_of(thing: Thing) -> Mask:
    """Where a thing is: (SIDE, SIDE) in 0..1."""
    fine = np.zeros((SIDE * _FINER, SIDE * _FINER), np.uint8)
    _PENS[thing.kind](fine, thing.x * _FINER, thing.y * _FINER, thing.radius * _FINER)
    small = cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small / np.float32(255), np.float32)


# --- shapes -----------------------------------------------------------------------------------


def _polygon(mask: npt.NDArray[np.uint8], points: npt.ArrayLike, value: int = 255) -> None:
    corners = np.rint(np.asarray(points, np.float64)).astype(np.int32)
    cv2.fillPoly(mask, [corners.reshape(-1, 1, 2)], (value,))


def _disc(mask: npt.NDArray[np.uint8], x: float, y: float, radius: float, value: int = 255) -> None:
    cv2.circle(mask, (round(x), round(y)), round(radius), (value,), -1)


def _oval(mask: npt.NDArray[np.uint8], x: float, y: float, width: float, height: float) -> None:
    sizes = round(width), round(height)
    cv2.ellipse(mask, (round(x), round(y)), sizes, 0, 0, 360, (255,), -1)


def _heart(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    t = np.linspace(0, 2 * np.pi, 80)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    _polygon(mask, np.stack([x + r * across / 17, y + r * (down - 2) / 17], 1))


def _cherry(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    for side in (-1, 1):
        _disc(mask, x + side * 0.52 * r, y + 0.5 * r, 0.45 * r)
        stalk = [(x, y - r), (x + side * 0.52 * r, y + 0.3 * r)]
        cv2.polylines(
            mask,
            [np.rint(stalk).astype(np.int32).reshape(-1, 1, 2)],
            False,
            (255,),
            round(0.15 * r),
        )


def _carrot(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    _polygon(mask, [(x - 0.45 * r, y - 0.5 * r), (x + 0.45 * r, y - 0.5 * r), (x, y + r)])
    for lean in (-0.35, 0, 0.35):
        _polygon(
            mask,
            [(x - 0.1 * r, y - 0.5 * r), (x + 0.1 * r, y - 0.5 * r), (x + lean * r, y - r)],
        )


def _pumpkin(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    for side in (-0.5, 0, 0.5):
        _oval(mask, x + side * r, y + 0.15 * r, 0.48 * r, 0.72 * r)
    _polygon(
        mask,
        [
            (x - 0.12 * r, y - 0.4 * r), (x + 0.12 * r, y - 0.4 * r),
            (x + 0.3 * r, y - r), (x + 0.05 * r, y - r),
        ],
    )  # fmt: skip


def _star(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    turns = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2, 0.42, 1.0) * r
    _polygon(mask, np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1))


def _moon(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    _disc(mask, x, y, 0.98 * r)
    _disc(mask, x + 0.48 * r, y - 0.35 * r, 0.9 * r, 0)


def _leaf(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    along = np.linspace(-0.7, 1, 30)
    wide = 0.62 * (along + 0.7) * (1 - along)
    across, up = np.concatenate([along, along[::-1]]), np.concatenate([wide, -wide[::-1]])
    for points in ((across, up), ([-1, 0, 0], [-0.08, -0.06, 0.06])):
        right, top = np.asarray(points[0]), np.asarray(points[1])
        turned = np.stack([right - top, -right - top], 1) * r / np.sqrt(2)
        _polygon(mask, turned + np.array([x, y]))


def _tree(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    for top, bottom, half in ((-1.0, -0.2, 0.5), (-0.55, 0.6, 0.8)):
        _polygon(
            mask, [(x, y + top * r), (x - half * r, y + bottom * r), (x + half * r, y + bottom * r)]
        )
    trunk = [(-0.14, 0.6), (0.14, 0.6), (0.14, 1.0), (-0.14, 1.0)]
    _polygon(mask, [(x + a * r, y + b * r) for a, b in trunk])


def _drop(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    _disc(mask, x, y + 0.35 * r, 0.62 * r)
    _polygon(mask, [(x, y - r), (x - 0.56 * r, y + 0.12 * r), (x + 0.56 * r, y + 0.12 * r)])


def _fish(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    _oval(mask, x - 0.2 * r, y, 0.75 * r, 0.45 * r)
    _polygon(mask, [(x + 0.3 * r, y), (x + r, y - 0.5 * r), (x + r, y + 0.5 * r)])


def _flower(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    for turn in np.arange(5) * 2 * np.pi / 5 - np.pi / 2:
        _disc(mask, x + 0.58 * r * np.cos(turn), y + 0.58 * r * np.sin(turn), 0.38 * r)
    _disc(mask, x, y, 0.3 * r, 0)


def _grape(mask: npt.NDArray[np.uint8], x: float, y: float, r: float) -> None:
    for row, places in enumerate(((-0.56, 0, 0.56), (-0.28, 0.28), (0,))):
        for place in places:
            _disc(mask, x + place * r, y + (0.52 * row - 0.4) * r, 0.33 * r)
    _polygon(
        mask,
        [
            (x - 0.06 * r, y - 0.5 * r),
            (x + 0.06 * r, y - 0.5 * r),
            (x + 0.2 * r, y - r),
            (x, y - r),
        ],
    )


_PENS: Mapping[str, Pen] = {
    "heart": _heart,
    "cherry": _cherry,
    "carrot": _carrot,
    "pumpkin": _pumpkin,
    "star": _star,
    "moon": _moon,
    "leaf": _leaf,
    "tree": _tree,
    "drop": _drop,
    "fish": _fish,
    "flower": _flower,
    "grape": _grape,
}
