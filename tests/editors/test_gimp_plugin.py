"""The plug-in in the real GIMP: installed as a user does, every menu entry, saved and reopened."""

import json

import numpy as np
import pytest
from gimp_session import LIVE, NAMES, assert_close, pixels_of, rendered, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors


def test_the_menu_has_an_entry_for_each_action(plugin):
    run = plugin.run("""
for name in ("imgedit-reverse-design-recover-edit", "imgedit-apply-plan", "imgedit-copy-edit",
             "imgedit-save-plan", "imgedit-explain"):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    mark("entry", label=procedure.get_menu_label(), paths=list(procedure.get_menu_paths()))
""")
    entries = run.events("entry")
    assert [entry["label"].replace("_", "") for entry in entries] == [
        "Recover edit from two layers…",
        "Apply plan…",
        "Copy this edit to other open images",
        "Save plan…",
        "Explain this layer's edit",
    ]
    assert {path for entry in entries for path in entry["paths"]} == {"<Image>/Filters/imgedit"}


def test_the_edit_between_two_layers_is_recovered(plugin, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(320, 240), before)
    plan = write_plan(folder / "plan.json", [("bright", {"offset": 30}), ("invert", {})])
    save_picture(render_plan(photograph(320, 240), plan), after)
    run = plugin.run(NAMES + f"""
image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
mark("plan", plan=call("imgedit-reverse-design-recover-edit", image, image.get_layers()))
tell(image)
seen(image, {str(folder / "seen.bin")!r})
pixels(image.get_layers()[2], {str(folder / "before.bin")!r})
""", seconds=240)  # fmt: skip
    found = parse_plan(run.events("plan")[0]["plan"])
    assert_close(rendered(before, found), np.asarray(open_picture(after).pixels))
    top, *others = run.events("layers")[0]["layers"]
    assert top["plan"]
    assert top["filters"]
    assert [other["filters"] for other in others] == [[], []]
    assert_close(pixels_of(run, folder / "seen.bin"), np.asarray(open_picture(after).pixels))
    np.testing.assert_array_equal(
        pixels_of(run, folder / "before.bin"), np.asarray(open_picture(before).pixels)
    )


def test_what_cannot_be_live_is_rendered_and_what_follows_is_live(plugin, photo, folder):
    path, pixels = photo
    steps = [("bright", {"offset": -20}), ("sharp", {}), ("rotate", {"degrees": 90}), *LIVE]
    plan = write_plan(folder / "plan.json", steps)
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
top, bottom = image.get_layers()
pixels(bottom, {str(folder / "bottom.bin")!r})
top.merge_filters()
pixels(top, {str(folder / "top.bin")!r})
""")  # fmt: skip
    top, bottom = run.events("layers")[0]["layers"]
    assert top["filters"] == ["Contrast ×1.2", "Brightness +40"]
    assert (top["plan"], bottom["plan"], bottom["filters"]) == (True, False, [])
    np.testing.assert_array_equal(pixels_of(run, folder / "bottom.bin"), pixels)
    assert_close(pixels_of(run, folder / "top.bin"), rendered(path, plan))


@pytest.mark.parametrize("feather", [0, 12])
@pytest.mark.parametrize("steps", [LIVE, [("gaussian", {"kernel": 9})], [("sharp", {})]])
def test_a_selection_limits_the_edit(plugin, photo, folder, steps, feather):
    path, _ = photo
    plan = write_plan(folder / "plan.json", steps)
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
if {feather}:
    Gimp.Selection.feather(image, {feather})
mask = image.get_selection().get_buffer().get(
    Gegl.Rectangle.new(0, 0, 240, 160), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
open({str(folder / "mask.bin")!r}, "wb").write(bytes(mask))
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
assert not Gimp.Selection.is_empty(image)
tell(image)
seen(image, {str(folder / "live.bin")!r})
save(image, {str(folder / "edit.xcf")!r})
again = load({str(folder / "edit.xcf")!r})
seen(again, {str(folder / "again.bin")!r})
""")  # fmt: skip
    mask = np.fromfile(folder / "mask.bin", np.uint8).reshape(160, 240)
    layers = run.events("layers")[0]["layers"]
    assert layers[0]["plan"]
    assert [one["mask"] for one in layers] == ([False] if feather == 0 and steps is LIVE
                                               else [True, False])  # fmt: skip
    live = pixels_of(run, folder / "live.bin")
    blurs = steps[0][0] == "gaussian"
    assert_close(live, rendered(path, plan, mask), mean=0.1, largest=5 if blurs else 1)
    np.testing.assert_array_equal(pixels_of(run, folder / "again.bin"), live)


def test_a_plan_that_moves_pixels_is_refused_while_something_is_selected(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", [*LIVE, ("rotate", {"degrees": 90})])
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
""")  # fmt: skip
    assert "which a selection cannot limit" in run.events("refused")[0]["told"]
    assert run.events("layers")[0]["layers"][0]["filters"] == []


def test_saved_and_reopened_everything_is_there(plugin, photo, folder):
    path, _ = photo
    steps = [*LIVE, ("saturate", {"factor": 1.4}), ("gaussian", {"kernel": 5})]
    write_plan(folder / "plan.json", steps)
    names = {name: str(folder / name) for name in ("edit.xcf", "saved.json", "1.bin", "2.bin")}
    run = plugin.run(NAMES + f"""
names = {names!r}
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
seen(image, names["1.bin"])
tell(image)
save(image, names["edit.xcf"])
image.delete()
""")  # fmt: skip
    again = plugin.run(NAMES + f"""
names = {names!r}
image = load(names["edit.xcf"])
seen(image, names["2.bin"])
tell(image)
layers = image.get_layers()
call("imgedit-save-plan", image, layers, file=Gio.File.new_for_path(names["saved.json"]))
mark("explained", text=call("imgedit-explain", image, layers))
""")  # fmt: skip
    assert again.events("layers")[0]["layers"] == run.events("layers")[0]["layers"]
    np.testing.assert_array_equal(
        pixels_of(again, folder / "2.bin"), pixels_of(run, folder / "1.bin")
    )
    saved = parse_plan((folder / "saved.json").read_text("utf-8"))
    assert [step.name for step in saved.operations] == [name for name, _ in steps]
    explained = again.events("explained")[0]["text"]
    assert "1. bright (offset 40): live" in explained
    assert "4. gaussian (kernel 5): live" in explained


def test_sixteen_bits_alpha_and_a_group_are_kept(plugin, folder):
    path = folder / "deep.png"
    picture = photograph(120, 90, mode="RGBA", dtype="uint16")
    save_picture(picture, path)
    plan = write_plan(folder / "plan.json", [*LIVE, ("exposure", {"stops": 0.3}), ("invert", {})])
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
group = Gimp.GroupLayer.new(image, "group")
image.insert_layer(group, None, 0)
layer = image.get_layers()[1]
image.reorder_item(layer, group, 0)
layer.set_offsets(7, -5)
apply_plan(image, [layer], {str(folder / "plan.json")!r})
top, bottom = group.get_children()
mark("held", offsets=list(top.get_offsets())[1:], precision=int(image.get_precision()),
     filters=[one.get_name() for one in top.get_filters()])
top.merge_filters()
area = Gegl.Rectangle.new(0, 0, 120, 90)
data = top.get_buffer().get(area, 1.0, "R'G'B'A u16", Gegl.AbyssPolicy.NONE)
open({str(folder / "top.bin")!r}, "wb").write(bytes(data))
""")  # fmt: skip
    [held] = run.events("held")
    assert held["offsets"] == [7, -5]
    assert held["precision"] // 100 == 2
    assert held["filters"] == ["Invert", "Exposure +0.3 EV: clip", "Exposure +0.3 EV"]
    got = np.fromfile(folder / "top.bin", np.uint16).reshape(90, 120, 4).astype(int)
    wanted = np.asarray(render_plan(picture, plan).pixels).astype(int)
    np.testing.assert_array_equal(got[:, :, 3], wanted[:, :, 3])
    seen = wanted[:, :, 3] > 0
    assert np.abs(got - wanted)[seen].max() <= 8


def test_several_selected_layers_get_the_edit(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", LIVE)
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.insert_layer(image.get_layers()[0].copy(), None, 0)
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
""")  # fmt: skip
    names = ["Contrast ×1.2", "Brightness +40"]
    assert [one["filters"] for one in run.events("layers")[0]["layers"]] == [names, names]


def test_an_edit_is_copied_to_the_other_open_images(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", [("sharp", {}), *LIVE])
    run = plugin.run(
        NAMES
        + f"""
images = [load({str(path)!r}) for _ in range(3)]
apply_plan(images[0], images[0].get_layers(), {str(folder / "plan.json")!r})
assert call("imgedit-copy-edit", images[0], images[0].get_layers()[:1])
for number, image in enumerate(images):
    tell(image)
    seen(image, {str(folder)!r} + "/%d.bin" % number)
"""
    )
    first, *others = (mark["layers"] for mark in run.events("layers"))
    assert others == [first, first]
    for number in (1, 2):
        np.testing.assert_array_equal(
            pixels_of(run, folder / f"{number}.bin"), pixels_of(run, folder / "0.bin")
        )


def test_in_another_colour_space_everything_is_rendered(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", LIVE)
    run = plugin.run(
        NAMES
        + f"""
image = load({str(path)!r})
wide = Gimp.ColorProfile.new_rgb_adobe()
assert image.convert_color_profile(wide, Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
pixels(image.get_layers()[0], {str(folder / "top.bin")!r})
pixels(image.get_layers()[1], {str(folder / "bottom.bin")!r})
"""
    )
    top, bottom = run.events("layers")[0]["layers"]
    assert (top["filters"], bottom["filters"]) == ([], [])
    plan = parse_plan((folder / "plan.json").read_text("utf-8"))
    before = Picture(pixels_of(run, folder / "bottom.bin"))
    wanted = np.asarray(render_plan(before, plan).pixels)
    assert_close(pixels_of(run, folder / "top.bin"), wanted, mean=1, largest=4)


def test_a_second_plan_is_added_to_the_first(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "1.json", LIVE)
    write_plan(folder / "2.json", [("sharp", {}), ("invert", {})])
    both = write_plan(folder / "both.json", [*LIVE, ("sharp", {}), ("invert", {})])
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "1.json")!r})
apply_plan(image, image.get_layers(), {str(folder / "2.json")!r})
tell(image)
seen(image, {str(folder / "seen.bin")!r})
call("imgedit-save-plan", image, image.get_layers()[:1],
     file=Gio.File.new_for_path({str(folder / "saved.json")!r}))
""")  # fmt: skip
    assert len(run.events("layers")[0]["layers"]) == 2
    assert parse_plan((folder / "saved.json").read_text("utf-8")).operations == both.operations
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, both), mean=0.5, largest=12)


def test_doctor_knows_whether_gimp_has_asked_the_plugin(plugin, installed, root):
    """And so which of its files GIMP compares with what."""

    def told():
        line = [f"{installed}/bin/imgedit-plugins", "doctor", "--json"]
        environment = {"GIMP3_DIRECTORY": f"{plugin.home}/GIMP", "HOME": plugin.home}
        said = json.loads(root.call(line, environment=environment, check=False))
        return next(one for one in said if one["subject"].startswith("GIMP"))

    assert "has not been started since" in told()["detail"]
    plugin.run("")
    assert told()["status"] == "ok", told()
