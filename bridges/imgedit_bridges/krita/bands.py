"""Pixels a few rows at a time: in Krita's order of channels and in the worker's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# About 10 ms of work each: moving pixels, and having Krita convert their colours.
PIXELS = 1 << 20
CONVERTED_PIXELS = 1 << 17
_TILE = 64  # rows of Krita's tiles

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

    def bands(self, pixels: int = PIXELS) -> Iterator[Frame]:
        """The rectangle in pieces of whole rows, from the top, of about that many pixels."""
        rows = max(1, pixels // self.width)
        rows -= rows % _TILE if rows > _TILE else 0  # so that no tile is visited twice
        for top in range(0, self.height, rows):
            yield Frame(self.x, self.y + top, self.width, min(rows, self.height - top))


def to_krita(data: memoryview, channels: int, sample: int, order: str) -> memoryview | bytes:
    """A result's pixels as Krita takes them.

    Args:
        data: grey, grey + alpha, or three colours with or without alpha.
        channels: how many of them, 1 to 4.
        sample: bytes of each.
        order: of the colours, 'rgb' or 'bgr'.
    """
    if (channels, order) == (4, "bgr"):
        return data
    values = bytes(data)
    # The channel for each place, of blue, green, red, alpha; None is opaque.
    colours = (2, 1, 0) if order == "rgb" else (0, 1, 2)
    alpha = {2: 1, 4: 3}.get(channels)
    sources = (*(colours if channels >= 3 else (0, 0, 0)), alpha)
    pixel = channels * sample
    made = bytearray(b"\xff") * (len(values) // pixel * 4 * sample)
    for place, source in enumerate(sources):
        for byte in range(sample if source is not None else 0):
            made[place * sample + byte :: 4 * sample] = values[
                (source or 0) * sample + byte :: pixel
            ]
    return bytes(made)


def is_opaque(data: bytes, sample: int) -> bool:
    """Whether no pixel of blue, green, red, alpha is transparent, not even partly."""
    alpha = data[3 * sample :: 4 * sample]
    low = alpha.count(b"\xff") == len(alpha)
    if sample == 1 or not low:
        return low
    high = data[3 * sample + 1 :: 4 * sample]
    return high.count(b"\xff") == len(high)
