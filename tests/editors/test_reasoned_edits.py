"""Reasoned edits in the real editors, with a language model that is played by a real server."""

import json
import sys
import time

import numpy as np
import pytest
from editor_root import PROJECT
from gimp_session import NAMES, assert_close, pixels_of
from krita_session import pixels_of as krita_pixels_of

sys.path.append(str(PROJECT / "tests/plugins/reason_edit/reasoning"))
from reasoned_answers import SKY, WARM, Model, plan, revised, serving

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import ApplyRequest

pytestmark = pytest.mark.editors

REASON, PLAN = "imgedit-reason-edit-reason", "imgedit-reason-edit-plan"


def edited(path, address):
    """What the hook makes of a picture here."""
    request = ApplyRequest(
        picture=open_picture(path), instruction="a warm evening", options={"endpoint": address}
    )
    result = PluginManager.discover().call("apply_edit", request, Job(), "reason_edit")
    return result.candidates[0].picture.pixels


def test_gimp_gets_live_filters_for_a_plan_and_a_layer_above_for_the_rest(plugin, photo, folder):
    path, _ = photo
    model = Model([plan(WARM), plan(WARM, SKY)])
    with serving(model) as address:
        run = plugin.run(NAMES + f"""
image = load({str(path)!r})
words = {{"instruction": "a warm evening", "endpoint": {address!r}}}
mark("plan", plan=call({PLAN!r}, image, image.get_layers(), **words))
tell(image)
other = load({str(path)!r})
mark("told", told=call({REASON!r}, other, other.get_layers(), **words))
tell(other)
seen(other, {str(folder / "seen.bin")!r})
""", seconds=240)  # fmt: skip
        wanted = edited(path, address)
    [live], [above, below] = (told["layers"] for told in run.events("layers"))
    assert live["plan"]
    assert json.loads(run.events("plan")[0]["plan"])["operations"][0]["name"] == "temperature"
    assert live["filters"], "temperature is held live"
    assert below["filters"], "temperature is held live below what lies above"
    assert not above["filters"]
    assert run.events("told")[0]["told"] == "A warm evening."
    assert_close(pixels_of(run, folder / "seen.bin"), wanted)


def test_gimp_shows_what_went_wrong(plugin, photo):
    path, _ = photo
    with serving(Model(["I cannot help with that."])) as address:
        run = plugin.run(NAMES + f"""
image = load({str(path)!r})
call({REASON!r}, image, image.get_layers(), instruction="x", endpoint={address!r})
call({REASON!r}, image, image.get_layers(), instruction="x", endpoint="http://192.0.2.1/v1")
tell(image)
""", seconds=240)  # fmt: skip
    refused, away = (mark["told"] for mark in run.events("refused"))
    assert "gave no plan that can be used" in refused
    assert "would be sent the picture" in away
    [layer] = run.events("layers")[0]["layers"]
    assert not layer["filters"]


def test_gimps_dialog(plugin, gimp_window, folder):
    """The existing dialog, from the manifest; the result is looked at before it is put."""
    path = folder / "photo.png"
    save_picture(photograph(900, 600), path)
    model = Model([plan(WARM, SKY)], criticisms=[revised(WARM, SKY)])
    with serving(model) as address:
        window = gimp_window(path)
        window.action("Edit by reasoning")
        window.wait_for_window("^Edit by reasoning")
        window.screen.screenshot("options")
        window.screen.keys("alt+i")
        window.screen.type("make it the last warm evening of the year")
        window.screen.keys("alt+e")
        window.screen.keys("ctrl+a")
        window.screen.type(address)
        window.screen.screenshot("filled")
        window.screen.keys("alt+o")
        window.wait_for_window("^Edit by reasoning: result", 120)
        window.screen.screenshot("result")
        window.screen.keys("alt+o")

        def put():
            window.run("""
above, *below = Gimp.get_images()[0].get_layers()
mark("put", below=[len(one.get_filters()) for one in below])
""")
            return window.running.events("put")[-1]["below"] == [1]

        window.running.wait_until(put, "a layer above live filters", 90)
        time.sleep(3)  # GIMP draws bit by bit
        window.screen.screenshot("put")
    assert "last warm evening" in model.told(0)


ACTION = """
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
def action(plugin, name):
    return next(one for one in actions if (one["plugin"], one["id"]) == (plugin, name))
"""


def test_krita_gets_filter_layers_and_a_layer_above(extension, photo, folder):
    path, pixels = photo
    with serving(Model([plan(WARM, SKY)])) as address:
        run = extension.run(
            f"""{ACTION}
document = load({str(path)!r})
work("run_action", action("reason_edit", "reason"), [background(document)],
     instruction="a warm evening", options={{"endpoint": {address!r}}}, document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""",
            seconds=240,
        )
        wanted = edited(path, address)
    assert len(run.events("layers")[0]["layers"]) > 1
    got = krita_pixels_of(run, folder / "seen.bin")[:, :, :3]
    assert np.abs(got.astype(int) - wanted).max() <= 3
    assert np.abs(got.astype(int) - pixels).max() > 20


def test_krita_gets_filter_layers_for_a_plan(extension, photo, folder):
    path, _ = photo
    with serving(Model([plan(WARM)])) as address:
        run = extension.run(
            f"""{ACTION}
document = load({str(path)!r})
work("run_action", action("reason_edit", "plan"), [background(document)],
     instruction="a warm evening", options={{"endpoint": {address!r}}}, document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""",
            seconds=240,
        )
    group, _ = run.events("layers")[0]["layers"]
    wanted = render_plan(open_picture(path), EditPlan(operations=(step("temperature", shift=40),)))
    got = krita_pixels_of(run, folder / "seen.bin")[:, :, :3]
    assert np.abs(got.astype(int) - wanted.pixels).max() <= 3
    assert group["inner"], "held live or rendered"
