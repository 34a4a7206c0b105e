"""Executed by GIMP's python-fu-eval; runs the harness's scripts with the names listed below."""

import os
import sys

import editor_marks
import gi

gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp, Gio, GLib, GObject  # noqa: E402


def load(path):
    """Open a file as an image without a window."""
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))


def save(image, path):
    """Save or export an image in the format of the path's extension."""
    file = Gio.File.new_for_path(str(path))
    if not Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None):
        raise OSError(f"GIMP did not save {path}")


def call(procedure, image, drawables, **options):
    """Run a procedure on layers without its dialog; its values, or an error."""
    found = Gimp.get_pdb().lookup_procedure(procedure)
    config = found.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    for name, value in options.items():
        config.set_property(name.replace("_", "-"), value)
    result = found.run(config)
    values = [result.index(number) for number in range(result.length())]
    if values[0] != Gimp.PDBStatusType.SUCCESS:
        raise RuntimeError(f"{procedure}: {values[0]}: {Gimp.get_pdb().get_last_error()}")
    return values[1:]


names = {"Babl": Babl, "Gegl": Gegl, "Gimp": Gimp, "Gio": Gio, "GLib": GLib, "GObject": GObject}
names |= {"load": load, "save": save, "call": call}
editor_marks.started("gimp", Gimp.version())
if "EDITOR_REQUESTS" in os.environ:
    editor_marks.serve(os.environ["EDITOR_REQUESTS"], names)
elif not editor_marks.run_script(os.environ["EDITOR_SCRIPT"], names):
    sys.exit(1)
