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

    What was rendered is compared like what is live, with the renderer on GIMP's own pixels.
    """
    letters = "Y'" if grey else "R'G'B'"
    script = NAMES + SCRIPT
    for number, (name, parameters) in enumerate(cases):
        plan = {"schema": "imgedit-plan/1",
                "operations": [{"name": name, "parameters": parameters}]}  # fmt: skip
        (folder / f"{number}.json").write_text(json.dumps(plan), "utf-8")
    for precision in precisions:
        start = f"opened({str(path)!r}, Gimp.Precision.{precision}, {grey})"
        script += f"""
image = {start}
floats(image.get_layers()[0], {str(folder / precision)!r}, {letters!r})
image.delete()
for number in range({len(cases)}):
    image = {start}
    assert apply_plan(image, image.get_layers()[:1], {str(folder)!r} + "/%d.json" % number)
    top = image.get_layers()[0]
    mark("held", precision={precision!r}, number=number, layers=len(image.get_layers()))
    top.merge_filters()
    floats(top, {str(folder / precision)!r} + "-%d" % number, {letters!r})
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
