import ast
import copy
import json
import math
import pickle
import re
from pathlib import Path

import jsonschema
import numpy as np
import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plan_strategies import OPERATIONS, documents

from imgedit_plugins.errors import PlanError, ProfileError
from imgedit_plugins.operations import Operation, Vocabulary
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import (
    EditPlan,
    PlannedOperation,
    Residual,
    parse_plan,
    plan_schema,
    read_plan,
    step,
)
from imgedit_plugins.render import render_plan

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "core/imgedit_plugins/schemas/imgedit-plan-1.schema.json"
SCHEMA = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
SHA = "0123456789abcdef" * 4
# The example of DESIGN.md.
DESIGN = {
    "schema": "imgedit-plan/1",
    "definitions": "opencv-photo-filters/1",
    "operations": [
        {"name": "bright", "parameters": {"offset": 50.0}, "confidence": 0.98},
        {"name": "rotate", "parameters": {"degrees": 90}, "confidence": 1.0},
    ],
    "residual": {"psnr_db": 43.1, "explained": 0.997},
    "abstained": False,
    "explanation": "brightened and turned a quarter clockwise",
    "provenance": {
        "plugin": "somebody",
        "model": "search",
        "model_sha256": None,
        "version": "0.1.0",
    },
}


def refused(document) -> PlanError:
    with pytest.raises(PlanError) as caught:
        parse_plan(document)
    return caught.value


def places(document) -> list[str]:
    return [place for place, _ in refused(document).problems]


def bright(value: str) -> str:
    """A plan whose one number is written in this way."""
    return (
        '{"operations": [{"name": "flip"}, '
        f'{{"name": "bright", "parameters": {{"offset": {value}}}}}]}}'
    )


OFFSET = "operations[1].parameters.offset"


# --- round trip -------------------------------------------------------------------------------


def test_the_design_documents_example_is_a_plan():
    plan = parse_plan(json.dumps(DESIGN))
    assert [s.name for s in plan.operations] == ["bright", "rotate"]
    assert plan.operations[0].parameters == {"offset": 50.0}
    assert plan.operations[0].confidence == 0.98
    assert plan.residual is not None
    assert plan.residual.psnr_db == 43.1
    assert json.loads(plan.to_json()) == DESIGN


@given(documents(), st.sampled_from([None, 0, 2]))
@settings(deadline=None)
def test_json_round_trip_loses_nothing(plan, indent):
    text = plan.to_json(indent=indent)
    assert text.endswith("}\n")
    again = parse_plan(text)
    assert again == plan
    assert again.to_json(indent=indent) == text
    assert parse_plan(text.encode()) == parse_plan(json.loads(text)) == plan
    for before, after in zip(plan.operations, again.operations, strict=True):
        types = [type(v) for v in before.parameters.values()]
        assert types == [type(v) for v in after.parameters.values()]


@given(documents())
@settings(deadline=None, max_examples=30)
def test_plans_can_be_copied_pickled_and_put_in_sets(plan):
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert copy.deepcopy(plan) == plan
    assert len({plan, parse_plan(plan.to_json())}) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_encodings_of_json_are_read(encoding):
    document = {**DESIGN, "explanation": "é → 🙂"}
    text = json.dumps(document, ensure_ascii=False)
    assert parse_plan(text.encode(encoding)).explanation == "é → 🙂"


def test_everything_but_the_operations_has_a_default():
    plan = parse_plan("{}")
    assert plan == EditPlan()
    assert json.loads(plan.to_json())["schema"] == "imgedit-plan/1"


def test_numbers_get_canonical_types():
    turned = parse_plan(
        '{"operations": [{"name": "rotate", "parameters": {"degrees": 90.0}, "confidence": 1},'
        ' {"name": "bright", "parameters": {"offset": 5}},'
        ' {"name": "blur", "parameters": {"kernel": 3.0}}]}'
    ).operations
    values = [v for s in turned for v in s.parameters.values()]
    assert [(v, type(v)) for v in values] == [(90, int), (5.0, float), (3, int)]
    assert type(turned[0].confidence) is float
    # A plan made in Python is the same.
    assert (
        turned[0]
        == step("rotate", degrees=90.0)
        == PlannedOperation(name="rotate", parameters={"degrees": 90})
    )
    assert type(step("bright", offset=np.float64(5)).parameters["offset"]) is float


def test_parameters_get_the_declared_order():
    two = Operation(
        "two", "Two", "pointwise", lambda rgb, p, c: rgb, "here", "S.",
        parameters=(OPERATIONS["bright"].parameters[0], OPERATIONS["contrast"].parameters[0]),
    )  # fmt: skip
    data = {"operations": [{"name": "two", "parameters": {"gain": 1, "offset": 2}}]}
    plan = parse_plan(data, vocabulary=Vocabulary((two,)))
    assert list(plan.operations[0].parameters) == ["offset", "gain"]


def test_parse_uses_the_given_vocabulary():
    only = Vocabulary((OPERATIONS["flip"],))
    assert parse_plan('{"operations": [{"name": "flip"}]}', vocabulary=only).operations
    with pytest.raises(PlanError, match="There is no operation 'bright'"):
        parse_plan(bright("1"), vocabulary=only)


# --- frozen -----------------------------------------------------------------------------------


def test_plans_are_frozen():
    plan = parse_plan(json.dumps(DESIGN))
    for model, name in [
        (plan, "abstained"),
        (plan, "operations"),
        (plan.operations[0], "name"),
        (plan.residual, "explained"),
        (plan.provenance, "plugin"),
    ]:
        with pytest.raises(pydantic.ValidationError):
            setattr(model, name, getattr(model, name))
    with pytest.raises(AttributeError):
        plan.operations.append(step("flip"))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(offset=1e9),
        lambda p: p.__setitem__("offset", 1e9),
        lambda p: p.__delitem__("offset"),
        lambda p: p.__ior__({"offset": 1e9}),
        lambda p: p.clear(),
        lambda p: p.pop("offset"),
        lambda p: p.popitem(),
        lambda p: p.setdefault("x", 1),
    ],
)
def test_parameters_are_frozen(change):
    made = step("bright", offset=5)
    with pytest.raises(TypeError, match="make another"):
        change(made.parameters)
    assert made.parameters == {"offset": 5.0}


def test_a_step_does_not_share_the_callers_dict():
    mine = {"offset": 5}
    made = PlannedOperation(name="bright", parameters=mine)
    mine["offset"] = 7
    assert made.parameters == {"offset": 5.0}


# --- refusals: each names its place -----------------------------------------------------------


def test_unknown_operations_are_refused_with_close_matches():
    error = refused('{"operations": [{"name": "flip"}, {"name": "brigth"}]}')
    assert error.problems[0][0] == "operations[1].name"
    assert "operations[1].name: There is no operation 'brigth'. Did you mean 'bright'" in str(error)
    assert "imgedit-plugins operations" in str(refused('{"operations": [{"name": "qqqq"}]}'))
    # Not taken for the placeholder of a message.
    assert "no operation '{place}'" in str(refused('{"operations": [{"name": "{place}"}]}'))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), "extra"),
        (("operations", 1), "operations[1].extra"),
        (("residual",), "residual.extra"),
        (("provenance",), "provenance.extra"),
    ],
)
def test_unknown_fields_are_refused_at_each_level(path, place):
    document = copy.deepcopy(DESIGN)
    inner = document
    for part in path:
        inner = inner[part]
    inner["extra"] = 1
    error = refused(document)
    assert error.problems == ((place, "there is no such field"),)
    assert f"{place}: there is no such field" in str(error)


@pytest.mark.parametrize("name", ["int", "float", "function-before", "schema_", "", "a.b", "é"])
def test_unknown_fields_are_named_whatever_their_name(name):
    assert places({name: 1}) == [name if name.replace("-", "_").isidentifier() else f"[{name!r}]"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 320])
def test_numbers_that_are_not_finite_are_refused_with_their_place(value):
    error = refused(bright(value))
    assert places(bright(value)) == places(bright("9" * 5000)) == [OFFSET]
    assert "finite" in str(error)
    assert places(f'{{"operations": [{{"name": "flip", "confidence": {value}}}]}}') == [
        "operations[0].confidence"
    ]
    assert places(f'{{"residual": {{"psnr_db": {value}, "explained": 1}}}}') == ["residual.psnr_db"]
    assert places(f'{{"nowhere": [{value}]}}') == ["nowhere[0]"]


@pytest.mark.parametrize(
    "value", [10**300, -(10**400), 10**5000, math.nan, math.inf], ids=["1", "2", "3", "4", "5"]
)
def test_numbers_out_of_this_world_are_refused_in_python_too(value):
    assert places({"operations": [{"name": "bright", "parameters": {"offset": value}}]}) == [
        "operations[0].parameters.offset"
    ]
    with pytest.raises(PlanError):
        step("bright", offset=value)
    with pytest.raises(PlanError):
        step("flip", confidence=value)
    with pytest.raises(pydantic.ValidationError):
        PlannedOperation(name="bright", parameters={"offset": value})


@pytest.mark.parametrize(
    ("operation", "parameter", "value", "told"),
    [
        ("bright", "offset", 255.5, "between -255 and 255"),
        ("bright", "offset", -256, "between -255 and 255"),
        ("contrast", "gain", -0.1, "between 0 and 10"),
        ("contrast", "gain", 1e299, "between 0 and 10"),
        ("blur", "kernel", 4, "an odd whole number"),
        ("blur", "kernel", 3.5, "an odd whole number"),
        ("blur", "kernel", 101, "between 1 and 99"),
        ("gaussian", "kernel", 0, "between 1 and 99"),
        ("rotate", "degrees", 45, "one of 90, 180, 270"),
        ("rotate", "degrees", 0, "one of 90, 180, 270"),
    ],
)
def test_values_out_of_range_are_refused(operation, parameter, value, told):
    document = {"operations": [{"name": operation, "parameters": {parameter: value}}]}
    error = refused(document)
    assert error.problems[0][0] == f"operations[0].parameters.{parameter}"
    assert told in str(error)
    assert f"{value!r}" in str(error)


@pytest.mark.parametrize("value", ["true", "false", '"5"', "null", "[5]", "{}"])
def test_wrong_types_of_parameters_are_refused(value):
    assert places(bright(value)) == [OFFSET]
    assert "must be a number" in str(refused(bright(value)))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"schema": "imgedit-plan/2"}, "schema"),
        ({"schema": None}, "schema"),
        ({"definitions": 1}, "definitions"),
        ({"operations": {}}, "operations"),
        ({"operations": "flip"}, "operations"),
        ({"operations": None}, "operations"),
        ({"operations": ["flip"]}, "operations[0]"),
        ({"operations": [None]}, "operations[0]"),
        ({"operations": [{"parameters": {}}]}, "operations[0].name"),
        ({"operations": [{"name": 1}]}, "operations[0].name"),
        ({"operations": [{"name": "flip", "parameters": []}]}, "operations[0].parameters"),
        ({"operations": [{"name": "flip", "parameters": None}]}, "operations[0].parameters"),
        ({"operations": [{"name": "flip", "confidence": True}]}, "operations[0].confidence"),
        ({"operations": [{"name": "flip", "confidence": "1"}]}, "operations[0].confidence"),
        ({"operations": [{"name": "flip", "confidence": 1.01}]}, "operations[0].confidence"),
        ({"operations": [{"name": "flip", "confidence": -0.01}]}, "operations[0].confidence"),
        ({"residual": {"psnr_db": 1}}, "residual.explained"),
        ({"residual": {"explained": 1}}, "residual.psnr_db"),
        ({"residual": {"psnr_db": True, "explained": 1}}, "residual.psnr_db"),
        ({"residual": {"psnr_db": None, "explained": 1.5}}, "residual.explained"),
        ({"residual": []}, "residual"),
        ({"abstained": 0}, "abstained"),
        ({"abstained": "true"}, "abstained"),
        ({"explanation": None}, "explanation"),
        ({"provenance": {"plugin": "a", "model": "b"}}, "provenance.version"),
        (
            {"provenance": {"plugin": "a", "model": "b", "version": "1", "model_sha256": "f"}},
            "provenance.model_sha256",
        ),
        (
            {
                "provenance": {
                    "plugin": "a", "model": "b", "version": "1", "model_sha256": SHA + "\n",
                }
            },
            "provenance.model_sha256",
        ),
    ],
)  # fmt: skip
def test_wrong_fields_are_refused_with_their_place(document, place):
    error = refused(document)
    assert [p for p, _ in error.problems] == [place]
    assert f"{place}: " in str(error)
    assert "tuple" not in str(error), "JSON has no tuples"
    assert places(json.dumps(document)) == [place]


def test_missing_and_unknown_parameters_are_refused():
    error = refused('{"operations": [{"name": "bright"}]}')
    assert error.problems == (("operations[0].parameters.offset", "'bright' needs 'offset'."),)
    error = refused('{"operations": [{"name": "bright", "parameters": {"offset": 1, "gain": 2}}]}')
    assert error.problems[0][0] == "operations[0].parameters.gain"
    assert "It takes offset." in str(error)
    error = refused('{"operations": [{"name": "flip", "parameters": {"offset": 1}}]}')
    assert "It takes none." in str(error)


def test_doubled_fields_are_refused_with_their_place():
    assert places('{"abstained": false, "abstained": true}') == ["abstained"]
    assert places(
        '{"operations": [{"name": "flip"},'
        ' {"name": "bright", "parameters": {"offset": 1, "offset": 1}}]}'
    ) == [OFFSET]
    assert "stands twice" in str(refused('{"a": {"b": 1, "b": 2}, "a": 3}'))


def test_endless_nesting_is_refused():
    for depth in (40, 900, 200_000):
        for left, right in (("[", "]"), ('{"a":', "}")):
            nested = left * depth + "1" + right * depth
            assert "too deeply" in str(refused(f'{{"operations": [{nested}]}}'))
    deep: dict[str, object] = {}
    circle: dict[str, object] = {"explanation": ""}
    circle["a"] = circle["b"] = circle
    for _ in range(100_000):
        deep = {"a": deep}
    for document in (deep, circle, {"operations": [deep]}):
        assert "too deeply" in str(refused(document))


def test_an_abstained_plan_has_no_operations():
    error = refused('{"abstained": true, "operations": [{"name": "flip"}]}')
    assert error.problems == (("operations", "an abstained plan has no operations"),)
    assert parse_plan('{"abstained": true}').abstained


@pytest.mark.parametrize("document", ["[]", "1", "null", '"plan"', "true", "NaN", [], None, 5])
def test_what_is_no_object_is_refused(document):
    assert "is a JSON object, not" in str(refused(document))


@pytest.mark.parametrize(
    "text", ["", " ", "{", '{"a" 1}', "{'a': 1}", "{,}", "{} {}", "\0", b"\xff", b"\xc3\x28"]
)
def test_what_is_no_json_is_refused(text):
    assert "This is not JSON: " in str(refused(text))


def test_half_surrogates_are_no_text():
    assert places(r'{"explanation": "\ud800"}') == ["explanation"]
    assert places('{"definitions": "\udfff"}') == ["definitions"]
    assert places(r'{"operations": [{"name": "\ud800"}]}') == ["operations[0].name"]
    assert places(r'{"operations": [{"name": "flip", "parameters": {"\ud800": 1}}]}') == [
        "operations[0].parameters"
    ]
    assert r"'\ud800' is no name of a field" in str(refused(r'{"\ud800": 1}'))
    # Both halves are a character.
    assert parse_plan(r'{"explanation": "\ud83d\ude42"}').explanation == "🙂"


def test_names_of_fields_are_text():
    assert "1 is no name of a field" in str(refused({1: 2}))
    assert places({"operations": [{"name": "flip", "parameters": {5: 1}}]}) == [
        "operations[0].parameters"
    ]


def test_all_faults_are_told_at_once():
    document = {"abstained": 1, "x": 1, "operations": [{"name": "no"}, {"name": "flip", "y": 2}]}
    assert set(places(document)) == {"abstained", "x", "operations[0].name", "operations[1].y"}


def test_long_values_are_cut_in_messages():
    assert len(str(refused({"abstained": "x" * 10_000}))) < 200
    assert len(str(refused(bright(f'"{"x" * 10_000}"')))) < 200


def test_steps_made_in_python_are_checked():
    with pytest.raises(PlanError, match="This step is not valid: name: There is no operation"):
        step("blurr", kernel=3)
    with pytest.raises(PlanError, match=r"parameters\.kernel: .* odd"):
        step("blur", kernel=2)
    with pytest.raises(PlanError, match="confidence"):
        step("flip", confidence=2)


# --- fuzz: nothing but PlanError --------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
any_text = st.text(st.characters(exclude_categories=[]), max_size=30)


def parse_or_refuse(document) -> None:
    try:
        plan = parse_plan(document)
    except PlanError as error:
        str(error).encode(errors="strict")  # can be printed
    else:
        assert parse_plan(plan.to_json()) == plan


@given(st.binary(max_size=60) | any_text)
@example(b"\xef\xbb\xbf{}")
@settings(max_examples=300, deadline=None)
def test_arbitrary_text_and_bytes_raise_nothing_but_plan_errors(document):
    parse_or_refuse(document)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_arbitrary_values_in_any_place_raise_nothing_but_plan_errors(data):
    """One place of a plan replaced, removed or added to."""
    document = copy.deepcopy(DESIGN)
    inner = document
    while True:
        keys = list(range(len(inner))) if isinstance(inner, list) else list(inner)
        key = data.draw(st.sampled_from(keys))
        deeper = isinstance(inner[key], dict | list) and inner[key]
        if not deeper or data.draw(st.booleans()):
            break
        inner = inner[key]
    value = data.draw(json_values | any_text | st.sampled_from([10**400, math.nan, "1", True]))
    what = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "remove":
        del inner[key]
    elif what == "add" and isinstance(inner, dict):
        inner[data.draw(any_text)] = value
    else:
        inner[key] = value
    parse_or_refuse(document)
    parse_or_refuse(json.dumps(document))


@given(documents(), st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_raise_nothing_but_plan_errors(plan, data):
    raw = bytearray(plan.to_json().encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    parse_or_refuse(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    parse_or_refuse(bytes(raw))


# --- the published schema ---------------------------------------------------------------------


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(plan_schema())
    assert plan_schema() == SCHEMA.schema


@given(documents())
@settings(deadline=None)
def test_the_schema_accepts_every_plan(plan):
    SCHEMA.validate(json.loads(plan.to_json()))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"x": 1},
        {"schema": "imgedit-plan/2"},
        {"operations": {}},
        {"operations": [{}]},
        {"operations": [{"name": "flip", "x": 1}]},
        {"operations": [{"name": 1}]},
        {"operations": [{"name": "flip", "confidence": 2}]},
        {"operations": [{"name": "bright", "parameters": {"offset": "5"}}]},
        {"operations": [{"name": "bright", "parameters": {"offset": True}}]},
        {"residual": {"psnr_db": 1}},
        {"residual": {"psnr_db": None, "explained": 1, "x": 1}},
        {"provenance": {"plugin": "a", "model": "b"}},
        {"provenance": {"plugin": "a", "model": "b", "version": "1", "model_sha256": "0"}},
        {"abstained": 1},
        {"abstained": True, "operations": [{"name": "flip"}]},
    ],
)
def test_the_schema_refuses_what_it_can(document):
    refused(document)
    assert not SCHEMA.is_valid(document)


def test_the_page_about_plans_is_right():
    page = (ROOT / "docs/plans.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^```(json|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert len(parse_plan(blocks["json"]).operations) == 2
    ast.parse(blocks["python"])
    documented = set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", page, re.MULTILINE))
    fields = set(plan_schema()["properties"])
    assert fields - {"residual", "operations"} <= documented
    assert {f"operations[].{name}" for name in PlannedOperation.model_fields} <= documented
    assert {f"residual.{name}" for name in Residual.model_fields} <= documented
    (told,) = re.findall(r"^Error: edit\.json: (.*)$", page, re.MULTILINE)
    edit = [{"name": "flip"}, {"name": "blur", "parameters": {"kernel": 4}}]
    assert str(refused({"operations": edit})) == told


# --- files and profiles -----------------------------------------------------------------------


def test_read_plan_names_the_file(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(DESIGN), encoding="utf-8")
    bad.write_text('{"operations": [{"name": "no"}]}', encoding="utf-8")
    assert read_plan(good) == parse_plan(DESIGN)
    with pytest.raises(PlanError, match=r"bad\.json: .*operations\[0\]\.name") as caught:
        read_plan(bad)
    assert caught.value.problems[0][0] == "operations[0].name"


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
def test_unreadable_files_are_refused(tmp_path, name):
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / name)


@pytest.mark.parametrize(
    "definitions", ["nobody/1", "", "missing.toml", "a\0.toml", "../x.toml", "x" * 500 + ".toml"]
)
def test_an_unknown_profile_is_refused_where_it_is_used(definitions):
    plan = parse_plan({"definitions": definitions, "operations": [{"name": "sepia"}]})
    assert plan.definitions == definitions, "a plan may come from a machine with more profiles"
    with pytest.raises(ProfileError) as caught:
        render_plan(Picture(np.zeros((2, 2, 3), np.uint8)), plan)
    assert definitions in str(caught.value) or "\\x00" in str(caught.value)
