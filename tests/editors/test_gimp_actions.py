"""Other people's plugins in GIMP's menu: entries from their manifests, and what these do."""

import json
import sys
import time

import gallery
import numpy as np
import pytest
from editor_root import PROJECT
from gimp_session import LIVE, NAMES, RECOVER, assert_close, pixels_of, rendered, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

pytestmark = pytest.mark.editors

SAMPLE = "tests/third_party/imgedit-sample-plugin"
HANG, SAY = "imgedit-gal-lery-hang", "imgedit-gal-lery-say"

ENTRY = """
def entry(name):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    if procedure is None:
        return mark("entry", name=name, there=False)
    values = []
    for one in procedure.get_arguments()[3:]:
        values.append({"name": one.name, "type": one.value_type.name, "label": one.nick,
                       "help": one.blurb, "low": getattr(one, "minimum", None),
                       "high": getattr(one, "maximum", None)})
        if one.value_type.name == "GFile":
            values[-1]["choose"] = Gimp.param_spec_file_get_action(one).value_name.split(
                "ACTION_")[1]
    config = procedure.create_config()
    defaults = {one["name"]: config.get_property(one["name"]) for one in values}
    mark("entry", name=name, there=True, label=procedure.get_menu_label(), arguments=values,
         defaults={key: value if isinstance(value, (bool, int, float, str)) else None
                   for key, value in defaults.items()})
"""


@pytest.fixture(scope="module")
def with_gallery(installed, session_root):
    remove = gallery.install(session_root, installed)
    yield
    remove()


@pytest.fixture
def menu(with_gallery, plugin):
    """GIMP with the plug-in and the entries of the plugin 'gal_lery'."""
    return plugin


def wait_for(path, seconds=20):
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)


def entries(plugin, *names):
    run = plugin.run(ENTRY + "".join(f"\nentry({name!r})" for name in names))
    return run.events("entry")


# --- the menu follows the plugins -------------------------------------------------------------


def test_a_plugin_that_is_installed_later_gets_its_entry(plugin, installed, root, photo, folder):
    """With pip, as its readme says, and without another `install gimp`."""
    path, _ = photo
    write_plan(folder / "plan.json", LIVE)
    name = "imgedit-sample-posterise"
    [before] = entries(plugin, name)
    assert not before["there"]
    any_action = (
        NAMES
        + f"""
image = load({str(path)!r})
assert apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
"""
    )
    install = [f"{installed}/bin/imgedit-plugins", "install", "gimp"]
    install += ["--profile", f"{plugin.home}/GIMP"]
    listing = plugin.plugins / "imgedit" / "actions.next.json"
    pip = f"{installed}/bin/pip"
    root.call([pip, "install", "--no-deps", "--progress-bar=off", f"/src/{SAMPLE}"], seconds=300)
    try:
        plugin.run(any_action)
        wait_for(listing)
        [entry] = entries(plugin, name)
        assert entry["there"]
        assert not listing.exists()
        assert "up to date" in root.call(install)
    finally:
        root.call([pip, "uninstall", "-y", "imgedit-sample-plugin"])
    assert entry["label"] == "Posterise…"
    assert [one["name"] for one in entry["arguments"]] == [
        "instruction", "levels", "dither", "seed"
    ]  # fmt: skip
    assert entry["arguments"][1] == {
        "name": "levels", "type": "gint", "label": "_Levels",
        "help": "How many values a channel may have.", "low": 2, "high": 32,
    }  # fmt: skip
    assert entry["defaults"] == {"instruction": "", "levels": 4, "dither": False, "seed": 0}
    assert "updated" in root.call(install)
    assert not entries(plugin, name)[0]["there"]


def test_an_entry_has_the_options_of_the_manifest(menu):
    [entry] = entries(menu, HANG)
    assert entry["label"] == "Hang__pictures…"
    found = {one["name"]: one for one in entry["arguments"]}
    assert list(found) == [
        "make",
        "option-seed",
        "many",
        "share",
        "words",
        "file",
        "out-folder",
        "seed",
    ]
    assert found["make"]["type"] == "gchararray"
    assert (found["share"]["low"], found["share"]["high"]) == (0.25, 2.0)
    assert (found["many"]["low"], found["many"]["high"]) == (-(2**31), 2**31 - 1)
    assert found["share"]["label"] == "Shar_e (px)"
    # Not ANY, for which GIMP's dialog has no widget.
    assert (found["file"]["type"], found["file"]["choose"]) == ("GFile", "OPEN")
    assert found["out-folder"]["choose"] == "SELECT_FOLDER"
    assert entry["defaults"] == {
        "make": "pictures", "option-seed": True, "many": 0, "share": 1.0, "words": "none",
        "file": None, "out-folder": None, "seed": 0,
    }  # fmt: skip


def test_recovering_an_edit_has_its_options(plugin):
    [entry] = entries(plugin, RECOVER)
    assert entry["defaults"] == {
        "swap": False, "effort": "normal", "max-operations": 5, "min-explained": 0.9,
        "model": "search",
    }  # fmt: skip


def test_damaged_actions_leave_the_bridges_own_entries(plugin):
    (plugin.plugins / "imgedit" / "actions.json").write_text("{", "utf-8")
    script = plugin.plugins / "imgedit" / "imgedit.py"
    script.touch()
    own, other = entries(plugin, "imgedit-apply-plan", RECOVER)
    assert own["there"]
    assert not other["there"]


# --- apply_edit -------------------------------------------------------------------------------


def hang(path, folder, before="", after="", **values):
    given = "".join(f", **{{{name!r}: {value!r}}}" for name, value in values.items())
    return (
        NAMES
        + f"""
image = load({str(path)!r})
{before}
told = call({HANG!r}, image, image.get_layers()[:1]{given})
mark("told", told=told)
tell(image)
mark("more", visible=[one.get_visible() for one in image.get_layers()],
     offsets=[list(one.get_offsets())[1:] for one in image.get_layers()],
     said=[call("imgedit-explain", image, [one]) for one in image.get_layers()[:-1]])
{after}
"""
    )


def test_all_options_reach_the_plugin_and_its_pictures_become_layers(menu, photo, folder):
    path, pixels = photo
    values = {"option-seed": False, "many": 7, "share": 0.5, "words": "ä", "seed": 42}
    after = f"""
for number, layer in enumerate(image.get_layers()):
    pixels(layer, {str(folder)!r} + "/%d.bin" % number)
"""
    file = f"chosen = Gio.File.new_for_path({str(path)!r})"
    script = hang(path, folder, file, after, **values)
    script = script.replace(", **{'seed': 42}", ", **{'seed': 42, 'file': chosen}")
    run = menu.run(script)
    told = json.loads(run.events("told")[0]["told"])
    assert told == {
        "make": "pictures", "seed": False, "many": 7, "share": 0.5, "words": "ä",
        "file": str(path), "out-folder": "", "the seed": 42,
    }  # fmt: skip
    layers = run.events("layers")[0]["layers"]
    [more] = run.events("more")
    assert [one["plan"] for one in layers] == [False, False, True, False]
    assert more["visible"] == [False, False, True, True]
    assert "1. bright (offset 30)" in more["said"][2]
    assert json.loads(more["said"][0]) == told
    for number, divisor in ((0, 4), (1, 3), (2, 2), (3, 1)):
        np.testing.assert_array_equal(pixels_of(run, folder / f"{number}.bin"), pixels // divisor)


def test_a_smaller_picture_lies_where_it_belongs(menu, photo, folder):
    path, pixels = photo
    before = "image.get_layers()[0].set_offsets(11, -4)"
    after = f"pixels(image.get_layers()[0], {str(folder / 'top.bin')!r})"
    run = menu.run(hang(path, folder, before, after, make="smaller"))
    assert run.events("more")[0]["offsets"] == [[14, 1], [11, -4]]
    np.testing.assert_array_equal(pixels_of(run, folder / "top.bin"), pixels[5:-7, 3:-9])


def in_layers(pixels):
    """What the gallery's edit in layers comes to."""
    wanted = 255 - pixels
    part = wanted[20:60, 30:90] // 2
    part[:10, :10] = wanted[20:30, 30:40]
    wanted[20:60, 30:90] = part
    return wanted


@pytest.mark.parametrize("selected", [False, True])
def test_an_edit_in_layers_becomes_a_group_of_them(menu, photo, folder, selected):
    path, pixels = photo
    before = "image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)" if selected else ""
    run = menu.run(NAMES + f"""
image = load({str(path)!r})
image.get_layers()[0].set_offsets(11, -4)
{before}
mark("told", told=call({HANG!r}, image, image.get_layers()[:1], make="layers"))
group, layer = image.get_layers()
mark("group", name=group.get_name(), is_group=group.is_group(),
     said=call("imgedit-explain", image, [group]),
     names=[one.get_name() for one in group.get_children()],
     visible=[one.get_visible() for one in group.get_children()],
     offsets=[list(one.get_offsets())[1:] for one in group.get_children()],
     plans=[one.get_parasite("imgedit-plan") is not None for one in group.get_children()])
image.resize_to_layers()
seen(image, {str(folder / "seen.bin")!r})
image.undo_disable(); image.undo_enable()
""")  # fmt: skip
    [group] = run.events("group")
    assert run.events("told")[0]["told"] == "Two layers."
    assert (group["name"], group["is_group"]) == ("Two layers", True)
    assert "Two layers." in group["said"]
    assert group["names"] == ["Darker part", "Negative"]
    assert group["visible"] == [True, True]
    assert group["offsets"] == [[41, 16], [11, -4]]
    assert group["plans"] == [False, True]
    wanted = in_layers(pixels)
    if selected:
        inside = np.zeros((160, 240, 1), bool)
        inside[44:124, 49:169] = True
        wanted = np.where(inside, wanted, pixels)
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin"), wanted)


@pytest.mark.parametrize("selected", [False, True])
def test_a_plan_becomes_live_filters(menu, photo, folder, selected):
    path, _ = photo
    choose = "image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)"
    after = f"seen(image, {str(folder / 'seen.bin')!r})"
    run = menu.run(hang(path, folder, choose if selected else "", after, make="plan"))
    [layer] = run.events("layers")[0]["layers"]
    assert layer["filters"] == ["Invert", "Brightness +30"]
    assert layer["plan"]
    assert run.events("told")[0]["told"] == "A plan."
    assert "mind the gap" in run.output
    plan = parse_plan({"operations": [{"name": "bright", "parameters": {"offset": 30}},
                                      {"name": "invert"}], "schema": "imgedit-plan/1"})  # fmt: skip
    mask = np.zeros((160, 240), np.uint8)
    mask[40:120, 60:180] = 255
    wanted = rendered(path, plan, mask if selected else None)
    assert_close(pixels_of(run, folder / "seen.bin"), wanted)


def test_a_selection_limits_what_the_plugin_does_not(menu, photo, folder):
    """The action takes no selection, so its pictures get it as a layer mask."""
    path, pixels = photo
    choose = "image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)"
    after = f"seen(image, {str(folder / 'seen.bin')!r})"
    run = menu.run(hang(path, folder, choose, after))
    wanted = pixels.copy()
    wanted[40:120, 60:180] //= 2
    np.testing.assert_array_equal(pixels_of(run, folder / "seen.bin"), wanted)


def test_colours_in_a_grey_image_are_refused(menu, photo, folder):
    path, _ = photo
    run = menu.run(hang(path, folder, "image.convert_grayscale()", make="colours"))
    assert "is a grey image" in run.events("refused")[0]["told"]
    assert len(run.events("layers")[0]["layers"]) == 1


@pytest.mark.parametrize("feather", [0, 10])
def test_the_sample_posterises_within_the_selection(
    plugin, installed, root, photo, folder, feather
):
    path, pixels = photo
    pip = f"{installed}/bin/pip"
    root.call([pip, "install", "--no-deps", "--progress-bar=off", f"/src/{SAMPLE}"], seconds=300)
    try:
        install = [f"{installed}/bin/imgedit-plugins", "install", "gimp"]
        root.call([*install, "--profile", f"{plugin.home}/GIMP"])
        run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 120, 80)
if {feather}:
    Gimp.Selection.feather(image, {feather})
mask = image.get_selection().get_buffer().get(
    Gegl.Rectangle.new(0, 0, 240, 160), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
open({str(folder / "mask.bin")!r}, "wb").write(bytes(mask))
image.get_layers()[0].get_name()
call("imgedit-sample-posterise", image, image.get_layers(), instruction="posterise", levels=3)
tell(image)
seen(image, {str(folder / "seen.bin")!r})
call("imgedit-sample-posterise", image, image.get_layers(), instruction="sing")
tell(image)
""")  # fmt: skip
    finally:
        root.call([pip, "uninstall", "-y", "imgedit-sample-plugin"])
    sys.path.insert(0, str(PROJECT / SAMPLE / "src"))
    from imgedit_sample_plugin.posterise import posterise

    mask = np.fromfile(folder / "mask.bin", np.uint8).reshape(160, 240, 1) / 255
    before = pixels / 255
    edited = posterise(before, 3, 0.0)
    wanted = np.rint(255 * np.where(mask == 0, before, before + (edited - before) * mask))
    got = pixels_of(run, folder / "seen.bin")
    assert np.abs(got - wanted).max() <= 1
    first, second = (mark["layers"] for mark in run.events("layers"))
    assert [one["name"] for one in first] == ["Posterise", "Background"]
    assert second == first
    assert "refused" in [mark["event"] for mark in run.marks]


# --- predict_operations -----------------------------------------------------------------------


def test_words_become_live_filters(menu, photo, folder):
    path, _ = photo
    run = menu.run(NAMES + f"""
image = load({str(path)!r})
call({SAY!r}, image, image.get_layers(), instruction="no")
tell(image)
mark("plan", plan=call({SAY!r}, image, image.get_layers(), instruction="turn it"))
tell(image)
seen(image, {str(folder / "seen.bin")!r})
""")  # fmt: skip
    assert run.events("refused")[0]["told"]
    untouched, edited = (mark["layers"] for mark in run.events("layers"))
    assert untouched[0]["filters"] == []
    assert edited[0]["filters"] == ["Invert", "Brightness +30"]
    plan = parse_plan(run.events("plan")[0]["plan"])
    assert_close(pixels_of(run, folder / "seen.bin"), rendered(path, plan))


def test_options_reach_the_search(plugin, folder):
    before, after = folder / "before.png", folder / "after.png"
    save_picture(photograph(240, 180), before)
    plan = write_plan(folder / "plan.json", [("bright", {"offset": 30}), ("invert", {})])
    save_picture(render_plan(open_picture(before), plan), after)
    run = plugin.run(NAMES + f"""
image = load({str(before)!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(after)!r}))
image.insert_layer(upper, None, 0)
layers = image.get_layers()
values = {{"effort": "quick", "min-explained": 0.999}}
mark("plan", plan=call({RECOVER!r}, image, layers, **{{**values, "max-operations": 1}}))
tell(image)
mark("plan", plan=call({RECOVER!r}, image, layers, **values))
""", seconds=240)  # fmt: skip
    short, whole = (mark["plan"] for mark in run.events("plan"))
    assert short is None
    assert len(run.events("layers")[0]["layers"]) == 2
    assert {step.name for step in parse_plan(whole).operations} == {"bright", "invert"}


# --- the dialog -------------------------------------------------------------------------------


def test_the_dialog_shows_the_options_and_keeps_what_was_chosen(menu, gimp_window, photo, folder):
    path, _ = photo
    window = gimp_window(path)

    def said():
        window.run(NAMES + """
image = Gimp.get_images()[0]
tell(image)
mark("said", text=call("imgedit-explain", image, image.get_layers()[:1]))
""")  # fmt: skip
        return window.running.events("said")[-1]["text"]

    def hung(number):
        window.run(NAMES + "tell(Gimp.get_images()[0])")
        return len(window.running.events("layers")[-1]["layers"]) == number

    window.action("Hang_pictures")
    window.wait_for_window("^Hang_pictures…$")
    window.screen.screenshot("options")
    window.screen.keys("alt+w")
    window.screen.keys("ctrl+a")
    window.screen.type("mine")
    window.screen.keys("alt+o")
    window.wait_for_window("^Hang_pictures: result$")
    window.screen.screenshot("result")
    window.screen.keys("alt+o")
    window.running.wait_until(lambda: hung(4), "pictures as layers", 90)
    assert json.loads(said())["words"] == "mine"
    window.action("Hang_pictures")
    window.wait_for_window("^Hang_pictures…$")
    window.screen.screenshot("options-again")
    window.screen.keys("alt+o")
    window.wait_for_window("^Hang_pictures: result$")
    window.screen.keys("alt+o")
    window.running.wait_until(lambda: hung(7), "pictures as layers again", 90)
    assert json.loads(said())["words"] == "mine"
