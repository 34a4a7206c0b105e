"""The real Krita runs what tests give it, and the harness notices when it does not."""

import numpy as np
import pytest
from editor_run import EditorError
from PIL import Image

pytestmark = pytest.mark.editors

EXTENSION = """\
from krita import Extension, Krita
from editor_marks import mark

class Inverting(Extension):
    def setup(self):
        pass

    def createActions(self, window):
        action = window.createAction("imgedit_test_invert", "Turn the test inside out", "tools")
        action.triggered.connect(self.invert)

    def invert(self):
        document = Krita.instance().activeDocument()
        old = document.activeNode()
        area = (0, 0, document.width(), document.height())
        new = document.createNode("inverted", "paintlayer")
        blue_green_red_alpha = bytes(old.pixelData(*area))
        inverted = bytearray(255 - value for value in blue_green_red_alpha)
        inverted[3::4] = blue_green_red_alpha[3::4]
        document.rootNode().addChildNode(new, None)
        new.setPixelData(bytes(inverted), *area)
        document.refreshProjection()
        document.waitForDone()
        mark("extension", area=area)

Krita.instance().addExtension(Inverting(Krita.instance()))
"""

INVERT = """
document = load({path!r})
layer = document.topLevelNodes()[0]
area = (0, 0, document.width(), document.height())
blue_green_red_alpha = bytes(layer.pixelData(*area))
inverted = bytearray(255 - value for value in blue_green_red_alpha)
inverted[3::4] = blue_green_red_alpha[3::4]
layer.setPixelData(bytes(inverted), *area)
save(document, {saved!r})
"""


def test_says_version_and_process(krita):
    started = krita.run("mark('name', name=Krita.instance().version())").events("started")[0]
    assert f":{started['version'].split()[0]}" in krita.root.versions["krita"]
    assert started["pid"] > 1


def test_a_script_inverts_a_photograph(krita, photo, folder):
    path, pixels = photo
    saved = folder / "inverted.png"
    krita.run(INVERT.format(path=str(path), saved=str(saved)))
    np.testing.assert_array_equal(np.asarray(Image.open(saved).convert("RGB")), 255 - pixels)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: .*nothing_of_that_name"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("this is no Python", "SyntaxError"),
        ("import os\nos._exit(0)", "krita ended before the script did: exit code 0"),
        ("import os\nos.kill(os.getpid(), 11)", "ended before the script did: Segmentation fault"),
    ],
)
def test_a_failing_script_is_a_failure(krita, script, told):
    with pytest.raises(EditorError, match=told):
        krita.run(script)


def test_a_script_that_does_not_end_is_a_failure(krita):
    with pytest.raises(EditorError, match="it took more than 5 s"):
        krita.run("import time\ntime.sleep(600)", seconds=5)


def test_window_runs_scripts_actions_and_keys(krita, krita_window, photo, folder):
    path, pixels = photo
    krita.install_extension("imgedit_test_invert", EXTENSION)
    window = krita_window(path)
    window.screen.screenshot("opened")
    window.action("imgedit_test_invert")
    assert window.running.wait_for("extension")["area"] == [0, 0, 240, 160]
    np.testing.assert_array_equal(_seen(window, folder, "inverted"), 255 - pixels)
    window.screen.screenshot("inverted-window")
    window.activate()
    window.screen.keys("ctrl+z")
    window.running.wait_until(lambda: _layers(window) == 1, "undone layer", 30)
    np.testing.assert_array_equal(_seen(window, folder, "undone"), pixels)
    window.screen.screenshot("undone-window")


def test_a_script_that_fails_in_a_window_is_a_failure(krita_window):
    window = krita_window()
    with pytest.raises(EditorError, match="ZeroDivisionError"):
        window.run("1 / 0")
    window.run("mark('lives')")
    assert window.running.events("lives")


def _layers(window):
    window.run("mark('layers', count=len(Krita.instance().activeDocument().topLevelNodes()))")
    return window.running.events("layers")[-1]["count"]


def _seen(window, folder, name):
    saved = folder / f"{name}.png"
    window.run(f"save(Krita.instance().activeDocument(), {str(saved)!r})")
    return np.asarray(Image.open(saved).convert("RGB"))
