"""Reading the JSON object in what a model said, or why there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_modelkit.language.answers import UnusableError, read_object
from imgedit_modelkit.language.chats import Reply

GOOD = '{"intent": "A warm evening.", "layers": [{"title": "Warmer light", "shift": 40}]}'


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"  \n{GOOD}\n",
        f"Sure! Here is the plan:\n```json\n{GOOD}\n```\nI hope that helps.",
        f"<think>The user wants {{x}}; maybe {{\"layers\": 1}}?</think>{GOOD}",
        f"The set {{a, b}} and {{\"other\": 1}} first. {GOOD}",
        json.dumps(json.loads(GOOD), indent=4),
        GOOD + " {",
    ],
)  # fmt: skip
def test_an_object_is_found_in_what_stands_around_it(said: str) -> None:
    assert read_object(Reply(said), "layers") == json.loads(GOOD)


@pytest.mark.parametrize(
    ("said", "cut", "why"),
    [
        ("", False, "empty"),
        ("I'm sorry, I cannot help with that.", False, "no JSON object in it, only \"I'm sorry"),
        ("x" * 500, False, "x…'"),
        (GOOD[:60], True, "became too long"),
        (GOOD[:-20], False, "not valid JSON, or not whole"),
        (GOOD[:-20] + "]", False, "not valid JSON, or not whole"),
        ('{"plan": []}', False, "no field 'layers'"),
        ('{"layers": [], "layers": []}', False, "stands twice"),
        ('{"layers": [1e400]}', False, "must be finite"),
        ('{"layers": NaN}', False, "must be finite"),
        ('{"layers": ' + "[" * 50 + "]" * 50 + "}", False, "nested too deeply"),
        ('{"a":' * 100_000, False, "not valid JSON"),
        ("{" * 100_000, False, "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_told(said: str, cut: bool, why: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read_object(Reply(said, ended=not cut), "layers")
    assert why in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(st.sampled_from('{}[]":,a1 \\'), max_size=60), st.booleans())
def test_arbitrary_text_is_an_object_or_told(said: str, cut: bool) -> None:
    try:
        assert "layers" in read_object(Reply(said, ended=not cut), "layers")
    except UnusableError as error:
        assert str(error)  # noqa: PT017


def test_a_refusal_is_told_as_it_is() -> None:
    with pytest.raises(UnusableError) as caught:
        read_object(Reply("", fault="The model refuses to answer: no."), "layers")
    assert caught.value.reason == "The model refuses to answer: no"
