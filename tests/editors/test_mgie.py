"""MGIE's *Edit by instruction…* in the real GIMP and the real Krita, through a real worker.

The model is tiny and its weights are drawn, so that pictures are noise: what is tested is all that
lies around them. IMGEDIT_TEST_MGIE names a trained one.
"""

import time

import gimp_session
import mgie_model
import numpy as np
import pytest
from krita_session import Extension
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
    """GIMP with the plug-in, whose worker runs on this Python."""
    gimp.environment.update(environment)
    command = [str(mgie_model.PYTHON), "-m", "imgedit_plugins.cli", "install", "gimp"]
    root.call([*command, "--profile", f"{gimp.home}/GIMP"], seconds=120)
    return gimp


@pytest.fixture
def in_krita(krita, root, environment):
    """Krita with the extension, whose worker runs on this Python."""
    krita.environment.update(environment)
    resources = f"{krita.home}/.local/share/krita"
    command = [str(mgie_model.PYTHON), "-m", "imgedit_plugins.cli", "install", "krita"]
    root.call([*command, "--profile", resources], seconds=120)
    return Extension(krita, f"{resources}/pykrita/imgedit")


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


def gimp_layers(window):
    window.run(gimp_session.NAMES + "tell(Gimp.get_images()[0])")
    return window.running.events("layers")[-1]["layers"]


def ask(window, steps, **more):
    """Start the entry, and fill in its dialog by the letters that are underlined in it."""
    given = {"instruction": "make it red", "steps": f"{steps}\t"}
    given |= {name: f"{value}\t" for name, value in more.items()}
    window.run(f"""
labels = {{one.name: one.nick for one in
          Gimp.get_pdb().lookup_procedure({EDIT!r}).get_arguments()}}
mark("labels", **{{name: labels[name] for name in {tuple(given)!r}}})
""")
    labels = window.running.events("labels")[-1]
    letters = [labels[name].partition("_")[2][0].lower() for name in given]
    window.activate()
    window.action("Edit by instruction")
    window.wait_for_window("^Edit by instruction…$")
    time.sleep(0.5)
    for letter, text in zip(letters, given.values(), strict=True):
        window.screen.keys(f"alt+{letter}", "ctrl+a")
        window.screen.type(text)


def test_gimp_s_windows_show_the_steps_and_one_undo_takes_the_edit_back(
    by_words, gimp_window, photo
):
    window = gimp_window(photo[0])
    ask(window, 12)
    window.screen.screenshot("asked")
    window.screen.keys("alt+o")
    window.wait_for_window("^Edit by instruction$", 60)
    until = time.monotonic() + 240
    number = 0
    while not (result := window.screen.find("^Edit by instruction: (result|found)$")):
        assert time.monotonic() < until
        window.screen.screenshot(f"steps-{number % 12}")
        number += 1
        time.sleep(1.0)
    window.screen.activate(result)
    window.screen.screenshot("result")
    window.screen.keys("alt+o")

    def there():
        layers = gimp_layers(window)
        return len(layers) == 2 or layers[0]["filters"]

    window.running.wait_until(there, "the edit", 60)
    window.activate()
    window.screen.screenshot("edited")
    window.screen.keys("ctrl+z")
    window.running.wait_until(lambda: not there(), "the state before", 30)


def test_gimp_can_cancel_between_steps(by_words, gimp_window, photo):
    window = gimp_window(photo[0])
    ask(window, 900, candidates=8)  # which takes minutes even where nothing else is done
    window.screen.keys("alt+o")
    window.wait_for_window("^Edit by instruction$", 60)
    time.sleep(25)  # until it paints
    window.screen.screenshot("painting")
    window.screen.activate(window.screen.find("^Edit by instruction$"))
    window.screen.keys("Escape")
    window.wait_until_gone("^Edit by instruction$", 10)
    [layer] = gimp_layers(window)
    assert layer["filters"] == []


def test_gimp_says_it_in_a_dialog(by_words, gimp_window, photo, folder):
    window = gimp_window(photo[0], environment={"IMGEDIT_WEIGHTS": str(folder / "none")})
    ask(window, 2)
    window.screen.keys("alt+o")
    window.wait_until_gone("^Edit by instruction…$")
    window.wait_for_window("^Edit by instruction…$", 90)  # the dialog with the fault
    time.sleep(0.5)
    window.screen.screenshot("fault")
    window.screen.keys("Escape")
    [layer] = gimp_layers(window)
    assert layer["filters"] == []


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
    window = krita_window(photo[0])
    window.run(f"""{in_krita.names}
from PyQt5.QtWidgets import QApplication
window = Krita.instance().activeWindow().qwindow()
docker = next(one for one in Krita.instance().dockers() if one.objectName() == "imgedit_docker")
docker.setVisible(True)
docker.raise_()
found = docker.widget()
found.engine.prepare()
spin(lambda: any(one.id == "mgie/edit-by-instruction" for one in found.engine.look().commands), 90)
found.engine.start("mgie/edit-by-instruction",
                   {{"instruction": "make it red", "options": {{"steps": 12, "candidates": 1}}}})
""", seconds=120)  # fmt: skip

    def layers():
        window.run(f"{in_krita.names}tell(Krita.instance().activeDocument())")
        return window.running.events("layers")[-1]["layers"]

    def picture_is_shown():
        window.run(f"""{in_krita.names}
docker = next(one for one in Krita.instance().dockers() if one.objectName() == "imgedit_docker")
status = docker.widget().status
mark("status", shown=status.picture.isVisible(), stage=status.stage.text(),
     message=status.message.text.text())
""")
        return window.running.events("status")[-1]["shown"]

    window.running.wait_until(picture_is_shown, "a picture of a step", 200)
    window.screen.screenshot("steps")
    window.running.wait_until(lambda: len(layers()) == 2, "the edit", 200)
    window.running.wait_until(lambda: not picture_is_shown(), "the end of the work", 30)
    window.screen.screenshot("edited")
    window.action("edit_undo")
    window.running.wait_until(lambda: len(layers()) == 1, "the state before", 30)


def test_krita_says_it_in_the_docker(in_krita, krita_window, photo, folder):
    window = krita_window(photo[0], environment={"IMGEDIT_WEIGHTS": str(folder / "none")})
    window.run(f"""{in_krita.names}
docker = next(one for one in Krita.instance().dockers() if one.objectName() == "imgedit_docker")
docker.setVisible(True)
docker.raise_()
found = docker.widget()
found.engine.prepare()
spin(lambda: any(one.id == "mgie/edit-by-instruction" for one in found.engine.look().commands), 90)
found.engine.start("mgie/edit-by-instruction",
                   {{"instruction": "make it red", "options": {{}}}})
spin(lambda: found.status.message.isVisible(), 90)
mark("message", text=found.status.message.text.text())
""", seconds=200)  # fmt: skip
    window.screen.screenshot("fault")
    assert_sentence(window.running.events("message")[-1]["text"])
