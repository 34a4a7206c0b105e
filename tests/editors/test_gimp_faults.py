"""What goes wrong around the plug-in in the real GIMP: one sentence, an untouched picture."""

import json
import time

import numpy as np
import pytest
from gimp_session import NAMES, RECOVER, pixels_of, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors


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


def test_an_editor_that_dies_in_the_middle_leaves_nothing_that_hinders_the_next(
    plugin, folder, root
):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(1600, 1200), before)
    save_picture(photograph(1600, 1200, seed=3), after)
    write_plan(folder / "plan.json", [("sharp", {})])
    died = plugin.run(NAMES + f"""
import os, signal, threading, time

def kill_soon():
    time.sleep(3)
    mark("killing")
    os.kill(os.getppid(), signal.SIGKILL)

image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
threading.Thread(target=kill_soon).start()
call({RECOVER!r}, image, image.get_layers())
time.sleep(30)
""", check=False)  # fmt: skip
    assert died.events("killing")
    assert not died.events("done")
    began = time.monotonic()
    run = plugin.run(NAMES + f"""
image = load({str(before)!r})
assert apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
tell(image)
""")  # fmt: skip
    assert time.monotonic() - began < 90  # the job of the dead one is given up after 15 s
    assert len(run.events("layers")[0]["layers"]) == 2
    assert not [line for line in root.processes().values() if "imgedit/imgedit.py" in line]
