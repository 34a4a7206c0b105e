"""What an edit looks like while it is being made, as a worker tells it in 'preview' events."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.errors import MessageError
from imgedit_bridges.protocol import MAX_SIDE, whole

LONGEST = 256
"""Pixels of a preview's longer side, at most."""


@dataclass(frozen=True)
class PreviewPicture:
    """What an edit looks like while it is being made.

    Attributes:
        width, height: in pixels, at most `LONGEST`.
        pixels: rows from the top, 8 bits each of red, green and blue.
        place: (left, top, width, height) of the part of the picture that it shows, in that
            picture's pixels.
    """

    width: int
    height: int
    pixels: bytes
    place: tuple[int, int, int, int]

    def to_json(self) -> dict[str, Any]:
        """As it stands in a 'preview' event."""
        pixels = base64.b64encode(self.pixels).decode("ascii")
        return {"width": self.width, "height": self.height, "pixels": pixels,
                "place": list(self.place)}  # fmt: skip


def parse_preview(event: Mapping[str, Any]) -> PreviewPicture | None:
    """The picture of a 'preview' event; None for other events.

    Raises:
        MessageError: a field is missing, of the wrong type or out of range.
    """
    if event.get("event") != "preview":
        return None
    width, height = (
        whole(f"preview.{side}", event.get(side), 1, LONGEST) for side in ("width", "height")
    )
    place = event.get("place")
    if not isinstance(place, list) or len(place) != 4:
        raise MessageError("preview.place", "four numbers are needed")
    left, top, wide, high = (whole("preview.place", one, 0, MAX_SIDE) for one in place)
    text = event.get("pixels")
    try:
        pixels = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError as error:
        raise MessageError("preview.pixels", "they are not in base 64") from error
    if len(pixels) != 3 * width * height:
        told = f"there are {len(pixels)} bytes, not {3 * width * height}"
        raise MessageError("preview.pixels", told)
    return PreviewPicture(width, height, pixels, (left, top, wide, high))
