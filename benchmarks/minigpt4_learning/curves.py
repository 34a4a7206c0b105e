"""Learning curves as an SVG drawing: the answers to validation pairs while a projection learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FILE = "minigpt4-learning.svg"

_WIDTH, _HEIGHT = 360, 240  # of one panel, in user units
_LEFT, _TOP, _BELOW, _RIGHT = 52, 34, 44, 14
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
_GREY = "#777777"
_PANELS = (
    ("loss", "loss of the validation pairs"),
    ("f1_without_command", "F1 without command"),
    ("f1_with_command", "F1 with command"),
)

Curves = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


def drawn(curves: Curves) -> str:
    """One panel for each figure; a thin line for each seed, a bold one for their mean.

    Args:
        curves: by title, for each seed, the lines of `metrics.jsonl` of the kind 'validation'.
    """
    panels = [
        _panel(figure, title, curves, number * _WIDTH)
        for number, (figure, title) in enumerate(_PANELS)
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


def _panel(figure: str, title: str, curves: Curves, left: int) -> str:
    points = [
        (line["step"], line[figure])
        for seeds in curves.values()
        for lines in seeds
        for line in lines
        if line.get(figure) is not None
    ]
    if not points:
        return ""
    last = max(step for step, _ in points)
    low, high = _range([value for _, value in points])

    def place(step: float, value: float) -> tuple[float, float]:
        across = _WIDTH - _LEFT - _RIGHT
        down = _HEIGHT - _TOP - _BELOW
        x = left + _LEFT + across * step / last
        return round(x, 1), round(_TOP + down * (1 - (value - low) / (high - low)), 1)

    parts = [_axes(place, title, last, low, high)]
    for name, seeds in curves.items():
        colour = colour_of(name, list(curves))
        dashed = ' stroke-dasharray="4 3"' if colour == _GREY else ""
        lines = [[(one["step"], one[figure]) for one in seed if figure in one] for seed in seeds]
        parts += [
            _line([place(*point) for point in line], colour, 0.7, dashed, 0.5) for line in lines
        ]
        mean = [
            (group[0][0], sum(value for _, value in group) / len(group))
            for group in zip(*lines, strict=False)
        ]
        parts.append(_line([place(*point) for point in mean], colour, 2, dashed, 1))
    return "".join(parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05
    return low - margin, high + margin


def _axes(place: Any, title: str, last: int, low: float, high: float) -> str:
    (x0, y0), (x1, y1) = place(0, low), place(last, high)
    parts = [
        f'<text x="{x0}" y="{y1 - 12}" font-weight="bold">{title}</text>\n'
        f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#333333"/>\n'
        f'<text x="{(x0 + x1) / 2}" y="{y0 + 32}" text-anchor="middle">step</text>\n'
    ]
    for number in range(5):
        value, step = low + (high - low) * number / 4, last * number / 4
        _, y = place(0, value)
        x, _ = place(step, low)
        parts.append(
            f'<text x="{x0 - 5}" y="{y + 4}" text-anchor="end">{value:.2f}</text>\n'
            f'<path d="M{x0} {y}H{x1}" stroke="#dddddd" stroke-width="0.6"/>\n'
            f'<text x="{x}" y="{y0 + 15}" text-anchor="middle">{step:.0f}</text>\n'
        )
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
