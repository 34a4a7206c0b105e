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


@pytest.mark.parametrize("feather", [0, 12])
def test_what_the_edit_is_limited_to_stays(plugin, photo, folder, feather):
    path, _ = photo
    cases = [(LIVE, 100), (ONE, 40), (LIVE, 50), ([("gaussian", {"kernel": 5})], 100), (LIVE, 100),
             (MIXED, 100)]  # fmt: skip
    script = (
        MORE
        + f"""
image = load({str(path)!r})
layer = image.get_layers()[0]
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
if {feather}:
    Gimp.Selection.feather(image, {feather})
mask = image.get_selection().get_buffer().get(
    Gegl.Rectangle.new(0, 0, 240, 160), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
open({str(folder / "mask.bin")!r}, "wb").write(bytes(mask))
"""
    )
    for number, (steps, strength) in enumerate(cases):
        write_plan(folder / f"{number}.json", steps)
        script += f"""
if {number} == 0:
    apply_plan(image, [layer], {str(folder / "0.json")!r})
    Gimp.Selection.none(image)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 30, 30)
else:
    adjust(image, layer, {str(folder / f"{number}.json")!r}, {float(strength)})
layer = image.get_selected_layers()[0]
assert Gimp.Selection.bounds(image)[2:] == (0, 0, 30, 30)
tell(image)
seen(image, {str(folder / f"{number}.bin")!r})
"""
    run = plugin.run(script, seconds=300)
    mask = np.fromfile(folder / "mask.bin", np.uint8).reshape(160, 240)
    for number, (steps, strength) in enumerate(cases):
        plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
        print(number, steps, run.events("layers")[number])
        assert_close(
            pixels_of(run, folder / f"{number}.bin"),
            rendered(path, plan, strength / 100, mask),
            largest=5 if steps[0][0] == "gaussian" else 2,
        )


def test_a_reopened_edit_can_be_changed(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "mixed.json", MIXED)
    other = write_plan(folder / "other.json", [("sepia", {}), ("sharp", {}), ("invert", {})])
    run = plugin.run(MORE + f"""
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "mixed.json")!r})
save(image, {str(folder / "edit.xcf")!r})
image.delete()
image = load({str(folder / "edit.xcf")!r})
adjust(image, image.get_layers()[0], {str(folder / "other.json")!r}, 70.0)
tell(image)
seen(image, {str(folder / "seen.bin")!r})
pixels(image.get_layers()[1], {str(folder / "below.bin")!r})
""")  # fmt: skip
    assert [one["plan"] for one in run.events("layers")[0]["layers"]] == [True, False]
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, other, 0.7))
    np.testing.assert_array_equal(pixels_of(run, folder / "below.bin"), photo[1])


def test_filters_of_others_and_what_the_user_set_stay(plugin, photo, folder):
    """A filter below, the layer's name, opacity, mode and mask, a group."""
    path, _ = photo
    write_plan(folder / "live.json", LIVE)
    write_plan(folder / "one.json", ONE)
    run = plugin.run(MORE + f"""
image = load({str(path)!r})
layer = image.get_layers()[0]
group = Gimp.GroupLayer.new(image, "group")
image.insert_layer(group, None, 0)
image.reorder_item(layer, group, 0)
theirs = Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "Theirs")
layer.append_filter(theirs)
apply_plan(image, [layer], {str(folder / "live.json")!r})
layer.set_name("A name")
layer.set_opacity(60)
layer.set_mode(Gimp.LayerMode.SCREEN)
layer.add_mask(layer.create_mask(Gimp.AddMaskType.BLACK))
layer.set_offsets(3, 4)
tattoo = layer.get_tattoo()
adjust(image, layer, {str(folder / "one.json")!r})
[layer] = group.get_children()
mark("kept", name=layer.get_name(), opacity=round(layer.get_opacity()), mode=int(layer.get_mode()),
     screen=int(Gimp.LayerMode.SCREEN), mask=layer.get_mask().get_pixel(5, 5).get_rgba()[0],
     offsets=list(layer.get_offsets()[1:]), same=layer.get_tattoo() == tattoo,
     filters=[one.get_name() for one in layer.get_filters()])
""")  # fmt: skip
    [kept] = run.events("kept")
    assert kept["filters"] == ["Contrast ×1.3", "Theirs"]
    assert (kept["name"], kept["opacity"], kept["mode"]) == ("A name", 60, kept["screen"])
    assert (kept["mask"], kept["offsets"], kept["same"]) == (0, [3, 4], True)


def test_a_preview_that_was_left_behind_is_taken_away(plugin, photo, folder):
    """GIMP or the plug-in ended meanwhile, or the file was saved with it."""
    path, _ = photo
    write_plan(folder / "live.json", LIVE)
    one = write_plan(folder / "one.json", ONE)
    run = plugin.run(MORE + f"""
image = load({str(path)!r})
[layer] = image.get_layers()
apply_plan(image, [layer], {str(folder / "live.json")!r})
for made in layer.get_filters():
    made.set_visible(False)
layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "Invert (preview)"))
save(image, {str(folder / "edit.xcf")!r})
image = load({str(folder / "edit.xcf")!r})
adjust(image, image.get_layers()[0], {str(folder / "one.json")!r})
tell(image)
seen(image, {str(folder / "seen.bin")!r})
""")  # fmt: skip
    assert run.events("layers")[0]["layers"][0]["filters"] == ["Contrast ×1.3"]
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, one))


def test_without_the_layer_before_the_edit_only_live_steps_change(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "mixed.json", MIXED)
    write_plan(folder / "live.json", [("sharp", {}), *ONE])
    write_plan(folder / "blur.json", [("blur", {"kernel": 5})])
    run = plugin.run(MORE + f"""
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "mixed.json")!r})
image.remove_layer(image.get_layers()[1])
adjust(image, image.get_layers()[0], {str(folder / "live.json")!r})
tell(image)
file = Gio.File.new_for_path({str(folder / "blur.json")!r})
call("imgedit-adjust-edit", image, image.get_layers(), file=file, strength=100.0)
tell(image)
""")  # fmt: skip
    changed, refused = (mark["layers"] for mark in run.events("layers"))
    assert changed[0]["filters"] == ["Contrast ×1.3"]
    assert refused == changed
    told = run.events("refused")[0]["told"]
    assert "The layer from which this edit was rendered is gone" in told
