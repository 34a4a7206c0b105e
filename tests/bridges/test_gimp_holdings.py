"""How GIMP holds operations: checked by carrying out the filters' mathematics here."""

import ast
import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges import edits
from imgedit_bridges.gimp import forms, holdings
from imgedit_bridges.gimp.forms import Filter, Turn
from imgedit_bridges.gimp.holdings import lay_out
from imgedit_plugins.operations import DEFAULT_PROFILE, default_vocabulary
from imgedit_plugins.operations.encoding import decode, encode
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

ALLOWED = {
    "gegl:color", "gegl:component-extract", "gegl:sepia", "gegl:invert-gamma",
    "gegl:wavelet-blur", "gegl:exposure", "gegl:channel-mixer", "gegl:rgb-clip",
    "gegl:domain-transform",
}  # fmt: skip


def plan_of(*steps, **fields):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    return {"schema": "imgedit-plan/1", "operations": operations, **fields}


# --- what the filters do, as measured in GIMP -------------------------------------------------


def carried_out(filters, values):
    for one in filters:
        top = _operated(one, values)
        values = _mixed(one, values, top)
    return np.clip(values, 0, 1)


def _operated(one, values):
    made = {
        "gegl:color": lambda: np.broadcast_to(np.array(one.colour), values.shape),
        "gegl:component-extract": lambda: _largest(one, values),
        "gegl:invert-gamma": lambda: 1 - values,
        "gegl:exposure": lambda: encode(decode(values) * 2.0 ** one.properties["exposure"]),
        "gegl:channel-mixer": lambda: encode(decode(values) * _gains(one)),
        "gegl:rgb-clip": lambda: np.clip(values, 0, 1),
        "gegl:wavelet-blur": lambda: _blurred(int(one.properties["radius"]), values),
        "gegl:domain-transform": lambda: _smoothed(one.properties, values),
        "gegl:convolution-matrix": lambda: _moved(one.properties, values),
    }
    return made[one.operation]()


def _largest(one, values):
    assert one.properties == {"component": "hsv-v"}
    return np.broadcast_to(values.max(axis=2, keepdims=True), values.shape)


def _gains(one):
    return np.array([one.properties[name] for name in ("rr-gain", "gg-gain", "bb-gain")])


def _blurred(radius, values):
    kernel = np.zeros(2 * radius + 1)
    kernel[[0, radius, -1]] = 0.25, 0.5, 0.25
    return cv2.sepFilter2D(values, -1, kernel, kernel)


def _smoothed(properties, values):
    """Exponentials both ways, of the widths of Gastal and Oliveira's recursive filter."""
    assert properties["edge-preservation"] == 0
    times = properties["n-iterations"]
    places = np.abs(np.arange(-48, 49))
    for i in range(1, times + 1):
        width = properties["spatial-factor"] * 3**0.5 * 2 ** (times - i) / (4**times - 1) ** 0.5
        share = math.exp(-(2**0.5) / width)
        kernel = share**places * (1 - share) / (1 + share)
        values = cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return values


def _moved(properties, values):
    """GEGL's rows are a to e, its columns 1 to 5; the middle is c3."""
    kernel = np.zeros((5, 5))
    for name, value in properties.items():
        if name != "normalize":
            kernel["abcde".index(name[0]), int(name[1]) - 1] = value
    assert kernel.max() == kernel.sum() == 1  # more places would mix light
    return cv2.filter2D(values, -1, kernel)


def _mixed(one, low, top):
    modes = {
        "REPLACE": lambda: top,
        "NORMAL_LEGACY": lambda: top,
        "ADDITION_LEGACY": lambda: low + top,
        "SUBTRACT_LEGACY": lambda: low - top,
        "MULTIPLY_LEGACY": lambda: low * top,
        "DIVIDE_LEGACY": lambda: low / top,
        "GRAIN_EXTRACT_LEGACY": lambda: low - top + 0.5,
    }
    mixed = modes[one.mode]()
    if one.mode == "REPLACE":
        assert one.opacity == 1  # it would mix light
        return mixed
    return low + (np.clip(mixed, 0, 1) - low) * one.opacity


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(5).random((24, 32, 3))


@given(
    step=st.one_of(
        st.tuples(st.just("bright"), st.fixed_dictionaries({"offset": st.floats(-255, 255)})),
        st.tuples(st.just("contrast"), st.fixed_dictionaries({"gain": st.floats(0, 10)})),
        st.tuples(st.just("saturate"), st.fixed_dictionaries({"factor": st.floats(0, 1)})),
        st.tuples(st.just("exposure"), st.fixed_dictionaries({"stops": st.floats(-5, 5)})),
        st.tuples(st.just("temperature"), st.fixed_dictionaries({"shift": st.floats(-50, 50)})),
        st.tuples(st.just("tint"), st.fixed_dictionaries({"shift": st.floats(-25, 25)})),
        st.tuples(st.just("invert"), st.just({})),
        st.tuples(
            st.just("levels"),
            st.fixed_dictionaries(
                {"in_black": st.floats(0, 100), "in_white": st.floats(120, 255),
                 "out_black": st.floats(0, 255), "out_white": st.floats(0, 255)}
            ),
        ),
    )
)  # fmt: skip
def test_live_forms_are_the_operation(values, step):
    layout = lay_out(plan_of(step))
    assert layout.rendered == ()
    picture = Picture(values.astype(np.float32))
    wanted = np.asarray(render_plan(picture, parse_plan(plan_of(step))).pixels)
    np.testing.assert_allclose(carried_out(layout.filters, values), wanted, atol=2e-4)


@pytest.mark.parametrize("factor", [1.1, 1.3, forms.LARGEST_FACTOR])
def test_stronger_colours_are_exact_until_they_are_full(values, factor):
    layout = lay_out(plan_of(("saturate", {"factor": factor})))
    picture = Picture(values.astype(np.float32))
    plan = parse_plan(plan_of(("saturate", {"factor": factor})))
    wanted = np.asarray(render_plan(picture, plan).pixels)
    largest, smallest = values.max(axis=2), values.min(axis=2)
    room = (largest - smallest) * factor <= largest
    assert room.any()
    got = carried_out(layout.filters, values)
    np.testing.assert_allclose(got[room], wanted[room], atol=1e-4)


@pytest.mark.parametrize("kernel", sorted(forms.GAUSSIANS))
def test_wavelet_blurs_come_close_to_the_gaussian(kernel):
    spot = np.zeros((65, 65, 3))
    spot[32, 32] = 1
    layout = lay_out(plan_of(("gaussian", {"kernel": kernel})))
    got = carried_out(layout.filters, spot)[:, :, 0].sum(axis=0)
    weights = np.zeros(65)
    weights[32 - kernel // 2 : 33 + kernel // 2] = cv2.getGaussianKernel(kernel, 0)[:, 0]
    assert np.abs(got - weights).sum() < 0.042


@pytest.mark.parametrize(("kernel", "apart"), [
    (3, 1e-9), (5, 0.3), (7, 0.2), (9, 0.16), (13, 0.12), (21, 0.1), (31, 0.1), (61, 0.1),
])  # fmt: skip
def test_where_gimp_hides_wavelet_blurs_others_come_close(kernel, apart):
    spot = np.zeros((129, 129, 3))
    spot[64, 64] = 1
    layout = lay_out(plan_of(("gaussian", {"kernel": kernel})), hidden={forms.BLUR})
    assert layout.rendered == ()
    assert layout.surroundings
    got = carried_out(layout.filters, spot)[:, :, 0].sum(axis=0)
    weights = np.zeros(129)
    weights[64 - kernel // 2 : 65 + kernel // 2] = cv2.getGaussianKernel(kernel, 0)[:, 0]
    assert np.abs(got - weights).sum() < apart


# --- order and layout -------------------------------------------------------------------------


def test_everything_up_to_the_last_rendered_operation_is_rendered():
    plan = plan_of(("bright", {"offset": 9}), ("sharp", {}), ("flip", {}), ("invert", {}))
    layout = lay_out(plan)
    assert [step["name"] for step in layout.rendered] == ["bright", "sharp"]
    assert layout.turns == (Turn(flip=True),)
    assert [one.name for one in layout.filters] == ["Invert"]
    assert not layout.surroundings


def test_blurs_depend_on_their_surroundings():
    assert lay_out(plan_of(("gaussian", {"kernel": 5}))).surroundings


def test_on_transparent_layers_what_is_inexact_there_is_rendered():
    for step in (("bright", {"offset": 9}), ("gaussian", {"kernel": 3})):
        layout = lay_out(plan_of(("invert", {}), step, ("sepia", {})), opaque=False)
        assert [one["name"] for one in layout.rendered] == ["invert", step[0]]
        assert [one.name for one in layout.filters] == ["Sepia"]


def test_another_profile_is_rendered():
    plan = plan_of(("invert", {}), definitions="somebody-elses/1")
    assert len(lay_out(plan).rendered) == 1
    assert holdings.DEFINITIONS == DEFAULT_PROFILE


@pytest.mark.parametrize(
    "step",
    [
        ("saturate", {"factor": 1.6}),
        ("levels", {"gamma": 1.1}),
        ("temperature", {"shift": -150}),
        ("tint", {"shift": 50}),
        ("nobodys-operation", {}),
    ],
)
def test_out_of_reach_is_rendered(step):
    plan = plan_of(step)
    assert len(lay_out(plan).rendered) == 1
    assert holdings.why(plan["operations"][0]).startswith(", since ")
    assert holdings.why({"name": "invert"}) == ""


def test_neutral_values_need_no_filter():
    steps = [("bright", {"offset": 0}), ("contrast", {"gain": 1}), ("saturate", {"factor": 1}),
             ("gaussian", {"kernel": 1}), ("exposure", {"stops": 0}), ("levels", {})]  # fmt: skip
    assert lay_out(plan_of(*steps)) == holdings.Layout((), (), (), surroundings=False)


# --- tables -----------------------------------------------------------------------------------


def test_each_operation_has_a_reason():
    for operation in default_vocabulary():
        assert operation.name in {**holdings.HELD, **holdings.RENDERED}, operation.name


def test_only_known_operations_have_reasons():
    names = {operation.name for operation in default_vocabulary()}
    assert {*holdings.HELD, *holdings.RENDERED, *holdings.GEOMETRIC} <= names


def test_geometric_operations_are_those_of_the_vocabulary():
    kinds = {op.name for op in default_vocabulary() if op.kind == "geometric"}
    assert kinds == holdings.GEOMETRIC


def test_only_filters_that_were_tried_are_made():
    steps = [("bright", {"offset": 9}), ("contrast", {"gain": 2}), ("invert", {}),
             ("grayscale", {}), ("sepia", {}), ("saturate", {"factor": 1.5}),
             ("gaussian", {"kernel": 31}), ("gaussian", {"kernel": 33}), ("exposure", {"stops": 1}),
             ("temperature", {"shift": 30}), ("tint", {"shift": 9}),
             ("levels", {"in_black": 9, "out_black": 200, "out_white": 9})]  # fmt: skip
    layout = lay_out(plan_of(*steps))
    assert layout.rendered == ()
    assert {one.operation for one in layout.filters} == ALLOWED
    small = lay_out(plan_of(("gaussian", {"kernel": 3})), hidden={forms.BLUR})
    assert ALLOWED | {one.operation for one in small.filters} == forms.OPERATIONS


def test_what_this_gimp_hides_is_rendered():
    plan = plan_of(("bright", {"offset": 20}), ("gaussian", {"kernel": 9}), ("invert", {}))
    layout = lay_out(plan, hidden={forms.BLUR, forms.SMOOTH})
    assert [step["name"] for step in layout.rendered] == ["bright", "gaussian"]
    assert "hides" in holdings.why(plan["operations"][1], {forms.BLUR, forms.SMOOTH})
    assert [one.operation for one in layout.filters] == ["gegl:invert-gamma"]
    assert lay_out(plan, hidden=()).rendered == ()
    for one in layout.filters:
        assert 0 <= one.opacity <= 1
        for value in one.colour or ():
            assert 0 <= value <= 1
        for value in one.properties.values():
            assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("parameters", [
    {}, {"offset": "much"}, {"offset": None}, {"offset": [1, 2]},
])  # fmt: skip
def test_damaged_parameters_are_left_to_the_worker(parameters):
    plan = plan_of(("bright", parameters))
    assert len(lay_out(plan).rendered) == 1
    levels = plan_of(("levels", {"in_black": 9, "in_white": 9}))
    assert len(lay_out(levels).rendered) == 1


@pytest.mark.parametrize("data", [
    None, [], {}, {"operations": {}}, {"operations": [1]}, {"operations": [{}]},
    {"operations": [{"name": 2}]}, {"operations": [{"name": "invert", "parameters": 3}]},
])  # fmt: skip
def test_what_is_no_plan(data):
    assert not edits.is_plan(data)
    assert edits.is_plan(plan_of(("invert", {})))


def test_steps_in_words():
    step = {"name": "curves", "parameters": {"all": [[0, 0], [1, 1]], "strength": 2}}
    assert edits.describe(step) == "curves (all …, strength 2)"
    assert edits.describe({"name": "invert", "parameters": {}}) == "invert"
    assert isinstance(Filter("a", "b").properties, dict)


# --- what GIMP's own Python can run -----------------------------------------------------------


def test_the_plugin_needs_the_standard_library_and_gimp_only():
    from imgedit_bridges.plugin_folder import PACKAGE, contents

    for name, data in contents("imgedit.py", PACKAGE / "gimp" / "plugin.py").items():
        for node in ast.walk(ast.parse(data, name, feature_version=(3, 10))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                known = top in sys.stdlib_module_names or top in ("gi", "imgedit_bridges")
                assert known, (name, module)


def test_holdings_import_nothing_but_the_standard_library():
    code = (
        "import sys; import imgedit_bridges.gimp.holdings;"
        "print([m for m in ('numpy', 'cv2', 'gi', 'imgedit_plugins') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
