"""Answers that are written down: none is asked for twice, whatever cut the file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgedit_modelkit.language.chats import Chat, Message, OnReply, Reply, one_by_one
from imgedit_modelkit.language.endpoint import Endpoint, EndpointError
from imgedit_modelkit.language.journal import JournaledModel
from imgedit_modelkit.language.testing import Said, chat_server, text


class Counting:
    identity = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        self.asked += [chat.messages[0].text for chat in chats]
        return one_by_one(chats, self._reply, on_reply)

    def _reply(self, chat: Chat) -> Reply:
        if chat.messages[0].text == "gone":
            raise OSError("gone")
        return Reply(f"{chat.messages[0].text}!", tokens_out=len(self.asked))


def chats(*said: str) -> list[Chat]:
    return [Chat((Message("user", text),)) for text in said]


@contextmanager
def killed(journaled: JournaledModel, path: Path) -> Iterator[None]:
    """A journal whose block does not end well."""
    with contextlib.suppress(RuntimeError), journaled.journal(path):
        yield
        raise RuntimeError


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    path, model = tmp_path / "answers.jsonl", Counting()
    journaled = JournaledModel(model)
    with killed(journaled, path):
        first = journaled.replies(chats("a", "b"))
        assert journaled.replies(chats("b", "é\n", "a"))[0] == first[1]
    assert model.asked == ["a", "b", "é\n"]
    again = JournaledModel(model)
    with again.journal(path):
        assert again.replies(chats("a", "b")) == first
        assert again.replies(chats("c"))[0].text == "c!"
    assert model.asked == ["a", "b", "é\n", "c"]
    assert not path.exists()
    assert again.replies(chats("a"))[0].text == "a!"
    assert model.asked[-1] == "a", "without a file nothing is remembered"


def test_a_file_that_was_cut_anywhere(tmp_path: Path) -> None:
    path, model = tmp_path / "answers.jsonl", Counting()
    journaled = JournaledModel(model)
    with killed(journaled, path):
        first = journaled.replies(chats("a", "b", "c"))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        for _ in range(2):  # the second time with what the first appended
            asked = len(model.asked)
            with killed(journaled, path):
                texts = [reply.text for reply in journaled.replies(chats("a", "b", "c"))]
                assert texts == [reply.text for reply in first]
        assert len(model.asked) == asked


def test_everything_that_matters_is_another_question(tmp_path: Path) -> None:
    model = Counting()
    journaled = JournaledModel(model)
    dark, light = (np.full((2, 2, 3), shade, np.uint8) for shade in (0, 255))
    different = [
        Chat((Message("user", "a"),)),
        Chat((Message("user", "a"),), temperature=0.5),
        Chat((Message("user", "a"),), seed=1),
        Chat((Message("user", "a"),), max_new_tokens=2),
        Chat((Message("user", "a"),), schema={}),
        Chat((Message("system", "a"),)),
        Chat((Message("user", "a"), Message("user", "a"))),
        Chat((Message("user", "a", (dark,)),)),
        Chat((Message("user", "a", (light,)),)),
    ]
    with journaled.journal(tmp_path / "answers.jsonl"):
        for chat in different * 2:
            journaled.replies([chat])
    assert len(model.asked) == len(different)


def test_answers_that_came_before_a_failure_are_kept(tmp_path: Path) -> None:
    path, model = tmp_path / "answers.jsonl", Counting()
    journaled = JournaledModel(model)
    with pytest.raises(OSError, match="gone"), journaled.journal(path):
        journaled.replies(chats("a", "b", "gone", "c"))
    told: list[tuple[int, str]] = []
    with journaled.journal(path):
        journaled.replies(chats("c", "b", "a"), on_reply=lambda n, it: told.append((n, it.text)))
    assert model.asked == ["a", "b", "gone", "c", "c"]
    assert sorted(told) == [(0, "c!"), (1, "b!"), (2, "a!")]


def test_a_server_that_fails_in_the_middle_is_not_asked_again_for_what_it_said(
    tmp_path: Path,
) -> None:
    """Of requests at the same time, too."""
    late = threading.Event()

    def answer(body: dict[str, Any], _: Any) -> Said:
        if body["messages"][0]["content"] != "last":
            return text("yes")
        late.wait(5)
        return Said(b"no credit", 403)

    path = tmp_path / "answers.jsonl"
    with chat_server(answer) as (address, asked):
        journaled = JournaledModel(Endpoint(address, "m"))
        seen: list[int] = []

        def after_two(number: int, _: Reply) -> None:
            seen.append(number)
            if len(seen) == 2:
                late.set()

        with pytest.raises(EndpointError, match="no credit"), journaled.journal(path):
            journaled.replies(chats("a", "b", "last"), on_reply=after_two)
        with journaled.journal(path):
            assert [it.text for it in journaled.replies(chats("a", "b"))] == ["yes", "yes"]
    assert len(asked) == 3
