"""Known traps of GIMP 3.0 for plug-ins, and where each of them is met.

| Trap | Met by |
|---|---|
| most operations compute in linear light | `forms`, measured by test_gimp_operations |
| opacity of REPLACE and NORMAL mixes light | test_gimp_holdings: REPLACE has opacity 1 |
| a layer mask mixes light in mode NORMAL | `canvas.mix_encoded`; test_a_selection_limits_the_edit |
| `Gegl.Color.set_rgba` takes linear values | `canvas._colour`; test_gimp_operations |
| several gimp:* operations crash GIMP | test_gimp_holdings: only filters that were tried are made |
| a value out of range is a warning, and the old one stays | test_out_of_reach_is_rendered |
| soft masks of filters change when a file is reopened | test_a_selection_limits_the_edit |
| filters appended to a layer mask are lost | 'mask' in test_gimp_images: its layer gets them |
| after `add_mask` the mask is selected | here: the next action edits the layer |
| a filter takes the selection at hand as its mask | here: recovering with something selected |
| redo puts filters at the bottom | here: the plan is kept, and the user is told |
| legacy modes change half-transparent pixels less | 'alpha' in test_gimp_images |
| `merge_filters` does nothing on groups | 'group' in test_gimp_images: they are merged aside |
| a rendered layer above a transparent one shows twice | 'alpha', 'multiply' in test_gimp_images |
| linear images of 8 bits have large steps in shadows | test_gimp_depths: they travel as 16 bits |
| a grey image cannot hold colours | test_gimp_depths: refused before anything is changed |
| filters on indexed images show the palette's colours | test_gimp_depths: refused |
| GIMP asks for procedures when the script's time has changed | test_gimp_actions, _catalogue |
| a running GIMP knows the arguments of its start | test_newer_actions_wait_until_gimp_asks |
| names of procedures have no underscores | test_no_two_have_one_name |
| pixels through PNG take seconds | `transfer`; benchmarks |
| `merge_shadow` leaves old buffer handles stale | not used: results are new layers |
| exit codes lie, two dialogs block the start | the harness: marks, gimprc |
"""

import numpy as np
import pytest
from gimp_session import (
    LIVE,
    NAMES,
    RECOVER,
    assert_close,
    pixels_of,
    rendered,
    write_plan,
)

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors


def test_recovering_with_something_selected_edits_all_of_the_copy(plugin, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(240, 180), before)
    plan = write_plan(folder / "plan.json", [("bright", {"offset": 30}), ("invert", {})])
    save_picture(render_plan(open_picture(before), plan), after)
    run = plugin.run(NAMES + f"""
image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 50, 50)
assert call({RECOVER!r}, image, image.get_layers(), effort="quick")
mark("selected", bounds=list(Gimp.Selection.bounds(image))[2:],
     channels=len(image.get_channels()))
tell(image)
seen(image, {str(folder / "seen.bin")!r})
""", seconds=240)  # fmt: skip
    assert run.events("layers")[0]["layers"][0]["filters"]
    assert run.events("selected")[0]["bounds"] == [60, 40, 110, 90]
    assert run.events("selected")[0]["channels"] == 0
    assert_close(pixels_of(run, folder / "seen.bin"), np.asarray(open_picture(after).pixels))


def test_the_layer_stays_selected_when_it_gets_a_mask(plugin, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", LIVE)
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.select_ellipse(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
Gimp.Selection.feather(image, 9)
assert apply_plan(image, image.get_selected_drawables(), {str(folder / "plan.json")!r})
Gimp.Selection.none(image)
chosen = image.get_selected_drawables()
mark("chosen", kinds=[type(one).__name__ for one in chosen],
     same=[one.get_id() for one in chosen] == [image.get_layers()[0].get_id()])
assert apply_plan(image, chosen, {str(folder / "plan.json")!r})
tell(image)
""")  # fmt: skip
    [chosen] = run.events("chosen")
    assert (chosen["kinds"], chosen["same"]) == (["Layer"], True)
    top = run.events("layers")[0]["layers"][0]
    assert len(top["filters"]) == 4


def test_a_later_selection_changes_nothing(plugin, photo, folder):
    path, _ = photo
    plan = write_plan(folder / "plan.json", LIVE)
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
assert apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 30, 30)
seen(image, {str(folder / "seen.bin")!r})
""")  # fmt: skip
    mask = np.zeros((160, 240), np.uint8)
    mask[40:120, 60:180] = 255
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, plan, mask))


def test_redo_turns_filters_round_and_the_user_is_told(plugin, gimp_window, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", LIVE)
    window = gimp_window(path)
    tell = (
        NAMES
        + """
image = Gimp.get_images()[0]
tell(image)
mark("said", text=call("imgedit-explain", image, image.get_layers()))
"""
    )

    def filters():
        window.run(tell)
        return window.running.events("layers")[-1]["layers"][0]["filters"]

    def press(keys, wanted):
        window.wait_for_window("photo.*GIMP")
        window.screen.keys(keys)
        window.running.wait_until(lambda: sorted(filters()) == sorted(wanted), keys, 30)

    window.run(NAMES + f"""
image = Gimp.get_images()[0]
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
""")  # fmt: skip
    made = filters()
    assert made == ["Contrast ×1.2", "Brightness +40"]
    assert "not in the plan's order" not in window.running.events("said")[-1]["text"]
    press("ctrl+z", [])
    press("ctrl+y", made)
    turned = filters() != made
    said = window.running.events("said")[-1]["text"]
    assert ("not in the plan's order" in said) == turned
    assert "1. bright (offset 40)" in said
    press("ctrl+z", [])
    window.run(NAMES + f"""
image = Gimp.get_images()[0]
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
""")  # fmt: skip
    assert filters() == made
    print("turned round by GIMP:", turned)


def test_what_is_rendered_of_a_copied_layer_has_its_mask(plugin, folder):
    """Between layers with masks, edited by something that GIMP cannot hold live."""
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(240, 180), before)
    plan = write_plan(folder / "plan.json", [("summer", {})])
    save_picture(render_plan(open_picture(before), plan), after)
    run = plugin.run(NAMES + f"""
image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
for layer in image.get_layers():
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 10, 150, 120)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
Gimp.Selection.none(image)
mark("plan", plan=call({RECOVER!r}, image, image.get_layers(), effort="quick"))
tell(image)
top = image.get_layers()[0]
area = Gegl.Rectangle.new(0, 0, 240, 180)
data = top.get_mask().get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
open({str(folder / "mask.bin")!r}, "wb").write(bytes(data))
""", seconds=240)  # fmt: skip
    assert run.events("plan")[0]["plan"]
    assert [one["mask"] for one in run.events("layers")[0]["layers"]] == [True] * 3
    wanted = np.zeros((180, 240), np.uint8)
    wanted[10:130, 20:170] = 255
    np.testing.assert_array_equal(
        np.fromfile(folder / "mask.bin", np.uint8).reshape(180, 240), wanted
    )
