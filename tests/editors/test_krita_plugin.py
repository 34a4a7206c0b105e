"""The extension in the real Krita: installed as a user does, every action, saved and reopened."""

import json

import numpy as np
import pytest
from krita_session import NAMES, pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

LIVE = [("bright", {"offset": 40}), ("contrast", {"gain": 1.2})]


@pytest.fixture
def extension(krita, installed, root):
    """Krita with the extension; `extension.run` knows the names of `krita_session`."""
    resources = f"{krita.home}/.local/share/krita"
    root.call([f"{installed}/bin/imgedit-plugins", "install", "krita", "--profile", resources])
    return Extension(krita, f"{resources}/pykrita/imgedit")


class Extension:
    def __init__(self, krita, folder):
        self.krita = krita
        self.folder = folder
        self.names = f"EXTENSION = {folder!r}\n{NAMES}"

    def run(self, script, **options):
        return self.krita.run(f"{self.names}{script}\nclose()\n", **options)


def write_plan(path, steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    data = {"schema": "imgedit-plan/1", "operations": operations}
    path.write_text(json.dumps(data), "utf-8")
    return parse_plan(data)


def rendered(path, plan, mask=None, strength=1.0):
    picture = open_picture(path)
    return np.asarray(render_plan(picture, plan, mask=mask, strength=strength).pixels)


def assert_close(got, wanted, mean=0.1, largest=1):
    got = got[:, :, : wanted.shape[2]]
    assert got.shape == wanted.shape
    difference = np.abs(got.astype(int) - wanted.astype(int))
    assert difference.mean() <= mean
    assert difference.max() <= largest


def test_the_edit_between_two_layers_is_recovered(extension, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(320, 240), before)
    plan = write_plan(folder / "plan.json", [("bright", {"offset": 30}), ("invert", {})])
    save_picture(render_plan(photograph(320, 240), plan), after)
    run = extension.run(f"""
document, other = load({str(before)!r}), load({str(after)!r})
upper = background(other).clone()
document.rootNode().addChildNode(upper, None)
settle(document)
nodes = [upper, background(document)]
mark("plan", plan=work("recover", nodes, document=document))
tell(document)
seen(document, {str(folder / "seen.bin")!r})
layer_pixels(background(document), {str(folder / "before.bin")!r})
""", seconds=240)  # fmt: skip
    found = parse_plan(run.events("plan")[0]["plan"])
    assert_close(rendered(before, found), np.asarray(open_picture(after).pixels))
    top, *others = run.events("layers")[0]["layers"]
    assert [one["type"] for one in top["inner"]] == ["filterlayer", "filterlayer", "clonelayer"]
    assert [one["type"] for one in others] == ["paintlayer", "paintlayer"]
    assert_close(pixels_of(run, folder / "seen.bin"), np.asarray(open_picture(after).pixels))
    assert_close(
        pixels_of(run, folder / "before.bin"), np.asarray(open_picture(before).pixels), 0, 0
    )
