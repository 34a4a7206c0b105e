"""The real GIMP runs what tests give it, and the harness notices when it does not."""

import numpy as np
import pytest
from editor_run import EditorError
from PIL import Image

pytestmark = pytest.mark.editors

INVERTING_PLUGIN = """\
#!/usr/bin/env python3
import sys
import gi
gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, GLib, Gimp
from editor_marks import mark

def run(procedure, run_mode, image, drawables, config, data):
    layer = drawables[0]
    _, x, y, width, height = layer.mask_intersect()
    area = Gegl.Rectangle.new(x, y, width, height)
    pixels = layer.get_buffer().get(area, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE)
    shadow = layer.get_shadow_buffer()
    shadow.set(area, "R'G'B' u8", bytes(255 - value for value in pixels))
    shadow.flush()
    layer.merge_shadow(True)
    layer.update(x, y, width, height)
    Gimp.displays_flush()
    mark("plugin", area=[x, y, width, height])
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())

class Inverting(Gimp.PlugIn):
    def do_set_i18n(self, name):
        return False
    def do_query_procedures(self):
        return ["imgedit-test-invert"]
    def do_create_procedure(self, name):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("*")
        procedure.set_menu_label("Turn the test inside out")
        procedure.add_menu_path("<Image>/Filters/Tests")
        return procedure

Gimp.main(Inverting.__gtype__, sys.argv)
"""


def test_says_version_and_process(gimp):
    run = gimp.run("mark('name', name=Gimp.get_pdb() is not None)")
    started = run.events("started")[0]
    assert gimp.root.versions["gimp"].startswith(started["version"])
    assert started["pid"] > 1
    assert run.events("name")


def test_a_plugin_inverts_a_photograph(gimp, photo, folder):
    path, pixels = photo
    gimp.install_plugin("imgedit-test-invert", INVERTING_PLUGIN)
    saved = folder / "inverted.png"
    run = gimp.run(f"""
image = load({str(path)!r})
call("imgedit-test-invert", image, image.get_layers())
save(image, {str(saved)!r})
""")
    assert run.events("plugin")[0]["area"] == [0, 0, 240, 160]
    np.testing.assert_array_equal(np.asarray(Image.open(saved).convert("RGB")), 255 - pixels)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: .*nothing_of_that_name"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("this is no Python", "SyntaxError"),
        ("import os\nos._exit(0)", "gimp ended before the script did"),
    ],
)
def test_a_failing_script_is_a_failure(gimp, script, told):
    with pytest.raises(EditorError, match=told):
        gimp.run(script)


def test_a_crash_of_gimp_is_a_failure(gimp):
    with pytest.raises(EditorError, match="gimp ended before the script did: Segmentation fault"):
        gimp.run("import os, time\nos.kill(os.getppid(), 11)\ntime.sleep(60)")


def test_gimp_3_0_crashes_on_a_curves_filter(gimp, photo):
    """Why live filters have an allow-list. When this fails for 3.0.x, the list can grow."""
    run = gimp.run(
        f"""
layer = load({str(photo[0])!r}).get_layers()[0]
layer.append_filter(Gimp.DrawableFilter.new(layer, "gimp:curves", "Curves"))
layer.get_filters()
""",
        check=False,
    )
    if run.events("started")[0]["version"].startswith("3.0."):
        assert "gimp ended before the script did: Segmentation fault" in run.failure()
    else:
        assert run.failure() is None


def test_a_script_that_does_not_end_is_a_failure(gimp):
    with pytest.raises(EditorError, match="it took more than 5 s"):
        gimp.run("import time\ntime.sleep(600)", seconds=5)


def test_window_runs_scripts_actions_and_keys(gimp, gimp_window, photo, folder):
    path, pixels = photo
    gimp.install_plugin("imgedit-test-invert", INVERTING_PLUGIN)
    window = gimp_window(path)
    window.screen.screenshot("opened")
    window.action("Turn the test inside")
    window.running.wait_for("plugin")
    np.testing.assert_array_equal(_seen(window, folder, "inverted"), 255 - pixels)
    window.screen.screenshot("inverted-window")
    window.activate()
    window.screen.keys("ctrl+z")
    np.testing.assert_array_equal(_seen(window, folder, "undone"), pixels)
    window.screen.screenshot("undone-window")


def _seen(window, folder, name):
    saved = folder / f"{name}.png"
    window.run(f"save(Gimp.get_images()[0], {str(saved)!r})")
    return np.asarray(Image.open(saved).convert("RGB"))
