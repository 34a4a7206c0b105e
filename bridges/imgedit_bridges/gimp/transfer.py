"""Pixels between GIMP's layers and pixel files.

They are asked for and given as sRGB-encoded values; GEGL converts from and to what the image
holds. Images of 8 bits travel as 8 bits, of 16 bits as 16, all others as floats; grey as grey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp  # noqa: E402

from imgedit_bridges.client import BridgeError, Client, Result  # noqa: E402
from imgedit_bridges.gimp import running  # noqa: E402
from imgedit_bridges.protocol import JobRequest, PictureRef  # noqa: E402

# Rows at a time: whole rows of GIMP's tiles, and few enough that they stay in the caches.
_BAND = 128


def run_on(
    client: Client,
    layers: Sequence[Any],
    request: Callable[..., JobRequest],
    told: running.Told,
    *,
    selection: bool = False,
    masks: bool = True,
) -> tuple[str, Result]:
    """Run a job on the pixels of layers; returns its id and result.

    Where the worker was restarted between the pixels and the job, both are given to the new one.

    Args:
        client: of the worker.
        layers: whose pixels it needs, their own filters included.
        request: makes the job of the pictures, the selection last.
        told: see `running.run_job`.
        selection: whether the image's selection goes along, as a mask of the first layer's size.
        masks: whether what the layers' own masks hide is transparent in their pixels.

    Raises:
        JobCancelledError: `told` said so.
        BridgeError: it failed, or the worker did.
    """
    with _uploaded(client, layers, selection=selection, masks=masks) as refs:
        worker = client.worker
        try:
            return running.run_job(client, request(*refs), told)
        except BridgeError:
            if client.worker == worker:
                raise
    with _uploaded(client, layers, selection=selection, masks=masks) as refs:
        return running.run_job(client, request(*refs), told)


@contextmanager
def _uploaded(
    client: Client, layers: Sequence[Any], *, selection: bool, masks: bool
) -> Iterator[list[PictureRef]]:
    """Pixel files that end with the block."""
    refs: list[PictureRef] = []
    try:
        for layer in layers:
            with as_seen(layer, masks=masks) as seen:
                refs.append(_upload(client, seen, _sample(layer), _channels(seen)))
        if selection:
            refs.append(_upload_selection(client, layers[0]))
        yield refs
    finally:
        for ref in refs:
            with suppress(BridgeError):  # a worker that is gone has removed them
                client.drop_pixels(ref.pixels)


@contextmanager
def as_seen(layer: Any, *, masks: bool = False) -> Iterator[Any]:
    """A layer with the same pixels that has no filters, mask or layers in it.

    It is made in an image of its own: the user's is left alone, even if GIMP ends meanwhile.
    """
    masked = masks and layer.get_mask() is not None
    if not (layer.get_filters() or masked or layer.is_group_layer()):
        yield layer
        return
    image = layer.get_image()
    size = (layer.get_width(), layer.get_height())
    aside = Gimp.Image.new_with_precision(*size, image.get_base_type(), image.get_precision())
    aside.undo_disable()
    try:
        aside.set_color_profile(image.get_effective_color_profile())
        copy = Gimp.Layer.new_from_drawable(layer, aside)
        aside.insert_layer(copy, None, 0)
        copy.set_mode(Gimp.LayerMode.NORMAL)
        copy.set_opacity(100.0)
        copy.set_visible(True)
        if copy.get_mask() is not None and not (masks and copy.get_apply_mask()):
            copy.remove_mask(Gimp.MaskApplyMode.DISCARD)
        copy = copy.merge() if copy.is_group_layer() else copy
        copy.merge_filters()
        if copy.get_mask() is not None:
            copy.remove_mask(Gimp.MaskApplyMode.APPLY)
        yield copy
    finally:
        aside.delete()


@dataclass(frozen=True)
class Jobs:
    """Jobs whose results are still needed.

    Attributes:
        client: of the worker.
        done: their ids.
    """

    client: Client
    done: list[str] = field(default_factory=list)


@contextmanager
def jobs_of(client: Client) -> Iterator[Jobs]:
    """Jobs whose results the worker removes at the end of the block, however it ends."""
    jobs = Jobs(client)
    try:
        yield jobs
    finally:
        for job in jobs.done:
            forget(client, job)


def forget(client: Client, job: str) -> None:
    """Let the worker remove a job's results, which are not needed any more."""
    with suppress(BridgeError):  # a worker that is gone has removed them
        client.forget(job)


def _upload(client: Client, layer: Any, dtype: str, channels: int) -> PictureRef:
    size = (layer.get_width(), layer.get_height())
    return _copied(client, layer.get_buffer(), (0, 0, *size), dtype, channels)


def _upload_selection(client: Client, layer: Any) -> PictureRef:
    _, x, y = layer.get_offsets()
    area = (x, y, layer.get_width(), layer.get_height())
    buffer = layer.get_image().get_selection().get_buffer()
    return _copied(client, buffer, area, "uint8", 1, "Y u8")


def _copied(
    client: Client,
    buffer: Any,
    place: tuple[int, int, int, int],
    dtype: str,
    channels: int,
    form: str = "",
) -> PictureRef:
    x, y, width, height = place
    ref = PictureRef("0" * 32, width, height, channels, dtype)
    row = ref.pixel_bytes // height
    with client.new_pixels(ref.file_bytes) as file:
        try:
            for top in range(0, height, _BAND):
                area = Gegl.Rectangle.new(x, y + top, width, min(_BAND, height - top))
                wanted = form or format_of(dtype, channels)
                file.write(top * row, buffer.get(area, 1.0, wanted, Gegl.AbyssPolicy.NONE))
        except BaseException:
            with suppress(BridgeError):
                client.drop_pixels(file.id)
            raise
        return PictureRef(file.id, width, height, channels, dtype)


def write(client: Client, ref: PictureRef, layer: Any) -> None:
    """Put a result's pixels into a new layer of its size.

    Raises:
        BridgeError: the result has expired.
    """
    name = format_of(ref.dtype, ref.channels)
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
    precision = int(layer.get_image().get_precision())
    if precision in (150, 175):
        return "uint8"
    return "uint16" if precision < 300 else "float32"


def _channels(layer: Any) -> int:
    return (1 if layer.is_gray() else 3) + int(layer.has_alpha())


def format_of(dtype: str, channels: int) -> str:
    """The name of a picture's format in GEGL."""
    letters = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}[channels]
    kinds = {"uint8": "u8", "uint16": "u16", "float32": "float"}
    return f"{letters} {kinds[dtype]}"
