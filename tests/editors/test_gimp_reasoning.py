"""reason_edit's entries in the real GIMP, with a language model that is played by a real server."""

import contextlib
import json
import time

import numpy as np
import painter
import pytest
from by_words import GimpEntry, keep
from gimp_session import NAMES, assert_close, pixels_of, rendered
from gimp_windowed import Session
from reasoning_server import (
    ANSWERS,
    ENVIRONMENT,
    MISBEHAVIOUR,
    SKY,
    WARM,
    Model,
    Mood,
    plan,
    serving,
)  # fmt: skip

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.plan import EditPlan, step

pytestmark = pytest.mark.editors

REASON, PLAN = "imgedit-reason-edit-reason", "imgedit-reason-edit-plan"
LIT = EditPlan(operations=(step("temperature", shift=40),))


@pytest.fixture(scope="module")
def with_painter(installed, session_root):
    remove = painter.install(session_root, installed)
    yield
    remove()


@pytest.fixture
def gimp_reasons(with_painter, plugin):
    """GIMP with the plug-in, and a plugin that paints what operations cannot."""
    plugin.environment.update(ENVIRONMENT)
    return plugin


def test_filters_a_layer_above_and_a_document_that_is_kept(gimp_reasons, photo, folder):
    path, _ = photo
    look, model = folder / "look", Model(ANSWERS)
    look.mkdir()  # GIMP passes on folders and files that are there
    with serving(model) as address:
        run = gimp_reasons.run(NAMES + f"""
look = Gio.File.new_for_path({str(look)!r})
file = look.get_child("document.json")
image = load({str(path)!r})
words = {{"instruction": "a warm evening", "endpoint": {address!r}, "save-folder": look}}
mark("told", told=call({REASON!r}, image, image.get_layers(), **words))
tell(image)
seen(image, {str(folder / "seen.bin")!r})
mark("explained", told=call("imgedit-explain", image, image.get_layers()[:1]))
other = load({str(path)!r})
call({REASON!r}, other, other.get_layers(), instruction="again", document=file)
seen(other, {str(folder / "again.bin")!r})
""", seconds=240)  # fmt: skip
    [above, below] = run.events("layers")[0]["layers"]
    assert below["filters"], "the temperature is held live"
    assert not above["filters"]
    assert above["name"] == "A warm evening"
    assert run.events("told")[0]["told"] == "A warm evening."
    assert run.events("explained")[0]["told"] == "A warm evening."
    got = pixels_of(run, folder / "seen.bin")
    height, width = got.shape[:2]
    assert_close(got[-20:], rendered(path, LIT)[-20:])
    thing = got[int(0.3 * height) : int(0.45 * height), int(0.3 * width) : int(0.45 * width)]
    assert (thing == (200, 30, 30)).all()

    document = json.loads((look / "document.json").read_text("utf-8"))
    assert document["intent"] == "A warm evening."
    titles = [layer["title"] for layer in document["layers"]]
    assert titles == ["Warmer light", "Darker sky", "Something red"]
    assert {path.name for path in look.iterdir()} == {
        "document.json", "preview.png", "region-2.png", "region-3.png",
    }  # fmt: skip
    assert model.kinds() == ["plan", "criticise"], "the document given back asks nobody"
    np.testing.assert_array_equal(pixels_of(run, folder / "again.bin"), got)


def test_what_a_server_does_wrong_is_told_and_the_picture_stays(gimp_reasons, photo, folder):
    path, pixels = photo
    with contextlib.ExitStack() as stack:
        addresses = [stack.enter_context(serving(Model([said]))) for said, _ in MISBEHAVIOUR]
        run = gimp_reasons.run(NAMES + f"""
image = load({str(path)!r})
for address in [*{addresses!r}, "http://127.0.0.1:1/v1", "http://192.0.2.1/v1"]:
    for entry in ({REASON!r}, {PLAN!r}):
        call(entry, image, image.get_layers(), instruction="x", endpoint=address)
for entry in ({REASON!r}, {PLAN!r}):
    call(entry, image, image.get_layers(), instruction=" ", endpoint=address)
tell(image)
seen(image, {str(folder / "seen.bin")!r})
""", seconds=240)  # fmt: skip
    wanted = [
        *(told for _, told in MISBEHAVIOUR),
        "Connection refused",
        "would be sent the picture",
        "An instruction is needed.",
    ]
    told = [mark["told"] for mark in run.events("refused")]
    assert len(told) == 2 * len(wanted)
    for number, why in enumerate(wanted):
        for one in told[2 * number : 2 * number + 2]:
            assert why in one
            assert "Traceback" not in one
    [layer] = run.events("layers")[0]["layers"]
    assert not layer["filters"]
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin"), pixels)


def test_the_windows_cancel_tell_and_show(gimp_reasons, gimp_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(900, 600), path)
    model = Mood([plan(WARM, SKY)])
    with serving(model) as address:
        edit = GimpEntry(gimp_window(path), REASON, "Edit by reasoning…")
        edit.ask(instruction="slowly, please", endpoint=address)
        edit.begin()
        edit.window.running.wait_until(lambda: model.asked, "a question", 60)
        edit.screen.screenshot("asking")
        edit.cancel()
        assert edit.is_untouched()

        edit.ask(instruction="rudely, please", endpoint=address)
        edit.screen.keys("alt+o")
        edit.wait_for_fault()
        edit.screen.screenshot("fault")
        edit.screen.keys("Escape")
        assert edit.is_untouched()

        edit.ask(instruction="make it the last warm evening of the year", endpoint=address)
        edit.screen.screenshot("asked")
        edit.begin()
        edit.wait_for_result()
        keep(edit.screen, "gimp-reason-result")
        edit.screen.keys("alt+o")

        def put():
            layers = edit.layers()
            return len(layers) == 2 and layers[1]["filters"]

        edit.window.running.wait_until(put, "a layer above live filters", 90)
        edit.window.activate()
        time.sleep(3)  # GIMP draws bit by bit
        edit.screen.screenshot("put")
        edit.screen.keys("ctrl+z")
        edit.window.running.wait_until(edit.is_untouched, "the state before", 30)
    assert "last warm evening" in model.told()


def test_a_plan_is_adjusted_before_it_is_applied(gimp_reasons, gimp_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(900, 600), path)
    bright = {"title": "", "operations": [{"name": "bright", "parameters": {"offset": 30}}]}
    with serving(Model([plan(WARM, bright)])) as address:
        edit = GimpEntry(gimp_window(path), PLAN, "Plan by instruction…")
        edit.ask(instruction="a warm evening", endpoint=address)
        edit.begin()
        edit.wait_for_result()
        session = Session(edit.window, folder, path)
        keep(edit.screen, "gimp-plan-found")
        edit.screen.keys("Tab", "Tab", "Tab", "ctrl+a")  # to the first slider
        edit.screen.type("10\t")
        time.sleep(2)
        edit.screen.screenshot("adjusted")
        assert edit.is_untouched(), "nothing is put before it is accepted"
        edit.screen.keys("alt+o")
        less = EditPlan(operations=(step("temperature", shift=10), step("bright", offset=30)))
        session.wait_for_pixels(rendered(path, less), "the adjusted plan")
        [layer] = edit.layers()
        assert layer["plan"]
        assert layer["filters"]
