"""Painted layers above a plan, and step previews, in the real GIMP."""

import time

import numpy as np
import painter
import pytest
from gimp_session import NAMES, assert_close, pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture

pytestmark = pytest.mark.editors

PAINT = "imgedit-painter-paint"


@pytest.fixture(scope="module")
def with_painter(installed, session_root):
    remove = painter.install(session_root, installed)
    yield
    remove()


@pytest.fixture
def menu(with_painter, plugin):
    """GIMP with the plug-in and the entry of the painter."""
    return plugin


def paint(path, words, folder, before="", after=""):
    return f"""{NAMES}
image = load({str(path)!r})
{before}
said = call({PAINT!r}, image, image.get_layers()[-1:], instruction={words!r})
mark("said", text=said)
tell(image)
mark("more", visible=[one.get_visible() for one in image.get_layers()],
     selected=[one.get_name() for one in image.get_selected_layers()],
     explained=[call("imgedit-explain", image, [one]) for one in image.get_layers()])
seen(image, {str(folder / "seen.bin")!r})
{after}
"""


def mask_of(pixels):
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[10:130, 20:170] = 255
    return mask


@pytest.mark.parametrize("selected", [False, True])
def test_what_was_painted_lies_above_live_filters(menu, photo, folder, selected):
    path, pixels = photo
    choose = "image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 10, 150, 120)"
    run = menu.run(paint(path, "brighter, with a thing", folder, choose if selected else ""))
    painted, below = run.events("layers")[0]["layers"]
    assert painted["name"] == "It is as you said – naïvely"
    assert (painted["filters"], painted["plan"]) == ([], False)
    assert (below["filters"], below["plan"]) == (["Brightness +40"], True)
    [more] = run.events("more")
    assert more["selected"] == [below["name"]], "whose filters can be adjusted"
    assert more["explained"][0] == "It is as you said – naïvely."
    assert "1. bright (offset 40): live" in more["explained"][1]
    assert "It explains" in more["explained"][1]
    assert run.events("said")[0]["text"] == "It is as you said – naïvely."
    mask = mask_of(pixels) if selected else None
    wanted = painter.with_thing(painter.brighter(Picture(pixels), mask), mask)
    got = pixels_of(run, folder / "seen.bin")
    assert_close(got, wanted)
    if selected:
        np.testing.assert_array_equal(got[mask == 0], pixels[mask == 0])


def test_the_plan_can_be_changed_below_what_was_painted(menu, photo, folder):
    path, pixels = photo
    (folder / "plan.json").write_text('{"operations": [{"name": "invert"}]}')
    other = f"""
call("imgedit-adjust-edit", image, image.get_layers()[1:],
     file=Gio.File.new_for_path({str(folder / "plan.json")!r}))
tell(image)
seen(image, {str(folder / "changed.bin")!r})
"""
    run = menu.run(paint(path, "brighter, with a thing", folder, after=other))
    _, below = run.events("layers")[-1]["layers"]
    assert below["filters"] == ["Invert"]
    got = pixels_of(run, folder / "changed.bin")
    assert (got[45:75, 66:114] == (200, 30, 30)).all()
    assert_close(got[100:], 255 - pixels[100:])


def test_a_photographic_instruction_is_live_alone(menu, photo, folder):
    path, pixels = photo
    run = menu.run(paint(path, "brighter", folder))
    [layer] = run.events("layers")[0]["layers"]
    assert layer["filters"] == ["Brightness +40"]
    assert_close(pixels_of(run, folder / "seen.bin"), painter.brighter(Picture(pixels)))


def test_a_thing_alone_is_a_layer_as_before(menu, photo, folder):
    path, pixels = photo
    run = menu.run(paint(path, "a thing", folder))
    painted, below = run.events("layers")[0]["layers"]
    assert (painted["plan"], below["plan"], below["filters"]) == (False, False, [])
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin"), painter.with_thing(pixels))


def test_a_layer_that_is_not_plain_gets_a_whole_picture(menu, photo, folder):
    path, _ = photo
    weak = "image.get_layers()[0].set_opacity(50)"
    run = menu.run(paint(path, "brighter, with a thing", folder, weak))
    _, below = run.events("layers")[0]["layers"]
    assert (below["plan"], below["filters"]) == (False, [])


def test_missing_weights_are_said_in_one_sentence(menu, photo, folder):
    path, _ = photo
    run = menu.run(paint(path, "weights", folder))
    [refused] = run.events("refused")[:1]
    assert "The weights are missing (2 GB, CC-BY-NC-4.0). Run `get them`." in refused["told"]
    assert len(run.events("layers")[0]["layers"]) == 1


# --- windows ----------------------------------------------------------------------------------


@pytest.fixture
def window(menu, gimp_window, folder):
    path = folder / "photo.png"
    save_picture(photograph(480, 320), path)
    return gimp_window(path)


def layers(window):
    window.run(NAMES + "tell(Gimp.get_images()[0])")
    return window.running.events("layers")[-1]["layers"]


def ask(window, words, steps=2):
    """Start the entry and fill in its dialog."""
    window.activate()
    window.action("Paint by words")
    window.wait_for_window("^Paint by words…$")
    window.screen.keys("alt+i", "ctrl+a")
    window.screen.type(words)
    window.screen.keys("alt+s", "ctrl+a")
    window.screen.type(f"{steps}\t")


def test_the_whole_result_is_shown_and_is_one_undo_step(window, folder):
    ask(window, "brighter, with a thing", steps=60)
    window.screen.keys("alt+o")
    window.wait_for_window("^Paint by words$")
    time.sleep(1.2)
    window.screen.screenshot("steps")
    window.wait_for_window("^Paint by words: result$", 90)
    time.sleep(1.0)
    window.screen.screenshot("result")
    window.screen.keys("alt+o")
    window.running.wait_until(lambda: len(layers(window)) == 2, "two layers", 90)
    _, below = layers(window)
    assert below["filters"] == ["Brightness +40"]
    window.activate()
    window.screen.screenshot("painted")
    window.screen.keys("ctrl+z")
    window.running.wait_until(
        lambda: [one["filters"] for one in layers(window)] == [[]], "the state before", 30
    )
    window.screen.keys("ctrl+y")
    window.running.wait_until(lambda: len(layers(window)) == 2, "edit done again", 30)
    assert layers(window)[1]["filters"] == ["Brightness +40"]


def test_cancel_between_two_steps_changes_nothing(window):
    ask(window, "brighter, with a thing", steps=600)
    window.screen.keys("alt+o")
    window.wait_for_window("^Paint by words$")
    window.screen.keys("Escape")
    window.wait_until_gone("^Paint by words$", 10)
    assert [one["filters"] for one in layers(window)] == [[]]


def test_a_fault_is_said_in_a_dialog(window):
    ask(window, "weights")
    window.screen.keys("alt+o")
    window.wait_until_gone("^Paint by words…$")
    window.wait_for_window("^Paint by words…$", 60)
    time.sleep(0.5)
    window.screen.screenshot("fault")
    window.screen.keys("Escape")
    window.wait_until_gone("^Paint by words…$")
    assert [one["filters"] for one in layers(window)] == [[]]
