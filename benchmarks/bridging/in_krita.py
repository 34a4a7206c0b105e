"""The contenders in Krita; runs in Krita's own Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from krita import InfoObject, Krita

from benchmarks.bridging import rounds as r
from benchmarks.bridging.watched import WatchedClient
from imgedit_bridges.krita import canvas
from imgedit_bridges.krita.background import Steps, Task, Work
from imgedit_bridges.krita.qt import QtCore
from imgedit_bridges.protocol import JobRequest


class Kritas:
    """The contenders on one open document.

    Args:
        path: of a picture.
        folder: for PNG files.
        python: that has the project.
    """

    def __init__(self, path: str, folder: str, python: str) -> None:
        self._document = Krita.instance().openDocument(path)
        Krita.instance().setBatchmode(True)  # no dialogs
        self._document.setBatchmode(True)
        (self._node,) = self._document.topLevelNodes()
        self._frame = canvas.frame_of(self._document)
        self._png_in, self._png_out = f"{folder}/in.png", f"{folder}/out.png"
        self._python = python
        self._png = r.PngWorker(python)

    def run(self, rounds: Mapping[str, int], mark: r.Mark) -> None:
        """Measure; see `rounds.run`."""
        contenders: dict[str, r.Contender] = {
            r.WHOLE: lambda times: self._nothing(times, self._frame.height),
            r.BANDS: lambda times: self._nothing(times, r.BAND),
            r.BRIDGE: self._bridge,
            r.PNG: self._by_png,
        }
        space = f"{self._node.colorModel()} {self._node.colorDepth()}"
        mark("picture", width=self._frame.width, height=self._frame.height, format=space)
        try:
            r.run(contenders, self._after, rounds, mark)
        finally:
            self._png.close()

    def _nothing(self, times: r.Times, band: int) -> Any:
        width, height = self._frame.width, self._frame.height
        areas = [(0, top, width, min(band, height - top)) for top in range(0, height, band)]
        with times.of("read"):
            pixels = [bytes(self._node.pixelData(*area)) for area in areas]
        with times.of("write"):
            made = self._document.createNode("copy", "paintlayer")
            for area, values in zip(areas, pixels, strict=True):
                made.setPixelData(values, *area)
            self._document.rootNode().addChildNode(made, None)
        return made

    def _bridge(self, times: r.Times) -> Any:
        # A new client each time, as in GIMP, though the extension keeps its own.
        client = WatchedClient("krita", self._python, times)
        made = _carried_out(self._round_trip(client))
        self._document.rootNode().addChildNode(made, None)
        client.end()
        return made

    def _round_trip(self, client: WatchedClient) -> Steps:
        source = canvas.Source(self._document, self._node)
        ref = yield from canvas.upload(client, source, self._frame)
        request = JobRequest("render", {"picture": ref}, plan=r.PLAN)
        job, result = yield Work(lambda _: client.run(request))
        yield Work(lambda _: client.drop_pixels(ref.pixels))
        (picture,) = result.pictures
        made = yield from canvas.new_layer(client, self._document, picture.ref, self._frame, "edit")
        yield Work(lambda _: client.forget(job))
        return made

    def _by_png(self, times: r.Times) -> Any:
        with times.of("read"):
            how = InfoObject()
            how.setProperty("compression", 1)
            self._node.save(self._png_in, 72.0, 72.0, how, QtCore.QRect())
        with times.of("job"):
            self._png.invert(self._png_in, self._png_out)
        with times.of("write"):
            opened = Krita.instance().openDocument(self._png_out)
            loaded = opened.topLevelNodes()[0]
            area = (0, 0, self._frame.width, self._frame.height)
            made = self._document.createNode("loaded", "paintlayer")
            made.setPixelData(loaded.pixelData(*area), *area)
            self._document.rootNode().addChildNode(made, None)
            opened.close()
        return made

    def _after(self, name: str, made: Any) -> bool:
        """Whether a strip of the middle is right."""
        self._document.waitForDone()
        area = (0, self._frame.height // 2, self._frame.width, 64)
        before, got = (bytes(node.pixelData(*area)) for node in (self._node, made))
        if name in (r.BRIDGE, r.PNG):
            inverted = bytearray(before.translate(bytes(range(255, -1, -1))))
            inverted[3::4] = before[3::4]
            before = bytes(inverted)
        made.remove()
        self._document.waitForDone()
        for path in (self._png_in, self._png_out):
            if os.path.exists(path):  # noqa: PTH110  (files in memory, of this run)
                os.unlink(path)  # noqa: PTH108
        return before == got


def _carried_out(steps: Steps) -> Any:
    """The result of a task that Krita's event loop carries out."""
    loop = QtCore.QEventLoop()
    ends: list[tuple[Any, Any]] = []

    def ended(value: Any, error: Any) -> None:
        ends.append((value, error))
        loop.quit()

    task = Task(steps)
    task.ended.connect(ended)
    task.start()
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    value, error = ends[0]
    if error is not None:
        raise error
    return value
