"""Previews: a plan or a plugin's action on a small copy of a layer, made by the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imgedit_bridges import edits
from imgedit_bridges.client import BridgeError
from imgedit_bridges.edits import Plan
from imgedit_bridges.krita.background import Steps, Told, Work
from imgedit_bridges.krita.qt import QtGui
from imgedit_bridges.krita.session import Session
from imgedit_bridges.protocol import JobRequest, PictureRef
from imgedit_bridges.step_previews import PreviewPicture

_Pixels = tuple[bytes, PictureRef]
_FORMATS = {
    1: QtGui.QImage.Format.Format_Grayscale8,
    3: QtGui.QImage.Format.Format_RGB888,
    4: QtGui.QImage.Format.Format_RGBA8888,
}  # by channels


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


def image_of(picture: PreviewPicture) -> Any:
    """A step of an edit as a QImage."""
    wide, high = picture.width, picture.height
    image = QtGui.QImage(picture.pixels, wide, high, 3 * wide, _FORMATS[3])
    return image.copy()  # which keeps its pixels itself


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
    return _tried(session, node, size, lambda ref, told: _rendered(
        session, ref, session.read_plan(path), told))  # fmt: skip


def action_on(
    session: Session, node: Any, action: Mapping[str, Any], values: Mapping[str, Any], size: int
) -> Steps:
    """The layer as it is and as a plugin's action makes it, both QImage.

    Args:
        session: the worker.
        node: a layer.
        action: as `Client.actions` tells it; one that takes one picture.
        values: 'instruction' and 'options', as `seam.Engine.start` takes them.
        size: of the longer side in pixels, at most.

    Raises:
        BridgeError: the layer is empty, or the plugin or the worker failed.
    """
    hook = str(action["hook"])
    name = "source" if hook == "predict_operations" else "picture"

    def called(ref: PictureRef, told: Told) -> _Pixels:
        request = JobRequest(
            hook, {name: ref}, plugin=action["plugin"] or None,
            instruction=values.get("instruction") or None,
            options={**(values.get("options") or {}), **action.get("fixed", {})},
        )  # fmt: skip
        job, result = session.run(request, told)
        try:
            if result.pictures:
                return _read(session, result.pictures[0].ref)
            return _rendered(session, ref, edits.recovered(result), told)
        finally:
            session.client.forget(job)

    return _tried(session, node, size, called)


def _tried(
    session: Session, node: Any, size: int, make: Callable[[PictureRef, Told], _Pixels]
) -> Steps:
    """Both pictures; `make` runs on a thread."""
    before = small(node, size, size)
    if before is None:
        raise BridgeError("The active layer shows nothing.", hint="Choose another layer.")
    before = before.convertToFormat(QtGui.QImage.Format.Format_RGBA8888)
    width, height = before.width(), before.height()
    data = _packed(before)

    def work(told: Told) -> _Pixels:
        ref = session.client.put_picture(data, width, height, 4)
        try:
            return make(ref, told)
        finally:
            session.drop(ref)

    pixels, ref = yield Work(work)
    form = _FORMATS[ref.channels]
    after = QtGui.QImage(pixels, ref.width, ref.height, ref.channels * ref.width, form)
    return before, after.copy()


def _rendered(session: Session, ref: PictureRef, plan: Plan, told: Told) -> _Pixels:
    job, result = session.run(JobRequest("render", {"picture": ref}, plan=plan), told)
    try:
        return _read(session, result.pictures[0].ref)
    finally:
        session.client.forget(job)


def _read(session: Session, ref: PictureRef) -> _Pixels:
    if ref.dtype != "uint8" or ref.channels not in _FORMATS:
        raise BridgeError("There is no preview of such a picture.")
    with session.client.open_picture(ref) as file:
        return bytes(file.data[: ref.pixel_bytes]), ref


def _packed(image: Any) -> bytes:
    """Its rows without what Qt puts between them."""
    wide, line = 4 * image.width(), image.bytesPerLine()
    bits = image.constBits()
    bits.setsize(line * image.height())
    data = bytes(bits)
    return b"".join(data[y * line : y * line + wide] for y in range(image.height()))
