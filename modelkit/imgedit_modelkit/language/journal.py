"""A language model whose answers are written down as they come, so that none is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec

from imgedit_modelkit.language.chats import Chat, LanguageModel, OnReply, Reply


class JournaledModel:
    """A language model with a file of answers; what was asked before is answered from there.

    Args:
        model: that answers everything else.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._path: Path | None = None
        self._known: dict[str, Reply] = {}

    @property
    def identity(self) -> str:
        """The model's."""
        return self._model.identity

    @contextmanager
    def journal(self, path: Path) -> Iterator[None]:
        """Use a file during the block, and remove it when the block ends well.

        Raises:
            OSError: it cannot be read or written.
        """
        self._path, self._known = path, _read(path)
        try:
            yield
        finally:
            self._path, self._known = None, {}
        path.unlink(missing_ok=True)

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        """As the model's, or as it answered the same before; each is written down as it comes."""
        keys = [self._key(chat) for chat in chats]
        found = {n: self._known[key] for n, key in enumerate(keys) if key in self._known}
        new = [n for n in range(len(chats)) if n not in found]
        for n, reply in found.items():
            on_reply(n, reply)

        def take(place: int, reply: Reply) -> None:
            n = new[place]
            found[n] = reply
            if self._path is not None:
                _append(self._path, keys[n], reply)
                self._known[keys[n]] = reply
            on_reply(n, reply)

        if new:
            self._model.replies([chats[n] for n in new], on_wait, take)
        return [found[n] for n in range(len(chats))]

    def _key(self, chat: Chat) -> str:
        told = [
            self.identity,
            [[m.role, m.text, [hashlib.sha256(p.tobytes()).hexdigest() for p in m.pictures]]
             for m in chat.messages],
            [chat.max_new_tokens, chat.temperature, chat.seed, chat.schema],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _append(path: Path, key: str, reply: Reply) -> None:
    line = json.dumps({"key": key, **asdict(reply)})
    with path.open("ab") as file:
        # Begins with a line end: the last process may have been killed within a line.
        file.write(f"\n{line}\n".encode())


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    text: str
    fault: str
    ended: bool
    tokens_in: int | None
    tokens_out: int | None


def _read(path: Path) -> dict[str, Reply]:
    """The answers of a file; lines that were cut are left out."""
    known: dict[str, Reply] = {}
    if not path.exists():
        return known
    for line in path.read_bytes().splitlines():
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            continue
        known[found.key] = Reply(
            found.text, found.fault, found.ended, found.tokens_in, found.tokens_out
        )
    return known
