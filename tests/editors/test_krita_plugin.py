"""The extension in the real Krita: installed as a user does, every action, saved and reopened."""

import json
import os
import re

import krita_errors
import numpy as np
import pytest
from editor_root import PROJECT
from krita_session import NAMES, pixels_of

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

DOCUMENT = PROJECT / "docs" / "krita.md"
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
        return self.krita.run(f"{self.names}{script}\nleave()\n", **options)


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


def test_operations_look_as_rendered(extension, photo, folder):
    """Writes the table into docs/krita.md with IMGEDIT_WRITE_DOCS=1, and compares it without."""
    path, _ = photo
    cases = [*krita_errors.LIVE, *krita_errors.RENDERED]
    rows = krita_errors.measure(extension, open_picture(path), path, folder, cases)
    made = krita_errors.table(rows)
    print(made)
    for row in rows[: len(krita_errors.LIVE)]:
        assert set(row.layers) == {"filterlayer"}, row
        assert row.mean <= 1, row
    for row in rows[len(krita_errors.LIVE) :]:
        assert (row.layers, row.mean, row.largest) == (["paintlayer"], 0, 0), row
    text = DOCUMENT.read_text("utf-8")
    wanted = re.sub(r"(?s)(<!-- table -->\n).*(<!-- end -->)", rf"\g<1>{made}\g<2>", text)
    if os.environ.get("IMGEDIT_WRITE_DOCS"):
        DOCUMENT.write_text(wanted, "utf-8")
    assert DOCUMENT.read_text("utf-8") == wanted


def test_what_cannot_be_live_is_rendered_and_what_follows_is_live(extension, photo, folder):
    path, pixels = photo
    steps = [("bright", {"offset": -20}), ("sharp", {}), *LIVE]
    plan = write_plan(folder / "plan.json", steps)
    run = extension.run(f"""
document = load({str(path)!r})
assert work("apply_file", pathlib.Path({str(folder / "plan.json")!r}), document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
layer_pixels(background(document), {str(folder / "bottom.bin")!r})
""")
    group, _ = run.events("layers")[0]["layers"]
    names = ["Contrast ×1.2", "Brightness +40", "bright (offset -20), sharp"]
    assert [one["name"] for one in group["inner"]] == names
    assert not group["passes"]
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, plan))
    assert_close(pixels_of(run, folder / "bottom.bin"), pixels, 0, 0)


@pytest.mark.parametrize("shape", ["rectangle", "feathered", "two parts"])
@pytest.mark.parametrize("steps", [LIVE, [("gaussian", {"kernel": 9})], [("sharp", {})]])
def test_a_selection_limits_the_edit(extension, photo, folder, steps, shape):
    path, _ = photo
    plan = write_plan(folder / "plan.json", steps)
    run = extension.run(f"""
document = load({str(path)!r})
selection = Selection()
selection.select(60, 40, 120, 80, 255)
if {shape!r} == "feathered":
    selection.feather(12)
if {shape!r} == "two parts":
    other = Selection()
    other.select(-20, -10, 50, 40, 255)
    selection.add(other)
document.setSelection(selection)
pathlib.Path({str(folder / "mask.bin")!r}).write_bytes(bytes(selection.pixelData(0, 0, 240, 160)))
node = background(document)
assert work("apply_file", pathlib.Path({str(folder / "plan.json")!r}), [node], document=document)
assert document.selection() is not None
tell(document)
seen(document, {str(folder / "live.bin")!r})
save(document, {str(folder / "edit.kra")!r})
again = load({str(folder / "edit.kra")!r})
seen(again, {str(folder / "again.bin")!r})
""")
    mask = np.fromfile(folder / "mask.bin", np.uint8).reshape(160, 240)
    assert (set(np.unique(mask)) <= {0, 255}) == (shape != "feathered")
    live = pixels_of(run, folder / "live.bin")
    largest = 3 if steps[0][0] == "gaussian" else 1
    assert_close(live, rendered(path, plan, mask), mean=0.1, largest=largest)
    np.testing.assert_array_equal(pixels_of(run, folder / "again.bin"), live)


def test_a_plan_that_moves_pixels_is_refused_while_something_is_selected(extension, photo):
    path, _ = photo
    plan = {"operations": [{"name": "rotate", "parameters": {"degrees": 90}}]}
    run = extension.run(f"""
document = load({str(path)!r})
selection = Selection()
selection.select(60, 40, 120, 80, 255)
document.setSelection(selection)
assert work("apply_plan", {plan!r}, [background(document)], document=document) is None
tell(document)
""")
    assert "which a selection cannot limit" in run.events("refused")[0]["told"]
    names = [one["type"] for one in run.events("layers")[0]["layers"]]
    assert names == ["selectionmask", "paintlayer"]


@pytest.mark.parametrize("strength", [0.0, 0.35, 1.6])
@pytest.mark.parametrize("steps", [LIVE, [("sharp", {}), ("invert", {})]])
def test_strength_is_that_of_the_command_line(extension, photo, folder, steps, strength):
    path, _ = photo
    plan = write_plan(folder / "plan.json", steps)
    run = extension.run(f"""
document = load({str(path)!r})
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, strength={strength}, document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    inner = [one["type"] for one in run.events("layers")[0]["layers"][0]["inner"]]
    assert (inner == ["paintlayer"]) == (strength > 1)
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, plan, strength=strength))


def test_saved_and_reopened_everything_is_there(extension, photo, folder):
    path, _ = photo
    steps = [*LIVE, ("saturate", {"factor": 1.4}), ("gaussian", {"kernel": 5}), ("summer", {})]
    write_plan(folder / "plan.json", steps)
    names = {name: str(folder / name) for name in ("edit.kra", "saved.json", "1.bin", "2.bin")}
    run = extension.run(f"""
names = {names!r}
document = load({str(path)!r})
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, strength=0.8, document=document)
seen(document, names["1.bin"])
tell(document)
save(document, names["edit.kra"])
""")
    again = extension.run(f"""
names = {names!r}
document = load(names["edit.kra"])
seen(document, names["2.bin"])
tell(document)
node = background(document)
work("save_plan", pathlib.Path(names["saved.json"]), [node], document=document)
mark("explained", text=work("explain", [node], document=document))
[edit] = kept.edits(document)
copy = edit.group.duplicate()
document.rootNode().addChildNode(copy, None)
found = kept.edit_of(document, copy.childNodes()[0])
mark("copied", same=found.kept.plan == edit.kept.plan, strength=found.kept.strength)
mark("history", entries=engine.history(document))
""")
    assert again.events("layers")[0]["layers"] == run.events("layers")[0]["layers"]
    np.testing.assert_array_equal(
        pixels_of(again, folder / "2.bin"), pixels_of(run, folder / "1.bin")
    )
    saved = parse_plan((folder / "saved.json").read_text("utf-8"))
    assert [step.name for step in saved.operations] == [name for name, _ in steps]
    explained = again.events("explained")[0]["text"]
    assert "1. bright (offset 40): live" in explained
    assert "4. gaussian (kernel 5): live" in explained
    assert "Strength 80 %." in explained
    assert again.events("copied")[0] == {"event": "copied", "same": True, "strength": 0.8}
    [entry] = again.events("history")[0]["entries"]
    assert parse_plan(entry["plan"]) == saved


def test_sixteen_bits_alpha_and_a_group_are_kept(extension, folder):
    picture = photograph(120, 90, mode="RGBA", dtype="uint16")
    raw = folder / "deep.bin"  # not a PNG without a profile: Krita asks which one it has
    raw.write_bytes(np.asarray(picture.pixels)[:, :, [2, 1, 0, 3]].tobytes())
    plan = write_plan(folder / "plan.json", [*LIVE, ("exposure", {"stops": 0.3}), ("invert", {})])
    run = extension.run(f"""
document = Krita.instance().createDocument(120, 90, "deep", "RGBA", "U16", canvas.SRGB, 72.0)
background(document).setPixelData(pathlib.Path({str(raw)!r}).read_bytes(), 0, 0, 120, 90)
settle(document)
layer = background(document)
group = document.createGroupLayer("group")
document.rootNode().addChildNode(group, None)
inner = layer.duplicate()
group.addChildNode(inner, None)
layer.remove()
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, [inner], document=document)
tell(document)
layer_pixels(group, {str(folder / "top.bin")!r})
""")
    [group] = run.events("layers")[0]["layers"]
    edit, _ = group["inner"]
    names = ["Invert", "Exposure +0.3 EV", "Contrast ×1.2", "Brightness +40"]
    assert [one["name"] for one in edit["inner"]] == names
    got = pixels_of(run, folder / "top.bin").astype(int)
    wanted = np.asarray(render_plan(picture, plan).pixels).astype(int)
    np.testing.assert_array_equal(got[:, :, 3], wanted[:, :, 3])
    difference = np.abs(got - wanted)[wanted[:, :, 3] > 0]
    assert difference.mean() <= 257 / 2
    assert difference.max() <= 4 * 257  # tables of 256 places between black and white


def test_a_small_layer_above_others_is_edited_alone(extension, photo, folder):
    path, pixels = photo
    plan = write_plan(folder / "plan.json", [("gaussian", {"kernel": 9}), ("invert", {})])
    run = extension.run(f"""
document = load({str(path)!r})
small = document.createNode("small", "paintlayer")
document.rootNode().addChildNode(small, None)
data = bytes(background(document).pixelData(20, 30, 64, 48))
small.setPixelData(data, 100, 50, 64, 48)
settle(document)
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, [small], document=document)
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    group = run.events("layers")[0]["layers"][0]
    assert [one["type"] for one in group["inner"]] == ["filterlayer", "paintlayer"]
    part = Picture(np.ascontiguousarray(pixels[30:78, 20:84]))
    wanted = pixels.copy()
    wanted[50:98, 100:164] = np.asarray(render_plan(part, plan).pixels)
    assert_close(pixels_of(run, folder / "seen.bin"), wanted)


def test_several_layers_get_the_edit_and_filters_fit_a_larger_canvas(extension, photo, folder):
    path, _ = photo
    run = extension.run(f"""
document = load({str(path)!r})
lower = background(document)
upper = lower.duplicate()
document.rootNode().addChildNode(upper, lower)
plan = {{"operations": [{{"name": "bright", "parameters": {{"offset": 40}}}}]}}
assert work("apply_plan", plan, [lower, upper], document=document)
tell(document)
document.resizeImage(0, 0, 480, 320)
for node in (lower, upper):
    node.setPixelData(b"\\x20\\x40\\x60\\xff" * (480 * 320), 0, 0, 480, 320)
settle(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    groups = [one for one in run.events("layers")[0]["layers"] if one["type"] == "grouplayer"]
    inner = [[one["type"] for one in group["inner"]] for group in groups]
    assert inner == [["filterlayer", "clonelayer"], ["filterlayer"]]
    seen = pixels_of(run, folder / "seen.bin")
    assert np.unique(seen.reshape(-1, 4), axis=0).tolist() == [[136, 104, 72, 255]]


def test_an_edit_is_copied_to_the_other_open_documents(extension, photo, folder):
    path, _ = photo
    write_plan(folder / "plan.json", [("sharp", {}), *LIVE])
    run = extension.run(f"""
documents = [load({str(path)!r}) for _ in range(3)]
first = documents[0]
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, document=first)
assert work("copy_edit", [background(first)], document=first) == 2
for number, document in enumerate(documents):
    tell(document)
    seen(document, {str(folder)!r} + "/%d.bin" % number)
""")
    first, *others = (mark["layers"] for mark in run.events("layers"))
    assert others == [first, first]
    for number in (1, 2):
        np.testing.assert_array_equal(
            pixels_of(run, folder / f"{number}.bin"), pixels_of(run, folder / "0.bin")
        )


@pytest.mark.parametrize(
    ("model", "depth", "profile"),
    [
        ("RGBA", "F32", "sRGB-elle-V2-g10.icc"),
        ("RGBA", "F16", "sRGB-elle-V2-srgbtrc.icc"),
        ("RGBA", "U16", "sRGB-elle-V2-g10.icc"),
        ("RGBA", "U16", "LargeRGB-elle-V2-g22.icc"),
        ("LABA", "U16", "Lab identity built-in"),
    ],
)
def test_in_another_colour_space_everything_is_rendered(
    extension, photo, folder, model, depth, profile
):
    path, _ = photo
    plan = write_plan(folder / "plan.json", LIVE)
    run = extension.run(f"""
document = load({str(path)!r})
assert document.setColorSpace({model!r}, {depth!r}, {profile!r})
document.waitForDone()
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, document=document)
tell(document)
mark("space", space=[document.colorModel(), document.colorDepth(), document.colorProfile()],
     layer=[(one := kept.edits(document)[0].group.childNodes()[0]).colorModel(),
            one.colorDepth(), one.colorProfile()])
document.setColorSpace("RGBA", "U8", canvas.SRGB)
document.waitForDone()
seen(document, {str(folder / "seen.bin")!r})
""")
    [space] = run.events("space")
    assert space["space"] == space["layer"] == [model, depth, profile]
    group, _ = run.events("layers")[0]["layers"]
    assert [one["type"] for one in group["inner"]] == ["paintlayer"]
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, plan), mean=0.3, largest=1)


def test_an_edit_on_an_edit_and_its_change(extension, photo, folder):
    path, _ = photo
    both = write_plan(folder / "both.json", [*LIVE, ("sharp", {}), ("invert", {})])
    other = write_plan(folder / "other.json", [*LIVE, ("gamma", {"gamma": 1.4})])
    write_plan(folder / "1.json", LIVE)
    write_plan(folder / "2.json", [("sharp", {}), ("invert", {})])
    gamma = {"operations": [{"name": "gamma", "parameters": {"gamma": 1.4}}]}
    run = extension.run(f"""
document = load({str(path)!r})
folder = pathlib.Path({str(folder)!r})
assert work("apply_file", folder / "1.json", document=document)
[first] = kept.edits(document)
assert work("apply_file", folder / "2.json", [first.group], document=document)
seen(document, {str(folder / "both.bin")!r})
second = kept.edits(document)[0]
assert work("change", second, {gamma!r}, state={{"steps": []}}, document=document)
tell(document)
seen(document, {str(folder / "other.bin")!r})
mark("kept", state=kept.edits(document)[0].kept.state, count=len(kept.edits(document)),
     history=[one["title"] for one in engine.history(document)])
""")
    assert_close(pixels_of(run, folder / "both.bin"), rendered(path, both), mean=0.5, largest=12)
    upper, lower, _ = run.events("layers")[0]["layers"]
    assert [one["name"] for one in upper["inner"]] == ["Gamma 1.4"]
    assert (upper["passes"], lower["passes"]) == (True, True)
    assert_close(pixels_of(run, folder / "other.bin"), rendered(path, other), mean=0.5, largest=3)
    [told] = run.events("kept")
    assert (told["state"], told["count"]) == ({"steps": []}, 2)
    assert told["history"] == ["gamma", "sharp, invert", "bright, contrast"]


@pytest.mark.parametrize("fault", ["no python", "no worker", "no plan", "bad plan", "no record"])
def test_a_fault_is_one_sentence_and_the_picture_is_untouched(
    extension, photo, folder, root, fault
):
    path, pixels = photo
    write_plan(folder / "plan.json", [("sharp", {})])
    record = root.outside(f"{extension.folder}/bridge.json")
    if fault == "no python":
        record.write_text(json.dumps({"python": "/gone/python", "version": "1"}), "utf-8")
    elif fault == "no worker":
        root.outside("/tmp/elsewhere").mkdir(exist_ok=True)
        root.outside("/tmp/elsewhere/imgedit-plugins").touch()
        extension.krita.environment["XDG_RUNTIME_DIR"] = "/tmp/elsewhere"
    elif fault == "no plan":
        (folder / "plan.json").write_bytes(path.read_bytes())
    elif fault == "no record":
        record.unlink()
    else:
        (folder / "plan.json").write_text('{"schema": "imgedit-plan/1", "operations": [1]}')
    run = extension.run(f"""
document = load({str(path)!r})
plan = pathlib.Path({str(folder / "plan.json")!r})
assert work("apply_file", plan, document=document) is None
assert work("recover", document=document) is None
assert not engine.is_busy
tell(document)
seen(document, {str(folder / "seen.bin")!r})
""")
    told = run.events("refused")[0]["told"]
    expected = {
        "no python": "The Python that runs the worker is gone: /gone/python",
        "no worker": "The folder /tmp/elsewhere/imgedit-plugins cannot be used",
        "no plan": "holds no edit plan",
        "bad plan": "operations[0]",
        "no record": "There is no installation record",
    }
    assert expected[fault] in told
    assert "Traceback" not in told
    assert "Two layers are needed" in run.events("refused")[1]["told"]
    assert [one["type"] for one in run.events("layers")[0]["layers"]] == ["paintlayer"]
    assert_close(pixels_of(run, folder / "seen.bin"), pixels, 0, 0)
