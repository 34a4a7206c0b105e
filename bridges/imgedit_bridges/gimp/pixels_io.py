"""Pixels of layers, to and from the worker's pixel files.

They are asked for and given as sRGB-encoded values; GEGL converts from and to what the image holds.
Images of more than 8 bits travel as 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl  # noqa: E402

from imgedit_bridges.client import BridgeError, Client  # noqa: E402
from imgedit_bridges.protocol import PictureRef  # noqa: E402

# Rows at a time: whole rows of GIMP's tiles, and few enough that they stay in the caches.
_BAND = 128


@contextmanager
def uploaded(client: Client, layers: Sequence[Any]) -> Iterator[list[PictureRef]]:
    """The layers' pixels, their own filters included, in pixel files that end with the block.

    Raises:
        BridgeError: there is no room or no worker.
    """
    refs: list[PictureRef] = []
    try:
        refs.extend(_upload_seen(client, layer) for layer in layers)
        yield refs
    finally:
        for ref in refs:
            with suppress(BridgeError):  # a worker that is gone has removed them
                client.drop_pixels(ref.pixels)


def _upload_seen(client: Client, layer: Any) -> PictureRef:
    image = layer.get_image()
    if not layer.get_filters():
        return _upload(client, layer)
    chosen = image.get_selected_layers()
    image.undo_freeze()
    copy = layer.copy()
    image.insert_layer(copy, layer.get_parent(), image.get_item_position(layer))
    try:
        copy.merge_filters()
        return _upload(client, copy)
    finally:
        image.remove_layer(copy)
        image.set_selected_layers(chosen)
        image.undo_thaw()


def _upload(client: Client, layer: Any) -> PictureRef:
    dtype, channels = _sample(layer), 4 if layer.has_alpha() else 3
    width, height = layer.get_width(), layer.get_height()
    ref = PictureRef("0" * 32, width, height, channels, dtype)
    name = _format(dtype, channels)
    row = ref.pixel_bytes // height
    buffer = layer.get_buffer()
    with client.new_pixels(ref.file_bytes) as file:
        for top in range(0, height, _BAND):
            rows = min(_BAND, height - top)
            area = Gegl.Rectangle.new(0, top, width, rows)
            values = buffer.get(area, 1.0, name, Gegl.AbyssPolicy.NONE)
            file.write(top * row, values)
        return PictureRef(file.id, width, height, channels, dtype)


def write(client: Client, ref: PictureRef, layer: Any) -> None:
    """Put a result's pixels into a new layer of its size.

    Raises:
        BridgeError: the result has expired.
    """
    name = _format(ref.dtype, ref.channels)
    row = ref.pixel_bytes // ref.height
    buffer = layer.get_buffer()
    with client.open_picture(ref) as file:
        for top in range(0, ref.height, _BAND):
            rows = min(_BAND, ref.height - top)
            area = Gegl.Rectangle.new(0, top, ref.width, rows)
            buffer.set(area, name, file.data[top * row : (top + rows) * row])
    buffer.flush()
    layer.update(0, 0, ref.width, ref.height)


def _sample(layer: Any) -> str:
    # Precisions are numbered by hundreds: 100 to 199 have 8 bits; linear 8 bits need more.
    return "uint8" if int(layer.get_image().get_precision()) in (150, 175) else "uint16"


def _format(dtype: str, channels: int) -> str:
    letters = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}[channels]
    kinds = {"uint8": "u8", "uint16": "u16", "float32": "float"}
    return f"{letters} {kinds[dtype]}"


