"""The plug-in in GIMP: what scripts in GIMP use, and how GIMP's pixels come back."""

import json

import numpy as np

from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

RECOVER = "imgedit-reverse-design-recover-edit"
LIVE = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2})]

NAMES = """\
def call(name, image, layers, **values):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", layers)
    for key, value in values.items():
        config.set_property(key, value)
    result = procedure.run(config)
    if result.index(0) != Gimp.PDBStatusType.SUCCESS:
        mark("refused", name=name, told=Gimp.get_pdb().get_last_error())
        return None
    return result.index(1) if result.length() > 1 else True

def load(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))

def save(image, path):
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(path), None)

def apply_plan(image, layers, path):
    return call("imgedit-apply-plan", image, layers, file=Gio.File.new_for_path(path))

def seen(image, path):
    layer = Gimp.Layer.new_from_visible(image, image, "seen")
    image.insert_layer(layer, None, 0)
    pixels(layer, path)
    image.remove_layer(layer)

def pixels(layer, path):
    width, height = layer.get_width(), layer.get_height()
    area = Gegl.Rectangle.new(0, 0, width, height)
    data = layer.get_buffer().get(area, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE)
    open(path, "wb").write(bytes(data))
    mark("pixels", path=path, width=width, height=height)

def tell(image):
    mark("layers", layers=[
        {"name": one.get_name(), "mask": one.get_mask() is not None,
         "filters": [made.get_name() for made in one.get_filters()],
         "plan": one.get_parasite("imgedit-plan") is not None}
        for one in image.get_layers()])
"""


def pixels_of(run, path):
    """What `seen` or `pixels` wrote, (height, width, 3)."""
    [mark] = [one for one in run.events("pixels") if one["path"] == str(path)]
    return np.fromfile(path, np.uint8).reshape(mark["height"], mark["width"], 3)


def write_plan(path, steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    data = {"schema": "imgedit-plan/1", "operations": operations}
    path.write_text(json.dumps(data), "utf-8")
    return parse_plan(data)


def rendered(path, plan, mask=None):
    return np.asarray(render_plan(open_picture(path), plan, mask=mask).pixels)


def assert_close(got, wanted, mean=0.1, largest=1):
    assert got.shape == wanted.shape
    difference = np.abs(got.astype(int) - wanted.astype(int))
    assert difference.mean() <= mean
    assert difference.max() <= largest
