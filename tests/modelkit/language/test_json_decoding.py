"""Local models held to JSON Schemas: whatever they would like to say, it has the form."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import jsonschema
import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit import json_decoding  # noqa: E402
from imgedit_modelkit.errors import MissingPackageError  # noqa: E402
from imgedit_modelkit.json_decoding import JsonForms  # noqa: E402
from imgedit_modelkit.testing import tiny_llama, tiny_tokenizer  # noqa: E402
from imgedit_plugins.errors import ImgeditError  # noqa: E402

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "why": {"type": "string", "maxLength": 20},
        "steps": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "name": {"const": "bright"},
                            "offset": {"type": "number", "minimum": -2.5, "maximum": 40},
                        },
                        "required": ["name", "offset"],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "properties": {
                            "name": {"const": "blur"},
                            "kernel": {"enum": [1, 3, 5]},
                            "soft": {"type": "boolean"},
                        },
                        "required": ["name", "kernel"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
    },
    "required": ["why", "steps"],
    "additionalProperties": False,
}
TEXTS = ["the sky is too bright, so blur it", '{"name": "blur", "kernel": 3}', "ja, größer"] * 3


def written(kind: Any, seed: int, schema: dict[str, Any] = SCHEMA, longest: int = 400) -> str:
    """What a model with drawn weights says, drawn."""
    tokenizer = tiny_tokenizer(TEXTS, kind=kind, size=120)
    model = tiny_llama(tokenizer, seed=seed)
    ids = torch.tensor([tokenizer.encode("Plan:")])
    torch.manual_seed(seed)
    out = model.generate(
        input_ids=ids, do_sample=True, max_new_tokens=longest,
        logits_processor=[JsonForms(tokenizer).form(schema).processor(ids.shape[1])],
        pad_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("kind", ["sentencepiece", "bytes"])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_written_has_the_form(kind: str, seed: int) -> None:
    jsonschema.validate(json.loads(written(kind, seed)), SCHEMA)


def test_numbers_have_an_end() -> None:
    schema = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1},
              "minItems": 8, "maxItems": 8}  # fmt: skip
    for seed in range(4):
        text = written("bytes", seed, schema)
        assert all(len(number) <= 5 for number in text.strip("[]").split(", ")), text
        assert all(0 <= number <= 1 for number in json.loads(text))


def test_the_models_own_wishes_count_within_the_form() -> None:
    schema = {"enum": ["red", "green", "blue"]}
    said = {json.loads(written("bytes", seed, schema)) for seed in range(12)}
    assert len(said) > 1


def test_an_answer_that_is_broken_off_is_no_whole_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(written("bytes", 0, longest=5))


def test_a_form_serves_several_texts_and_a_padded_vocabulary() -> None:
    tokenizer = tiny_tokenizer(TEXTS, size=120)
    form = JsonForms(tokenizer).form({"enum": ["a", "b"]})
    size = len(tokenizer) + 64
    for _ in range(2):
        processor = form.processor(2)
        scores = processor(torch.tensor([[1, 1]]), torch.zeros(1, size))
        allowed = np.flatnonzero(np.isfinite(scores[0].numpy()))
        assert 0 < len(allowed) < 20
        assert allowed.max() < len(tokenizer)
    with pytest.raises(ValueError, match="one text at a time"):
        form.processor(1)(torch.tensor([[1], [1]]), torch.zeros(2, size))


def test_a_schema_that_nothing_fits_is_told() -> None:
    forms = JsonForms(tiny_tokenizer(TEXTS))
    form = forms.form({"type": "string", "minLength": 5, "maxLength": 2})
    with pytest.raises(ImgeditError, match="No answer can have the wanted form"):
        form.matcher(900)


def test_a_tokenizer_that_cannot_be_held_is_told() -> None:
    with pytest.raises(ImgeditError, match=r"cannot be held to a form: .* Turn constrained"):
        JsonForms(object()).form({"type": "null"}).matcher(10)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        json_decoding.importlib.util, "find_spec",
        lambda name: None if name == "llguidance" else found(name),
    )  # fmt: skip
    with pytest.raises(MissingPackageError, match="pip install llguidance"):
        JsonForms(None)
