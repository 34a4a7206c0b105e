"""reason_edit's actions in the real Krita; a real server plays the language model."""

import contextlib
import json
import time

import numpy as np
import painter
import pytest
from by_words import KritaAction, keep
from krita_session import pixels_of
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
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

ACTION = """
actions = []
engine.actions(actions.extend)
spin(lambda: actions)

def reason(picture, words, name="reason", **options):
    action = next(one for one in actions if (one["plugin"], one["id"]) == ("reason_edit", name))
    return work("run_action", action, [background(picture)], instruction=words, options=options,
                document=picture)
"""


@pytest.fixture(scope="module")
def with_painter(installed, session_root):
    remove = painter.install(session_root, installed)
    yield
    remove()


@pytest.fixture
def krita_reasons(with_painter, extension):
    """Krita with the extension, and a plugin that paints what operations cannot."""
    extension.krita.environment.update(ENVIRONMENT)
    return extension


def warm(path, *more):
    """What the model's first layer makes of a picture, and further steps."""
    steps = EditPlan(operations=(step("temperature", shift=40), *more))
    return np.asarray(render_plan(open_picture(path), steps).pixels)


def test_filter_layers_a_layer_above_and_a_document_that_is_kept(krita_reasons, photo, folder):
    path, _ = photo
    look, model = folder / "look", Model(ANSWERS)
    with serving(model) as address:
        run = krita_reasons.run(f"""{ACTION}
document = load({str(path)!r})
mark("said", said=reason(document, "a warm evening", endpoint={address!r},
                         **{{"save-folder": {str(look)!r}}}))
tell(document)
seen(document, {str(folder / "seen.bin")!r})
other = load({str(path)!r})
reason(other, "again", document={str(look)!r})
seen(other, {str(folder / "again.bin")!r})
planned = load({str(path)!r})
mark("plan", plan=reason(planned, "warm", "plan", document={str(look)!r}))
tell(planned)
seen(planned, {str(folder / "plan.bin")!r})
""", seconds=240)  # fmt: skip
    group, _ = run.events("layers")[0]["layers"]
    assert group["name"] == "A warm evening."
    above, *below = group["inner"]
    assert (above["type"], above["name"]) == ("paintlayer", "The rest")
    assert json.dumps(below).count("filterlayer"), "the temperature is held live"
    got = pixels_of(run, folder / "seen.bin")[:, :, :3]
    height, width = got.shape[:2]
    assert np.abs(got[-20:].astype(int) - warm(path)[-20:]).max() <= 2
    thing = got[int(0.3 * height) : int(0.45 * height), int(0.3 * width) : int(0.45 * width)]
    assert (thing == (200, 30, 30)).all()
    document = json.loads((look / "document.json").read_text("utf-8"))
    assert document["intent"] == "A warm evening."
    assert len(document["layers"]) == 3
    assert model.kinds() == ["plan", "criticise"], "the document given back asks nobody"
    np.testing.assert_array_equal(pixels_of(run, folder / "again.bin")[:, :, :3], got)

    assert [one["name"] for one in run.events("plan")[0]["plan"]["operations"]] == ["temperature"]
    planned = pixels_of(run, folder / "plan.bin")[:, :, :3]
    assert np.abs(planned.astype(int) - warm(path)).max() <= 2


def test_what_a_server_does_wrong_is_told_and_the_picture_stays(krita_reasons, photo, folder):
    path, pixels = photo
    with contextlib.ExitStack() as stack:
        addresses = [stack.enter_context(serving(Model([said]))) for said, _ in MISBEHAVIOUR]
        run = krita_reasons.run(f"""{ACTION}
document = load({str(path)!r})
for address in [*{addresses!r}, "http://127.0.0.1:1/v1", "http://192.0.2.1/v1"]:
    for name in ("reason", "plan"):
        reason(document, "x", name, endpoint=address)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""", seconds=240)  # fmt: skip
    wanted = [
        *(told for _, told in MISBEHAVIOUR),
        "Connection refused",
        "would be sent the picture",
    ]
    refused = run.events("refused")
    assert [one["how"] for one in refused] == ["failed"] * 2 * len(wanted)
    for number, why in enumerate(wanted):
        for one in refused[2 * number : 2 * number + 2]:
            assert why in one["told"]
            assert "Traceback" not in one["told"]
    assert len(run.events("layers")[0]["layers"]) == 1
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin")[:, :, :3], pixels)


def test_the_docker_cancels_tells_and_shows(krita_reasons, krita_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(900, 600), path)
    model = Mood([plan(WARM, SKY)])
    with serving(model) as address:
        edit = KritaAction(krita_window(path), krita_reasons, "reason_edit/reason")
        edit.start(instruction="slowly, please", options={"endpoint": address})
        edit.wait_for(lambda now: now["working"] and model.asked, "a question", 60)
        edit.screen.screenshot("asking")
        edit.run("pane.status.cancel.click()")
        edit.wait_for(lambda now: not now["working"], "the end of the work", 10)
        assert len(edit.layers()) == 1

        edit.start(instruction="rudely, please", options={"endpoint": address})
        now = edit.wait_for(lambda now: now["message"], "a message", 90)
        assert "gave no plan that can be used" in now["message"]
        time.sleep(1)  # Krita draws later than it answers
        edit.screen.screenshot("fault")
        assert len(edit.layers()) == 1

        edit.ask()
        # The keyboard is where the instruction is wanted.
        edit.screen.type("make it the last warm evening of the year")
        edit.run(f"""
from PyQt5.QtWidgets import QApplication
dialog = QApplication.activeModalWidget()
field = next(one for one in dialog.fields if one.name == "endpoint")
field.show_value({address!r})
""")
        edit.screen.screenshot("asked")
        edit.screen.keys("alt+a")
        wait = edit.window.running.wait_until
        wait(lambda: len(edit.layers()) == 2, "the edit", 120)
        edit.wait_for(lambda now: not now["working"], "the end of the work", 30)
        keep(edit.screen, "krita-reasoned")
        edit.window.action("edit_undo")
        wait(lambda: len(edit.layers()) == 1, "the state before", 30)
    assert "last warm evening" in model.told()


def test_a_plan_is_adjusted_in_the_docker(krita_reasons, krita_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(900, 600), path)
    bright = {"title": "", "operations": [{"name": "bright", "parameters": {"offset": 30}}]}
    with serving(Model([plan(WARM, bright)])) as address:
        edit = KritaAction(krita_window(path), krita_reasons, "reason_edit/plan")
        edit.start(instruction="a warm evening", options={"endpoint": address})
        wait = edit.window.running.wait_until
        wait(lambda: len(edit.layers()) == 2, "the plan", 120)
        edit.wait_for(lambda now: not now["working"], "the end of the work", 30)
        edit.run("""
rows = [row for row in pane.plan.rows]
mark("rows", titles=[row.switch.text() for row in rows])
rows[1].rows["offset"].number.setValue(-20)
""")
        edit.screen.screenshot("adjusting")

        def there():
            edit.run(f"seen(Krita.instance().activeDocument(), {str(folder / 'seen.bin')!r})")
            run = edit.window.running
            found = pixels_of_last(run, folder / "seen.bin")
            return np.abs(found.astype(int) - warm(path, step("bright", offset=-20))).max() <= 2

        wait(there, "the changed plan", 60)
    assert edit.window.running.events("rows")[-1]["titles"] == ["Temperature", "Brightness"]


def pixels_of_last(run, path):
    mark = run.events("pixels")[-1]
    values = np.fromfile(path, np.uint8).reshape(mark["height"], mark["width"], 4)
    return values[:, :, [2, 1, 0]]
