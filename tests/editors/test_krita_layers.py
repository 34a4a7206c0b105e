"""Painted layers above a plan, and step previews, in the real Krita."""

import numpy as np
import painter
import pytest
from krita_session import pixels_of

from imgedit_plugins.pictures import Picture

pytestmark = pytest.mark.editors

PAINT = """
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
paint = next(one for one in actions if one["plugin"] == "painter")

def select(document):
    selection = Selection()
    selection.select(20, 10, 150, 120, 255)
    document.setSelection(selection)

def painted_by(words, document, **options):
    return work("run_action", paint, [background(document)], instruction=words, options=options,
                document=document)
"""


@pytest.fixture(scope="module")
def with_painter(installed, session_root):
    remove = painter.install(session_root, installed)
    yield
    remove()


def mask_of(pixels):
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[10:130, 20:170] = 255
    return mask


def assert_seen(run, path, wanted, largest=1):
    got = pixels_of(run, path)[:, :, :3].astype(int)
    assert np.abs(got - wanted.astype(int)).max() <= largest


@pytest.mark.parametrize("selected", [False, True])
def test_what_was_painted_lies_above_a_live_plan(with_painter, extension, photo, folder, selected):
    path, pixels = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
if {selected}:
    select(document)
plan = painted_by("brighter, with a thing", document)
mark("plan", plan=plan)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
[edit] = kept.edits(document)
outer = edit.group.parentNode()
ways = [outer, outer.childNodes()[-1], edit.group, background(document)]
mark("edit", titles=[kept.edit_of(document, one).group.name() for one in ways],
     plan=edit.kept.plan)
""")
    [plan] = [one["plan"] for one in run.events("plan")]
    assert [one["name"] for one in plan["operations"]] == ["bright"]
    outer, _ = run.events("layers")[0]["layers"][-2:]
    assert outer["name"] == "It is as you said – naïvely."
    assert outer["passes"]
    thing, inner = outer["inner"]
    assert (thing["type"], thing["name"]) == ("paintlayer", "The rest")
    kinds = [one["type"] for one in inner["inner"]]
    assert "filterlayer" in kinds
    assert "paintlayer" not in kinds, "the plan is live"
    assert ("transparencymask" in kinds) == selected
    mask = mask_of(pixels) if selected else None
    wanted = painter.with_thing(painter.brighter(Picture(pixels), mask), mask)
    assert_seen(run, folder / "seen.bin", wanted)
    if selected:
        outside = pixels_of(run, folder / "seen.bin")[:, :, :3][mask == 0]
        np.testing.assert_array_equal(outside, pixels[mask == 0])
    [edit] = run.events("edit")
    assert edit["plan"]["operations"] == plan["operations"]
    assert edit["titles"] == [inner["name"]] * 4, "whichever layer is active"


def test_the_painted_layer_stays_when_the_plan_is_changed(with_painter, extension, photo, folder):
    path, pixels = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
painted_by("brighter, with a thing", document)
[edit] = kept.edits(document)
other = {{"operations": [{{"name": "invert", "parameters": {{}}}}]}}
assert work("change", edit, other, document=document)
[changed] = kept.edits(document)
outer = changed.group.parentNode()
assert kept.edit_of(document, outer).group.name() == changed.group.name()
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    outer, _ = run.events("layers")[0]["layers"]
    thing, _ = outer["inner"]
    assert thing["type"] == "paintlayer"
    inside = np.zeros(pixels.shape[:2], bool)
    inside[40:80, 60:120] = True
    got = pixels_of(run, folder / "seen.bin")[:, :, :3]
    assert (got[45:75, 66:114] == (200, 30, 30)).all()
    far = got[100:]
    assert np.abs(far.astype(int) - (255 - pixels[100:].astype(int))).max() <= 1


def test_a_photographic_instruction_is_live_alone(with_painter, extension, photo, folder):
    path, pixels = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
painted_by("brighter", document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    group, _ = run.events("layers")[0]["layers"]
    assert [one["type"] for one in group["inner"]] == ["filterlayer"]
    assert_seen(run, folder / "seen.bin", painter.brighter(Picture(pixels)))


def test_a_thing_alone_is_a_layer_as_before(with_painter, extension, photo, folder):
    path, pixels = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
painted_by("a thing", document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    group, _ = run.events("layers")[0]["layers"]
    assert [one["type"] for one in group["inner"]] == ["paintlayer"]
    assert_seen(run, folder / "seen.bin", painter.with_thing(pixels), 0)


def test_a_layer_that_is_not_plain_gets_a_whole_picture(with_painter, extension, photo):
    """What lies above a weak layer would not be as weak."""
    path, _ = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
background(document).setOpacity(128)
painted_by("brighter, with a thing", document)
tell(document)
""")
    group, _ = run.events("layers")[0]["layers"]
    assert [one["type"] for one in group["inner"]] == ["paintlayer"]


def test_steps_are_shown_and_can_be_ended(with_painter, extension, photo):
    path, _ = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
shown = []
engine.previewed.connect(shown.append)
painted_by("brighter", document, steps=40)
mark("shown", number=len(shown), sizes=[[one.width, one.height] for one in shown],
     places=[list(one.place) for one in shown])

engine.previewed.connect(lambda _: engine.cancel())
painted_by("brighter, with a thing", document, steps=400)
tell(document)
""")
    [shown] = run.events("shown")
    assert 3 <= shown["number"] <= 20
    assert shown["sizes"] == [[60, 40]] * shown["number"]
    assert shown["places"] == [[0, 0, 240, 160]] * shown["number"]
    [refused] = run.events("refused")
    assert refused["how"] == "cancelled"
    assert len(run.events("layers")[0]["layers"]) == 2, "the group of the first, the background"


def test_missing_weights_are_said_in_one_sentence(with_painter, extension, photo):
    path, _ = photo
    run = extension.run(f"""{PAINT}
document = load({str(path)!r})
painted_by("weights", document)
tell(document)
""")
    [refused] = run.events("refused")
    assert refused["how"] == "failed"
    assert refused["told"] == "The weights are missing (2 GB, CC-BY-NC-4.0). Run `get them`."
    assert len(run.events("layers")[0]["layers"]) == 1


def test_it_is_one_undo_step_and_the_docker_shows_the_steps(
    with_painter, extension, krita_window, photo, folder
):
    path, pixels = photo
    window = krita_window(path)
    names = f"{extension.names}{PAINT}"

    def layers():
        window.run(f"{extension.names}tell(Krita.instance().activeDocument())")
        return window.running.events("layers")[-1]["layers"]

    window.run(f"""{names}
document = Krita.instance().activeDocument()
assert painted_by("brighter, with a thing", document)
""", seconds=120)  # fmt: skip
    assert len(layers()) == 2
    window.screen.screenshot("painted")
    window.action("edit_undo")
    window.running.wait_until(lambda: len(layers()) == 1, "undone edit", 30)
    window.action("edit_redo")
    window.running.wait_until(lambda: len(layers()) == 2, "edit done again", 30)
    outer, _ = layers()
    assert [one["type"] for one in outer["inner"]] == ["paintlayer", "grouplayer"]
    window.run(f"""{names}
document = Krita.instance().activeDocument()
seen(document, {str(folder / "seen.bin")!r})
""", seconds=120)  # fmt: skip
    wanted = painter.with_thing(painter.brighter(Picture(pixels)))
    assert_seen(window.running, folder / "seen.bin", wanted)
