"""Images of every precision, and grey ones, in the real GIMP, against the renderer."""

import gimp_depths
import pytest
from gimp_depths import measure
from gimp_session import NAMES, write_plan

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors

GREY = [("bright", {"offset": 50}), ("levels", {"in_black": 20, "in_white": 200}), ("invert", {}),
        ("gaussian", {"kernel": 7}), ("exposure", {"stops": 0.7})]  # fmt: skip
COLOUR = [*GREY, ("contrast", {"gain": 1.3}), ("grayscale", {}), ("sepia", {}),
          ("saturate", {"factor": 0.4}), ("temperature", {"shift": 60}),
          ("tint", {"shift": 20})]  # fmt: skip
SHARP, SAME = ("sharp", {}), ("saturate", {"factor": 2})

# What the image itself rounds to, in codes of 8 bits: its own steps, which are large in the
# shadows of linear ones.
STEPS = {"U8_NON_LINEAR": 0.6, "U8_PERCEPTUAL": 0.6, "U8_LINEAR": 7, "U16_NON_LINEAR": 0.01,
         "U16_LINEAR": 0.06, "HALF_NON_LINEAR": 0.07, "HALF_LINEAR": 0.05}  # fmt: skip
EXACT = 0.002


@pytest.fixture
def path(folder):
    path = folder / "small.png"
    save_picture(photograph(96, 64), path)
    return path


@pytest.mark.parametrize("grey", [False, True])
def test_filters_are_as_exact_as_the_image(plugin, path, folder, grey):
    cases = [*(GREY if grey else COLOUR), SHARP, *([SAME] if grey else [])]
    precisions = gimp_depths.GREY if grey else gimp_depths.PRECISIONS
    found = measure(plugin, path, folder, cases, precisions=precisions, grey=grey)
    for (precision, number), (layers, mean, largest) in found.items():
        name, _ = cases[number]
        told = (precision, name, layers, mean, largest)
        print(*told)
        assert layers == (2 if name == "sharp" else 1), told
        step = STEPS.get(precision, EXACT)
        if name == "gaussian":  # its border is GIMP's
            assert mean <= 0.5 + step, told
        else:
            assert largest <= step, told


def test_what_would_colour_a_grey_image_is_refused(plugin, path, folder):
    write_plan(folder / "sepia.json", [("sepia", {})])
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
image.convert_grayscale()
apply_plan(image, image.get_layers(), {str(folder / "sepia.json")!r})
tell(image)
""")  # fmt: skip
    told = run.events("refused")[0]["told"]
    assert "is a grey image" in told
    assert "Image > Mode > RGB" in told
    [layer] = run.events("layers")[0]["layers"]
    assert (layer["filters"], layer["plan"]) == ([], False)


def test_an_indexed_image_is_refused(plugin, path, folder):
    """GIMP holds filters on indexed layers, but shows them in the palette's colours alone."""
    write_plan(folder / "plan.json", [("bright", {"offset": 50})])
    run = plugin.run(NAMES + f"""
image = load({str(path)!r})
other = load({str(path)!r})
other.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16,
                      False, False, "")
apply_plan(other, other.get_layers(), {str(folder / "plan.json")!r})
tell(other)
assert apply_plan(image, image.get_layers(), {str(folder / "plan.json")!r})
call("imgedit-copy-edit", image, image.get_layers())
tell(other)
for name in ("imgedit-apply-plan", "imgedit-save-plan"):
    mark("types", types=Gimp.get_pdb().lookup_procedure(name).get_image_types())
""")  # fmt: skip
    first, second = (mark["told"] for mark in run.events("refused"))
    assert "is an indexed image" in first
    assert "No other image is open" in second
    for mark in run.events("layers"):
        assert mark["layers"][0]["filters"] == []
    assert [mark["types"] for mark in run.events("types")] == ["RGB*, GRAY*", "*"]


def test_what_is_locked_or_floats_or_lies_outside_is_refused(plugin, path, folder):
    write_plan(folder / "plan.json", [("bright", {"offset": 50})])
    write_plan(folder / "turn.json", [("rotate", {"degrees": 90})])
    run = plugin.run(NAMES + f"""
def tried(change, plan="plan"):
    image = load({str(path)!r})
    layer = image.get_layers()[0]
    change(image, layer)
    apply_plan(image, image.get_selected_drawables(), {str(folder)!r} + f"/{{plan}}.json")
    mark("filters", number=len(layer.get_filters()), width=layer.get_width())

def floating(image, layer):
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 5, 5, 20, 20)
    Gimp.Selection.float(image, [layer], 3, 3)

def outside(image, layer):
    layer.set_offsets(60, 0)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 20)

tried(lambda image, layer: layer.set_lock_content(True))
tried(lambda image, layer: layer.set_lock_position(True), "turn")
tried(floating)
tried(outside)
tried(lambda image, layer: layer.set_lock_position(True))
""")  # fmt: skip
    pixels, position, floats, outside = (mark["told"] for mark in run.events("refused"))
    assert "The pixels of the layer “Background” are locked" in pixels
    assert "The position of the layer “Background” is locked" in position
    assert "The selection floats" in floats
    assert "The selection does not meet the layer" in outside
    numbers = [(mark["number"], mark["width"]) for mark in run.events("filters")]
    assert numbers == [(0, 96)] * 4 + [(1, 96)]
