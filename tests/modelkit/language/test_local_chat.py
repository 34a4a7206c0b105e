"""A tiny LLaMA with drawn weights that can only write what the form allows."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit.json_decoding import JsonForms  # noqa: E402
from imgedit_modelkit.language.chats import Chat, Message  # noqa: E402
from imgedit_modelkit.language.local import LocalChat  # noqa: E402
from imgedit_modelkit.language.structured import Question, ask, form_of  # noqa: E402
from imgedit_modelkit.picture_answers import LocalModel  # noqa: E402
from imgedit_modelkit.testing import tiny_llama, tiny_tokenizer  # noqa: E402
from imgedit_plugins.errors import ImgeditError, JobCancelledError, WeightsError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402


class Choice(msgspec.Struct):
    category: str
    number: int
    words: Annotated[str, msgspec.Meta(min_length=1)]


CHOICES = {"category": ["bee", 'a "cat"', "bee hive"], "number": range(1, 13)}


def schema() -> dict[str, object]:
    return form_of(Choice, CHOICES).schema


@pytest.fixture(scope="module")
def forms() -> JsonForms:
    return JsonForms(words())


def accepts(forms: JsonForms, written: str) -> bool:
    tokenizer = words()
    matcher = forms.form(schema()).matcher(len(tokenizer))
    tokens = forms.table(len(tokenizer)).tokenize_str(written)
    return all(matcher.consume_token(one) for one in tokens) and bool(matcher.is_accepting())


@pytest.mark.parametrize("number", range(1, 13))
def test_objects_of_the_schema(forms: JsonForms, number: int) -> None:
    for category in CHOICES["category"]:
        value = Choice(str(category), number, "a b, é {}:]")
        told = msgspec.to_builtins(value)
        assert accepts(forms, json.dumps(told, ensure_ascii=False))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{}",
        '{"category": "bee", "number": 1, "words": "a"',
        '{"category": "bee", "number": 1, "words": "a"}}',
        '{"category": "bee", "number": 1, "words": ""}',
        '{"category": "bees", "number": 1, "words": "a"}',
        '{"category": "bee", "number": 0, "words": "a"}',
        '{"category": "bee", "number": 13, "words": "a"}',
        '{"category": "bee", "number": 111, "words": "a"}',
        '{"category": "bee", "number": 1, "words": "a\\n"}',
        '{"category": "bee",  "number": 1, "words": "a"}',
        '{"number": 1, "category": "bee", "words": "a"}',
    ],
)
def test_nothing_else(forms: JsonForms, written: str) -> None:
    assert not accepts(forms, written)


def test_schemas_that_are_none_are_told(forms: JsonForms) -> None:
    form = forms.form({"type": "object", "properties": {"a": {"type": "heap"}}})
    with pytest.raises(ImgeditError, match="No answer can have the wanted form"):
        form.matcher(len(words()))


@functools.cache
def words() -> Any:
    letters = [chr(code) for code in range(32, 127)]
    return tiny_tokenizer(['{"category": "bee hive", "number": 12, "words": "'] * 3 + letters)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama-tiny")
    tiny_llama(words()).save_pretrained(folder)
    words().save_pretrained(folder)
    return folder


def asked(seed: int = 0, temperature: float = 1.0, tokens: int = 200) -> Question[Choice]:
    chat = Chat((Message("system", "s"), Message("user", "?")), tokens, temperature, seed)
    return Question(chat, form_of(Choice, CHOICES))


def test_answers_have_the_form(folder: Path) -> None:
    model = LocalChat(LocalModel(folder, "cpu"))
    found = ask(model, [asked(seed) for seed in range(4)])
    values = [one.value for one in found if one.value]
    assert len(values) >= 3, [one.reasons for one in found]
    assert len({value.words for value in values}) == len(values), "each has a seed of its own"
    assert all(value.words and '"' not in value.words for value in values)
    again = ask(LocalChat(LocalModel(folder, "cpu")), [asked(seed) for seed in range(4)])
    assert [one.value for one in again] == [one.value for one in found]
    broken = [reason for one in found for reason in one.reasons]
    assert set(broken) <= {"it was broken off because it became too long; be shorter"}


def test_the_machine_s_own_dice_are_left_alone(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    ask(LocalChat(LocalModel(folder, "cpu")), [asked()])
    assert torch.rand(1) == expected


def test_the_likeliest_answer_without_temperature(folder: Path) -> None:
    model = LocalChat(LocalModel(folder, "cpu"))
    chats = [asked(seed, 0.0, 20).chat for seed in (1, 2)]
    first, second = model.replies(chats)
    assert first == second
    assert first.tokens_out == 20
    assert not first.ended


def test_one_constraint_serves_many_schemas(folder: Path) -> None:
    model = LocalChat(LocalModel(folder, "cpu"))
    for names in (["bee", "hive"], ["bee", "number"], ["12"]):
        one = Question(asked().chat, form_of(Choice, {**CHOICES, "category": names}))
        (found,) = ask(model, [one])
        assert found.value is None or found.value.category in names
    forms: JsonForms = model._loaded[2]
    assert len(forms._known) == 3
    assert len(forms._tables) == 1, "the tokenizer is looked through once"
    many = [forms.form({"enum": [str(number)]}) for number in range(100)]
    assert forms.form({"enum": ["99"]}) is many[-1]
    assert len(forms._known) < 10, "those of thousands of pictures are not kept"


def test_it_can_be_cancelled(folder: Path) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(JobCancelledError):
        LocalChat(LocalModel(folder, "cpu")).replies([asked().chat], job.check)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no model in"):
        _ = LocalChat(LocalModel(tmp_path)).identity
