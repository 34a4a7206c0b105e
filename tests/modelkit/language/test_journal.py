"""Answers that are written down: none is asked for twice, whatever cut the file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imgedit_modelkit.language.chats import Chat, Message, Reply
from imgedit_modelkit.language.journal import JournaledModel


class Counting:
    identity = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def replies(
        self, chats: Sequence[Chat], on_wait: Callable[[], None] = lambda: None
    ) -> list[Reply]:
        self.asked += [chat.messages[0].text for chat in chats]
        return [Reply(f"{chat.messages[0].text}!", tokens_out=len(self.asked)) for chat in chats]


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
