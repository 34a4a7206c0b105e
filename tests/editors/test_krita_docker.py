"""The docker in the real Krita, with the installed extension and the real worker."""

import json
import os
import time

import numpy as np
import pytest
from editor_root import PROJECT
from PIL import Image

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

PICTURES = PROJECT / "docs" / "screenshots"
PLAN = {
    "schema": "imgedit-plan/1",
    "definitions": "opencv-photo-filters/1",
    "operations": [
        {"name": "bright", "parameters": {"offset": 30.0}},
        {"name": "contrast", "parameters": {"gain": 1.3}},
    ],
}
NAMES = """\
import json
from imgedit_bridges.krita import kept
from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets

app = Krita.instance()
dock = next(one for one in app.dockers() if one.objectName() == "imgedit_docker")
pane = dock.widget()
document = app.activeDocument()

def edits():
    return [(one.group.name(), dict(one.kept.plan), one.kept.strength)
            for one in kept.edits(document)]

def values():
    return {name: row.number.value() for one in pane.plan.rows for name, row in one.rows.items()
            if hasattr(row, "number")}

def tell():
    at = QtWidgets.QApplication.focusWidget()
    mark("now", edits=edits(), titles=[row.switch.text() for row in pane.plan.rows],
         values=values(), strength=pane.plan.strength.number.value(),
         working=pane.status.work.isVisible(),
         told=pane.status.message.text.text() if pane.status.message.isVisible() else "",
         focus=at.accessibleName() or getattr(at, "text", str)() if at else "",
         groups=sum(one.type() == "grouplayer" for one in document.rootNode().childNodes()),
         undone=not app.action("edit_undo").isEnabled())
"""


@pytest.fixture
def extended(krita, installed, root):
    """Krita with the extension as a user has it."""
    resources = f"{krita.home}/.local/share/krita"
    root.call([f"{installed}/bin/imgedit-plugins", "install", "krita", "--profile", resources])
    return krita


@pytest.fixture
def pair(folder):
    """A photograph, and the same one edited by `PLAN`."""
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(320, 240), before)
    save_picture(render_plan(photograph(320, 240), parse_plan(PLAN)), after)
    return before, after


class Docker:
    """The docker in a window of Krita, seen through marks."""

    def __init__(self, window):
        self.window = window
        self.do("dock.setVisible(True); dock.raise_()")

    def do(self, script):
        self.window.run(f"{NAMES}{script}\n")

    def now(self):
        self.do("tell()")
        return self.window.running.events("now")[-1]

    def wait(self, wanted, what, seconds=40):
        return self.window.running.wait_until(
            lambda: (now := self.now()) and wanted(now) and now, what, seconds
        )

    def keys(self, *names):
        self.window.screen.keys(*names)

    def tab(self, seconds=3):
        """Press Tab; where the keyboard is then. A slow Krita moves it later than it answers."""
        before, until = self.now()["focus"], time.monotonic() + seconds
        self.keys("Tab")
        while (focus := self.now()["focus"]) == before and time.monotonic() < until:
            pass
        return focus

    def seen(self, path):
        self.do(f"save(document, {str(path)!r})")
        return np.asarray(Image.open(path).convert("RGB")).astype(int)


def opened(krita_window, before, after, environment=None):
    """Both as layers of one document."""
    window = krita_window(before, environment=environment)
    window.run(f"""
document = Krita.instance().activeDocument()
other = Krita.instance().openDocument({str(after)!r})
upper = other.rootNode().childNodes()[0].clone()
upper.setName("edited in a lab")
document.rootNode().addChildNode(upper, None)
settle(document)
other.setModified(False)
other.close()
""")
    return Docker(window)


def test_recover_adjust_and_weaken_with_keys_alone(extended, krita_window, pair, folder):
    before, after = pair
    docker = opened(krita_window, before, after)
    docker.window.activate()
    docker.keys("alt+c")  # Recover edit…
    docker.window.wait_for_window("Recover edit")
    docker.window.screen.screenshot("recover")
    docker.keys("Return")
    now = first = docker.wait(lambda now: now["values"] and not now["working"], "recovered edit")
    assert now["told"] == ""
    docker.window.screen.screenshot("recovered-window")
    found = {one["name"]: one["parameters"] for one in now["edits"][0][1]["operations"]}
    assert set(found) == {"bright", "contrast"}, found
    wanted = np.asarray(open_picture(after).pixels).astype(int)
    assert np.abs(docker.seen(folder / "recovered.png") - wanted).max() <= 2

    # From the first button to the first slider, one key up at a time.
    docker.window.activate()
    docker.do("pane.commands.buttons['recover'].setFocus()")
    name = f"{now['titles'][0]}: "
    for _ in range(20):
        if docker.tab().startswith(name):
            break
    old = next(iter(now["values"].values()))
    docker.keys(*["Right"] * 5)
    changed = docker.wait(
        lambda now: next(iter(now["values"].values())) != old and not now["working"]
        and now["edits"][0][1]["operations"][0]["parameters"]
        != next(iter(found.values())),
        "changed plan",
    )  # fmt: skip
    assert changed["groups"] == 1
    assert changed["focus"].startswith(name)  # the keyboard is still there
    told = changed["edits"][0][1]["operations"][0]["parameters"]
    assert next(iter(told.values())) == next(iter(changed["values"].values()))

    docker.keys("alt+g")  # Strength
    assert docker.now()["focus"] == "Strength of the whole edit"
    docker.keys("Home", *["Prior"] * 2, *["Right"] * 5)  # whole steps, and small ones
    half = docker.wait(
        lambda now: now["edits"][0][2] == 1.0 - 0.5 and not now["working"], "half the strength"
    )
    assert half["strength"] == 50
    plan = parse_plan(half["edits"][0][1])
    expected = render_plan(open_picture(before), plan, strength=0.5).pixels
    difference = np.abs(docker.seen(folder / "half.png") - np.asarray(expected).astype(int))
    assert difference.mean() <= 0.6

    # What is one change for the user is one undo step for the user.
    docker.keys("ctrl+z")
    undone = docker.wait(lambda now: now["strength"] == 100, "undone strength", 20)
    assert undone["groups"] == 1
    assert undone["values"] == changed["values"]
    undone = press_until(docker, "ctrl+z", lambda now: now["values"] == first["values"])
    assert undone["groups"] == 1
    assert np.abs(docker.seen(folder / "undone.png") - wanted).max() <= 2
    again = press_until(docker, "ctrl+shift+z", lambda now: now["values"] == changed["values"])
    assert again["groups"] == 1


def press_until(docker, key, wanted, most=10):
    """Filling a group that is in no document is undo steps of its own in Krita's window."""
    for number in range(1, most):
        docker.keys(key)
        time.sleep(1)  # what a press comes to is seen before the next one
        if wanted(now := docker.now()):
            print(f"{key}: {number} times")
            return now
    raise AssertionError(f"{key} {most} times: {now}")


def test_a_plan_is_tried_on_a_small_copy(extended, krita_window, pair, folder):
    before, _ = pair
    (folder / "plan.json").write_text(json.dumps(PLAN), "utf-8")
    (folder / "none.json").write_text("no plan", "utf-8")
    docker = Docker(krita_window(before))
    docker.do(f"""
def told(before, after, why):
    size = lambda one: one and [one.width(), one.height()]
    places = [(10, 10), (40, 60), (80, 60), (119, 89)]
    colours = lambda one: one and [one.pixelColor(*at).getRgb()[:3] for at in places]
    mark("tried", sizes=[size(before), size(after)], why=why,
         before=colours(before), after=colours(after))

import builtins
builtins.told = told
pane.engine.preview("apply-plan", {{"path": {str(folder / "plan.json")!r}}}, 120, told)
""")
    tried = docker.window.running.wait_for("tried", 90)
    assert tried["why"] == ""
    assert tried["sizes"] == [[120, 90], [120, 90]]
    for was, now in zip(tried["before"], tried["after"], strict=True):
        wanted = [min(255, (min(255, value + 30)) * 1.3) for value in was]
        assert np.abs(np.subtract(now, wanted)).max() <= 2
    docker.do(f"""
import builtins
pane.engine.preview("apply-plan", {{"path": {str(folder / "none.json")!r}}}, 120, builtins.told)
""")
    docker.window.running.wait_until(
        lambda: len(docker.window.running.events("tried")) == 2, "second preview", 60
    )
    refused = docker.window.running.events("tried")[-1]
    assert refused["after"] is None
    assert refused["why"]
    assert docker.now()["groups"] == 0  # the document is as it was


def test_looking_is_cheap_with_many_layers(extended, krita_window, pair):
    docker = Docker(krita_window(pair[0]))
    docker.do("""
import time
for number in range(20):
    group = document.createGroupLayer(f"group {number}")
    document.rootNode().addChildNode(group, None)
    for inner in range(9):
        group.addChildNode(document.createNode(f"layer {inner}", "paintlayer"), None)
times = []
for _ in range(5):
    began = time.perf_counter()
    pane.engine.look()
    times.append(time.perf_counter() - began)
mark("looked", seconds=min(times))
""")
    seconds = docker.window.running.events("looked")[-1]["seconds"]
    print(f"one look at 200 layers: {1000 * seconds:.0f} ms")
    assert seconds < 0.1  # every 0.4 s


# --- how it looks -----------------------------------------------------------------------------

THEMES = {"light": "Krita bright", "dark": "Krita dark"}
LOOK = """
def contrast(role, ground, ink=None):
    def light(colour):
        parts = [(x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4)
                 for x in colour.getRgbF()[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    palette = pane.palette()
    lights = sorted([light(ink or palette.color(role)), light(palette.color(ground))])
    return (lights[1] + 0.05) / (lights[0] + 0.05)

def picture(widget, name):
    QtWidgets.QApplication.processEvents()
    widget.grab().save(f"{FOLDER}/{name}.png")

from imgedit_bridges.krita import dialogs
from imgedit_bridges.krita.add_step import AddStep
from imgedit_bridges.krita.style import muted

dock.setFloating(True)
dock.resize(320, 640)
QtWidgets.QApplication.processEvents()
Role = QtGui.QPalette.ColorRole
inside = pane.plan._scroll
mark("look", width=pane.width(), content=inside.widget().width(),
     room=inside.viewport().width(), bar=inside.verticalScrollBar().isVisible(),
     text=contrast(Role.WindowText, Role.Window),
     muted=contrast(None, Role.Window, muted(pane.palette())))
inside.verticalScrollBar().setValue(0)
picture(pane, "docker")
recover = dialogs.RecoverDialog(pane.engine, pane)
recover.show()
picture(recover, "recover")
recover.close()
adding = AddStep(pane.situation.vocabulary, pane)
adding.show()
adding.search.setText("blur")
picture(adding, "add-step")
adding.close()
dock.setFloating(False)
"""


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("theme", THEMES)
def test_screenshot(extended, krita_window, pair, folder, theme, scale):
    """Puts the pictures into docs/screenshots with IMGEDIT_WRITE_DOCS=1."""
    settings = extended.root.outside(f"{extended.home}/.config/kritarc")
    with settings.open("a", encoding="utf-8") as file:
        file.write(f"\n[theme]\nTheme={THEMES[theme]}\n")
    before, after = pair
    docker = opened(krita_window, before, after, {"QT_SCALE_FACTOR": str(scale)})
    docker.do("names = pane.engine.layers(); pane.engine.start('recover', "
              "{'before': names.before, 'after': names.after})")  # fmt: skip
    docker.wait(lambda now: now["values"] and not now["working"], "recovered edit")
    if scale == 1:
        docker.do("[one.setVisible(False) for one in app.dockers() "
                  "if one.objectName() in ('PresetDocker', 'PresetHistory')]")  # fmt: skip
        time.sleep(1)  # Krita paints the layers' thumbnails late
        docker.window.screen.screenshot("window")
    docker.do("pane.plan.append('curves'); pane.plan.append('vignette')")
    docker.wait(
        lambda now: len(now["edits"][0][1]["operations"]) == 4 and not now["working"], "four steps"
    )
    docker.do(f"FOLDER = {str(folder)!r}\n{LOOK}")
    look = docker.window.running.events("look")[-1]
    assert look["content"] <= look["room"]
    assert look["text"] >= 4.5
    assert look["muted"] >= 4.5
    made = sorted(folder.glob("*.png"))
    pictures = [one for one in made if one.stem in ("docker", "recover", "add-step", "window")]
    assert len(pictures) == (4 if scale == 1 else 3)
    with Image.open(folder / "docker.png") as picture:
        assert picture.width == look["width"] * scale
    if os.environ.get("IMGEDIT_WRITE_DOCS"):
        PICTURES.mkdir(exist_ok=True)
        for one in pictures:
            target = PICTURES / f"krita-{one.stem}-{theme}-{100 * scale}.png"
            Image.open(one).convert("RGB").quantize(256).save(target, optimize=True)
