"""Previews: a plan on a small copy of a layer, rendered by the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgedit_bridges.client import BridgeError
from imgedit_bridges.krita.background import Steps, Told, Work
from imgedit_bridges.krita.qt import QtGui
from imgedit_bridges.krita.session import Session
from imgedit_bridges.protocol import JobRequest

_CHANNELS = 4


def small(node: Any, width: int, height: int) -> Any:
    """A layer as a QImage of at most that size; None where it shows nothing."""
    bounds = node.bounds()
    if bounds.isEmpty():
        return None
    # Krita fills the size that it is told, whatever the layer's proportions are.
    share = min(width / bounds.width(), height / bounds.height(), 1.0)
    wide, high = (max(1, round(share * side)) for side in (bounds.width(), bounds.height()))
    image = node.thumbnail(wide, high)
    return None if image.isNull() else image


def plan_on(session: Session, node: Any, path: Path, size: int) -> Steps:
    """The layer as it is and as the plan of a file makes it, both QImage.

    Args:
        session: the worker.
        node: a layer.
        path: of a plan, or of a picture that carries one.
        size: of the longer side in pixels, at most.

    Raises:
        BridgeError: the file holds no plan, the layer is empty, or the worker failed.
    """
    before = small(node, size, size)
    if before is None:
        raise BridgeError("The active layer shows nothing.", hint="Choose another layer.")
    before = before.convertToFormat(QtGui.QImage.Format.Format_RGBA8888)
    width, height = before.width(), before.height()
    data = _packed(before)

    def render(told: Told) -> tuple[bytes, int, int]:
        plan, client = session.read_plan(path), session.client
        ref = client.put_picture(data, width, height, _CHANNELS)
        try:
            request = JobRequest("render", {"picture": ref}, plan=plan)
            job, result = session.run(request, told)
            made = result.pictures[0].ref
            with client.open_picture(made) as file:
                pixels = bytes(file.data[: made.pixel_bytes])
            client.forget(job)
        finally:
            session.drop(ref)
        return pixels, made.width, made.height

    pixels, wide, high = yield Work(render)
    form = QtGui.QImage.Format.Format_RGBA8888
    after = QtGui.QImage(pixels, wide, high, _CHANNELS * wide, form).copy()
    return before, after


def _packed(image: Any) -> bytes:
    """Its rows without what Qt puts between them."""
    wide, line = _CHANNELS * image.width(), image.bytesPerLine()
    bits = image.constBits()
    bits.setsize(line * image.height())
    data = bytes(bits)
    return b"".join(data[y * line : y * line + wide] for y in range(image.height()))
