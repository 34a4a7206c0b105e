"""A sheet of test pictures: input, what was asked and said, results, goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

FILE = "pictures/mgie-learning.webp"

_SIDE, _GAP, _TEXT = 96, 10, 310  # pixels
_INK, _SOFT, _PAPER = (30, 30, 30), (105, 105, 105), (255, 255, 255)
_HEADS = ("input", "instruction, and what is made of it", "MGIE", "LGIE", "goal")


@dataclass(frozen=True)
class Shown:
    """One test picture.

    Attributes:
        family: its title.
        instruction: the brief one.
        mgie, lgie: what the language models wrote.
        pictures: files of the input, both results and the goal.
    """

    family: str
    instruction: str
    mgie: str
    lgie: str
    pictures: tuple[Path, ...]


def draw(shown: Sequence[Shown], out: Path) -> None:
    """Write the sheet as WebP."""
    width = 5 * _GAP + 4 * _SIDE + _GAP + _TEXT
    sheet = Image.new("RGB", (width, 30 + len(shown) * (_SIDE + _GAP)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    columns = _columns()
    for head, (left, wide) in zip(_HEADS, columns, strict=True):
        if wide == _SIDE:
            pen.text((left + wide / 2, 9), head, _SOFT, _font(13), anchor="ma")
        else:
            pen.text((left, 9), head, _SOFT, _font(13))
    for number, one in enumerate(shown):
        top = 30 + number * (_SIDE + _GAP)
        places = [columns[i][0] for i in (0, 2, 3, 4)]
        for left, path in zip(places, one.pictures, strict=True):
            with Image.open(path) as opened:
                large = opened.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            sheet.paste(large, (left, top))
        _tell(pen, one, columns[1][0], top)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=88, method=6)


def _columns() -> list[tuple[int, int]]:
    """Left borders and widths."""
    found, left = [], _GAP
    for wide in (_SIDE, _TEXT, _SIDE, _SIDE, _SIDE):
        found.append((left, wide))
        left += wide + _GAP
    return found


def _tell(pen: ImageDraw.ImageDraw, one: Shown, left: int, top: int) -> None:
    lines = (
        (one.family, _SOFT, 12),
        (f"“{one.instruction}”", _INK, 14),
        (f"MGIE: {one.mgie or '–'}", _INK, 12),
        (f"LGIE: {one.lgie or '–'}", _INK, 12),
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
