"""What GIMP's pane and dialogs rest on and what needs no GIMP: strengths and presets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.gimp.holdings import lay_out
from imgedit_bridges.gimp.presets import RECENT, KeptPlan, Presets
from imgedit_bridges.gimp.strengths import form_of


def plan_of(*steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    return {"schema": "imgedit-plan/1", "operations": operations}


BRIGHT = ("bright", {"offset": 40.0})
CONTRAST = ("contrast", {"gain": 1.2})


def form(strength, *steps, opaque=True):
    plan = plan_of(*steps)
    return form_of(plan, lay_out(plan, opaque=opaque), strength, opaque=opaque)


# --- strengths --------------------------------------------------------------------------------


def test_in_full_nothing_is_weakened():
    found = form(1.0, BRIGHT, ("sharp", {}), CONTRAST)
    assert (found.opacity, found.rendered) == (1.0, 1.0)
    assert all(one.opacity == 1 for one in found.layout.filters)


@pytest.mark.parametrize("step", [BRIGHT, CONTRAST, ("invert", {}), ("grayscale", {}),
                                  ("saturate", {"factor": 0.4})])  # fmt: skip
def test_one_filter_is_weakened_by_its_opacity(step):
    [full] = form(1.0, step).layout.filters
    found = form(0.35, step)
    [weak] = found.layout.filters
    assert (found.opacity, found.rendered) == (1.0, 1.0)
    assert weak.opacity == pytest.approx(0.35 * full.opacity)
    # The usual mode mixes light; strengths mix encoded values.
    assert weak.mode.endswith("_LEGACY")


def test_several_steps_get_a_layer_of_that_opacity():
    found = form(0.35, BRIGHT, CONTRAST)
    assert (found.opacity, found.rendered) == (0.35, 1.0)
    assert [one.opacity for one in found.layout.filters] == [1.0, 1.0]
    assert form(0.35, ("sharp", {}), BRIGHT).opacity == 0.35


@pytest.mark.parametrize(
    ("strength", "steps", "opaque"),
    [
        (1.5, [BRIGHT], True),  # beyond the edit there is no opacity
        (0.5, [BRIGHT, CONTRAST], False),  # a layer above would add to what is transparent
        (0.5, [BRIGHT, ("rotate", {"degrees": 90})], True),  # turned in full at any strength
    ],
)
def test_everything_else_is_rendered_at_its_strength(strength, steps, opaque):
    found = form(strength, *steps, opaque=opaque)
    assert (found.opacity, found.rendered) == (1.0, strength)
    assert [one["name"] for one in found.layout.rendered] == [name for name, _ in steps]
    assert (found.layout.filters, found.layout.turns) == ((), ())


# --- presets ----------------------------------------------------------------------------------


@pytest.fixture
def presets(tmp_path):
    return Presets(tmp_path / "imgedit" / "presets.json")


VALUES = st.dictionaries(
    st.text(min_size=1), st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
)
NAMES = st.text(min_size=1).filter(lambda name: name.strip())


@given(name=NAMES, values=VALUES)
def test_options_come_back_as_they_were(tmp_path_factory, name, values):
    store = Presets(tmp_path_factory.mktemp("presets") / "presets.json")
    store.save("imgedit-x", name, values)
    assert store.names("imgedit-x") == [name.strip()]
    assert store.options("imgedit-x", name.strip()) == values


def test_each_procedure_has_its_own_presets(presets):
    presets.save("imgedit-x", "fine", {"effort": "high"})
    presets.save("imgedit-y", "fine", {"seed": 3})
    presets.save("imgedit-x", "Coarse", {"effort": "low"})
    assert presets.names("imgedit-x") == ["Coarse", "fine"]
    presets.remove("imgedit-x", "fine")
    presets.remove("imgedit-x", "fine")
    assert (presets.names("imgedit-x"), presets.options("imgedit-y", "fine")) == (
        ["Coarse"], {"seed": 3},
    )  # fmt: skip
    with pytest.raises(BridgeError, match="needs a name"):
        presets.save("imgedit-x", "  ", {})


def test_plans_are_remembered_latest_first_and_favourites_stay(presets):
    plans = [KeptPlan(f"Plan {i}", plan_of(("bright", {"offset": i}))) for i in range(RECENT + 3)]
    presets.used(plans[0])
    presets.keep(KeptPlan("Plan 0", plans[0].plan, favourite=True))
    for plan in plans[1:]:
        presets.used(plan)
    titles = [one.title for one in presets.plans()]
    assert titles == ["Plan 0", *(f"Plan {i}" for i in range(RECENT + 2, 2, -1))]
    presets.used(KeptPlan("Plan 5 again", plans[5].plan, 0.5))
    again = presets.plans()[1]
    assert (again.title, again.strength, len(presets.plans())) == ("Plan 5 again", 0.5, RECENT + 1)
    presets.used(KeptPlan("Plan 0", plans[0].plan))
    assert presets.plans()[0].favourite


def test_plans_and_options_do_not_meet(presets):
    presets.save("imgedit-x", "fine", {"effort": "high"})
    presets.used(KeptPlan("A plan", plan_of(BRIGHT)))
    assert presets.names("imgedit-x") == ["fine"]
    assert len(presets.plans()) == 1


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"options": 3, "plans": {"a": 1}}',
                                  '{"options": {"imgedit-x": {"a": 1}}, "plans": [1, {"plan": 2}]}',
                                  '{"plans": [{"plan": {"operations": 1}}]}'])  # fmt: skip
def test_a_damaged_file_is_as_none(presets, tmp_path, text):
    path = tmp_path / "imgedit" / "presets.json"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    assert (presets.names("imgedit-x"), presets.plans()) == ([], [])
    presets.save("imgedit-x", "fine", {"effort": "high"})
    assert presets.names("imgedit-x") == ["fine"]
    try:
        json.loads(text)
    except ValueError:
        assert path.with_suffix(".damaged").read_text("utf-8") == text
    assert {one.name for one in path.parent.iterdir()} <= {"presets.json", "presets.damaged"}


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BridgeError, match=r"presets\.json cannot be written: \w[^:]*\.$"):
        Presets(tmp_path / "file" / "presets.json").save("imgedit-x", "fine", {})
