"""The list of steps that both editors' panes work on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.steps import StepList, scale_of, shown
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described
from imgedit_plugins.plan import parse_plan

VOCABULARY = json.loads(json.dumps([described(one) for one in default_vocabulary()]))
BY_NAME = {one["name"]: one for one in VOCABULARY}
SLIDERS = [
    pytest.param(one, parameter, id=f"{one['name']}-{parameter['name']}")
    for one in VOCABULARY
    for parameter in one["parameters"]
    if not parameter["points"]
]
PLAN = {
    "schema": "imgedit-plan/1",
    "definitions": "opencv-photo-filters/1",
    "operations": [
        {"name": "bright", "parameters": {"offset": 30.0}, "confidence": 0.9},
        {"name": "sepia", "parameters": {}, "confidence": 1.0},
        {"name": "blur", "parameters": {"kernel": 5}, "confidence": 0.8},
    ],
    "explanation": "Brightened, toned and blurred.",
}


def listed(plan=PLAN):
    return StepList(plan, VOCABULARY)


def test_an_untouched_list_is_the_plan_itself():
    assert listed().plan() == PLAN
    assert not listed().changed


@pytest.mark.parametrize(("operation", "parameter"), SLIDERS)
def test_every_position_of_every_slider_is_a_value_that_the_core_takes(operation, parameter):
    steps = listed({**PLAN, "operations": []})
    step = steps.add(operation["name"])
    known = default_vocabulary()[operation["name"]]
    found = set()
    for number in range(101):
        value = steps.adjust(step, parameter, scale_of(parameter).value_at(number / 100))
        declared = next(p for p in known.parameters if p.name == parameter["name"])
        assert declared.check(operation["name"], value) == value
        found.add(value)
    ends = {parameter["minimum"], parameter["maximum"]}
    assert len(found) > 1
    assert parameter["choices"] or parameter["odd"] or ends <= found


@pytest.mark.parametrize(("operation", "parameter"), SLIDERS)
def test_a_slider_stands_where_its_value_is(operation, parameter):
    scale = scale_of(parameter)
    places = [scale.position(scale.value_at(number / 20)) for number in range(21)]
    assert places == sorted(places)
    if not scale.choices:
        coarse = 2 * scale.increment / (scale.maximum - scale.minimum)
        assert all(abs(place - number / 20) <= max(coarse, 0.01) or scale.logarithmic
                   for number, place in enumerate(places))  # fmt: skip
        assert (places[0], places[-1]) == pytest.approx((0.0, 1.0), abs=coarse)


def test_a_value_out_of_range_becomes_the_nearest():
    steps = listed()
    bright, _, blur = steps.steps
    assert steps.adjust(bright, BY_NAME["bright"]["parameters"][0], 1e9) == 255.0
    assert steps.adjust(blur, BY_NAME["blur"]["parameters"][0], 8.2) in (7, 9)
    assert steps.adjust(blur, BY_NAME["blur"]["parameters"][0], -3) == 1


def test_a_changed_list_claims_nothing_about_the_original():
    steps = listed({**PLAN, "residual": {"psnr_db": 40.0, "explained": 1.0}})
    steps.steps[1].on = False
    plan = steps.plan()
    assert [one["name"] for one in plan["operations"]] == ["bright", "blur"]
    assert "residual" not in plan
    assert plan["explanation"] == "Brightness 30, Box blur 5 px"
    parse_plan(json.dumps(plan))
    steps.steps[1].on = True
    assert "residual" in steps.plan()


def test_steps_are_moved_added_and_removed():
    steps = listed()
    steps.move(steps.steps[2], -5)
    assert [one.name for one in steps.steps] == ["blur", "bright", "sepia"]
    steps.move(steps.steps[0], 1)
    assert [one.name for one in steps.steps] == ["bright", "blur", "sepia"]
    steps.remove(steps.add("grayscale"))
    assert not any(one.name == "grayscale" for one in steps.steps)
    with pytest.raises(BridgeError, match="no operation 'nothing'"):
        steps.add("nothing")


@pytest.mark.parametrize("operation", VOCABULARY, ids=lambda one: one["name"])
def test_an_added_step_does_something_and_is_valid(operation):
    steps = listed({**PLAN, "operations": []})
    steps.add(operation["name"])
    plan = parse_plan(json.dumps(steps.plan()))
    assert not plan.operations[0].operation.is_neutral(plan.operations[0].parameters)
    assert steps.summary(steps.steps[0]).startswith(operation["title"])


@given(
    on=st.lists(st.booleans(), min_size=3, max_size=3),
    offset=st.floats(-300, 300),
    strength=st.floats(-1, 3),
)
def test_a_kept_list_comes_back_as_it_was(on, offset, strength):
    steps = listed()
    for step, one in zip(steps.steps, on, strict=True):
        step.on = one
    steps.adjust(steps.steps[0], BY_NAME["bright"]["parameters"][0], offset)
    steps.set_strength(strength)
    again = StepList.restore(json.loads(json.dumps(steps.state())), VOCABULARY)
    assert again.steps == steps.steps
    assert again.strength == steps.strength
    assert 0 <= again.strength <= 2
    assert again.plan()["operations"] == steps.plan()["operations"]


def test_a_damaged_state_is_told():
    with pytest.raises(BridgeError, match="damaged"):
        StepList.restore({"plan": PLAN, "steps": 3}, VOCABULARY)


def test_values_are_shown_with_their_units():
    assert shown({"unit": "×"}, 1.3) == "1.3×"
    assert shown({"unit": "%"}, -40.0) == "−40 %"
    assert shown({"unit": "code"}, 30) == "30"
    assert shown({"unit": ""}, [[0, 0], [1, 1]]) == "a curve"


def test_an_operation_that_is_not_known_here_is_shown_by_its_name():
    plan = {**PLAN, "operations": [{"name": "theirs", "parameters": {"a": 1}}]}
    steps = listed(plan)
    assert steps.summary(steps.steps[0]) == "theirs"
    assert steps.parameters(steps.steps[0]) == []
    assert steps.plan() == plan


def test_of_two_steps_that_are_alike_the_one_that_is_meant_goes():
    steps = listed()
    again = steps.add("sepia")  # equal to the second one
    steps.move(again, -1)
    assert [step.name for step in steps.steps] == ["bright", "sepia", "sepia", "blur"]
    assert steps.steps[2] is again
    steps.remove(again)
    assert [step.name for step in steps.steps] == ["bright", "sepia", "blur"]
    assert all(step is not again for step in steps.steps)


def test_a_step_is_held_until_it_is_removed():
    steps = listed()
    first = steps.add("contrast")
    alike = steps.add("contrast")
    steps.remove(first)
    assert not steps.holds(first)
    assert steps.holds(alike)
