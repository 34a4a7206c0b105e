"""How Krita holds operations: checked by carrying out the filters' mathematics here."""

import ast
import io
import itertools
import math
import sys
import xml.etree.ElementTree as ET
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges.krita import bands, forms, holdings, template
from imgedit_bridges.krita.bands import Frame
from imgedit_bridges.krita.forms import Filter
from imgedit_bridges.krita.holdings import Place, Sampled, lay_out
from imgedit_bridges.plugin_folder import PACKAGE, contents
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

VOCABULARY = [described(one) for one in default_vocabulary()]
PER_CHANNEL = [one for one in VOCABULARY if one["per_channel"]]


def plan_of(*steps, **fields):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    return {"schema": "imgedit-plan/1", "operations": operations, **fields}


def through(plan, pixels):
    return np.asarray(render_plan(Picture(np.ascontiguousarray(pixels)), parse_plan(plan)).pixels)


def filters_of(plan, dtype="uint8"):
    """The filters of a plan that is all live, ramps rendered here as the worker does."""
    layout = lay_out(plan, VOCABULARY, Place())
    assert layout.rendered == ()
    made = []
    for step in layout.steps:
        ramp = np.frombuffer(holdings.ramp(dtype), dtype).reshape(1, forms.POINTS, 3)
        rendered = through(plan_of((step["name"], step["parameters"])), ramp)
        made.append(holdings.sampled(step, rendered.tobytes(), dtype))
    return layout.filters(made)


# --- what the filters do, as measured in Krita ------------------------------------------------


def carried_out(filters, codes):
    for one in filters:
        values = DOES[one.filter](one.properties, codes / 255.0)
        codes = np.rint(np.clip(values, 0, 1) * 255)
    return codes


def _curves(properties, values):
    assert properties["nTransfers"] == 8
    curves = [_points(properties[f"curve{number}"]) for number in range(8)]
    assert curves[4:] == [[(0, 0), (1, 1)]] * 4  # alpha, hue, saturation, lightness stay
    taken = [curves[0], *curves[1:4]]
    made = values
    for number, points in enumerate(taken):
        x, y = np.array(points).T
        channels = slice(0, 3) if number == 0 else slice(number - 1, number)
        made = made.copy()
        made[:, :, channels] = np.interp(made[:, :, channels], x, y)
    return made


def _points(text):
    assert text.endswith(";")
    return [tuple(map(float, point.split(","))) for point in text[:-1].split(";")]


def _desaturated(properties, values):
    assert properties == {"type": 2}
    grey = values @ np.array([0.299, 0.587, 0.114])
    return np.repeat(grey[:, :, None], 3, axis=2)


def _hsv(properties, values):
    assert properties["type"] == 0
    assert isinstance(properties["s"], int)
    assert isinstance(properties["h"], int)
    hsv = cv2.cvtColor(values.astype(np.float32), cv2.COLOR_RGB2HSV)
    amount = properties["s"] / 100
    factor = 1 + amount + (2 * amount * amount if amount > 0 else 0)
    hsv[:, :, 0] = (hsv[:, :, 0] + properties["h"]) % 360
    hsv[:, :, 1] = np.minimum(hsv[:, :, 1] * factor, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _gaussian(properties, values):
    assert properties["horizRadius"] == properties["vertRadius"]
    return cv2.GaussianBlur(values, (0, 0), 0.3 + 0.3 * properties["horizRadius"])


def _box(properties, values):
    assert properties["shape"] == 1
    assert properties["strength"] == 1000  # less leaves soft edges
    size = 2 * properties["halfWidth"] + 1
    return cv2.blur(values, (size, size))


DOES = {
    "perchannel": _curves,
    "invert": lambda _, values: 1 - values,
    "desaturate": _desaturated,
    "hsvadjustment": _hsv,
    "gaussian blur": _gaussian,
    "blur": _box,
}


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)


def parameters_of(operation):
    ranges = {}
    for one in operation["parameters"]:
        if one["points"]:
            value = st.just([[0, 0], [0.3, 0.2], [0.8, 0.9], [1, 1]])
        elif one["choices"]:
            value = st.sampled_from(one["choices"])
        else:
            value = st.floats(one["minimum"], one["maximum"])
            if one["integer"]:
                value = st.integers(int(one["minimum"]), int(one["maximum"]))
        ranges[one["name"]] = value
    return st.fixed_dictionaries(ranges)


@given(st.data())
def test_curves_are_the_operation_in_every_code(data):
    operation = data.draw(st.sampled_from(PER_CHANNEL))
    if operation["name"] == "levels":
        low, high = data.draw(st.integers(0, 100)), data.draw(st.integers(120, 255))
        step = ("levels", {"in_black": low, "in_white": high, "gamma": 1.7, "out_white": 20})
    else:
        step = (operation["name"], data.draw(parameters_of(operation)))
    every = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    wanted = through(plan_of(step), every)
    np.testing.assert_array_equal(carried_out(filters_of(plan_of(step)), every), wanted)


@pytest.mark.parametrize(
    ("step", "mean", "largest"),
    [
        (("invert", {}), 0, 0),
        (("grayscale", {}), 0.02, 1),
        (("sepia", {}), 1.0, 3),
        (("saturate", {"factor": 0.3}), 1, 4),
        (("saturate", {"factor": 1.7}), 1, 6),
        (("saturate", {"factor": 4.0}), 1, 6),
        (("hue", {"degrees": 33.3}), 0.7, 2),
        (("hue", {"degrees": -120}), 0.2, 1),
        (("gaussian", {"kernel": 7}), 1, 9),
        (("blur", {"kernel": 9}), 0.5, 1),
    ],
)
def test_filters_are_the_operation(codes, step, mean, largest):
    wanted = through(plan_of(step), codes).astype(int)
    difference = np.abs(carried_out(filters_of(plan_of(step)), codes) - wanted)
    assert difference.mean() <= mean
    assert difference.max() <= largest


def test_sixteen_bits_have_finer_curves():
    step = ("gamma", {"gamma": 1.8})
    [fine] = filters_of(plan_of(step), "uint16")
    [coarse] = filters_of(plan_of(step), "uint8")
    steps = np.diff([y for _, y in _points(fine.properties["curve0"])])
    assert np.all(steps > 0)  # no two codes fall together, as they do in 8 bits
    assert not np.all(np.diff([y for _, y in _points(coarse.properties["curve0"])]) > 0)


@given(st.floats(0, forms.LARGEST_FACTOR))
def test_saturation_is_in_kritas_range(factor):
    made = forms.LIVE["saturate"]({"factor": factor})
    for one in made:
        amount = one.properties["s"] / 100
        assert -1 <= amount <= 1
        back = 1 + amount + (2 * amount**2 if amount > 0 else 0)
        assert math.isclose(back, factor, abs_tol=0.025)


@pytest.mark.parametrize(
    "step",
    [("saturate", {"factor": 1}), ("hue", {"degrees": 0}), ("blur", {"kernel": 1}),
     ("gaussian", {"kernel": 1})],
)  # fmt: skip
def test_what_changes_nothing_makes_no_layer(step):
    assert filters_of(plan_of(step)) == []


# --- laying out -------------------------------------------------------------------------------


def test_order_is_kept_and_only_the_first_part_is_rendered():
    plan = plan_of(
        ("bright", {"offset": 5}), ("sharp", {}), ("invert", {}), ("gamma", {"gamma": 2})
    )
    layout = lay_out(plan, VOCABULARY, Place())
    assert [step["name"] for step in layout.rendered] == ["bright", "sharp"]
    invert, gamma = layout.live
    assert [one.filter for one in invert] == ["invert"]
    assert gamma == Sampled(plan["operations"][3])
    curve = Filter("perchannel", "made")
    assert [one.filter for one in layout.filters([curve])] == ["invert", "perchannel"]


def test_every_operation_is_live_or_says_why():
    for operation in VOCABULARY:
        step = {"name": operation["name"], "parameters": operation["start"]}
        layout = lay_out({"operations": [step]}, VOCABULARY, Place())
        why = holdings.why(step, VOCABULARY, Place())
        assert bool(layout.rendered) == bool(why), step
        if operation["per_channel"] and operation["name"] not in forms.LIVE:
            assert layout.steps == [step]


def test_geometry_is_never_live():
    for operation in VOCABULARY:
        step = {"name": operation["name"], "parameters": operation["start"]}
        moves = holdings.is_geometric(step, VOCABULARY)
        assert moves == (operation["kind"] == "geometric")
        if moves:
            assert holdings.why(step, VOCABULARY, Place())


def test_where_it_is_rendered_depends_on_the_place():
    blur = plan_of(("gaussian", {"kernel": 5}))
    step = blur["operations"][0]
    assert lay_out(blur, VOCABULARY, Place()).rendered == ()
    assert lay_out(blur, VOCABULARY, Place(opaque=False)).rendered == (step,)
    assert "transparent" in holdings.why(step, VOCABULARY, Place(opaque=False))
    assert lay_out(blur, VOCABULARY, Place(exact=False)).rendered == (step,)
    assert "sRGB" in holdings.why(step, VOCABULARY, Place(exact=False))
    assert lay_out(blur, VOCABULARY, Place(), strength=1.2).rendered == (step,)


def test_other_definitions_and_unknown_operations_are_rendered():
    other = plan_of(("invert", {}), definitions="somebody-else/1")
    assert lay_out(other, VOCABULARY, Place()).live == ()
    unknown = {"name": "their-glow", "parameters": {}}
    assert lay_out({"operations": [unknown]}, VOCABULARY, Place()).rendered == (unknown,)
    assert "does not know it" in holdings.why(unknown, VOCABULARY, Place())


def test_third_parties_curves_are_live():
    theirs = {"name": "their-curve", "kind": "pointwise", "per_channel": True, "parameters": []}
    step = {"name": "their-curve", "parameters": {}}
    assert lay_out({"operations": [step]}, [theirs], Place()).steps == [step]


# --- the template -----------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_the_template_says_what_the_filters_are(masked):
    name = 'Bold & "quick" <step> ×1.2'
    filters = [Filter("invert", name), Filter("blur", "b", {"lockAspect": True, "halfWidth": 3})]
    data = template.document(filters, masked=masked, depth="U16", profile="sRGB & more")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.read("mimetype") == b"application/x-krita"
        root = ET.fromstring(file.read("maindoc.xml"))
        [image] = [one for one in root.iter() if one.tag.endswith("}IMAGE")]
        assert (image.get("colorspacename"), image.get("profile")) == ("RGBA16", "sRGB & more")
        layers = [one for one in root.iter() if one.tag.endswith("}layer")]
        assert [one.get("nodetype") for one in layers] == ["grouplayer", *["adjustmentlayer"] * 2]
        assert [one.get("name") for one in layers[:0:-1]] == [name, "b"]
        masks = [one.get("filename") for one in root.iter() if one.tag.endswith("}mask")]
        assert masks == (["mask"] if masked else [])
        for one in layers[1:]:
            path = f"imgedit/layers/{one.get('filename')}"
            assert file.read(f"{path}.pixelselection.defaultpixel") == b"\xff"
            made = filters[layers[:0:-1].index(one)]
            settings = ET.fromstring(file.read(f"{path}.filterconfig"))
            values = {p.get("name"): p.text for p in settings}
            assert set(values) == set(made.properties)
        assert values == {} or values["lockAspect"] == "true"
        if masked:
            hidden = "imgedit/layers/mask.pixelselection.defaultpixel"
            assert file.read(hidden) == b"\x00"


# --- pixels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("channels", "order"), [(1, "rgb"), (2, "rgb"), (3, "rgb"), (3, "bgr"), (4, "rgb"), (4, "bgr")]
)
def test_kritas_order_of_channels(dtype, channels, order):
    values = np.random.default_rng(2).integers(0, 256, (5, channels)).astype(dtype)
    sample = bands.SAMPLE_BYTES[dtype]
    made = bands.to_krita(memoryview(values.tobytes()), channels, sample, order)
    got = np.frombuffer(made, dtype).reshape(5, 4)
    white = np.iinfo(dtype).max
    blue_first = [0, 0, 0] if channels < 3 else [0, 1, 2] if order == "bgr" else [2, 1, 0]
    np.testing.assert_array_equal(got[:, :3], values[:, blue_first])
    opaque = np.full(5, white, dtype)
    np.testing.assert_array_equal(got[:, 3], values[:, -1] if channels % 2 == 0 else opaque)


@pytest.mark.parametrize(("dtype", "alpha"), [("uint8", 254), ("uint16", 65534), ("uint16", 255)])
def test_transparency_is_seen(dtype, alpha):
    sample = bands.SAMPLE_BYTES[dtype]
    pixels = np.full((9, 4), np.iinfo(dtype).max, dtype)
    pixels[:, :3] = 7
    assert bands.is_opaque(pixels.tobytes(), sample)
    pixels[5, 3] = alpha
    assert not bands.is_opaque(pixels.tobytes(), sample)


@given(st.integers(1, 400_000), st.integers(1, 3000), st.integers(-50, 50))
def test_bands_cover_a_frame(width, height, y):
    frame = Frame(3, y, width, height)
    pieces = list(frame.bands())
    tops = itertools.accumulate((one.height for one in pieces), initial=y)
    assert [one.y for one in pieces] == list(tops)[:-1]
    assert sum(one.height for one in pieces) == height
    assert {(one.x, one.width) for one in pieces} == {(3, width)}


def test_frames():
    one, other = Frame(0, 0, 10, 10), Frame(5, -5, 10, 10)
    assert one.common(other) == Frame(5, 0, 5, 5)
    assert one.joined(other) == Frame(0, -5, 15, 15)
    assert one.common(Frame(20, 20, 5, 5)).empty


# --- the extension's modules ------------------------------------------------------------------


def test_the_extension_needs_the_standard_library_krita_and_one_toolkit():
    """Qt is imported in one place, where PyQt5 or PyQt6 is taken."""
    for name, data in contents("__init__.py", PACKAGE / "krita" / "plugin.py").items():
        for node in ast.walk(ast.parse(data, name, feature_version=(3, 10))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [str(node.module)]
            for module in modules:
                top = module.split(".")[0]
                toolkit = {"PyQt5", "PyQt6"} if name.endswith("krita/qt.py") else set()
                known = top in sys.stdlib_module_names or top in {"krita", "imgedit_bridges"}
                assert known or top in toolkit, (name, module)
