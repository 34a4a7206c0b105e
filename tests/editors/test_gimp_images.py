"""Layers of all kinds in the real GIMP: the edit looks as if the layer's own pixels were edited.

A first run of GIMP builds each image, writes the layer's pixels down and applies the plan by the
plug-in; a second one builds it again and puts there what the core makes of those pixels.
"""

import itertools

import numpy as np
import pytest
from gimp_session import LIVE, NAMES, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

PLANS = {"live": LIVE, "blur": [("gaussian", {"kernel": 9})], "rendered": [("sharp", {})]}
EDITS = [("live", "nothing"), ("live", "hard"), ("live", "soft"), ("blur", "hard"),
         ("rendered", "nothing"), ("rendered", "soft")]  # fmt: skip
LAYERS = {
    "alpha": "layer = faded(top)",
    "multiply": "layer = top; top.set_mode(Gimp.LayerMode.MULTIPLY); top.set_opacity(60)",
    "offset": "layer = top; top.scale(150, 90, False); top.set_offsets(-20, 30)",
    "mask": "layer = top; add_mask(top)",
    "group": "layer = grouped(image, faded(top))",
    "pass-through": "layer = grouped(image, faded(top)); "
    "layer.set_mode(Gimp.LayerMode.PASS_THROUGH)",
    "group with mask": "layer = grouped(image, faded(top)); add_mask(layer)",
    "opaque group": "layer = grouped(image, top)",
    "opaque pass-through": "layer = grouped(image, top); "
    "layer.set_mode(Gimp.LayerMode.PASS_THROUGH)",
    "filtered": "layer = faded(top); live(layer, 'gegl:invert-gamma')",
}

BUILD = (
    NAMES
    + """
def values(drawable, form):
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return bytes(drawable.get_buffer().get(area, 1.0, form, Gegl.AbyssPolicy.NONE))

def put(drawable, form, data):
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    buffer = drawable.get_buffer()
    buffer.set(area, form, data)
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())

def ramp(drawable, low):
    w, h = drawable.get_width(), drawable.get_height()
    return [low + (255 - low) * x // (w - 1) for x in range(w)] * h

def faded(layer):
    layer.add_alpha()
    data = bytearray(values(layer, "R'G'B'A u8"))
    data[3::4] = bytes(ramp(layer, 40))
    put(layer, "R'G'B'A u8", bytes(data))
    return layer

def add_mask(layer):
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    put(mask, "Y u8", bytes(ramp(mask, 0)))

def grouped(image, layer):
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    return group

def live(layer, operation):
    layer.append_filter(Gimp.DrawableFilter.new(layer, operation, operation))

def built(kind, selection):
    image = load(BELOW)
    top = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(ABOVE))
    image.insert_layer(top, None, 0)
    names = {"image": image, "top": top}
    exec(LAYERS[kind], {**globals(), **names}, names)
    if selection != "nothing":
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 40, 36, 90, 60)
    if selection == "soft":
        Gimp.Selection.feather(image, 14)
    return image, names["layer"]

def own_pixels(image, layer):
    "Of the layer with its filters, as a picture by itself."
    copy = image.duplicate()
    layer = copy.get_layers()[0]
    if layer.get_mask():
        layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    layer.set_mode(Gimp.LayerMode.NORMAL)
    layer.set_opacity(100)
    layer = layer.merge() if layer.is_group_layer() else layer
    layer.merge_filters()
    return copy, layer
"""
)


@pytest.fixture
def pictures(folder):
    below, above = folder / "below.png", folder / "above.png"
    save_picture(photograph(160, 120, seed=5), below)
    save_picture(photograph(160, 120, seed=6), above)
    return f"BELOW, ABOVE = {str(below)!r}, {str(above)!r}\nLAYERS = {LAYERS!r}\n"


def test_layers_of_all_kinds_are_edited_as_they_are_seen(plugin, folder, pictures):
    cases = [(kind, *edit) for kind, edit in itertools.product(LAYERS, EDITS)]
    plans = {name: write_plan(folder / f"{name}.json", steps) for name, steps in PLANS.items()}
    first = plugin.run(BUILD + pictures + f"""
for number, (kind, plan, selection) in enumerate({cases!r}):
    out = {str(folder)!r} + "/%d" % number
    image, layer = built(kind, selection)
    drawable = layer.get_mask() if kind == "mask" else layer
    copy, own = own_pixels(image, layer)
    open(out + ".own", "wb").write(values(own, "R'G'B'A u8"))
    x, y = layer.get_offsets()[1:]
    area = Gegl.Rectangle.new(x, y, layer.get_width(), layer.get_height())
    mask = image.get_selection().get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    open(out + ".mask", "wb").write(bytes(mask))
    copy.delete()
    done = apply_plan(image, [drawable], {str(folder)!r} + "/%s.json" % plan)
    mark("case", number=number, size=[layer.get_height(), layer.get_width()], done=bool(done),
         layers=len(image.get_layers()))
    Gimp.Selection.none(image)
    seen(image, out + ".seen")
    image.delete()
""", seconds=600)  # fmt: skip
    assert [mark for mark in first.events("case") if not mark["done"]] == []
    for mark in first.events("case"):
        number = mark["number"]
        own = np.fromfile(folder / f"{number}.own", np.uint8).reshape(*mark["size"], 4)
        mask = np.fromfile(folder / f"{number}.mask", np.uint8).reshape(*mark["size"])
        _, plan, selection = cases[number]
        made = render_plan(Picture(own), plans[plan], mask=mask if selection != "nothing" else None)
        np.asarray(made.pixels).tofile(folder / f"{number}.made")
    second = plugin.run(BUILD + pictures + f"""
for number, (kind, plan, selection) in enumerate({cases!r}):
    out = {str(folder)!r} + "/%d" % number
    image, layer = built(kind, "nothing")
    flat = Gimp.Layer.new(image, "made", layer.get_width(), layer.get_height(),
                          Gimp.ImageType.RGBA_IMAGE, layer.get_opacity(), layer.get_mode())
    if layer.get_mode() == Gimp.LayerMode.PASS_THROUGH:
        flat.set_mode(Gimp.LayerMode.NORMAL)
    image.insert_layer(flat, None, 0)
    flat.set_offsets(*layer.get_offsets()[1:])
    put(flat, "R'G'B'A u8", open(out + ".made", "rb").read())
    if layer.get_mask():
        add_mask(flat)
    layer.set_visible(False)
    seen(image, out + ".wanted")
    image.delete()
""", seconds=600)  # fmt: skip
    faults = []
    for number, case in enumerate(cases):
        got = np.fromfile(folder / f"{number}.seen", np.uint8).astype(int)
        wanted = np.fromfile(folder / f"{number}.wanted", np.uint8).astype(int)
        difference = np.abs(got - wanted)
        limits = (0.5, 24) if case[1] == "blur" else (0.5, 2)
        print(case, first.events("case")[number]["layers"], difference.mean(), difference.max())
        if difference.mean() > limits[0] or difference.max() > limits[1]:
            faults.append((case, difference.mean(), difference.max()))
    assert not faults
    assert len(second.events("pixels")) == len(cases)
