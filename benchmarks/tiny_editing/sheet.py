"""A sheet of test pictures: input, what was asked and said, results, goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_SIDE, _GAP, _TEXT = 96, 10, 310  # pixels
_INK, _SOFT, _PAPER = (30, 30, 30), (105, 105, 105), (255, 255, 255)


@dataclass(frozen=True)
class Shown:
    """One test picture.

    Attributes:
        family: its title.
        instruction: that was given.
        lines: what more is told, two lines at most.
        pictures: files of the input and of all that stands behind the text.
    """

    family: str
    instruction: str
    lines: tuple[str, ...]
    pictures: tuple[Path, ...]


def draw(shown: Sequence[Shown], heads: Sequence[str], out: Path) -> None:
    """Write the sheet as WebP; the columns have these heads, the text stands in the second."""
    width = (len(heads) + 1) * _GAP + (len(heads) - 1) * _SIDE + _TEXT
    sheet = Image.new("RGB", (width, 30 + len(shown) * (_SIDE + _GAP)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    columns = _columns(len(heads))
    for head, (left, wide) in zip(heads, columns, strict=True):
        if wide == _SIDE:
            pen.text((left + wide / 2, 9), head, _SOFT, _font(13), anchor="ma")
        else:
            pen.text((left, 9), head, _SOFT, _font(13))
    for number, one in enumerate(shown):
        top = 30 + number * (_SIDE + _GAP)
        places = [left for left, wide in columns if wide == _SIDE]
        for left, path in zip(places, one.pictures, strict=True):
            with Image.open(path) as opened:
                large = opened.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            sheet.paste(large, (left, top))
        _tell(pen, one, columns[1][0], top)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=88, method=6)


def _columns(count: int) -> list[tuple[int, int]]:
    """Left borders and widths."""
    found, left = [], _GAP
    for wide in (_SIDE, _TEXT, *(_SIDE,) * (count - 2)):
        found.append((left, wide))
        left += wide + _GAP
    return found


def _tell(pen: ImageDraw.ImageDraw, one: Shown, left: int, top: int) -> None:
    lines = (
        (one.family, _SOFT, 12),
        (f"“{one.instruction}”", _INK, 14),
        *((line, _INK, 12) for line in one.lines),
    )
    for number, (text, colour, size) in enumerate(lines):
        place = (left, top + 4 + (0, 20, 48, 68)[number])
        pen.text(place, _fitting(pen, text, size), colour, _font(size))


def _fitting(pen: ImageDraw.ImageDraw, text: str, size: int) -> str:
    """The text, cut where it is wider than its column."""
    short = text
    while pen.textlength(short, _font(size)) > _TEXT and short:
        short = short[:-1]
    return text if short == text else f"{short[:-1]}…"


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
