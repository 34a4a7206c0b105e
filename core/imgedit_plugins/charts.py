"""Line charts as SVG that stands inside an HTML page and takes its colours.

The page defines `--ink`, `--soft`, `--line` and the colours of the lines, `--line-1` to
`--line-6`; so a chart is right on light and on dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from imgedit_plugins.requests import Chart

COLOURS = 6

_WIDTH, _HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 46
_STEPS = 5

Points = Sequence[tuple[float, float]]


def svg(chart: Chart) -> str:
    """The chart's axes and lines; the names of the lines belong into a legend beside it."""
    points = [point for line in chart.lines.values() for point in line]
    across = ticks([x for x, _ in points])
    up = ticks([y for _, y in points])
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(chart.title)}">',
        *_grid(across, up),
        *_axes(chart),
    ]
    for number, (name, line) in enumerate(chart.lines.items()):
        placed = [_place(point, across, up) for point in line]
        parts += _line(name, placed, number, chart.marks.get(name, ()))
    return "\n".join([*parts, "</svg>"])


def look(number: int) -> tuple[int, bool]:
    """(colour, dashed) of a line; every second one is dashed, so that two on one path are seen."""
    return number % COLOURS + 1, number % 2 == 1


def ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, evenly apart, that enclose the values."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / _STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough - 1e-12)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


def _place(
    point: tuple[float, float], across: Sequence[float], up: Sequence[float]
) -> tuple[float, float]:
    x = (point[0] - across[0]) / (across[-1] - across[0])
    y = (point[1] - up[0]) / (up[-1] - up[0])
    return (
        _LEFT + x * (_WIDTH - _LEFT - _RIGHT),
        _HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM),
    )


def _grid(across: Sequence[float], up: Sequence[float]) -> Iterator[str]:
    for value in up:
        _, y = _place((across[0], value), across, up)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for value in across:
        x, _ = _place((value, up[0]), across, up)
        base = _HEIGHT - _BOTTOM
        yield f'<path class="grid" d="M{x:.1f} {_TOP}V{base}"/>'
        yield f'<text x="{x:.1f}" y="{base + 18}" text-anchor="middle">{value:g}</text>'


def _axes(chart: Chart) -> Iterator[str]:
    middle, height = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    yield (
        f'<text class="axis" x="{middle:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escape(chart.x)}</text>"
    )
    yield (
        f'<text class="axis" transform="translate(14 {height:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(chart.y)}</text>'
    )


def _line(name: str, line: Points, number: int, marks: Sequence[str]) -> Iterator[str]:
    place, dashed = look(number)
    colour = f"var(--line-{place})"
    if len(line) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
        kind = "curve dashed" if dashed else "curve"
        yield f'<path class="{kind}" style="stroke:{colour}" d="M{path}"/>'
    for (x, y), mark in zip(line, marks, strict=False):
        yield f'<circle style="fill:{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
        yield f'<text style="fill:{colour}" x="{x + 7:.1f}" y="{y - 6:.1f}">{escape(mark)}</text>'
    for x, y in line[-1:]:  # a line of one point must be seen as well
        yield (
            f'<circle style="fill:{colour}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
            f"<title>{escape(name)}</title></circle>"
        )
