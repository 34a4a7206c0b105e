"""Learning curves as an SVG drawing: loss, and answers to validation pairs, of each fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

FILE = "minigpt4-learning.svg"

_WIDTH, _HEIGHT = 360, 240  # of one panel, in user units
_LEFT, _TOP, _BELOW, _RIGHT = 52, 34, 44, 14
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
_GREY = "#777777"
_PANELS = (
    ("train", "language", "cross entropy in training"),
    ("validation", "f1_without_command", "validation F1, without command"),
    ("validation", "f1_with_command", "validation F1, with command"),
)

Curves = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


def drawn(curves: Curves) -> str:
    """One panel for each figure; a thin line for each seed, a bold one for their mean.

    Args:
        curves: by title, for each seed, the lines of `metrics.jsonl`.
    """
    panels = [
        _panel(kind, figure, title, curves, number * _WIDTH)
        for number, (kind, figure, title) in enumerate(_PANELS)
    ]
    width, height = _WIDTH * len(_PANELS), _HEIGHT + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11">\n'
        f"<title>Learning curves of the fine-tunings</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{''.join(panels)}{_legend(list(curves))}</svg>\n"
    )


def colour_of(title: str, titles: Sequence[str]) -> str:
    """The colour of a curve; twins are grey."""
    if "shuffled" in title:
        return _GREY
    own = [one for one in titles if "shuffled" not in one]
    return _COLOURS[own.index(title) % len(_COLOURS)]


def _points(lines: Sequence[Mapping[str, Any]], kind: str, figure: str) -> list[tuple[int, float]]:
    chosen = [line for line in lines if line["kind"] == kind and line.get(figure) is not None]
    return [(line["step"], line[figure]) for line in chosen]


def _panel(kind: str, figure: str, title: str, curves: Curves, left: int) -> str:
    own = {
        name: [_points(lines, kind, figure) for lines in seeds] for name, seeds in curves.items()
    }
    points = [point for seeds in own.values() for line in seeds for point in line]
    if not points:
        return ""
    last = max(step for step, _ in points)
    values = _ticks(min(value for _, value in points), max(value for _, value in points))
    low, high = values[0], values[-1]

    def place(step: float, value: float) -> tuple[float, float]:
        across = _WIDTH - _LEFT - _RIGHT
        down = _HEIGHT - _TOP - _BELOW
        x = left + _LEFT + across * step / last
        return round(x, 1), round(_TOP + down * (1 - (value - low) / (high - low)), 1)

    parts = [_axes(place, title, last, values)]
    for name, lines in own.items():
        colour = colour_of(name, list(curves))
        dashed = ' stroke-dasharray="4 3"' if colour == _GREY else ""
        parts += [
            _line([place(*point) for point in line], colour, 0.7, dashed, 0.5) for line in lines
        ]
        mean = [
            (group[0][0], sum(value for _, value in group) / len(group))
            for group in zip(*lines, strict=False)
        ]
        parts.append(_line([place(*point) for point in mean], colour, 2, dashed, 1))
    return "".join(parts)


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    step = next(
        unit * 10.0**power
        for power in range(-3, 9)
        for unit in (1, 2, 5)
        if math.ceil(high / (unit * 10.0**power)) - math.floor(low / (unit * 10.0**power)) <= most
    )
    first, after = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [round(number * step, 6) for number in range(first, after + 1)]


def _axes(place: Any, title: str, last: int, values: Sequence[float]) -> str:
    (x0, y0), (x1, y1) = place(0, values[0]), place(last, values[-1])
    parts = [
        f'<text x="{x0}" y="{y1 - 12}" font-weight="bold">{title}</text>\n'
        f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#333333"/>\n'
        f'<text x="{(x0 + x1) / 2}" y="{y0 + 32}" text-anchor="middle">step</text>\n'
    ]
    for value in values:
        _, y = place(0, value)
        parts.append(
            f'<text x="{x0 - 5}" y="{y + 4}" text-anchor="end">{value:g}</text>\n'
            f'<path d="M{x0} {y}H{x1}" stroke="#dddddd" stroke-width="0.6"/>\n'
        )
    for step in _ticks(0, last):
        if step <= last:
            x, _ = place(step, values[0])
            parts.append(f'<text x="{x}" y="{y0 + 15}" text-anchor="middle">{step:g}</text>\n')
    return "".join(parts)


def _line(
    points: Sequence[tuple[float, float]], colour: str, width: float, dashed: str, opacity: float
) -> str:
    told = " ".join(f"{x},{y}" for x, y in points)
    return (
        f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}"{dashed}/>\n'
    )


def _legend(titles: Sequence[str]) -> str:
    parts, x = [], _LEFT
    for title in titles:
        colour = colour_of(title, titles)
        dashed = ' stroke-dasharray="4 3"' if colour == _GREY else ""
        parts.append(
            f'<path d="M{x} {_HEIGHT + 8}h22" stroke="{colour}" stroke-width="2"{dashed}/>\n'
            f'<text x="{x + 27}" y="{_HEIGHT + 12}">experiment {title}</text>\n'
        )
        x += 62 + 6 * (len(title) + 11)
    return "".join(parts)
