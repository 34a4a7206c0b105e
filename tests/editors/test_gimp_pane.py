"""Edits of layers changed and weakened in the real GIMP, against what the renderer makes."""

import json

import numpy as np
import pytest
from gimp_session import NAMES, pixels_of

from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

LIVE = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2})]
MORE = (
    NAMES
    + """
def adjust(image, layer, path=None, strength=100.0):
    file = Gio.File.new_for_path(path) if path else None
    assert call("imgedit-adjust-edit", image, [layer], file=file, strength=strength)
"""
)


def write_plan(path, steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    data = {"schema": "imgedit-plan/1", "operations": operations}
    path.write_text(json.dumps(data), "utf-8")
    return parse_plan(data)


def rendered(path, plan, strength=1.0, mask=None):
    picture = render_plan(open_picture(path), plan, mask=mask, strength=strength)
    return np.asarray(picture.pixels)


def assert_close(got, wanted, mean=0.5, largest=1):
    assert got.shape == wanted.shape
    difference = np.abs(got.astype(int) - wanted.astype(int))
    assert difference.mean() <= mean
    assert difference.max() <= largest


ONE = [("contrast", {"gain": 1.3})]
LIGHT = [("exposure", {"stops": 0.7})]
GREY = [("grayscale", {})]
MIXED = [("sharp", {}), *LIVE]
TURNED = [*LIVE, ("rotate", {"degrees": 90})]


@pytest.mark.parametrize("strength", [0, 35, 100, 160])
def test_a_strength_is_that_of_the_command_line(plugin, photo, folder, strength):
    path, _ = photo
    cases = {"one": ONE, "light": LIGHT, "grey": GREY, "sepia": [("sepia", {})],
             "dull": [("saturate", {"factor": 0.4})], "dark": [("bright", {"offset": -60})],
             "invert": [("invert", {})], "live": LIVE, "mixed": MIXED,
             "turned": TURNED}  # fmt: skip
    plans = {name: write_plan(folder / f"{name}.json", steps) for name, steps in cases.items()}
    script = MORE
    for name in cases:
        script += f"""
image = load({str(path)!r})
call("imgedit-apply-plan", image, image.get_layers(), strength={float(strength)},
     file=Gio.File.new_for_path({str(folder / f"{name}.json")!r}))
mark("case", name={name!r})
tell(image)
if {name!r} == "turned":
    image.get_layers()[0].merge_filters()
    pixels(image.get_layers()[0], {str(folder / f"{name}.bin")!r})
else:
    seen(image, {str(folder / f"{name}.bin")!r})
"""
    run = plugin.run(script, seconds=300)
    errors = {}
    for name, plan in plans.items():
        got = pixels_of(run, folder / f"{name}.bin")
        difference = np.abs(got.astype(int) - rendered(path, plan, strength / 100))
        errors[name] = (difference.mean(), difference.max())
    print(errors)
    assert all(mean <= 0.51 and largest <= 2 for mean, largest in errors.values()), errors
    cases = zip(run.events("case"), run.events("layers"), strict=True)
    layers = {case["name"]: event["layers"] for case, event in cases}
    live = {name for name, found in layers.items() if found[0]["filters"]}
    if strength < 100:
        assert live == set(plans) - {"turned"}
        own = {name for name, found in layers.items() if len(found) == 2}
        assert own == {"live", "light", "mixed", "turned"}
    else:
        assert live == (set(plans) if strength == 100 else set())


def test_the_edit_of_a_layer_is_changed_again_and_again(plugin, photo, folder):
    """Live, rendered, weak, live again; always from the picture before the edit."""
    path, _ = photo
    cases = [(LIVE, 100), (ONE, 40), (MIXED, 100), (MIXED, 30), (LIVE, 60), (GREY, 150),
             ([], 100), (LIVE, 100), ([*LIVE, ("flip", {})], 100), (LIVE, 100)]  # fmt: skip
    script = MORE + f"image = load({str(path)!r})\nlayer = image.get_layers()[0]\n"
    for number, (steps, strength) in enumerate(cases):
        write_plan(folder / f"{number}.json", steps)
        script += f"""
adjust(image, layer, {str(folder / f"{number}.json")!r}, {float(strength)})
layer = image.get_selected_layers()[0]
tell(image)
seen(image, {str(folder / f"{number}.bin")!r})
"""
    run = plugin.run(script, seconds=300)
    for number, (steps, strength) in enumerate(cases):
        plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
        print(number, steps)
        assert_close(pixels_of(run, folder / f"{number}.bin"), rendered(path, plan, strength / 100))
    assert all(len(event["layers"]) <= 2 for event in run.events("layers"))
