import json
import tomllib
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_plugins import hookspecs, manifest, options, requests
from imgedit_plugins.errors import ManifestError, OptionError
from imgedit_plugins.manifest import HOOK_INPUTS, OptionSpec
from imgedit_plugins.options import resolve_options

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "core/imgedit_plugins/schemas/imgedit-plugin-1.schema.json"
MANIFESTS = sorted(ROOT.glob("plugins/*/*/imgedit_plugin.toml")) + sorted(
    ROOT.glob("tests/third_party/*/src/*/imgedit_plugin.toml")
)

GOOD = """
schema = "imgedit-plugin/1"
name = "good"
title = "Good"
summary = "Does good."
hooks = ["apply_edit", "make_data", "predict_operations"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask"]
rank = 3

[[accepts]]
hook = "predict_operations"
inputs = ["source", "edited"]

[[accepts]]
hook = "make_data"
inputs = ["recipe"]

[[actions]]
id = "do-good"
label = "Do Good…"
hook = "apply_edit"
inputs = ["picture", "selection", "instruction"]

[[options]]
hook = "apply_edit"
name = "strength"
type = "number"
minimum = 0
maximum = 1
default = 0.5
help = "How much."

[[data]]
name = "pairs"
title = "Pairs"
help = "Makes pairs."

[[data.options]]
name = "images"
type = "path"
help = "Folder."

[[weights]]
id = "big"
title = "Big"
licence = "Apache-2.0"
source = "https://example.org/big"

[[weights.files]]
path = "model.safetensors"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size = 12
"""


def problems(text: str) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text, Path("some/imgedit_plugin.toml"))
    assert "some/imgedit_plugin.toml" in str(caught.value)
    for place, what in caught.value.problems:
        assert f"{place}: {what}" in str(caught.value)
    return dict(caught.value.problems)


def spec(**fields) -> OptionSpec:
    return OptionSpec(**({"name": "x", "type": "integer", "help": "X."} | fields))


# --- form -------------------------------------------------------------------------------------


def test_a_good_manifest_is_read():
    good = manifest.parse(GOOD, Path("m.toml"))
    assert good.options_for("apply_edit")[0].default == 0.5
    assert good.options_for("predict_operations") == ()
    assert good.recipe("pairs").options[0].type == "path"
    assert good.recipe("nothing") is None


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.parent.name)
def test_our_manifests_are_good_and_match_the_schema(path):
    manifest.load(path)
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_there_are_manifests_to_test():
    assert len(MANIFESTS) >= 2


def test_the_published_schema_is_the_code_s():
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == manifest.schema(), (
        "write it again: python -m imgedit_plugins.manifest > " + str(SCHEMA.relative_to(ROOT))
    )
    jsonschema.Draft202012Validator.check_schema(published)


def test_schema_and_code_refuse_the_same_forms():
    validator = jsonschema.Draft202012Validator(manifest.schema())
    for old, new in [("rank = 3", 'rank = "3"'), ("title =", "titel ="), ('"number"', '"float"')]:
        document = tomllib.loads(GOOD.replace(old, new, 1))
        assert list(validator.iter_errors(document))
        assert problems(GOOD.replace(old, new, 1))


def test_all_faults_of_form_are_reported_at_once():
    text = GOOD.replace("rank = 3", 'rank = "3"').replace('title = "Good"', 'titel = "Good"')
    text = text.replace('type = "number"', 'type = "numbr"').replace("size = 12", "size = 0")
    found = problems(text)
    assert set(found) == {
        "accepts[0].rank",
        "title",
        "titel",
        "options[0].type",
        "weights[0].files[0].size",
    }
    assert "'title'" in found["titel"]
    assert "'number'" in found["options[0].type"]
    assert found["title"] == "is missing"


def test_no_toml_no_file_no_text(tmp_path):
    with pytest.raises(ManifestError, match="no valid TOML"):
        manifest.parse("= 3", Path("m.toml"))
    with pytest.raises(ManifestError, match="There is no manifest"):
        manifest.load(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="cannot be read"):
        manifest.load(tmp_path / "m.toml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from(["hooks", "accepts", "options", "actions", "data", "weights", "name", "extra"]),
)
def test_anything_in_a_field_is_accepted_or_reported(value, field):
    from imgedit_plugins.manifest_checks import faults_of_form

    document = tomllib.loads(GOOD) | {field: value}
    try:
        msgspec.convert(document, manifest.Manifest)
    except msgspec.ValidationError:
        assert faults_of_form(document, manifest.Manifest)
    else:
        assert not faults_of_form(document, manifest.Manifest)


# --- meaning ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("default = 0.5", "default = 1.5", "options[0].default", "from 0 to 1"),
        ("default = 0.5", "default = true", "options[0].default", "number"),
        ("maximum = 1", "maximum = 0", "options[0].maximum", "above"),
        ('type = "path"', 'type = "path"\nminimum = 1', "data[0].options[0].minimum", "no range"),
        ('type = "path"', 'type = "choice"', "data[0].options[0].choices", "two"),
        ('type = "path"', 'type = "path"\nchoices = ["a"]', "data[0].options[0].choices", "choice"),
        ('type = "path"', 'type = "path"\nexpert = true', "data[0].options[0].default", "dialogs"),
        ('"picture", "instruction"]', '"pictur"]', "accepts[0].inputs[0]", "picture"),
        ('optional = ["mask"]', 'optional = ["picture"]', "accepts[0].optional", "already"),
        ('["apply_edit", "make_data", ', '["make_data", ', "accepts[0].hook", "not in hooks"),
        ('["apply_edit",', '["train", "apply_edit",', "hooks[0]", "[[accepts]]"),
        ('["apply_edit",', '["apply_edit", "apply_edit",', "hooks[1]", "twice"),
        ('"selection", ', '"second_picture", ', "actions[0].inputs", "second_picture"),
        ('optional = ["mask"]', "", "actions[0].inputs", "takes"),
        ('"selection", "instruction"]', '"selection"]', "actions[0].inputs", "takes"),
        ("[[options]]", "fixed = {x = 1}\n[[options]]", "actions[0].fixed", "no option 'x'"),
        (
            "[[options]]",
            "fixed = {strength = 2}\n[[options]]",
            "actions[0].fixed.strength",
            "from 0 to 1",
        ),
        ("[[options]]", 'options = ["x"]\n[[options]]', "actions[0].options", "no option 'x'"),
        (
            "[[options]]",
            'fixed = {strength = 1}\noptions = ["strength"]\n[[options]]',
            "actions[0].options",
            "is fixed",
        ),
        (
            "[[weights]]",
            'operations = ["a"]\n[[weights]]',
            "data[0].options[0].operations",
            "unknown",
        ),
        ("hooks =", 'operations = ["a"]\nhooks =', "operations", "register_operations"),
        ("model.safetensors", "../model", "weights[0].files[0].path", "inside"),
        ("model.safetensors", "C:/model", "weights[0].files[0].path", "inside"),
        ('hook = "apply_edit"\nname', 'hook = "make_data"\nname', "options[0].hook", "recipe"),
    ],
)
def test_contradictions_are_refused(old, new, place, words):
    assert old in GOOD
    assert words in problems(GOOD.replace(old, new, 1))[place]


def test_a_menu_entry_fixes_options_and_chooses_those_that_it_asks_for():
    more = """
[[options]]
hook = "apply_edit"
name = "rare"
type = "string"
default = ""
help = "Seldom."
expert = true
"""

    def asked(lines: str) -> list[str]:
        text = GOOD.replace("[[options]]", f"{lines}\n[[options]]", 1) + more
        good = manifest.parse(text, Path("m.toml"))
        return [one.name for one in good.asked_by(good.actions[0])]

    assert asked("") == ["strength"]
    assert asked("fixed = { strength = 0.25 }") == []
    assert asked('options = ["rare", "strength"]') == ["rare", "strength"]
    assert asked('fixed = { strength = 0.25 }\noptions = ["rare"]') == ["rare"]


def test_repeated_options_are_refused_per_hook():
    start = GOOD.index("[[options]]")
    block = GOOD[start : GOOD.index("[[data]]")]
    assert "options[1].name" in problems(GOOD + block)
    other = block.replace('"apply_edit"', '"predict_operations"')
    assert len(manifest.parse(GOOD + other, Path("m.toml")).options) == 2


def test_the_hooks_are_those_of_the_specs():
    specs = {
        name
        for name, value in vars(hookspecs).items()
        if hasattr(value, f"{hookspecs.PROJECT}_spec")
    }
    assert specs == set(HOOK_INPUTS)
    assert set(msgspec.inspect.type_info(manifest.Hook).values) == specs


@pytest.mark.parametrize(
    ("hook", "kind"),
    [
        ("predict_operations", requests.PredictRequest),
        ("apply_edit", requests.ApplyRequest),
        ("train", requests.TrainRequest),
        ("evaluate", requests.EvaluateRequest),
        ("make_data", requests.DataRequest),
        ("import_weights", requests.WeightsRequest),
        ("export_parts", requests.ExportRequest),
        ("verify_bundle", requests.BundleRequest),
    ],
)
def test_the_inputs_are_fields_of_the_requests(hook, kind):
    assert set(HOOK_INPUTS[hook]) <= set(kind.model_fields)


@given(
    inputs=st.sets(st.sampled_from("abcd")),
    required=st.sets(st.sampled_from("abcd")),
    optional=st.sets(st.sampled_from("abcd")),
)
def test_accepting_is_required_plus_some_optional(inputs, required, optional):
    accepts = manifest.Accepts("train", inputs=tuple(required), optional=tuple(optional))
    brute = all(
        (letter in inputs) if letter in required else (letter in optional or letter not in inputs)
        for letter in "abcd"
    )
    assert accepts.takes(frozenset(inputs)) == brute


def test_the_rank_is_the_highest_of_those_that_accept():
    text = (
        GOOD + '\n[[accepts]]\nhook = "apply_edit"\ninputs = ["picture", "instruction"]\nrank = 9'
    )
    found = manifest.parse(text, Path("m.toml"))
    assert found.rank("apply_edit", frozenset({"picture", "instruction"})) == 9
    assert found.rank("apply_edit", frozenset({"picture", "instruction", "mask"})) == 3
    assert found.rank("apply_edit", frozenset({"picture"})) is None


# --- option values ----------------------------------------------------------------------------


def test_text_is_parsed_and_defaults_are_filled_in():
    specs = [
        spec(name="count", default=3),
        spec(name="share", type="number", default=1),
        spec(name="fast", type="boolean", default=False),
        spec(name="mode", type="choice", choices=("a", "b"), default="a"),
        spec(name="text", type="string", default=""),
    ]
    assert resolve_options(specs, {}) == {
        "count": 3, "share": 1.0, "fast": False, "mode": "a", "text": "",
    }  # fmt: skip
    given = {"count": "5", "share": "2e-1", "fast": "YES", "mode": "b", "text": "5"}
    values = resolve_options(specs, given)
    assert values == {"count": 5, "share": 0.2, "fast": True, "mode": "b", "text": "5"}
    assert resolve_options(specs, values) == values
    assert isinstance(resolve_options(specs, {})["share"], float)


@pytest.mark.parametrize(
    ("one", "value", "words"),
    [
        (spec(minimum=1, maximum=8), "9", "a whole number from 1 to 8, not '9'"),
        (spec(minimum=1, unit="px"), 0, "at least 1 px, not 0"),
        (spec(maximum=1), "2", "at most 1"),
        (spec(), "2.5", "a whole number, not '2.5'"),
        (spec(), 2.5, "a whole number"),
        (spec(), True, "a whole number, not True"),
        (spec(type="number"), "nan", "a number"),
        (spec(type="number"), float("inf"), "a number"),
        (spec(type="number"), False, "a number"),
        (spec(type="boolean"), "maybe", "true or false"),
        (spec(type="boolean"), 1, "true or false"),
        (spec(type="string"), 1, "text, not 1"),
        (spec(type="choice", choices=("quick", "slow")), "quik", "quick or slow, not 'quik'. Did"),
        (spec(type="choice", choices=("a", "b", "c")), "d", "a, b or c"),
    ],
)
def test_wrong_values_are_refused_with_what_is_allowed(one, value, words):
    with pytest.raises(OptionError) as caught:
        resolve_options([one], {"x": value})
    assert words in str(caught.value)


def test_unknown_and_missing_options():
    with pytest.raises(OptionError, match="Did you mean 'effort'"):
        resolve_options([spec(name="effort", default=1)], {"efort": "1"})
    with pytest.raises(OptionError, match="There are effort"):
        resolve_options([spec(name="effort", default=1)], {"zzz": "1"})
    with pytest.raises(OptionError, match="'images' is needed: X"):
        resolve_options([spec(name="images", type="path")], {})


@given(st.integers() | st.floats(), st.integers(-5, 5), st.integers(0, 5))
def test_a_number_survives_text_exactly_or_is_refused(value, low, extent):
    one = spec(type="number", minimum=low, maximum=low + extent)
    allowed = low <= value <= low + extent
    if allowed:
        assert resolve_options([one], {"x": str(value)}) == {"x": float(value)}
    else:
        assert options.check_value(one, value)
