"""Menu actions of plugins in the real Krita: the ones that come along, and a third party's."""

import gallery
import numpy as np
import pytest
from krita_session import pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors

SAMPLE = "/src/tests/third_party/imgedit-sample-plugin"
ACTION = """
actions = []
engine.actions(actions.extend)
spin(lambda: actions)
def action(plugin, name):
    return next(one for one in actions if (one["plugin"], one["id"]) == (plugin, name))
"""


@pytest.fixture
def sample(installed, root):
    """The third-party plugin, installed beside ours for one test."""
    pip = f"{installed}/bin/pip"
    root.call([pip, "install", "--no-deps", "--progress-bar=off", SAMPLE], seconds=300)
    yield
    root.call([pip, "uninstall", "-y", "imgedit-sample-plugin"])


def posterised(pixels, levels):
    """What the sample does (see its posterise.py), said again."""
    return np.rint(np.rint(pixels / 255 * (levels - 1)) / (levels - 1) * 255)


def test_an_action_with_two_pictures_recovers_the_edit(extension, folder):
    before, after = folder / "before.png", folder / "after.png"
    picture = photograph(160, 120)
    save_picture(picture, before)
    inverted = picture.with_pixels(255 - np.asarray(picture.pixels))
    save_picture(inverted, after)
    run = extension.run(f"""{ACTION}
document, other = load({str(before)!r}), load({str(after)!r})
upper = background(other).clone()
document.rootNode().addChildNode(upper, None)
settle(document)
plan = work("run_action", action("reverse_design", "recover-edit"),
            [background(document), upper], options={{"effort": "quick"}}, document=document)
mark("found", plan=plan)
""", seconds=240)  # fmt: skip
    [found] = run.events("found")
    assert [step["name"] for step in found["plan"]["operations"]] == ["invert"]
    assert found["plan"]["provenance"]["plugin"] == "reverse_design"


def test_a_third_partys_edit_stays_within_the_selection(extension, sample, photo, folder):
    path, pixels = photo
    run = extension.run(f"""{ACTION}
document = load({str(path)!r})
selection = Selection()
selection.select(60, 40, 120, 80, 255)
document.setSelection(selection)
posterise = action("sample", "posterise")
node = background(document)
for words in ("posterise", "sing", " "):
    work("run_action", posterise, [node], instruction=words, options={{"levels": 3}},
         document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    _, group, _ = run.events("layers")[0]["layers"]
    assert group["name"] == "Posterise"
    assert [one["type"] for one in group["inner"]] == ["paintlayer", "transparencymask"]
    sing, nothing = (mark["told"] for mark in run.events("refused"))
    assert "Traceback" not in sing
    assert nothing == "An instruction is needed. Say in words what to do."
    wanted = pixels.astype(float)
    wanted[40:120, 60:180] = posterised(wanted[40:120, 60:180], 3)
    got = pixels_of(run, folder / "seen.bin")[:, :, :3]
    assert np.abs(got - wanted).max() <= 1


@pytest.fixture
def with_gallery(installed, root):
    remove = gallery.install(root, installed)
    yield
    remove()


def test_an_edit_in_layers_becomes_a_group_of_them(extension, with_gallery, photo, folder):
    path, pixels = photo
    run = extension.run(f"""{ACTION}
document = load({str(path)!r})
work("run_action", action("gal_lery", "hang"), [background(document)],
     options={{"make": "layers", "many": 1}}, document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    group, _ = run.events("layers")[0]["layers"]
    assert group["name"] == "Two layers."
    assert {one["name"] for one in group["inner"]} == {"Negative", "Darker part"}
    wanted = 255 - pixels
    part = wanted[20:60, 30:90] // 2
    part[:10, :10] = wanted[20:30, 30:40]
    wanted[20:60, 30:90] = part
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin")[:, :, :3], wanted)


def test_a_third_partys_operation_is_rendered(extension, sample, photo, folder):
    path, pixels = photo
    plan = {"operations": [{"name": "sample-posterise", "parameters": {"levels": 4}}]}
    run = extension.run(f"""
document = load({str(path)!r})
assert work("apply_plan", {plan!r}, document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    group, _ = run.events("layers")[0]["layers"]
    assert [one["type"] for one in group["inner"]] == ["paintlayer"]
    got = pixels_of(run, folder / "seen.bin")[:, :, :3]
    np.testing.assert_array_equal(got, posterised(pixels, 4))
