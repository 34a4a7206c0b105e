"""*Paint by reasoning…* in the real GIMP and Krita: a trained model, through a real worker.

Its weights are drawn, so that pictures are noise: what is tested is that the entry stands for the
trained model, and all that lies around it.
"""

import sys

import gimp_session
import mgie_model
import msgspec
import numpy as np
import pytest
from by_words import GimpEntry, KritaAction
from editor_root import PROJECT
from krita_session import pixels_of as krita_pixels

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = [
    pytest.mark.editors,
    pytest.mark.torch,
    # Euler schedulers of diffusers convert arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

PAINT = "imgedit-reason-edit-paint"
ASKED = "what would a bee like?"


@pytest.fixture(scope="module")
def weights(artifacts):
    """The folder for IMGEDIT_WEIGHTS, with a tiny model at the place of imports."""
    mgie_model.check()
    sys.path.append(str(PROJECT / "tests" / "plugins" / "reason_edit" / "model"))
    import tiny_reasoner

    from imgedit_reason_edit.model.folders import read_config, write_config

    files, home = artifacts / "reasoner", artifacts / "reasoner" / "weights"
    parts = {
        "mllm": tiny_reasoner.llava(files / "llava"),
        "diffusion": tiny_reasoner.pix2pix(files / "pix2pix"),
    }
    mgie_model.quick_vae().save_pretrained(parts["diffusion"] / "vae")
    place = home / "reason_edit" / "reason-pix2pix"
    tiny_reasoner.imported(parts, place)
    write_config(place, msgspec.structs.replace(read_config(place), trained=True))
    return home


@pytest.fixture
def environment(weights):
    """Of the editors, and so of the worker that they start."""
    return {"IMGEDIT_WEIGHTS": str(weights), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def by_reason(gimp, root, environment):
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


def assert_painted(got, pixels):
    """What was selected, and nothing else."""
    changed = (got != pixels).any(axis=2)
    assert changed[20:60, 30:90].mean() > 0.1
    outside = np.ones(changed.shape, bool)
    outside[20:60, 30:90] = False
    assert not changed[outside].any()


def assert_sentence(told):
    assert "There is no model of ReasonPix2Pix" in told, "the trained model was asked, not the plan"
    assert "imgedit-plugins weights import reason_edit" in told
    assert "Traceback" not in told


def in_gimp(path, folder):
    return f"""{gimp_session.NAMES}
image = load({str(path)!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 30, 20, 60, 40)
said = call({PAINT!r}, image, image.get_layers(), instruction={ASKED!r}, seed=3, steps=2)
mark("said", text=said)
tell(image)
seen(image, {str(folder / "seen.bin")!r})
"""


def test_gimp_paints_what_is_selected(by_reason, photo, folder):
    path, pixels = photo
    run = by_reason.run(in_gimp(path, folder), seconds=300)
    layers = run.events("layers")[0]["layers"]
    assert len(layers) == 2 or layers[0]["filters"], layers
    assert_painted(gimp_session.pixels_of(run, folder / "seen.bin"), pixels)


def test_gimp_says_how_to_get_a_model(by_reason, photo, folder):
    by_reason.environment["IMGEDIT_WEIGHTS"] = str(folder / "none")
    run = by_reason.run(in_gimp(photo[0], folder), seconds=120)
    assert_sentence(run.events("refused")[0]["told"])
    assert len(run.events("layers")[0]["layers"]) == 1


def test_gimp_s_dialog_asks_for_what_the_model_needs(by_reason, gimp_window, photo):
    entry = GimpEntry(gimp_window(photo[0]), PAINT, "Paint by reasoning…")
    entry.ask(instruction=ASKED, steps=2, guidance=5)
    entry.screen.screenshot("filled")
    entry.begin()
    entry.wait_for_result()
    entry.screen.screenshot("result")
    entry.screen.keys("alt+o")
    entry.window.running.wait_until(lambda: not entry.is_untouched(), "the edit", 90)


ACTION = f"""
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
paint = next(one for one in actions if (one["plugin"], one["id"]) == ("reason_edit", "paint"))

def painted(document, **options):
    return work("run_action", paint, [background(document)], instruction={ASKED!r},
                options={{"candidates": 1, "steps": 2, **options}}, seed=3, document=document)
"""


def test_krita_paints_what_is_selected(in_krita, photo, folder):
    path, pixels = photo
    run = in_krita.run(f"""{ACTION}
document = load({str(path)!r})
selection = Selection()
selection.select(30, 20, 60, 40, 255)
document.setSelection(selection)
mark("options", names=[one["name"] for one in paint["options"]])
painted(document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""", seconds=400)  # fmt: skip
    names = run.events("options")[0]["names"]
    assert "candidates" in names
    assert "model" not in names
    group, _ = run.events("layers")[0]["layers"][-2:]  # a selection is a mask above them
    assert group["type"] == "grouplayer"
    assert_painted(krita_pixels(run, folder / "seen.bin")[:, :, :3], pixels)


def test_krita_says_how_to_get_a_model(in_krita, photo, folder):
    in_krita.krita.environment["IMGEDIT_WEIGHTS"] = str(folder / "none")
    run = in_krita.run(f"""{ACTION}
document = load({str(photo[0])!r})
painted(document)
tell(document)
""")
    [refused] = run.events("refused")
    assert_sentence(refused["told"])
    assert len(run.events("layers")[0]["layers"]) == 1


def test_krita_s_dialog_asks_for_what_the_model_needs(in_krita, krita_window, photo):
    action = KritaAction(krita_window(photo[0]), in_krita, "reason_edit/paint")
    action.ask()
    action.screen.type(ASKED)
    action.screen.screenshot("filled")
    action.screen.keys("Escape")
    action.start(instruction=ASKED, options={"steps": 2, "candidates": 1})
    action.window.running.wait_until(lambda: len(action.layers()) == 2, "the edit", 240)
    action.screen.screenshot("edited")
