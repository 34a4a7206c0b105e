"""The plug-in in GIMP's windows: menus, dialogs, Cancel, Ctrl+Z."""

import json
import time

import numpy as np
import pytest
from gimp_session import LIVE, NAMES, pixels_of, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors


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
    window.wait_for_window("^Recover edit from two layers: found$", 120)
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
    for action, title in (("Apply plan", "^Apply plan$"), ("Save plan", "^Save plan…$")):
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
