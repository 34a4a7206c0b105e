"""How near live filters come in images of every precision, and in grey ones."""

import json

import numpy as np
from gimp_session import NAMES

from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

PRECISIONS = (
    "U8_NON_LINEAR", "U8_PERCEPTUAL", "U8_LINEAR", "U16_NON_LINEAR", "U16_LINEAR",
    "U32_NON_LINEAR", "U32_LINEAR", "HALF_NON_LINEAR", "HALF_LINEAR", "FLOAT_NON_LINEAR",
    "FLOAT_LINEAR", "DOUBLE_LINEAR",
)  # fmt: skip

GREY = ("U8_NON_LINEAR", "U8_LINEAR", "U16_LINEAR", "FLOAT_LINEAR")

SCRIPT = """
def floats(layer, path, letters):
    w, h = layer.get_width(), layer.get_height()
    data = layer.get_buffer().get(Gegl.Rectangle.new(0, 0, w, h), 1.0, letters + " float",
                                  Gegl.AbyssPolicy.NONE)
    open(path, "wb").write(bytes(data))
    mark("floats", path=path, height=h, width=w)

def opened(path, precision, grey):
    image = load(path)
    if grey:
        image.convert_grayscale()
    if image.get_precision() != precision:
        image.convert_precision(precision)
    return image
"""


def measure(gimp, path, folder, cases, *, precisions=PRECISIONS, grey=False):
    """Errors in 1/255 of each case in each precision: {(precision, number): (layers, mean, max)}.

    The edit is copied from one image to the others, which takes two actions instead of one for
    each image. What was rendered is compared like what is live, with the renderer on GIMP's own
    pixels.
    """
    letters = "Y'" if grey else "R'G'B'"
    script = NAMES + SCRIPT
    for number, (name, parameters) in enumerate(cases):
        plan = {"schema": "imgedit-plan/1",
                "operations": [{"name": name, "parameters": parameters}]}  # fmt: skip
        (folder / f"{number}.json").write_text(json.dumps(plan), "utf-8")
    script += f"""
names = {list(precisions)!r}
for number in range({len(cases)}):
    images = [opened({str(path)!r}, getattr(Gimp.Precision, name), {grey}) for name in names]
    if number == 0:
        for name, image in zip(names, images):
            floats(image.get_layers()[0], {str(folder)!r} + "/" + name, {letters!r})
    first = images[0]
    assert apply_plan(first, first.get_layers(), {str(folder)!r} + "/%d.json" % number)
    assert call("imgedit-copy-edit", first, first.get_layers()[:1])
    for name, image in zip(names, images):
        top = image.get_layers()[0]
        mark("held", precision=name, number=number, layers=len(image.get_layers()))
        top.merge_filters()
        floats(top, {str(folder)!r} + "/%s-%d" % (name, number), {letters!r})
        image.delete()
"""
    run = gimp.run(script, seconds=600)
    channels = len(letters) // 2
    found = {}
    for mark in run.events("held"):
        precision, number = mark["precision"], mark["number"]
        before = _floats(run, folder / precision, channels)
        after = _floats(run, folder / f"{precision}-{number}", channels)
        plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
        wanted = np.asarray(render_plan(Picture(before), plan).pixels)
        assert wanted.shape == after.shape, (precision, cases[number])
        difference = 255 * np.abs(wanted - after)
        found[precision, number] = (mark["layers"], difference.mean(), difference.max())
    return found


def _floats(run, path, channels):
    [mark] = [one for one in run.events("floats") if one["path"] == str(path)]
    return np.fromfile(path, np.float32).reshape(mark["height"], mark["width"], channels)
