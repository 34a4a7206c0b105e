"""The plug-in's windows in the real GIMP: by keyboard, with pixels, undo and redo."""

import json

import pytest
from gimp_session import NAMES

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors

PANE = "^Adjust edit$"


def test_scratch(plugin, gimp_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(960, 640), path)
    steps = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2}), ("gaussian", {"kernel": 5})]
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    (folder / "plan.json").write_text(
        json.dumps({"schema": "imgedit-plan/1", "operations": operations})
    )
    window = gimp_window(path)
    window.run(
        NAMES
        + f"""
image = Gimp.get_images()[0]
apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
Gimp.displays_flush()
"""
    )
    window.action("Adjust edit")
    window.wait_for_window(PANE)
    import time

    time.sleep(5)
    window.screen.screenshot("pane")
    window.run(NAMES + "tell(Gimp.get_images()[0])")
    window.screen.activate(window.screen.find(PANE))
    window.screen.keys("Tab", "Tab", "Tab")
    time.sleep(1)
    window.screen.screenshot("pane2")
    print(window.running.events("layers"))
    window.screen.keys("alt+a")
    time.sleep(1)
    window.screen.screenshot("pane3")
