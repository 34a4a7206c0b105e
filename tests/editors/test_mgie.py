"""MGIE's *Edit by instruction…* in the real GIMP and the real Krita, through a real worker.

The model is tiny and its weights are drawn, so that pictures are noise: what is tested is all that
lies around them. IMGEDIT_TEST_MGIE names a trained one.
"""

import itertools
import time

import gimp_session
import mgie_model
import numpy as np
import pytest
from by_words import GimpEntry, KritaAction
from krita_session import pixels_of as krita_pixels

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = [
    pytest.mark.editors,
    pytest.mark.torch,
    # Euler schedulers of diffusers convert arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

EDIT = "imgedit-mgie-edit-by-instruction"
ACTION = """
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
by_words = next(one for one in actions if one["plugin"] == "mgie")

def edited(document, **options):
    return work("run_action", by_words, [background(document)], instruction="make it red",
                options={"candidates": 1, "steps": 2, **options}, seed=3, document=document)
"""


@pytest.fixture(scope="module")
def weights(artifacts):
    """The folder for IMGEDIT_WEIGHTS."""
    mgie_model.check()
    return mgie_model.put(artifacts / "mgie")


@pytest.fixture
def environment(weights):
    """Of the editors, and so of the worker that they start."""
    return {"IMGEDIT_WEIGHTS": str(weights), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def by_words(gimp, root, environment):
    return mgie_model.gimp_with(gimp, root, environment)


@pytest.fixture
def in_krita(krita, root, environment):
    return mgie_model.krita_with(krita, root, environment)


@pytest.fixture
def photo(folder):
    picture = photograph(120, 80)
    path = folder / "photo.png"
    save_picture(picture, path)
    return path, np.asarray(picture.pixels)


def outside(pixels):
    mask = np.ones(pixels.shape[:2], bool)
    mask[20:60, 30:90] = False
    return mask


def assert_sentence(told):
    """What is missing, how large it is, under which licence, and the command that gets it."""
    assert "weights" in told
    assert "14 GB" in told
    assert "CC-BY-NC-4.0" in told
    assert "imgedit-plugins weights import mgie" in told
    assert "Traceback" not in told


# --- GIMP -------------------------------------------------------------------------------------


def in_gimp(path, folder, before="", **values):
    given = "".join(f", **{{{name!r}: {value!r}}}" for name, value in values.items())
    return f"""{gimp_session.NAMES}
image = load({str(path)!r})
{before}
said = call({EDIT!r}, image, image.get_layers(), instruction="make it red", seed=3{given})
mark("said", text=said)
tell(image)
seen(image, {str(folder / "seen.bin")!r})
"""


@pytest.mark.parametrize("selected", [False, True])
def test_gimp_gets_a_layer_or_filters(by_words, photo, folder, selected):
    path, pixels = photo
    choose = "image.select_rectangle(Gimp.ChannelOps.REPLACE, 30, 20, 60, 40)"
    script = in_gimp(path, folder, choose if selected else "", steps=2)
    run = by_words.run(script, seconds=300)
    layers = run.events("layers")[0]["layers"]
    assert len(layers) == 2 or layers[0]["filters"], layers
    assert run.events("said")[0]["text"], "the expressive instruction"
    got = gimp_session.pixels_of(run, folder / "seen.bin")
    changed = (got != pixels).any(axis=2)
    assert changed[20:60, 30:90].mean() > 0.1
    if selected:
        assert not changed[outside(pixels)].any()


def test_gimp_says_how_to_get_the_weights(by_words, photo, folder):
    by_words.environment["IMGEDIT_WEIGHTS"] = str(folder / "none")
    run = by_words.run(in_gimp(photo[0], folder), seconds=120)
    assert_sentence(run.events("refused")[0]["told"])
    assert len(run.events("layers")[0]["layers"]) == 1


def entry(window):
    return GimpEntry(window, EDIT, "Edit by instruction…")


def test_gimp_s_windows_show_the_steps_and_one_undo_takes_the_edit_back(
    by_words, gimp_window, photo
):
    edit = entry(gimp_window(photo[0]))
    edit.ask(instruction="make it red", steps=12)
    edit.screen.screenshot("asked")
    edit.begin()
    numbers = itertools.count()
    edit.wait_for_result(on_second=lambda: edit.screen.screenshot(f"steps-{next(numbers) % 12}"))
    edit.screen.screenshot("result")
    edit.screen.keys("alt+o")
    edit.window.running.wait_until(lambda: not edit.is_untouched(), "the edit", 60)
    edit.window.activate()
    edit.screen.screenshot("edited")
    edit.screen.keys("ctrl+z")
    edit.window.running.wait_until(edit.is_untouched, "the state before", 30)


def test_gimp_can_cancel_between_steps(by_words, gimp_window, photo):
    edit = entry(gimp_window(photo[0]))
    # Which takes minutes even where nothing else is done.
    edit.ask(instruction="make it red", steps=900, candidates=8)
    edit.begin()
    time.sleep(25)  # until it paints
    edit.screen.screenshot("painting")
    edit.cancel()
    assert edit.is_untouched()


def test_gimp_says_it_in_a_dialog(by_words, gimp_window, photo, folder):
    edit = entry(gimp_window(photo[0], environment={"IMGEDIT_WEIGHTS": str(folder / "none")}))
    edit.ask(instruction="make it red", steps=2)
    edit.screen.keys("alt+o")
    edit.wait_for_fault()
    edit.screen.screenshot("fault")
    edit.screen.keys("Escape")
    assert edit.is_untouched()


# --- Krita ------------------------------------------------------------------------------------


@pytest.mark.parametrize("selected", [False, True])
def test_krita_gets_a_group(in_krita, photo, folder, selected):
    path, pixels = photo
    run = in_krita.run(f"""{ACTION}
document = load({str(path)!r})
if {selected}:
    selection = Selection()
    selection.select(30, 20, 60, 40, 255)
    document.setSelection(selection)
shown = []
engine.previewed.connect(shown.append)
said = edited(document, steps=12)
mark("said", said=str(said), shown=len(shown),
     sizes=[max(one.width, one.height) for one in shown])
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""", seconds=400)  # fmt: skip
    group, _ = run.events("layers")[0]["layers"][-2:]  # a selection is a mask above them
    assert group["type"] == "grouplayer"
    assert group["inner"]
    [said] = run.events("said")
    assert said["said"] not in ("", "None")
    assert said["shown"] >= 2
    assert max(said["sizes"]) <= 256
    got = krita_pixels(run, folder / "seen.bin")[:, :, :3]
    changed = (got != pixels).any(axis=2)
    assert changed[20:60, 30:90].mean() > 0.1
    if selected:
        assert not changed[outside(pixels)].any()


def test_krita_can_cancel_between_steps(in_krita, photo):
    run = in_krita.run(f"""{ACTION}
document = load({str(photo[0])!r})
stages = []
engine.progressed.connect(lambda stage, share: stages.append(stage))
began = []
engine.previewed.connect(lambda _: began or (began.append(time.monotonic()), engine.cancel()))
edited(document, steps=900)
mark("ended", seconds=time.monotonic() - began[0], last=stages[-1])
tell(document)
""", seconds=300)  # fmt: skip
    assert run.events("refused")[0]["how"] == "cancelled"
    [ended] = run.events("ended")
    assert ended["last"] == "painting"
    assert ended["seconds"] < 5
    assert len(run.events("layers")[0]["layers"]) == 1


def test_krita_says_how_to_get_the_weights(in_krita, photo, folder):
    in_krita.krita.environment["IMGEDIT_WEIGHTS"] = str(folder / "none")
    run = in_krita.run(f"""{ACTION}
document = load({str(photo[0])!r})
edited(document)
tell(document)
""")
    [refused] = run.events("refused")
    assert refused["how"] == "failed"
    assert_sentence(refused["told"])
    assert len(run.events("layers")[0]["layers"]) == 1


def test_krita_s_docker_shows_the_steps_and_one_undo_takes_the_edit_back(
    in_krita, krita_window, photo
):
    edit = KritaAction(krita_window(photo[0]), in_krita, "mgie/edit-by-instruction")
    edit.start(instruction="make it red", options={"steps": 12, "candidates": 1})
    edit.wait_for(lambda now: now["picture"], "a picture of a step", 200)
    edit.screen.screenshot("steps")
    wait = edit.window.running.wait_until
    wait(lambda: len(edit.layers()) == 2, "the edit", 200)
    edit.wait_for(lambda now: not now["picture"], "the end of the work", 30)
    edit.screen.screenshot("edited")
    edit.window.action("edit_undo")
    wait(lambda: len(edit.layers()) == 1, "the state before", 30)


def test_krita_says_it_in_the_docker(in_krita, krita_window, photo, folder):
    window = krita_window(photo[0], environment={"IMGEDIT_WEIGHTS": str(folder / "none")})
    edit = KritaAction(window, in_krita, "mgie/edit-by-instruction")
    edit.start(instruction="make it red", options={})
    now = edit.wait_for(lambda now: now["message"], "a message", 90)
    edit.screen.screenshot("fault")
    assert_sentence(now["message"])
