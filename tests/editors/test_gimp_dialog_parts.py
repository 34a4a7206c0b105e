"""Parts of the plug-in's windows in the real GIMP, by keyboard: preview, presets, favourites."""

import json
import time

import cv2
import numpy as np
import pytest
from gimp_session import RECOVER
from gimp_windowed import PANE, write_plan

from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

ROOM = (400, 266)  # of the preview
PLANS = "^Apply plan$"
OPTIONS = "^Recover edit from two layers…$"


class Preview:
    """The picture in the newest window of the plug-in, as the screen shows it."""

    def __init__(self, session, pattern):
        self.session = session
        self.pattern = pattern
        self.corner = None

    def screen(self):
        self.session.screen.move_away()
        time.sleep(1)
        shot = self.session.screen.screenshot("preview")
        return np.asarray(open_picture(shot).pixels)[:, :, :3]

    def find(self, picture, place):
        """Where the preview is, when it shows `picture` in full size from `place` on."""
        x, y = place
        part = picture[y + 60 : y + 200, x + 40 : x + 160]
        found = cv2.matchTemplate(self.screen(), np.ascontiguousarray(part), cv2.TM_SQDIFF)
        least, _, (left, top), _ = cv2.minMaxLoc(found)
        assert least < part.size, f"not seen: {least}"
        self.corner = (left - 40, top - 60)

    def shows(self, picture, place, left, right, seconds=15):
        """Whether columns from `left` to `right` of the preview become the picture's."""
        (x, y), (cx, cy) = place, self.corner
        wanted = picture[y + 60 : y + 200, x + left : x + right]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if np.array_equal(self.screen()[cy + 60 : cy + 200, cx + left : cx + right], wanted):
                return True
        return False


def test_the_preview_in_full_size_is_moved_by_keys_and_by_dragging(session):
    plan = write_plan(session.folder / "plan.json", [("invert", {})])
    session.apply(session.folder / "plan.json")
    before = np.asarray(open_picture(session.path).pixels)
    after = np.asarray(render_plan(open_picture(session.path), plan).pixels)
    middle = ((480 - ROOM[0]) // 2, (320 - ROOM[1]) // 2)
    session.pane()
    session.keys("alt+1")
    time.sleep(2)
    preview = Preview(session, PANE)
    preview.find(before, middle)
    assert preview.shows(after, middle, 240, 360)
    session.keys("shift+Left", "shift+Up")  # the picture has the keyboard now
    assert preview.shows(before, (0, 0), 40, 160)
    session.keys("Left", "Left")  # the line: twenty pixels each
    assert preview.shows(after, (0, 0), 170, 190)
    x, y = preview.corner
    session.screen.drag((x + 300, y + 200), (x + 270, y + 180))
    assert preview.shows(before, (30, 20), 40, 150)
    assert preview.shows(after, (30, 20), 170, 360)
    session.screen.drag((x + 160, y + 100), (x + 300, y + 100))  # at the line it moves that
    assert preview.shows(before, (30, 20), 40, 290)
    assert preview.shows(after, (30, 20), 310, 390)
    session.keys("Escape")
    session.window.wait_until_gone(PANE)


def presets_of(session):
    return session.window.program.plugins.parent / "imgedit" / "presets.json"


def two_layers(session):
    plan = write_plan(session.folder / "plan.json", [("invert", {})])
    after = session.folder / "after.png"
    save_picture(render_plan(open_picture(session.path), plan), after)
    session.run(f"""
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
image.set_selected_layers(image.get_layers())
""")


def test_presets_are_chosen_saved_and_removed_by_keyboard(session):
    two_layers(session)
    presets = presets_of(session)
    presets.parent.mkdir(exist_ok=True)
    kept = {"swap": True, "effort": "quick"}
    presets.write_text(json.dumps({"options": {RECOVER: {"Turned": kept}}}), "utf-8")

    def saved():
        return json.loads(presets.read_text("utf-8"))["options"][RECOVER]

    def options():
        session.window.action("Recover edit from")
        session.window.wait_for_window(OPTIONS)
        time.sleep(1)

    options()
    session.keys("alt+p", "Down")
    time.sleep(1)
    session.screen.screenshot("chosen")
    session.keys("alt+o")
    session.window.wait_for_window("^Recover edit from two layers: found$", 120)
    time.sleep(1)
    session.keys("alt+o")
    session.window.wait_until_gone("^Recover edit")
    session.window.running.wait_until(lambda: len(session.layers()) == 3, "the edit", 60)
    session.run("image.set_selected_layers(image.get_layers()[-2:])")
    options()  # with the values of the last time
    session.keys("alt+p")
    session.screen.type("As it was")
    session.keys("alt+v")
    session.window.running.wait_until(lambda: "As it was" in saved(), "saved preset", 20)
    assert saved()["Turned"] == kept
    assert {name: saved()["As it was"][name] for name in kept} == kept
    session.screen.screenshot("saved")
    session.keys("alt+m")
    session.window.running.wait_until(lambda: list(saved()) == ["Turned"], "removed preset", 20)
    session.keys("Escape")
    session.window.wait_until_gone(OPTIONS)


def test_a_plan_is_made_a_favourite_by_keyboard(session):
    plans = [{"title": title, "plan": {"schema": "imgedit-plan/1", "operations": [
        {"name": name, "parameters": {}}]}} for title, name in (("Mine", "sepia"),
                                                                ("Other", "invert"))]  # fmt: skip
    presets = presets_of(session)
    presets.parent.mkdir(exist_ok=True)
    presets.write_text(json.dumps({"plans": plans}), "utf-8")

    def told():
        data = json.loads(presets.read_text("utf-8"))
        return [(one["title"], bool(one.get("favourite"))) for one in data["plans"]]

    for turn, wanted in enumerate(
        ([("Other", True), ("Mine", False)], [("Other", False), ("Mine", False)])
    ):
        session.window.action("Apply plan")
        session.window.wait_for_window(PLANS)
        time.sleep(1)
        session.keys("alt+p", *(["Down"] if turn == 0 else []), "Tab", "space")
        session.window.running.wait_until(lambda w=wanted: told() == w, f"{wanted}", 20)
        session.screen.screenshot(f"favourite-{turn}")
        session.keys("Escape")  # a favourite stays although nothing was applied
        session.window.wait_until_gone(PLANS)
    assert [one["filters"] for one in session.layers()] == [[]]
