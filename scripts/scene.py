"""A drawn photograph: sky, hills, a table with coloured balls, a card with skin tones and greys.

It has what adjustments of photographs are about: highlights and deep shadows, smooth gradients and
fine detail, strong and muted colours, skin, greys, haze in the distance, a little noise. Nothing is
fetched. Light is reckoned in linear values and encoded as sRGB at the end.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 960, 640
_OVER = 2  # drawn so many times larger, for smooth edges
_SEED = 20
_HORIZON, _TABLE = 0.50, 0.665  # shares of the height
_LIGHT = np.array([-0.52, -0.62, 0.59])
_HAZE = (0.80, 0.83, 0.87)

Layer = NDArray[np.float32]

SKIN = ((255, 224, 196), (241, 194, 155), (224, 172, 128), (198, 134, 92), (141, 85, 54),
        (84, 53, 38))  # fmt: skip
COLOURS = ((196, 44, 42), (232, 126, 36), (240, 204, 48), (62, 148, 74), (38, 92, 178),
           (136, 58, 140))  # fmt: skip


@dataclass(frozen=True)
class Ball:
    """Place and size in picture heights; colour as sRGB codes."""

    x: float
    y: float
    radius: float
    colour: tuple[int, int, int]


BALLS = (
    Ball(0.17, 0.715, 0.085, SKIN[1]),
    Ball(0.37, 0.685, 0.070, COLOURS[2]),
    Ball(0.83, 0.690, 0.075, SKIN[4]),
    Ball(0.335, 0.795, 0.125, COLOURS[0]),
    Ball(0.645, 0.775, 0.110, COLOURS[4]),
    Ball(0.135, 0.885, 0.070, COLOURS[3]),
    Ball(0.875, 0.875, 0.062, COLOURS[1]),
)


def draw(*, noise: float = 1.2, haze: float = 0.0) -> NDArray[np.uint8]:
    """The scene, (640, 960, 3) sRGB-encoded.

    Args:
        noise: standard deviation of the noise, in 8-bit codes.
        haze: 0 for a clear day, up to 1 for fog that hides what is far.
    """
    linear, depth = _clear_day()
    if haze:
        through = np.exp(-3.2 * haze * depth)[:, :, None]
        linear = linear * through + np.array(_HAZE, np.float32) * 0.78 * (1 - through)
    small = cv2.resize(linear, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    codes = _encoded(np.clip(small, 0, 1)) * 255
    random = np.random.default_rng(_SEED)
    grain = random.standard_normal(codes.shape) + random.standard_normal((*codes.shape[:2], 1))
    return np.asarray(np.clip(np.rint(codes + noise * grain * np.sqrt(0.5)), 0, 255), np.uint8)


@functools.cache
def _clear_day() -> tuple[Layer, Layer]:
    """Light and depth, before haze and noise."""
    canvas = _Canvas()
    canvas.sky()
    canvas.hills()
    canvas.table()
    for ball in sorted(BALLS, key=lambda b: b.y):
        canvas.ball(ball)
    canvas.card()
    return canvas.light, canvas.depth


# --- helpers ----------------------------------------------------------------------------------


def _linear(codes: tuple[int, int, int]) -> Layer:
    v = np.array(codes, np.float32) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encoded(v: NDArray[Any]) -> NDArray[Any]:
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 1e-9) ** (1 / 2.4) - 0.055)


def _step(low: float, high: float, values: NDArray[Any]) -> Layer:
    """From 0 at `low` to 1 at `high`, smoothly."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _cloudy(seed: int, height: int, width: int, cells: tuple[int, int], octaves: int) -> Layer:
    """Noise with detail at each scale, about 0 to 1."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        grid = random.random((cells[0] * 2**octave + 3, cells[1] * 2**octave + 3), np.float32)
        smooth = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        total += smooth * np.float32(0.5 ** (octave + 1))
    return total


class _Canvas:
    """Linear light, and how far away each pixel is (0 near, 1 far)."""

    def __init__(self) -> None:
        height, width = HEIGHT * _OVER, WIDTH * _OVER
        self.size = height, width
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
        self.x, self.y = x / height, y / height
        self.light = np.zeros((height, width, 3), np.float32)
        self.depth = np.ones((height, width), np.float32)

    def _part(self, left: float, top: float, right: float, bottom: float) -> _Canvas:
        """A window on the canvas; what is laid there is laid here."""
        part = copy.copy(self)
        rows, columns = (
            slice(int(np.floor(a * self.size[0])), int(np.ceil(b * self.size[0])))
            for a, b in ((np.clip(top, 0, 1), bottom), (np.clip(left, 0, 1.5), right))
        )
        part.x, part.y = self.x[rows, columns], self.y[rows, columns]
        part.light, part.depth = self.light[rows, columns], self.depth[rows, columns]
        return part

    def _lay(self, mask: Layer, colour: NDArray[Any], depth: float | None = None) -> None:
        self.light += mask[:, :, None] * (colour - self.light)
        if depth is not None:
            self.depth += mask * (depth - self.depth)

    def sky(self) -> None:
        up = np.clip(1 - self.y / _HORIZON, 0, 1)[:, :, None]
        self.light[:] = _linear((238, 222, 198)) * (1 - up) ** 1.6
        self.light += _linear((74, 128, 196)) * (1 - (1 - up) ** 1.6)
        glow = np.exp(-((self.x - 0.40) ** 2 / 0.10 + (self.y - 0.40) ** 2 / 0.03))
        self.light += glow[:, :, None] * np.array([0.50, 0.36, 0.16], np.float32)
        billows = _cloudy(3, *self.size, (5, 4), 7)
        above = np.concatenate([billows[:1].repeat(36, axis=0), billows[:-36]])
        cover = _step(0.50, 0.66, billows) * _step(0.0, 0.2, 1 - self.y / _HORIZON) * 0.92
        shade = np.clip(0.80 + 2.2 * (billows - above), 0.45, 1.05)[:, :, None]
        self._lay(cover, np.array([0.93, 0.91, 0.90], np.float32) * shade)

    def hills(self) -> None:
        layers = (
            (11, 0.425, 0.10, (150, 168, 190), 0.80),
            (12, 0.475, 0.10, (112, 136, 146), 0.55),
            (13, 0.530, 0.09, (82, 112, 84), 0.33),
            (14, 0.585, 0.07, (58, 86, 40), 0.18),
        )
        for seed, base, swing, colour, depth in layers:
            ridge = base + swing * (_cloudy(seed, 1, self.size[1], (1, 3), 6) - 0.5)
            if depth < 0.5:
                ridge = ridge - self._trees(seed, 0.022 / depth**0.5)
            bumps = _cloudy(seed + 50, *self.size, (20, 30), 6)
            lit = 0.68 + 0.70 * (bumps - 0.2) + 0.7 * np.clip(self.y - ridge, 0, 0.3)
            mask = _step(-0.0008, 0.0008, self.y - ridge)
            self._lay(mask, _linear(colour) * lit[:, :, None], depth)

    def _trees(self, seed: int, tall: float) -> Layer:
        """How far conifers stand out of a ridge, for each column."""
        random = np.random.default_rng(seed + 100)
        columns = np.arange(self.size[1]) / self.size[0]
        crowns = np.zeros(self.size[1], np.float32)
        places = random.random(300) * 1.5
        for x, size in zip(places, random.random(300), strict=True):
            height = tall * (0.35 + 0.65 * size)
            ragged = 1 + 0.35 * np.sin(columns * 900 + 40 * size)
            crowns = np.maximum(crowns, height - np.abs(columns - x) * 4.2 * ragged)
        return np.asarray(crowns, np.float32)

    def table(self) -> None:
        down = np.clip((self.y - _TABLE) / (1 - _TABLE), 0, 1)
        away = 1 / (down + 0.35)
        across = (self.x - 0.75) * away
        plank = np.floor(across * 3.1)
        grain = _cloudy(31, 1024, 1024, (3, 60), 5)
        columns = ((across * 3.1 - plank) * 300 + plank * 397) % 1023
        rows = (away * 340 + plank * 131) % 1023
        wood = cv2.remap(grain, columns, rows, cv2.INTER_LINEAR)
        rings = 0.5 + 0.5 * np.sin(44 * wood + 5 * np.sin(plank))
        tone = 0.62 + 0.55 * wood + 0.14 * rings + 0.16 * np.sin(plank * 2.4)
        gap = np.minimum(across * 3.1 - plank, 1 - (across * 3.1 - plank))
        tone *= 1 - 0.75 * (1 - _step(0.0, 0.02, gap))
        tone *= 0.62 + 0.5 * np.exp(-((self.x - 0.35) ** 2) / 0.5)
        mask = _step(_TABLE - 0.001, _TABLE + 0.001, self.y)
        self._lay(mask, _linear((148, 98, 60)) * tone[:, :, None], 0.02)
        edge = np.exp(-((self.y - _TABLE - 0.004) ** 2) / 1.4e-5) * 0.25
        self._lay(np.asarray(edge, np.float32), _linear((240, 210, 170)))

    def ball(self, ball: Ball) -> None:
        """The ball and its shadow."""
        r = ball.radius
        self._part(ball.x - 2 * r, ball.y - 1.1 * r, ball.x + 4 * r, ball.y + 1.9 * r)._ball(ball)

    def _ball(self, ball: Ball) -> None:
        foot = ball.y + ball.radius * 0.88
        x, y = (self.x - ball.x) / ball.radius, (self.y - ball.y) / ball.radius
        cast = ((x - 0.75) / 1.5) ** 2 + ((self.y - foot - 0.012) / (0.36 * ball.radius)) ** 2
        contact = (x / 0.7) ** 2 + ((self.y - foot) / (0.14 * ball.radius)) ** 2
        dark = 1 - 0.62 * np.exp(-(cast**1.4)) - 0.30 * np.exp(-contact)
        self.light *= np.where(self.y > _TABLE, dark, 1)[:, :, None].astype(np.float32)
        squared = x * x + y * y
        z = np.sqrt(np.clip(1 - squared, 0, 1))
        facing = np.clip(x * _LIGHT[0] + y * _LIGHT[1] + z * _LIGHT[2], 0, 1)
        gleam = np.clip(2 * facing * z - _LIGHT[2], 0, 1)
        colour = _linear(ball.colour)
        sky = np.array([0.10, 0.13, 0.18], np.float32) * (0.6 - 0.4 * y)[:, :, None]
        bounce = _linear((148, 98, 60)) * np.clip(y, 0, 1)[:, :, None] * 0.45
        lit = colour * (1.02 * facing[:, :, None] + sky + bounce)
        lit = lit + (0.85 * gleam**60 + 0.10 * gleam**8)[:, :, None]
        edge = 1.5 / (self.size[0] * ball.radius)
        self._lay(1 - _step(1 - edge, 1 + edge, np.sqrt(squared)), lit, 0.0)

    def card(self) -> None:
        """Skin tones, colours, greys and fine detail."""
        self._part(0.85, 0.2, 1.5, 1.0)._card()

    def _card(self) -> None:
        left, top, right, bottom = 1.005, 0.255, 1.405, 0.835
        shadow = _step(-0.05, 0.03, self.x - left) * _step(-0.09, 0.02, right + 0.07 - self.x)
        shadow = shadow * _step(-0.02, 0.03, self.y - bottom + 0.05)
        shadow = shadow * (1 - _step(0.0, 0.06, self.y - bottom))
        self.light *= (1 - 0.55 * shadow)[:, :, None]
        self._patch(left, top, right, bottom, _linear((236, 233, 226)))
        inner = 0.022
        wide = (right - left - 2 * inner) / 6
        for row, colours in enumerate((SKIN, COLOURS)):
            y = top + inner + row * (wide + 0.012)
            for column, colour in enumerate(colours):
                x = left + inner + column * wide
                self._patch(x + 0.003, y, x + wide - 0.003, y + wide, _linear(colour))
        y = top + inner + 2 * (wide + 0.012)
        ramp = np.clip((self.x - left - inner) / (right - left - 2 * inner), 0, 1)
        greys = (ramp**2.2)[:, :, None].repeat(3, axis=2) * 0.95
        self._patch(left + inner, y, right - inner, y + 0.055, greys)
        y += 0.067
        steps = (np.floor(ramp * 9) / 8.6) ** 2.2
        stepped = steps[:, :, None].repeat(3, axis=2) * 0.95
        self._patch(left + inner, y, right - inner, y + 0.055, stepped)
        self._star(left + 0.115, y + 0.165, 0.092)
        self._lines(left + 0.225, y + 0.073, right - inner, bottom - inner)

    def _patch(
        self, left: float, top: float, right: float, bottom: float, colour: NDArray[Any]
    ) -> None:
        inside = np.minimum(
            np.minimum(self.x - left, right - self.x), np.minimum(self.y - top, bottom - self.y)
        )
        self._lay(_step(-0.0005, 0.0005, inside), colour, 0.0)

    def _star(self, x: float, y: float, radius: float) -> None:
        """A Siemens star, for what happens to fine detail."""
        dx, dy = self.x - x, self.y - y
        spokes = (np.sin(36 * np.arctan2(dy, dx)) > 0).astype(np.float32)
        ink = spokes[:, :, None] * np.array([0.80, 0.78, 0.74], np.float32) + np.float32(0.02)
        self._lay(1 - _step(radius - 0.001, radius + 0.001, np.hypot(dx, dy)), ink)

    def _lines(self, left: float, top: float, right: float, bottom: float) -> None:
        """Woven cloth: low-contrast detail of two directions."""
        height, width = self.x.shape
        x, y = (self.x - left) * self.size[0], (self.y - top) * self.size[0]
        weave = np.sin(x * 0.52) * np.sin(y * 0.52) + 0.6 * np.sin((x + y) * 0.16)
        threads = 0.55 + 0.17 * weave + 0.25 * (_cloudy(77, height, width, (130, 100), 3) - 0.45)
        cloth = _linear((126, 138, 156)) * threads[:, :, None] * 1.7
        self._patch(left, top, right, bottom, cloth)
