"""MGIE as a bundle in the real GIMP and the real Krita, with a worker that has no PyTorch.

The model is tiny and its weights are drawn, so that pictures are noise. IMGEDIT_TEST_MGIE names a
trained one.
"""

import mgie_model
import numpy as np
import pytest
from by_words import GimpEntry
from krita_session import pixels_of

pytestmark = [
    pytest.mark.editors,
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

EDIT = "imgedit-mgie-edit-by-instruction"


@pytest.fixture(scope="module")
def weights(artifacts):
    """The folder for IMGEDIT_WEIGHTS."""
    return mgie_model.put_bundle(artifacts / "bundle")


@pytest.fixture(autouse=True)
def _no_pytorch(installed, root):
    """What the workers run in has none."""
    code = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('diffusers'))"
    assert root.call([f"{installed}/bin/python", "-c", code]).split() == ["None", "None"]


def test_gimp_edits_with_a_bundle_where_weights_are_kept(plugin, gimp_window, weights, photo):
    entry = GimpEntry(
        gimp_window(photo[0], environment={"IMGEDIT_WEIGHTS": str(weights)}),
        EDIT,
        "Edit by instruction…",
    )
    entry.ask(instruction="make it red", steps=4)
    entry.begin()
    entry.wait_for_result()
    entry.screen.screenshot("result")
    entry.screen.keys("alt+o")
    entry.window.running.wait_until(lambda: not entry.is_untouched(), "the edit", 60)
    entry.window.activate()
    entry.screen.screenshot("edited")
    entry.screen.keys("ctrl+z")
    entry.window.running.wait_until(entry.is_untouched, "the state before", 30)


def test_krita_edits_with_a_bundle_that_an_option_names(extension, weights, photo, folder):
    path, pixels = photo
    bundle = weights / "mgie" / "mgie"
    run = extension.run(f"""
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
by_words = next(one for one in actions if one["plugin"] == "mgie")
document = load({str(path)!r})
said = work("run_action", by_words, [background(document)], instruction="make it red", seed=3,
            options={{"candidates": 1, "steps": 2, "weights": {str(bundle)!r}}}, document=document)
mark("said", said=str(said))
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""", seconds=200)  # fmt: skip
    assert run.events("said")[0]["said"] not in ("", "None")
    assert run.events("layers")[0]["layers"][-2]["type"] == "grouplayer"
    got = pixels_of(run, folder / "seen.bin")[:, :, :3]
    assert (np.abs(got.astype(int) - pixels).max(axis=2) > 5).mean() > 0.1
