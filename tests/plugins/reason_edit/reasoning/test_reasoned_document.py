"""The document: what it may hold, what is refused with which words, and its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoned_strategies import documents

from imgedit_reason_edit.reasoning import document as module
from imgedit_reason_edit.reasoning.document import (
    FILE,
    DocumentError,
    document_schema,
    parse_document,
    read_document,
)

SCHEMA = Path(module.__file__).parents[1] / "schemas" / "imgedit-reasoned-edit-1.schema.json"
BRIGHT = {"name": "bright", "parameters": {"offset": 20}}
BOX = [0.1, 0.2, 0.5, 0.9]


def layers(*given: Any) -> dict[str, Any]:
    return {"layers": list(given)}


def test_what_is_left_out_is_as_usual() -> None:
    document = parse_document(layers({"operations": [BRIGHT], "region": {"box": BOX}}))
    (layer,) = document.layers
    assert layer.region is not None
    assert (layer.region.shape, layer.region.feather, layer.region.outside) == (
        "ellipse", 0.05, False
    )  # fmt: skip
    told = json.loads(document.to_json())
    assert told["layers"][0]["region"]["feather"] == 0.05, "what people change is written out"
    assert "criticism" not in told


@settings(max_examples=50)
@given(documents())
def test_documents_come_back_as_they_were_written(document: Any) -> None:
    assert parse_document(document.to_json()) == document
    jsonschema.validate(json.loads(document.to_json()), document_schema())


@pytest.mark.parametrize(
    ("document", "place", "what"),
    [
        ([], "", "a JSON object"),
        ({"layer": []}, "layer", "no such field"),
        ({"schema": "imgedit-plan/1"}, "schema", "imgedit-reasoned-edit/1"),
        (layers({}), "layers[0]", "either operations or something to paint"),
        (layers({"paint": "  "}), "layers[0]", "either operations or something to paint"),
        (layers({"paint": "x", "operations": [BRIGHT]}), "layers[0]", "either operations or"),
        (layers({"operations": [{"name": "brigth"}]}), "layers[0].operations[0].name", "'bright'"),
        (
            layers({"operations": [{"name": "bright", "parameters": {"offset": 999}}]}),
            "layers[0].operations[0].parameters.offset",
            "between -255 and 255",
        ),
        (layers({"paint": "x", "region": {}}), "layers[0].region.box", "needs a box"),
        (
            layers({"paint": "x", "region": {"box": [0.5, 0, 0.5, 1]}}),
            "layers[0].region.box",
            "left < right",
        ),
        (
            layers({"paint": "x", "region": {"box": [0, 0, 512, 300]}}),
            "layers[0].region.box[2]",
            "less than or equal to 1",
        ),
        (
            layers({"paint": "x", "region": {"mask": "../secret.png"}}),
            "layers[0].region.mask",
            "a file beside the document",
        ),
        (
            layers({"operations": [{"name": "flip"}], "region": {"box": BOX}}),
            "layers[0].region",
            "'flip' moves pixels and cannot be limited",
        ),
        (
            layers({"operations": [{"name": "flip"}]}, {"paint": "x"}),
            "layers[0]",
            "must be the last one",
        ),
        (layers(*[{"paint": "x"}] * 9), "layers", "at most 8"),
        ({"intent": "x" * 1001}, "intent", "at most 1000"),
    ],
)
def test_what_is_refused(document: Any, place: str, what: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(document)
    told = str(caught.value)
    assert what in told
    assert "\n" not in told
    if place:
        assert place in dict(caught.value.problems)


@pytest.mark.parametrize(
    "text",
    ['{"layers": [', "", "null", '{"a": NaN}', '{"intent": "a", "intent": "b"}', "[" * 100_000],
)
def test_text_that_is_no_document(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_document(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(documents(), st.data())
def test_arbitrary_values_in_any_place_raise_nothing_but_document_errors(
    document: Any, data: st.DataObject
) -> None:
    told = json.loads(document.to_json())
    place: Any = told
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or not isinstance(place[key], (dict, list)):
            place[key] = data.draw(json_values)
            break
        place = place[key]
    try:
        parsed = parse_document(told)
    except DocumentError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert parse_document(parsed.to_json()) == parsed


def test_files_and_folders_are_read(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(json.dumps({"intent": "ä"}), "utf-8")
    for path in (file, tmp_path):
        document, folder = read_document(path)
        assert (document.intent, folder) == ("ä", tmp_path)
    for path, why in ((tmp_path / "none.json", "No such file"), (Path("a\0b"), "null")):
        with pytest.raises(DocumentError, match=why):
            read_document(path)
    file.write_text('{"layers": [{}]}')
    with pytest.raises(DocumentError, match=f"{FILE}: This reasoned edit is not valid"):
        read_document(tmp_path)


def test_the_schema_is_published() -> None:
    """Renewed by: python -m imgedit_reason_edit.reasoning.document"""
    assert json.loads(SCHEMA.read_text("utf-8")) == document_schema()
    jsonschema.Draft202012Validator.check_schema(document_schema())
