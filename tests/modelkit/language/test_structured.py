"""Answers of a wanted form: from a server that answers badly, and from a tiny LLaMA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from imgedit_modelkit.language.answers import UnusableError
from imgedit_modelkit.language.chats import Chat, Message, Reply
from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.language.prompts import PromptFile
from imgedit_modelkit.language.structured import Question, ask, form_of
from imgedit_modelkit.language.testing import Said, chat_server, text


class Swap(msgspec.Struct):
    category: str
    target: str


class Best(msgspec.Struct):
    best: int


def question(**fields: Any) -> Question[Swap]:
    chat = Chat((Message("system", "s"), Message("user", "which?")), seed=5)
    return Question(chat, form_of(Swap, {"category": ["cat", "dog"]}, **fields))


GOOD = '{"category": "cat", "target": "bee"}'
BAD = {
    "": "it is empty",
    "I cannot do that.": "no JSON object",
    '{"category": "cat", "tar': "not valid JSON, or not whole",
    '{"category": "cat" "target": "bee"}': "not valid JSON, or not whole",
    '{"category": "cat"}': "missing required field `target`",
    '{"category": "cat", "target": 3}': "Expected `str`, got `int`",
    '{"category": "cow", "target": "bee"}': "'category' must be one of cat, dog, not 'cow'",
    '{"category": "cat", "target": "cat"}': "that is no change",
}


def no_change(value: Swap) -> None:
    if value.category == value.target:
        raise UnusableError("that is no change")


class Written:
    """A language model that answers from a list."""

    identity = "written"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[Chat] = []

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: Any = None,
    ) -> Any:
        self.asked += chats
        return [Reply(self.texts.pop(0)) for _ in chats]


@pytest.mark.parametrize(
    "around", ["{}", " {}\n", "```json\n{}\n```", "Sure! Here it is: {} I hope that it helps."]
)
def test_the_object_is_taken_out_of_what_is_around_it(around: str) -> None:
    model = Written(around.replace("{}", GOOD))
    (found,) = ask(model, [question(check=no_change)])
    assert found.value == Swap("cat", "bee")
    assert (found.reasons, found.calls) == ((), 1)


@pytest.mark.parametrize("bad", BAD)
def test_what_will_not_do_is_asked_again_with_the_reason(bad: str) -> None:
    model = Written(bad, GOOD)
    (found,) = ask(model, [question(check=no_change)])
    assert found.value == Swap("cat", "bee")
    assert (len(found.reasons), found.calls) == (1, 2)
    assert BAD[bad] in found.reasons[0]
    again = model.asked[1]
    assert again.messages[:2] == model.asked[0].messages
    assert found.reasons[0] in again.messages[-1].text
    # Chat templates refuse two turns of one side in a row.
    assert [turn.role for turn in again.messages] == ["system", "user", "assistant", "user"]
    assert again.messages[2].text == (bad or "(nothing)")
    assert again.seed != model.asked[0].seed
    assert again.temperature > model.asked[0].temperature == 0, "its likeliest words were wrong"


def test_what_stays_bad_is_given_up_alone() -> None:
    model = Written("no", GOOD, "no", "no")
    bad, good = ask(model, [question(), question()])
    assert bad.value is None
    assert (bad.calls, len(bad.reasons), good.calls) == (3, 3, 1)
    assert good.value == Swap("cat", "bee")
    longest = max(sum(len(turn.text) for turn in chat.messages) for chat in model.asked)
    assert longest < 400, "bad answers do not pile up"


def test_the_schema_has_the_choices() -> None:
    assert question().form.schema == {
        "type": "object",
        "properties": {
            "category": {"type": "string", "enum": ["cat", "dog"]},
            "target": {"type": "string"},
        },
        "required": ["category", "target"],
        "additionalProperties": False,
    }
    best = Question(Chat((Message("user", "?"),)), form_of(Best, {"best": range(1, 6)}))
    assert best.form.schema["properties"] == {
        "best": {"type": "integer", "minimum": 1, "maximum": 5}
    }
    (found,) = ask(Written('{"best": 6}', '{"best": 5}'), [best])
    assert found.value == Best(5)
    assert "must be one of 1, 2, 3, 4, 5, not 6" in found.reasons[0]


def test_tokens_are_counted_or_estimated() -> None:
    with chat_server(lambda *_: text(GOOD)) as (address, _):
        (found,) = ask(Endpoint(address, "m"), [question()])
    assert (found.tokens_in, found.tokens_out) == (7, 4)
    (found,) = ask(Written("no", GOOD), [question()])
    assert found.tokens_in > 2 * len("swhich?") // 4
    assert found.tokens_out == len("no") // 4 + len(GOOD) // 4


def test_over_http() -> None:
    """Half answers, other objects and empty bodies; each question ends well or alone."""

    def answer(body: dict[str, Any], _: Any) -> Said:
        turns, first = body["messages"], body["messages"][1]["content"]
        bad = [text(GOOD[:20]), Said({"error": "x"}), text('{"a": 1}')][len(turns) % 3]
        return text(GOOD) if len(turns) > 2 and first == "good?" else bad

    chats = [Chat((Message("system", "s"), Message("user", f"{how}?"))) for how in ("good", "bad")]
    with chat_server(answer) as (address, _):
        good, bad = ask(Endpoint(address, "m"), [Question(chat, form_of(Swap)) for chat in chats])
    assert (good.value, good.calls) == (Swap("cat", "bee"), 2)
    assert (bad.value, bad.calls) == (None, 3)


def test_an_object_that_is_nested_too_deeply() -> None:
    deep = '{"category": ' + "[" * 100_000 + "}"
    (found,) = ask(Written(deep, '{"category": "dog", "target": "é"}'), [question()])
    assert found.value == Swap("dog", "é")


def test_the_user_s_own_words_ask_again_and_rounds_are_told() -> None:
    again = PromptFile("retry-mine", "0", "", "No: {reason}!")
    rounds: list[int] = []
    model = Written("no", GOOD)
    ask(model, [question()], again=again, on_round=rounds.append)
    assert model.asked[1].messages[-1].text.startswith("No: there is no JSON object in it")
    assert rounds == [0, 1]
