"""The plug-in in the real GIMP: installed as a user does, every menu entry, saved and reopened."""

import json
import os
import re
import time

import gimp_errors
import numpy as np
import pytest
from editor_root import PROJECT
from gimp_session import NAMES, pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

DOCUMENT = PROJECT / "docs" / "gimp.md"
LIVE = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2})]


@pytest.fixture
def plugin(gimp, installed, root):
    """GIMP with the plug-in."""
    command = [f"{installed}/bin/imgedit-plugins", "install", "gimp"]
    root.call([*command, "--profile", f"{gimp.home}/GIMP"])
    return gimp


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


def test_the_menu_has_an_entry_for_each_action(plugin):
    run = plugin.run("""
for name in ("imgedit-reverse-design-recover-edit", "imgedit-apply-plan", "imgedit-copy-edit", "imgedit-save-plan",
             "imgedit-explain"):
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


def test_operations_look_as_rendered(plugin, photo, folder):
    """Writes the table into docs/gimp.md with IMGEDIT_WRITE_DOCS=1, and compares it without."""
    path, _ = photo
    cases = [*gimp_errors.LIVE, *gimp_errors.BAKED]
    rows = gimp_errors.measure(plugin, open_picture(path), path, folder, cases)
    made = gimp_errors.table(rows)
    print(made)
    for row in rows[: len(gimp_errors.LIVE)]:
        limit = 2 if row.name == "saturate" else 1
        assert row.layers == 1, row
        assert row.mean <= limit, row
    for row in rows[len(gimp_errors.LIVE) :]:
        assert (row.layers, row.filters, row.mean, row.largest) == (2, [], 0, 0), row
    text = DOCUMENT.read_text("utf-8")
    wanted = re.sub(r"(?s)(<!-- table -->\n).*(<!-- end -->)", rf"\g<1>{made}\g<2>", text)
    if os.environ.get("IMGEDIT_WRITE_DOCS"):
        DOCUMENT.write_text(wanted, "utf-8")
    assert DOCUMENT.read_text("utf-8") == wanted


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


@pytest.mark.parametrize("fault", ["no python", "no worker", "no plan", "bad plan"])
def test_a_fault_is_one_sentence_and_the_picture_is_untouched(plugin, photo, folder, root, fault):
    path, pixels = photo
    write_plan(folder / "plan.json", [("sharp", {})])
    record = root.outside(f"{plugin.home}/GIMP/plug-ins/imgedit/bridge.json")
    if fault == "no python":
        record.write_text(json.dumps({"python": "/gone/python", "version": "1"}), "utf-8")
    elif fault == "no worker":
        root.outside("/tmp/elsewhere").mkdir(exist_ok=True)
        root.outside("/tmp/elsewhere/imgedit-plugins").touch()
        plugin.environment["XDG_RUNTIME_DIR"] = "/tmp/elsewhere"
    elif fault == "no plan":
        (folder / "plan.json").write_bytes(path.read_bytes())
    else:
        (folder / "plan.json").write_text('{"schema": "imgedit-plan/1", "operations": [1]}')
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
call("imgedit-reverse-design-recover-edit", image, image.get_layers())
tell(image)
seen(image, {str(folder / "seen.bin")!r})
""")  # fmt: skip
    told = run.events("refused")[0]["told"]
    expected = {
        "no python": "The Python that runs the worker is gone: /gone/python",
        "no worker": "The folder /tmp/elsewhere/imgedit-plugins cannot be used",
        "no plan": "holds no edit plan",
        "bad plan": "operations[0]",
    }
    assert expected[fault] in told
    assert "Traceback" not in told
    [layer] = run.events("layers")[0]["layers"]
    assert (layer["filters"], layer["plan"]) == ([], False)
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin"), pixels)


def test_ctrl_z_takes_an_edit_back_in_one_step(plugin, gimp_window, photo, folder):
    path, pixels = photo
    write_plan(folder / "plan.json", [("rotate", {"degrees": 90}), ("sharp", {}), *LIVE])
    window = gimp_window(path)
    window.run(NAMES + f"""
image = Gimp.get_images()[0]
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
""")  # fmt: skip
    assert len(window.running.events("layers")[0]["layers"]) == 2
    window.wait_for_window("photo.*GIMP")
    window.screen.keys("ctrl+z")

    def undone():
        window.run(NAMES + "tell(Gimp.get_images()[0])")
        return len(window.running.events("layers")[-1]["layers"]) == 1

    window.running.wait_until(undone, "undone edit", 20)
    assert window.running.events("layers")[-1]["layers"][0]["filters"] == []
    window.run(NAMES + f"seen(Gimp.get_images()[0], {str(folder / 'seen.bin')!r})")
    np.testing.assert_array_equal(pixels_of(window.running, folder / "seen.bin"), pixels)


def test_from_the_menu_with_a_dialog(plugin, gimp_window, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(640, 480), before)
    plan = write_plan(folder / "plan.json", [("contrast", {"gain": 1.3}), ("sepia", {})])
    save_picture(render_plan(photograph(640, 480), plan), after)
    window = gimp_window(before)
    window.run(
        NAMES
        + f"""
image = Gimp.get_images()[0]
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
image.set_selected_layers(image.get_layers())
Gimp.displays_flush()
"""
    )
    window.action("Recover edit from")
    window.wait_for_window("^Recover edit from two layers")
    window.screen.screenshot("dialog")
    window.screen.keys("alt+o")

    def recovered():
        window.run(NAMES + "tell(Gimp.get_images()[0])")
        layers = window.running.events("layers")[-1]["layers"]
        return len(layers) == 3 and layers[0]["plan"]  # which comes last

    window.running.wait_until(recovered, "recovered edit", 120)
    window.screen.screenshot("recovered")
    window.action("Explain this layer")
    window.wait_for_window("^Explain this layer")
    window.screen.screenshot("explained")
    window.screen.keys("Escape")
    for action, title in (("Apply plan", "^Apply plan…$"), ("Save plan", "^Save plan…$")):
        window.wait_for_window("before.*GIMP")
        window.action(action)
        window.wait_for_window(title)
        window.screen.screenshot(action.lower().replace(" ", "-"))
        window.screen.keys("Escape")
        window.wait_until_gone(title)
    top = window.running.events("layers")[-1]["layers"][0]
    assert top["plan"]
    assert "Sepia" in top["filters"]


def test_cancel_ends_the_work_and_nothing_is_changed(plugin, gimp_window, folder, root, installed):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(1600, 1200), before)
    save_picture(photograph(1600, 1200, seed=3), after)
    window = gimp_window(before)
    window.run(
        NAMES
        + f"""
image = Gimp.get_images()[0]
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
image.set_selected_layers(image.get_layers())
Gimp.displays_flush()
"""
    )
    window.action("Recover edit from")
    window.wait_for_window("^Recover edit from two layers…$")
    window.screen.keys("alt+o")
    window.wait_for_window("^Recover edit from two layers$")
    window.screen.screenshot("working")
    window.screen.keys("Escape")
    began = time.monotonic()
    window.wait_until_gone("^Recover edit from two layers$", 10)
    command = [f"{installed}/bin/imgedit-plugins", "worker", "status", "--json"]
    window.running.wait_until(
        lambda: "running" not in json.loads(root.call(command))["jobs"], "end of the job", 10
    )
    assert time.monotonic() - began < 5  # most of it is the start of the command
    window.run(NAMES + "tell(Gimp.get_images()[0])")
    layers = window.running.events("layers")[-1]["layers"]
    assert [one["filters"] for one in layers] == [[], []]


def test_a_worker_that_is_killed_is_noticed_and_the_next_action_works(plugin, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(1600, 1200), before)
    save_picture(photograph(1600, 1200, seed=3), after)
    write_plan(folder / "plan.json", [("sharp", {})])
    run = plugin.run(
        NAMES
        + f"""
import glob, json, os, signal, threading, time

def kill_later():
    while not glob.glob("/tmp/imgedit-plugins-*/worker.json"):
        time.sleep(0.05)
    time.sleep(1.5)
    [state] = glob.glob("/tmp/imgedit-plugins-*/worker.json")
    os.kill(json.load(open(state))["pid"], signal.SIGKILL)
    mark("killed", at=time.monotonic())

image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
thread = threading.Thread(target=kill_later)
thread.start()
assert call("imgedit-reverse-design-recover-edit", image, image.get_layers()) is None
mark("noticed", at=time.monotonic())
thread.join()
tell(image)
assert apply_plan(image, image.get_layers()[:1], {str(folder / "plan.json")!r})
tell(image)
""",
        seconds=200,
    )
    [killed], [noticed] = run.events("killed"), run.events("noticed")
    assert noticed["at"] - killed["at"] < 5
    assert "The worker ended in the middle of the job" in run.events("refused")[0]["told"]
    untouched, edited = (mark["layers"] for mark in run.events("layers"))
    assert [one["plan"] for one in untouched] == [False, False]
    assert [one["plan"] for one in edited] == [True, False, False]
