"""Forms of answers, words about operations, and prompts."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_strategies import OPERATIONS, steps
from reasoned_answers import BIRDS, SKY, WARM, plan

from imgedit_plugins.operations import Vocabulary, default_vocabulary
from imgedit_reason_edit.prompting import PLAN, RETRY, load_prompt
from imgedit_reason_edit.reasoning import answer_forms as forms
from imgedit_reason_edit.reasoning.document import parse_document

VOCABULARY = default_vocabulary()
FORM = jsonschema.Draft202012Validator(forms.plan_form(VOCABULARY, paints=True))


def fits(data: Any, form: Any = FORM) -> bool:
    return bool(form.is_valid(data))


# --- forms ------------------------------------------------------------------------------------


def test_the_forms_are_schemas_and_the_examples_fit_them() -> None:
    for paints in (True, False):
        for form, example in (
            (forms.plan_form(VOCABULARY, paints=paints), forms.plan_example(paints=paints)),
            (
                forms.criticism_form(VOCABULARY, paints=paints),
                forms.criticism_example(paints=paints),
            ),
            (forms.choice_form(), forms.choice_example()),
        ):
            jsonschema.Draft202012Validator.check_schema(form)
            jsonschema.validate(json.loads(example), form)
    document = json.loads(forms.plan_example(paints=True))
    assert len(parse_document(document).layers) == 3


@settings(max_examples=100)
@given(st.lists(steps(), min_size=1, max_size=6))
def test_every_operation_of_the_vocabulary_can_be_written(some: Any) -> None:
    told = [json.loads(one.model_dump_json(include={"name", "parameters"})) for one in some]
    for one in told:
        for value in one["parameters"].values():
            if isinstance(value, list):
                del value[6:]  # the form is narrower than the plan
    layer = {"title": "", "region": None, "operations": told}
    assert fits({"intent": "", "layers": [layer]})


@pytest.mark.parametrize(
    "operation",
    [
        {"name": "brigth", "parameters": {"offset": 1}},
        {"name": "bright", "parameters": {"offset": 256}},
        {"name": "bright", "parameters": {"offset": "20"}},
        {"name": "bright", "parameters": {}},
        {"name": "bright", "parameters": {"offset": 1, "gain": 2}},
        {"name": "blur", "parameters": {"kernel": 4}},
        {"name": "rotate", "parameters": {"degrees": 45}},
        {"name": "curves", "parameters": {"all": [[0, 0]]}},
        {"name": "sepia"},
    ],
)
def test_what_is_no_operation_does_not_fit(operation: Any) -> None:
    assert not fits({"intent": "", "layers": [{**WARM, "operations": [operation]}]})


def test_without_a_painter_there_is_nothing_to_paint() -> None:
    answer = json.loads(plan(BIRDS))
    assert fits(answer)
    form = jsonschema.Draft202012Validator(forms.plan_form(VOCABULARY, paints=False))
    assert not fits(answer, form)
    assert fits(json.loads(plan(SKY)), form)


@pytest.mark.parametrize("region", [{"box": [0, 0, 1, 2]}, {"box": [0, 0, 1]}, {"feather": 0.5},
                                    {"shape": "star"}, {"what": 1}])  # fmt: skip
def test_regions_that_do_not_fit(region: Any) -> None:
    assert not fits(json.loads(plan({**SKY, "region": {**SKY["region"], **region}})))


def test_every_operation_is_described_with_its_parameters_and_a_direction() -> None:
    lines = dict(line[2:].split(" (" if " (" in line.split(":")[0] else ":", 1)
                 for line in forms.described(VOCABULARY).splitlines())  # fmt: skip
    assert set(lines) == set(OPERATIONS)
    for name, operation in OPERATIONS.items():
        for parameter in operation.parameters[:3]:
            assert parameter.name in lines[name]
    assert "{\"shift\": 38.0} is 'made warmer by 38 mired'" in lines["temperature"]
    assert forms.described(Vocabulary()) == ""


# --- prompts ----------------------------------------------------------------------------------


def test_prompts_take_their_fields_and_nothing_of_what_stands_in_them() -> None:
    (turn,) = load_prompt(RETRY).messages({"reason": "{reason} {instruction} {0}"})
    assert "{reason} {instruction} {0}" in turn.text
    with pytest.raises(KeyError):
        load_prompt(RETRY).messages({})


def test_what_has_a_line_of_its_own_keeps_its_lines() -> None:
    prompt = load_prompt(PLAN)
    values = dict.fromkeys(prompt.placeholders, "x") | {
        "operations": "- one\n- two",
        "moving": "crop,\n rotate",
    }
    picture = np.zeros((2, 2, 3), np.uint8)
    (turn,) = prompt.messages(values, (picture,))
    assert "\n- one\n- two\n" in turn.text
    assert "\ncrop, rotate move pixels" in turn.text
    assert turn.pictures == (picture,)
    assert turn.role == "user"
