"""Pixels a few rows at a time: in Krita's order of channels and in the worker's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_PIXELS = 1 << 17  # about 10 ms of work

SAMPLE_BYTES = {"uint8": 1, "uint16": 2}


@dataclass(frozen=True)
class Frame:
    """A rectangle of a document, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return self.width <= 0 or self.height <= 0

    def common(self, other: Frame) -> Frame:
        """What lies in both."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Frame(x, y, max(0, right - x), max(0, bottom - y))

    def joined(self, other: Frame) -> Frame:
        """The smallest one around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Frame(x, y, right - x, bottom - y)

    def bands(self) -> Iterator[Frame]:
        """The rectangle in pieces of whole rows, from the top."""
        rows = max(1, _PIXELS // self.width)
        for top in range(0, self.height, rows):
            yield Frame(self.x, self.y + top, self.width, min(rows, self.height - top))


def to_rgba(data: bytes, sample: int) -> bytearray:
    """Krita's pixels as the worker takes them; the same exchange leads back.

    Args:
        data: blue, green, red, alpha.
        sample: bytes of each.
    """
    swapped = bytearray(data)
    for byte in range(sample):
        swapped[byte :: 4 * sample] = data[2 * sample + byte :: 4 * sample]
        swapped[2 * sample + byte :: 4 * sample] = data[byte :: 4 * sample]
    return swapped


def to_krita(data: bytes, channels: int, sample: int) -> bytearray:
    """A result's pixels as Krita takes them.

    Args:
        data: grey, grey + alpha, RGB or RGBA.
        channels: how many of them, 1 to 4.
        sample: bytes of each.
    """
    if channels == 4:
        return to_rgba(data, sample)
    # The channel for each place, of blue, green, red, alpha; None is opaque.
    sources = {1: (0, 0, 0, None), 2: (0, 0, 0, 1), 3: (2, 1, 0, None)}[channels]
    pixel = channels * sample
    made = bytearray(b"\xff") * (len(data) // pixel * 4 * sample)
    for place, source in enumerate(sources):
        for byte in range(sample if source is not None else 0):
            made[place * sample + byte :: 4 * sample] = data[(source or 0) * sample + byte :: pixel]
    return made


def is_opaque(data: bytes, sample: int) -> bool:
    """Whether no pixel of blue, green, red, alpha is transparent, not even partly."""
    alpha = data[3 * sample :: 4 * sample]
    low = alpha.count(b"\xff") == len(alpha)
    if sample == 1 or not low:
        return low
    high = data[3 * sample + 1 :: 4 * sample]
    return high.count(b"\xff") == len(high)
