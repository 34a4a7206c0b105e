"""The contenders in GIMP; runs in a process of GIMP's, as plug-ins do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

from benchmarks.bridging import rounds as r  # noqa: E402
from benchmarks.bridging.watched import WatchedClient  # noqa: E402
from imgedit_bridges.gimp import canvas, transfer  # noqa: E402
from imgedit_bridges.protocol import JobRequest, PictureRef  # noqa: E402

_FORMAT = "R'G'B' u8"
_QUIET = Gimp.RunMode.NONINTERACTIVE


class Gimps:
    """The contenders on one open image.

    Args:
        path: of a picture without alpha.
        folder: for PNG files.
        python: that has the project.
    """

    def __init__(self, path: str, folder: str, python: str) -> None:
        self._image = Gimp.file_load(_QUIET, Gio.File.new_for_path(path))
        (self._layer,) = self._image.get_layers()
        self._width, self._height = self._layer.get_width(), self._layer.get_height()
        self._png_in, self._png_out = f"{folder}/in.png", f"{folder}/out.png"
        self._python = python
        self._png = r.PngWorker(python)

    def run(self, rounds: Mapping[str, int], mark: r.Mark) -> None:
        """Measure; see `rounds.run`."""
        contenders: dict[str, r.Contender] = {
            r.WHOLE: lambda times: self._nothing(times, self._height),
            r.BANDS: lambda times: self._nothing(times, r.BAND),
            r.BRIDGE: self._bridge,
            r.PNG: self._by_png,
        }
        mark("picture", width=self._width, height=self._height, format=_FORMAT)
        try:
            r.run(contenders, self._after, rounds, mark)
        finally:
            self._png.close()

    def _nothing(self, times: r.Times, band: int) -> Any:
        areas = [
            Gegl.Rectangle.new(0, top, self._width, min(band, self._height - top))
            for top in range(0, self._height, band)
        ]
        with times.of("read"):
            buffer = self._layer.get_buffer()
            pixels = [buffer.get(a, 1.0, _FORMAT, Gegl.AbyssPolicy.NONE) for a in areas]
        with times.of("write"):
            made = self._new_layer()
            target = made.get_buffer()
            for area, values in zip(areas, pixels, strict=True):
                target.set(area, _FORMAT, values)
            target.flush()
            made.update(0, 0, self._width, self._height)
            self._image.insert_layer(made, None, 0)
        return made

    def _bridge(self, times: r.Times) -> Any:
        # A new client each time: so it is with plug-ins.
        client = WatchedClient("gimp", self._python, times)

        def request(picture: PictureRef) -> JobRequest:
            return JobRequest("render", {"picture": picture}, plan=r.PLAN)

        job, result = transfer.run_on(client, [self._layer], request, lambda *_: True)
        (picture,) = result.pictures
        made = canvas.new_layer(self._image, picture.ref, "edit")
        transfer.write(client, picture.ref, made)
        self._image.insert_layer(made, None, 0)
        client.forget(job)
        client.end()
        return made

    def _by_png(self, times: r.Times) -> Any:
        with times.of("read"):
            self._save_png()
        with times.of("job"):
            self._png.invert(self._png_in, self._png_out)
        with times.of("write"):
            file = Gio.File.new_for_path(self._png_out)
            made = Gimp.file_load_layer(_QUIET, self._image, file)
            self._image.insert_layer(made, None, 0)
        return made

    def _save_png(self) -> None:
        export = Gimp.get_pdb().lookup_procedure("file-png-export")
        config = export.create_config()
        config.set_property("run-mode", _QUIET)
        config.set_property("image", self._image)
        config.set_property("file", Gio.File.new_for_path(self._png_in))
        config.set_property("compression", 1)
        if export.run(config).index(0) != Gimp.PDBStatusType.SUCCESS:
            raise RuntimeError("GIMP wrote no PNG file.")

    def _after(self, name: str, made: Any) -> bool:
        """Whether a strip of the middle is right."""
        area = Gegl.Rectangle.new(0, self._height // 2, self._width, 64)
        before, got = (
            bytes(layer.get_buffer().get(area, 1.0, _FORMAT, Gegl.AbyssPolicy.NONE))
            for layer in (self._layer, made)
        )
        if name in (r.BRIDGE, r.PNG):
            before = before.translate(bytes(range(255, -1, -1)))
        self._image.remove_layer(made)
        for path in (self._png_in, self._png_out):
            if os.path.exists(path):  # noqa: PTH110  (files in memory, of this run)
                os.unlink(path)  # noqa: PTH108
        return before == got

    def _new_layer(self) -> Any:
        size = (self._width, self._height)
        kind = Gimp.ImageType.RGB_IMAGE
        return Gimp.Layer.new(self._image, "copy", *size, kind, 100.0, Gimp.LayerMode.NORMAL)
