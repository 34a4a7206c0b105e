"""The plug-in's windows in the real GIMP: by keyboard, with pixels, undo and redo."""

import json
import time

import pytest
from gimp_session import NAMES

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

PANE = "^Adjust edit$"


def write_plan(path, steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    data = {"schema": "imgedit-plan/1", "operations": operations}
    path.write_text(json.dumps(data), "utf-8")
    return parse_plan(data)

STEPS = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2}), ("gaussian", {"kernel": 5})]

def test_scratch(plugin, gimp_window, folder):
    path = folder / "photo.png"
    after = folder / "after.png"
    save_picture(photograph(960, 640), path)
    save_picture(render_plan(photograph(960, 640), write_plan(folder / "plan.json", STEPS)), after)
    window = gimp_window(path)
    window.run(NAMES + f"""
image = Gimp.get_images()[0]
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
Gimp.displays_flush()
""")
    window.action("Adjust edit")
    window.wait_for_window(PANE)
    time.sleep(5)
    window.screen.screenshot("pane")
    window.screen.keys("Tab", "Tab", "Tab", "space")
    window.screen.keys("alt+s")
    time.sleep(0.5)
    window.screen.type("\b5")
    time.sleep(1)
    window.screen.screenshot("pane2")
    window.run(NAMES + "tell(Gimp.get_images()[0])")
    print(window.running.events("layers")[-1])
    window.screen.activate(window.screen.find(PANE))
    window.screen.keys("alt+a")
    time.sleep(2)
    window.screen.screenshot("pane3")
    time.sleep(1)
    window.screen.type("curv")
    time.sleep(1)
    window.screen.screenshot("pane4")
    window.screen.keys("Return")
    time.sleep(2)
    window.screen.screenshot("pane5")
    window.screen.activate(window.screen.find(PANE))
    window.screen.keys("Escape")
    time.sleep(2)
    window.run(NAMES + "tell(Gimp.get_images()[0])")
    print(window.running.events("layers")[-1])
    window.action("Apply plan")
    window.wait_for_window("^Apply plan$")
    time.sleep(3)
    window.screen.screenshot("apply")
    window.screen.keys("Escape")
    window.run(NAMES + f"""
image = Gimp.get_images()[0]
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
for one in image.get_layers()[1].get_filters():
    one.delete()
image.set_selected_layers(image.get_layers())
Gimp.displays_flush()
""")
    window.action("Recover edit")
    window.wait_for_window("^Recover edit from two")
    time.sleep(1)
    window.screen.screenshot("recover1")
    window.screen.keys("alt+o")
    window.running.wait_until(lambda: "imgedit-x" or True, "x", 5)
    time.sleep(25)
    window.screen.screenshot("recover2")
    window.screen.keys("alt+o")
    time.sleep(5)
    window.screen.screenshot("recover3")
