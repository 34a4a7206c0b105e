"""The plug-in's windows in the real GIMP: by keyboard, with pixels, undo and redo."""

import json
import os
import time

import numpy as np
import pytest
from editor_root import PROJECT
from gimp_windowed import PANE, Session, assert_close, rendered, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

STEPS = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2})]
SCREENSHOTS = PROJECT / "docs" / "screenshots"


def test_the_pane_shows_what_is_changed_and_cancel_takes_it_away(session):
    plan = write_plan(session.folder / "plan.json", STEPS)
    session.apply(session.folder / "plan.json")
    before, layers = session.seen(), session.layers()
    assert_close(before, rendered(session.path, plan))
    session.run("mark('dirty', dirty=image.is_dirty())\nimage.clean_all()")
    session.pane()
    session.keys("space")  # the check box of the first step has the focus
    one = parse_plan({"schema": "imgedit-plan/1", "operations": [
        {"name": "contrast", "parameters": {"gain": 1.2}}]})  # fmt: skip
    session.wait_for_pixels(rendered(session.path, one), "the first step is off")
    assert any("(preview)" in name for name in session.layers()[0]["filters"])
    session.screen.activate(session.screen.find(PANE))
    session.strength(50)
    session.wait_for_pixels(rendered(session.path, one, 0.5), "half of it")
    session.keys("Escape")
    session.window.wait_until_gone(PANE)
    np.testing.assert_array_equal(session.seen(), before)
    assert session.layers() == layers
    session.screen.activate(session.screen.find("GIMP$"))
    session.screen.keys("ctrl+z")  # nothing of the preview is in the list of undo steps
    session.wait_for_pixels(rendered(session.path, parse_plan(
        {"schema": "imgedit-plan/1", "operations": []})), "undone plan")  # fmt: skip


def test_what_is_accepted_is_one_undo_step_and_redo_brings_it_back(session):
    plan = write_plan(session.folder / "plan.json", [*STEPS, ("sharp", {}), ("invert", {})])
    session.apply(session.folder / "plan.json")
    first = rendered(session.path, plan)
    session.wait_for_pixels(first, "applied plan")
    session.pane()
    session.strength(60)
    session.keys("alt+o")
    session.window.wait_until_gone(PANE)
    second = rendered(session.path, plan, 0.6)
    session.wait_for_pixels(second, "accepted strength")
    layers = session.layers()
    assert [one["filters"] for one in layers] == [["Invert"], []]
    for key, wanted in (("ctrl+z", first), ("ctrl+y", second), ("ctrl+z", first),
                        ("ctrl+y", second)):  # fmt: skip
        session.screen.activate(session.screen.find("GIMP$"))
        session.screen.keys(key)
        session.wait_for_pixels(wanted, f"after {key}")
    assert session.layers() == layers


def test_filters_that_redo_has_turned_round_are_put_right(session):
    write_plan(session.folder / "plan.json", STEPS)
    session.apply(session.folder / "plan.json")
    session.pane()
    session.keys("Tab", "space")  # moves the first step down; up is not possible
    turned = parse_plan({"schema": "imgedit-plan/1", "operations": [
        {"name": name, "parameters": values} for name, values in reversed(STEPS)]})  # fmt: skip
    session.wait_for_pixels(rendered(session.path, turned), "shown in the other order")
    session.keys("alt+o")
    session.window.wait_until_gone(PANE)
    session.wait_for_pixels(rendered(session.path, turned), "accepted in the other order")
    assert session.layers()[0]["filters"] == ["Brightness +40", "Contrast ×1.2"]
    session.screen.activate(session.screen.find("GIMP$"))
    session.screen.keys("ctrl+z", "ctrl+y")
    # GIMP 3.0 does that to filters. When this fails, the pane need not look for it any more.
    session.window.running.wait_until(
        lambda: session.layers()[0]["filters"] == ["Contrast ×1.2", "Brightness +40"],
        "filters turned round by redo", 20,
    )  # fmt: skip
    session.pane()
    session.wait_for_pixels(rendered(session.path, turned), "shown as the plan has it")
    session.keys("alt+o")
    session.window.wait_until_gone(PANE)
    session.wait_for_pixels(rendered(session.path, turned), "put right")
    assert session.layers()[0]["filters"] == ["Brightness +40", "Contrast ×1.2"]


def test_gimp_can_be_used_while_the_pane_is_open_and_it_follows_the_layer(session):
    write_plan(session.folder / "plan.json", STEPS)
    write_plan(session.folder / "sepia.json", [("sepia", {})])
    session.apply(session.folder / "plan.json")
    session.run(f"""
image.insert_layer(Gimp.Layer.new_from_visible(image, image, "other"), None, 0)
apply_plan(image, image.get_layers()[:1], {str(session.folder / "sepia.json")!r})
image.set_selected_layers(image.get_layers()[1:])
""")
    session.pane()
    session.screen.activate(session.screen.find("GIMP$"))
    session.screen.keys("ctrl+a")
    session.window.running.wait_until(
        lambda: session.run("mark('all', empty=Gimp.Selection.is_empty(image))")
        or not session.window.running.events("all")[-1]["empty"],
        "a selection", 20,
    )  # fmt: skip
    session.run("Gimp.Selection.none(image)\nimage.set_selected_layers(image.get_layers()[:1])")
    time.sleep(2)
    session.strength(50)
    session.keys("alt+o")
    session.window.wait_until_gone(PANE)
    session.run("mark('opacity', of=[[round(100 * made.get_opacity()) for made in"
                " one.get_filters()] for one in image.get_layers()])")  # fmt: skip
    assert session.window.running.events("opacity")[-1]["of"] == [[50], [100, 100]]


def test_an_edit_is_made_from_nothing_by_keyboard(session):
    session.pane()
    session.keys("alt+d")
    time.sleep(1)
    session.screen.type("invert")
    session.screen.keys("Return")
    plan = write_plan(session.folder / "plan.json", [("invert", {})])
    session.wait_for_pixels(rendered(session.path, plan), "the added step")
    session.keys("alt+o")
    session.window.wait_until_gone(PANE)
    session.wait_for_pixels(rendered(session.path, plan), "the accepted step")
    [layer] = session.layers()
    assert (layer["filters"], layer["plan"]) == (["Invert"], True)


def test_a_plan_is_seen_before_it_is_applied_and_remembered(session):
    plan = write_plan(session.folder / "plan.json", STEPS)
    session.window.action("Apply plan")
    session.window.wait_for_window("^Apply plan$")
    session.keys("alt+o")  # without a plan there is nothing to accept
    time.sleep(1)
    assert session.screen.find("^Apply plan$")
    session.keys("Escape")
    session.window.wait_until_gone("^Apply plan$")
    before = session.layers()
    assert [one["filters"] for one in before] == [[]]
    presets = session.window.program.plugins.parent / "imgedit" / "presets.json"
    presets.parent.mkdir(exist_ok=True)
    kept = {"title": "Brighter", "plan": json.loads((session.folder / "plan.json").read_text()),
            "strength": 0.5, "favourite": True}  # fmt: skip
    presets.write_text(json.dumps({"plans": [kept]}), "utf-8")
    session.window.action("Apply plan")
    session.window.wait_for_window("^Apply plan$")
    time.sleep(2)
    session.strength(80)
    session.keys("alt+o")
    session.window.wait_until_gone("^Apply plan$")
    session.wait_for_pixels(rendered(session.path, plan, 0.8), "the plan at 80 %")
    data = json.loads(presets.read_text("utf-8"))
    assert [(one["strength"], one["favourite"]) for one in data["plans"]] == [(0.8, True)]


def test_a_recovered_edit_is_seen_before_it_is_put(session):
    plan = write_plan(session.folder / "plan.json", [("contrast", {"gain": 1.3}), ("sepia", {})])
    after = session.folder / "after.png"
    save_picture(render_plan(photograph(480, 320), plan), after)
    _two_layers(session, after)
    for key, number in (("Escape", 2), ("alt+o", 3)):
        session.window.action("Recover edit from")
        session.window.wait_for_window("^Recover edit from two layers…$")
        session.keys("alt+o")
        session.window.wait_until_gone("^Recover edit from two layers…$")
        _wait_for_review(session)
        assert len(session.layers()) == 2  # nothing is there before it is accepted
        session.keys(key)
        session.window.running.wait_until(
            lambda n=number: len(session.layers()) == n, f"{number} layers", 60
        )
        session.run("image.set_selected_layers(image.get_layers()[-2:])")
    session.wait_for_pixels(rendered(session.path, plan), "the recovered edit")


def _two_layers(session, after):
    session.run(f"""
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
image.set_selected_layers(image.get_layers())
""")


REVIEW = "^Recover edit from two layers: found$"


def _wait_for_review(session, seconds=120):
    session.window.wait_for_window(REVIEW, seconds)
    time.sleep(2)


def test_an_abstention_is_a_sentence_with_what_to_do(session):
    after = session.folder / "after.png"
    save_picture(photograph(480, 320, seed=9), after)
    _two_layers(session, after)
    session.window.action("Recover edit from")
    session.window.wait_for_window("^Recover edit from two layers…$")
    session.keys("alt+o")
    _wait_for_fault(session)
    session.screen.screenshot("abstained")
    session.screen.keys("Escape")
    session.window.wait_until_gone("^Recover edit")
    assert len(session.layers()) == 2


def _wait_for_fault(session):
    """The dialog of options is gone, then progress, and a small window has taken their place."""
    session.window.wait_until_gone("^Recover edit from two layers…$")
    time.sleep(2)
    session.window.wait_until_gone("^Recover edit from two layers$", 120)
    session.window.wait_for_window("^Recover edit from two layers…$", 30)


# --- screenshots ------------------------------------------------------------------------------


CURVE = [[0.0, 0.0], [0.25, 0.18], [0.75, 0.84], [1.0, 1.0]]
SHOWN = [("temperature", {"shift": 25.0}), ("contrast", {"gain": 1.2}), ("curves", {"all": CURVE}),
         ("vignette", {"amount": -35.0}), ("bright", {"offset": 12.0})]  # fmt: skip


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_screenshots(plugin, gimp_window, folder, theme, scale):
    """With IMGEDIT_WRITE_DOCS=1 the pictures go into docs/screenshots."""
    with (plugin.plugins.parent / "gimprc").open("a", encoding="utf-8") as settings:
        settings.write(f"(theme-color-scheme {theme})\n")
    path, after = folder / "photo.png", folder / "after.png"
    save_picture(photograph(900, 600), path)
    found = write_plan(folder / "found.json", [("contrast", {"gain": 1.3}), ("sepia", {})])
    save_picture(render_plan(photograph(900, 600), found), after)
    write_plan(folder / "plan.json", SHOWN)
    presets = plugin.plugins.parent / "imgedit" / "presets.json"
    presets.parent.mkdir()
    plans = [
        {"title": title, "plan": json.loads((folder / name).read_text("utf-8")), "favourite": star}
        for title, name, star in (
            ("Warm evening", "plan.json", True),
            ("Old photograph", "found.json", False),
        )
    ]
    presets.write_text(json.dumps({"plans": plans}), "utf-8")
    window = gimp_window(
        path, environment={"GDK_SCALE": str(scale)}, size=(1600 * scale, 1000 * scale)
    )
    session = Session(window, folder, path)
    shots = Shots(session, f"{theme}-{100 * scale}")
    shots.plans()
    shots.pane()
    shots.recovered(after)
    if (theme, scale) == ("dark", 1):
        shots.keep(session.screen.screenshot("gimp-recovered"))


class Shots:
    """Pictures of the plug-in's windows, one after the other in one GIMP."""

    def __init__(self, session, kind):
        self.session = session
        self.kind = kind

    def take(self, name, pattern):
        found = self.session.window.wait_for_window(pattern)
        self.session.screen.move_away()
        time.sleep(2)
        target = self.session.folder / f"gimp-{name}-{self.kind}.png"
        self.session.screen.save_window(found, target)
        height, width = open_picture(target).pixels.shape[:2]
        assert min(height, width) > 100 * (2 if self.kind.endswith("200") else 1)
        self.keep(target)

    def keep(self, picture):
        if os.environ.get("IMGEDIT_WRITE_DOCS"):
            SCREENSHOTS.mkdir(exist_ok=True)
            (SCREENSHOTS / picture.name).write_bytes(picture.read_bytes())

    def plans(self):
        self.session.window.action("Apply plan")
        self.take("apply", "^Apply plan$")
        self.session.keys("alt+o")
        self.session.window.wait_until_gone("^Apply plan$")

    def pane(self):
        self.session.window.running.wait_until(
            lambda: self.session.layers()[0]["plan"], "applied plan", 60
        )
        self.session.pane()
        self.take("adjust", PANE)
        self.session.keys("alt+d")
        time.sleep(1)
        self.session.screen.type("tone")
        time.sleep(1)
        # What pops up is a window of its own: the whole screen is needed to see it.
        self.session.screen.screenshot(f"gimp-add-step-{self.kind}")
        self.session.screen.keys("Escape")
        self.session.keys("Escape")
        self.session.window.wait_until_gone(PANE)

    def recovered(self, after):
        self.session.run("image.remove_layer(image.get_layers()[0])")
        _two_layers(self.session, after)
        self.session.window.action("Recover edit from")
        self.take("recover-options", "^Recover edit from two layers…$")
        self.session.keys("alt+o")
        self.session.window.wait_until_gone("^Recover edit from two layers…$")
        _wait_for_review(self.session)
        self.take("recover", REVIEW)
        self.session.keys("alt+o")
        self.session.window.wait_until_gone(REVIEW)
        self.session.window.running.wait_until(
            lambda: len(self.session.layers()) == 3, "three layers", 60
        )
        time.sleep(2)
