"""A tone curve as points: the line to draw, and moving, adding and removing points."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence

Point = tuple[float, float]
Points = tuple[Point, ...]

LEAST_STEP = 0.01  # between the inputs of two points; the core's own limit is finer
MOST_POINTS = 64


def line(points: Sequence[Point], count: int) -> list[Point]:
    """`count` points of the smooth curve (monotone cubic, as it is applied), input 0..1."""
    slopes = _slopes(points)
    inputs = [x for x, _ in points]
    return [(x, _at(points, slopes, inputs, x)) for x in (i / (count - 1) for i in range(count))]


def moved(points: Points, index: int, x: float, y: float) -> Points:
    """The curve with one point moved there, as far as its neighbours let it."""
    low = points[index - 1][0] + LEAST_STEP if index else 0.0
    high = points[index + 1][0] - LEAST_STEP if index + 1 < len(points) else 1.0
    if high < low:  # neighbours closer than a user could place them
        low = high = points[index][0]
    place = (min(max(x, low), high), min(max(y, 0.0), 1.0))
    return (*points[:index], place, *points[index + 1 :])


def added(points: Points, x: float, y: float) -> tuple[Points, int]:
    """The curve with one more point, and its index; as it was where there is no room."""
    x, y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    index = bisect_right([p[0] for p in points], x)
    around = points[max(0, index - 1) : index + 1]
    if len(points) >= MOST_POINTS or any(abs(p[0] - x) < LEAST_STEP for p in around):
        return points, min(range(len(points)), key=lambda i: abs(points[i][0] - x))
    return (*points[:index], (x, y), *points[index:]), index


def removed(points: Points, index: int) -> Points:
    """The curve without a point; two remain."""
    return points if len(points) <= 2 else (*points[:index], *points[index + 1 :])


def _at(
    points: Sequence[Point], slopes: Sequence[float], inputs: Sequence[float], x: float
) -> float:
    if x <= inputs[0]:
        return points[0][1]
    if x >= inputs[-1]:
        return points[-1][1]
    left = bisect_right(inputs, x) - 1
    (x0, y0), (x1, y1) = points[left], points[left + 1]
    width = x1 - x0
    t = (x - x0) / width
    rise = width * slopes[left], width * slopes[left + 1]
    return (
        (1 + 2 * t) * (1 - t) ** 2 * y0 + t * (1 - t) ** 2 * rise[0]
        + t * t * (3 - 2 * t) * y1 + t * t * (t - 1) * rise[1]
    )  # fmt: skip


def _slopes(points: Sequence[Point]) -> list[float]:
    """Fritsch and Butland's: harmonic means of the secants, flat where the curve turns."""
    widths = [b[0] - a[0] for a, b in itertools.pairwise(points)]
    secants = [
        (b[1] - a[1]) / w for (a, b), w in zip(itertools.pairwise(points), widths, strict=True)
    ]
    inner = []
    for (w0, w1), (s0, s1) in zip(
        itertools.pairwise(widths), itertools.pairwise(secants), strict=True
    ):
        left, right = 2 * w1 + w0, w1 + 2 * w0
        runs_on = s0 * s1 > 0
        inner.append((left + right) * s0 * s1 / (left * s1 + right * s0) if runs_on else 0.0)
    return [secants[0], *inner, secants[-1]]
