"""Small pictures of layers and of what a plan makes of them, rendered by the worker in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gi.repository import GdkPixbuf, Gegl, GLib

from imgedit_bridges.client import BridgeError, Client, JobCancelledError
from imgedit_bridges.gimp import transfer, windows
from imgedit_bridges.protocol import JobRequest, PictureRef

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Pixels:
    """A picture on the screen: 8-bit RGB or RGBA, rows from the top without gaps."""

    width: int
    height: int
    channels: int
    data: bytes


def read_layer(layer: Any, longest: int | None) -> Pixels:
    """A layer's own pixels without its filters, reduced so that no side is above `longest`."""
    width, height = layer.get_width(), layer.get_height()
    scale = 1.0 if longest is None else min(1.0, longest / max(width, height))
    small = (max(1, int(width * scale)), max(1, int(height * scale)))
    channels = 4 if layer.has_alpha() else 3
    name = "R'G'B'A u8" if channels == 4 else "R'G'B' u8"
    area = Gegl.Rectangle.new(0, 0, *small)
    data = bytes(layer.get_buffer().get(area, scale, name, Gegl.AbyssPolicy.CLAMP))
    return Pixels(*small, channels, data)


def read_result(client: Client, ref: PictureRef) -> Pixels:
    """A result's picture as it can be shown.

    Raises:
        BridgeError: it has expired.
    """
    with client.open_picture(ref) as file:
        data = bytes(file.data[: ref.pixel_bytes])
    channels = 4 if ref.channels in (2, 4) else 3
    name = "R'G'B'A u8" if channels == 4 else "R'G'B' u8"
    area = Gegl.Rectangle.new(0, 0, ref.width, ref.height)
    buffer = Gegl.Buffer.new(name, 0, 0, ref.width, ref.height)  # GEGL converts, not Python
    buffer.set(area, transfer.format_of(ref.dtype, ref.channels), data)
    shown = bytes(buffer.get(area, 1.0, name, Gegl.AbyssPolicy.NONE))
    return Pixels(ref.width, ref.height, channels, shown)


def above(below: Pixels, layer: Pixels) -> Pixels:
    """A picture with a transparent one of the same size above it."""
    made, top = _pixbuf(below).copy(), _pixbuf(layer)
    nearest = GdkPixbuf.InterpType.NEAREST
    top.composite(made, 0, 0, below.width, below.height, 0, 0, 1, 1, nearest, 255)
    data, row, gap = (
        made.read_pixel_bytes().get_data(),
        below.width * below.channels,
        made.get_rowstride(),
    )
    rows = b"".join(data[y * gap : y * gap + row] for y in range(below.height))
    return Pixels(below.width, below.height, below.channels, rows)


def _pixbuf(picture: Pixels) -> Any:
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(picture.data), GdkPixbuf.Colorspace.RGB, picture.channels == 4, 8,
        picture.width, picture.height, picture.channels * picture.width,
    )  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What shall be seen: a plan at a strength on a picture."""

    source: Pixels
    plan: Plan
    strength: float


class Renderer:
    """Renders in a thread; of requests that come meanwhile only the last one counts.

    Args:
        client: of the worker.
        deliver: told the picture, or the fault, in the main loop.
    """

    def __init__(
        self, client: Client, deliver: Callable[[Pixels | None, BridgeError | None], None]
    ) -> None:
        self._client = client
        self._deliver = deliver
        self._changed = threading.Condition()
        self._wanted: Wanted | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, wanted: Wanted) -> None:
        """Render this; what was asked before and is not there yet is given up."""
        with self._changed:
            self._wanted = wanted
            self._changed.notify()

    def close(self) -> None:
        """Deliver nothing any more, and wait until the pixel files are gone."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted is not None or self._ended)
                if self._ended or self._wanted is None:
                    return
                wanted, self._wanted = self._wanted, None
            picture: Pixels | None = None
            fault: BridgeError | None = None
            try:
                picture = self._rendered(wanted)
            except JobCancelledError:
                continue
            except BridgeError as error:
                fault = error
            except Exception as error:  # it would end the thread, and the user would wait for ever
                fault = windows.unexpected(error)
            GLib.idle_add(self._told, picture, fault)

    def _told(self, picture: Pixels | None, fault: BridgeError | None) -> bool:
        if not self._ended:
            self._deliver(picture, fault)
        return False

    def _rendered(self, wanted: Wanted) -> Pixels:
        if not wanted.plan.get("operations") or wanted.strength == 0:
            return wanted.source
        with _uploaded(self._client, wanted.source) as picture:
            request = JobRequest(
                "render", {"picture": picture}, plan=wanted.plan, strength=wanted.strength
            )
            job, result = self._client.run(request, cancelled=self._outdated)
            try:
                if not result.pictures:
                    raise BridgeError("The worker rendered nothing.")
                return read_result(self._client, result.pictures[0].ref)
            finally:
                transfer.forget(self._client, job)

    def _outdated(self) -> bool:
        return self._ended or self._wanted is not None


@contextmanager
def _uploaded(client: Client, source: Pixels) -> Iterator[Any]:
    ref = client.put_picture(source.data, source.width, source.height, source.channels)
    try:
        yield ref
    finally:
        with suppress(BridgeError):  # a worker that is gone has removed it
            client.drop_pixels(ref.pixels)
