"""The parts of Krita's docker that know neither Krita nor Qt."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgedit_bridges.krita
from imgedit_bridges.krita import curve_shape
from imgedit_bridges.krita.presets import Presets
from imgedit_bridges.krita.seam import plain
from imgedit_bridges.krita.states import first_plan, state_of
from imgedit_bridges.steps import StepList
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described
from imgedit_plugins.operations.interpolation import monotone_cubic
from imgedit_plugins.plan import parse_plan

VOCABULARY = json.loads(json.dumps([described(one) for one in default_vocabulary()]))
WIDGETS = sorted(Path(imgedit_bridges.krita.__file__).parent.glob("*.py"))


# --- states -----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", VOCABULARY, ids=lambda one: one["name"])
def test_an_edit_can_begin_with_any_operation(operation):
    plan = first_plan(operation)
    assert parse_plan(json.dumps(plan)).operations[0].name == operation["name"]
    steps = StepList.restore(state_of(plan, 0.5), VOCABULARY)
    assert steps.plan() == plan
    assert steps.strength == 0.5


def test_states_are_compared_as_json_gives_them_back():
    plan = {"operations": [{"name": "curves", "parameters": {"all": ((0.0, 0.0), (1.0, 1.0))}}]}
    steps = StepList(plan, VOCABULARY)
    assert plain(steps.state()) == json.loads(json.dumps(steps.state()))


# --- curves -----------------------------------------------------------------------------------

POINTS = st.lists(
    st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=2, max_size=9, unique_by=lambda p: p[0]
).map(lambda found: tuple(sorted((x / 50, y) for x, y in found)))


@given(POINTS)
def test_the_curve_that_is_drawn_is_the_one_that_is_applied(points):
    drawn = np.array(curve_shape.line(points, 101))
    np.testing.assert_allclose(drawn[:, 1], monotone_cubic(points)(drawn[:, 0]), atol=1e-9)


@given(POINTS, st.data())
def test_a_changed_curve_is_still_one(points, data):
    index = data.draw(st.integers(0, len(points) - 1))
    x, y = data.draw(st.floats(-1, 2)), data.draw(st.floats(-1, 2))
    for changed in (
        curve_shape.moved(points, index, x, y),
        curve_shape.added(points, x, y)[0],
        curve_shape.removed(points, index),
    ):
        inputs = [p[0] for p in changed]
        assert len(changed) >= 2
        assert inputs == sorted(set(inputs))
        assert all(0 <= number <= 1 for point in changed for number in point)
        plan = {"schema": "imgedit-plan/1", "definitions": "opencv-photo-filters/1",
                "operations": [{"name": "curves", "parameters": {"all": changed}}]}  # fmt: skip
        parse_plan(json.dumps(plan))  # the core takes it


def test_points_go_where_they_are_put():
    line = ((0.0, 0.0), (1.0, 1.0))
    bent, index = curve_shape.added(line, 0.5, 0.7)
    assert (bent, index) == (((0.0, 0.0), (0.5, 0.7), (1.0, 1.0)), 1)
    assert curve_shape.moved(bent, 1, 0.25, 0.5)[1] == (0.25, 0.5)
    assert curve_shape.removed(bent, 1) == line
    assert curve_shape.removed(line, 0) == line


# --- presets ----------------------------------------------------------------------------------


class Settings(dict):
    def setting(self, name):
        return self.get(name, "")

    def write_setting(self, name, value):
        assert isinstance(value, str)
        self[name] = value


def test_presets_come_back():
    settings = Settings()
    presets = Presets(settings, "glow/soften")
    assert (presets.last, presets.named) == ({}, {})
    presets.use({"steps": 3})
    presets.save("fast", {"steps": 1})
    presets.save("slow", {"steps": 90})
    presets.delete("fast")
    again = Presets(settings, "glow/soften")
    assert again.last == {"steps": 3}
    assert again.named == {"slow": {"steps": 90}}
    assert Presets(settings, "glow/other").named == {}


@pytest.mark.parametrize("kept", ["{", "[]", '{"last": 3, "named": []}', '{"named": {"a": 1}}'])
def test_damaged_presets_are_none(kept):
    presets = Presets(Settings({"options/x": kept}), "x")
    assert presets.last == {}
    assert all(values == {} for values in presets.named.values())


# --- rules of the house -----------------------------------------------------------------------


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.name)
def test_only_the_seam_names_a_toolkit(path):
    named = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(path.read_text("utf-8"), feature_version=(3, 10)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    toolkits = [name for name in named if name and name.startswith("PyQt")]
    assert path.name == "qt.py" or not toolkits


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.name)
def test_no_colour_is_written_down(path):
    """Colours come from the palette, so that light and dark themes work."""
    text = path.read_text("utf-8")
    assert "GlobalColor" not in text
    assert "setStyleSheet" not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "QColor":
            assert all(not isinstance(one, ast.Constant) for one in node.args), path.name
