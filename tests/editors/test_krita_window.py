"""The extension in Krita with its window: menu, undo, cancel, and an interface that goes on."""

import json
import time

import numpy as np
import pytest
from krita_session import pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

LIVE = [{"name": "bright", "parameters": {"offset": 40}},
        {"name": "contrast", "parameters": {"gain": 1.2}}]  # fmt: skip
LONGEST_GAP = 0.5  # seconds for which Krita may not answer, with other jobs on its two cores
LONGEST_PAINTING = 15.0  # the same, while it computes the new group: that is Krita's own


@pytest.fixture
def names(extension):
    """What scripts in Krita with the extension begin with."""
    return extension.names


def two_layers(folder, width, height, *, seed=0):
    """A picture before and one after, as files."""
    before, after = folder / "before.png", folder / "after.png"
    picture = photograph(width, height)
    save_picture(picture, before)
    plan = parse_plan({"operations": LIVE})
    edited = photograph(width, height, seed=seed) if seed else render_plan(picture, plan)
    save_picture(edited, after)
    return before, after


def add_upper(after):
    """A script that puts the picture after the edit above the one before it."""
    return f"""
document = Krita.instance().activeDocument()
other = Krita.instance().openDocument({str(after)!r})
upper = background(other).clone()
document.rootNode().addChildNode(upper, None)
close(other)
document.waitForDone()
document.setActiveNode(document.rootNode().childNodes()[-1])
"""


def layers(window, names):
    window.run(f"{names}tell(Krita.instance().activeDocument())")
    return window.running.events("layers")[-1]["layers"]


def test_the_menu_has_an_entry_for_each_action(names, krita_window, photo):
    window = krita_window(photo[0])
    window.run("""
names = ("recover", "apply_plan", "copy_edit", "save_plan", "explain")
actions = [Krita.instance().action(f"imgedit_{name}") for name in names]
menu = Krita.instance().action("imgedit_menu").menu()
mark("entries", labels=[action.text().replace("&", "") for action in actions],
     inside=[action.text().replace("&", "") for action in menu.actions()])
""")
    [entries] = window.running.events("entries")
    assert entries["labels"] == entries["inside"]
    assert entries["labels"] == [
        "Recover Edit from Two Layers",
        "Apply Plan…",
        "Copy This Edit to Other Open Pictures",
        "Save Plan…",
        "Explain This Layer's Edit",
    ]


def test_the_opened_menu_gets_the_actions_of_plugins(names, krita_window, photo):
    window = krita_window(photo[0])
    window.run('Krita.instance().action("imgedit_menu").menu().aboutToShow.emit()')
    for _ in range(60):
        window.run("""
menu = Krita.instance().action("imgedit_menu").menu()
mark("inside", labels=[action.text() for action in menu.actions() if action.text()])
""")
        labels = window.running.events("inside")[-1]["labels"]
        if labels[5:] != ["Asking the plugins…"]:
            break
        time.sleep(0.5)
    assert labels[5:] == [
        "Edit by instruction…",
        "Edit by reasoning…",
        "Plan by instruction…",
        "Paint by reasoning…",
        "Recover edit from two layers…",
    ]


def test_from_the_menu_and_ctrl_z_takes_it_back_in_one_step(names, krita_window, folder):
    before, after = two_layers(folder, 320, 240)
    window = krita_window(before)
    window.run(names + add_upper(after))
    window.run(f"{names}seen(Krita.instance().activeDocument(), {str(folder / '0.bin')!r})")
    window.action("imgedit_recover")
    window.running.wait_until(lambda: len(layers(window, names)) == 3, "recovered edit", 120)
    top = layers(window, names)[0]
    assert [one["type"] for one in top["inner"]] == ["filterlayer", "filterlayer", "clonelayer"]
    window.run(f"{names}seen(Krita.instance().activeDocument(), {str(folder / '2.bin')!r})")
    picture = np.asarray(render_plan(photograph(320, 240), parse_plan({"operations": LIVE})).pixels)
    recovered = pixels_of(window.running, folder / "2.bin")[:, :, :3]
    assert np.abs(recovered.astype(int) - picture).max() <= 1
    window.screen.screenshot("recovered")
    window.activate()
    window.screen.keys("ctrl+z")
    window.running.wait_until(lambda: len(layers(window, names)) == 2, "undone edit", 30)
    window.run(f"{names}seen(Krita.instance().activeDocument(), {str(folder / '1.bin')!r})")
    np.testing.assert_array_equal(
        pixels_of(window.running, folder / "1.bin"), pixels_of(window.running, folder / "0.bin")
    )
    window.screen.keys("ctrl+shift+z")
    window.running.wait_until(lambda: len(layers(window, names)) == 3, "redone edit", 30)
    window.run(f"{names}seen(Krita.instance().activeDocument(), {str(folder / '3.bin')!r})")
    np.testing.assert_array_equal(
        pixels_of(window.running, folder / "3.bin"), pixels_of(window.running, folder / "2.bin")
    )
    window.run(f"""{names}
document = Krita.instance().activeDocument()
mark("again", plan=kept.edits(document)[0].kept.plan)
""")
    again = parse_plan(window.running.events("again")[0]["plan"])
    assert sorted(step.name for step in again.operations) == ["bright", "contrast"]


def test_a_rendered_edit_is_one_step_and_the_photograph_is_as_it_was(
    names, krita_window, photo, folder
):
    path, pixels = photo
    plan = {"operations": [{"name": "sharp", "parameters": {}}, *LIVE]}
    window = krita_window(path)
    window.run(f"{names}assert work('apply_plan', {plan!r})", seconds=120)
    assert len(layers(window, names)) == 2
    window.activate()
    window.screen.keys("ctrl+z")
    window.running.wait_until(lambda: len(layers(window, names)) == 1, "undone edit", 30)
    window.run(f"{names}seen(Krita.instance().activeDocument(), {str(folder / '1.bin')!r})")
    got = pixels_of(window.running, folder / "1.bin")
    np.testing.assert_array_equal(got[:, :, :3], pixels)


def test_a_live_edit_is_seen_undone_and_redone(names, krita_window, photo, folder):
    path, pixels = photo
    window = krita_window(path)
    window.run(f"{names}assert work('apply_plan', {{'operations': {LIVE!r}}})", seconds=120)
    wanted = np.asarray(
        render_plan(Picture(pixels), parse_plan({"operations": LIVE})).pixels
    )  # fmt: skip
    window.activate()
    for number, (keys, count, picture) in enumerate(
        [("", 2, wanted), ("ctrl+z", 1, pixels), ("ctrl+shift+z", 2, wanted)]
    ):
        if keys:
            window.screen.keys(keys)
        window.running.wait_until(lambda n=count: len(layers(window, names)) == n, keys, 30)
        file = folder / f"{number}.bin"
        window.run(f"{names}seen(Krita.instance().activeDocument(), {str(file)!r})")
        window.screen.screenshot(f"live-{number}")
        got = pixels_of(window.running, file)[:, :, :3].astype(int)
        assert np.abs(got - picture).max() <= 1, keys


def test_an_edit_is_one_undo_step_and_its_change_two(names, krita_window, photo):
    window = krita_window(photo[0])
    window.run(f"""{names}
document = Krita.instance().activeDocument()
document.rootNode().addChildNode(document.createNode("before", "paintlayer"), None)
assert work("apply_plan", {{"operations": {LIVE!r}}}, [background(document)])
changed = {{"operations": [{{"name": "invert", "parameters": {{}}}}]}}
assert work("change", kept.edits(document)[0], changed)
groups = []
for _ in range(20):
    painted(document)
    layers = document.rootNode().childNodes()
    groups.append(len([one for one in layers if one.type() == "grouplayer"]))
    if "before" not in [one.name() for one in layers]:
        break
    Krita.instance().action("edit_undo").trigger()
mark("groups", groups=groups)
""", seconds=120)  # fmt: skip
    # The change: the old group comes back, the new one goes; the edit; the layer before it.
    assert window.running.events("groups")[0]["groups"] == [1, 2, 1, 0, 0]


WATCHED = """
import builtins
from PyQt5.QtCore import QTimer

class Watch:
    def __init__(self):
        self.last, self.longest, self.before = time.monotonic(), 0.0, 0.0
        self.timer = QTimer()
        self.timer.timeout.connect(self.tick)
        self.timer.start(10)

    def tick(self):
        now = time.monotonic()
        if now - self.last > self.longest:
            self.longest = now - self.last
        self.last = now

    def put(self, prepared):
        self.before = self.longest
        return put(prepared)

from imgedit_bridges.krita import actions

watch, put = Watch(), actions.put
actions.put = watch.put
for signal, name in ((engine.finished, "finished"), (engine.failed, "failed"),
                     (engine.cancelled, "cancelled")):
    signal.connect(lambda *told, name=name: mark(
        "end", how=name, told=str(told), at=time.monotonic()))
builtins.imgedit_test = (watch, engine)
"""


def test_krita_goes_on_while_24_megapixels_are_worked_on(names, krita_window, folder):
    before, after = two_layers(folder, 6000, 4000)
    window = krita_window(before)
    window.run(names + add_upper(after), seconds=120)
    window.run(f"{names}{WATCHED}engine.recover()")
    end = window.running.wait_for("end", 240)
    assert end["how"] == "finished", end
    window.run("""
import builtins
watch = builtins.imgedit_test[0]
mark("gaps", before=watch.before, put=watch.longest)
""")
    [gaps] = window.running.events("gaps")
    print(
        f"24 megapixels: longest gap {gaps['before']:.3f} s until the group is put in, "
        f"{gaps['put']:.3f} s then"
    )
    assert gaps["before"] <= LONGEST_GAP, gaps
    assert gaps["put"] <= LONGEST_PAINTING, gaps
    assert [one["type"] for one in layers(window, names)[0]["inner"]][-1] == "clonelayer"


def test_cancel_ends_the_work_and_nothing_is_changed(
    names, krita_window, folder, root, installed, krita
):
    before, after = two_layers(folder, 1600, 1200, seed=3)
    window = krita_window(before)
    window.run(names + add_upper(after), seconds=60)
    window.run(f"""{names}{WATCHED}
engine.progressed.connect(lambda stage, share: stage and mark("working", stage=stage))
engine.recover()
""")
    window.running.wait_for("working", 120)
    began = time.monotonic()
    window.run("""
import builtins
builtins.imgedit_test[1].cancel()
""")
    assert window.running.wait_for("end", 10)["how"] == "cancelled"
    assert time.monotonic() - began < 2
    command = [f"{installed}/bin/imgedit-plugins", "worker", "status", "--json"]
    environment = {"XDG_RUNTIME_DIR": krita.environment["XDG_RUNTIME_DIR"]}
    window.running.wait_until(
        lambda: "running" not in json.loads(root.call(command, environment=environment))["jobs"],
        "end of the job", 10,
    )  # fmt: skip
    assert [one["type"] for one in layers(window, names)] == ["paintlayer", "paintlayer"]


def test_a_worker_that_is_killed_is_noticed_and_the_next_action_works(names, krita_window, folder):
    before, after = two_layers(folder, 1600, 1200, seed=3)
    window = krita_window(before)
    window.run(names + add_upper(after), seconds=60)
    window.run(f"""{names}{WATCHED}
import json, os, signal
import glob

def kill(stage, share):
    if stage and not killed:
        [state] = glob.glob(os.environ["XDG_RUNTIME_DIR"] + "/imgedit-plugins/worker.json")
        os.kill(json.load(open(state))["pid"], signal.SIGKILL)
        killed.append(time.monotonic())
        mark("killed", at=killed[0])

killed = []
engine.progressed.connect(kill)
engine.recover()
""")
    end = window.running.wait_for("end", 120)
    assert (end["how"], end["at"] - window.running.events("killed")[0]["at"] < 5) == (
        "failed",
        True,
    )
    assert "The worker ended in the middle of the job" in end["told"]
    assert [one["type"] for one in layers(window, names)] == ["paintlayer", "paintlayer"]
    plan = {"operations": [{"name": "sharp", "parameters": {}}]}
    window.run(f"{names}assert work('apply_plan', {plan!r})", seconds=120)
    assert layers(window, names)[0]["type"] == "grouplayer"
