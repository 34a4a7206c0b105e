"""A language model behind a server that speaks OpenAI's protocol, such as vLLM's; it may see.

A busy server is asked again, no sooner than it wants (Retry-After). A server that does not know a
part of the request (a JSON Schema, a seed) is asked without it from then on, or with what is
nearest: for a schema that is any JSON object, and then any text.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import io
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from imgedit_modelkit.language.addresses import opener_for
from imgedit_modelkit.language.chats import Chat, Message, OnReply, Reply
from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

KEY_VARIABLE = "IMGEDIT_ENDPOINT_KEY"
"""Environment variable with the server's key, where it wants one."""

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_UNKNOWN = frozenset({400, 422})
"""Statuses of a server that does not understand a part of the request."""

_PARTS = {
    "max_completion_tokens": ("max_tokens", "max_completion_tokens"),
    "temperature": ("temperature", ""),
    "seed": ("seed", ""),
}
"""Word in a refusal -> (part of the request, what takes its place; nothing drops it)."""

_FORM, _ANY_OBJECT = "response_format", "json_object"
_OF_FORMS = ("response_format", "json_schema", "grammar")
"""Words with which servers fail, rather than refuse, that can make no grammar of a schema."""


class EndpointError(ImgeditError):
    """The server cannot be reached, refuses the request or answers something else.

    `reason` is what the server says, where it says anything.
    """

    def __init__(self, message: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


@dataclass(frozen=True)
class Endpoint:
    """A model on a server.

    Attributes:
        address: up to and with the version, such as 'http://127.0.0.1:8000/v1'.
        model: its name there.
        attempts: how often a request is made while the server is busy.
        pause: seconds before the second attempt; twice as long before each further one.
        timeout: seconds that one answer may take.
        patience: the longest wait that a server may ask for, in seconds.
        parallel: requests at the same time, at most.
    """

    address: str
    model: str
    attempts: int = 6
    pause: float = 1.0
    timeout: float = 600.0
    patience: float = 300.0
    parallel: int = 32
    _renamed: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def identity(self) -> str:
        """The model's name and the server's address; its weights cannot be checked from here."""
        return f"{self.model} at {self.address}"

    def answers(
        self,
        pictures: Sequence[RGB8],
        questions: Sequence[str],
        *,
        max_new_tokens: int,
        on_token: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Greedy answers about one picture each.

        Args:
            pictures: (height, width, 3), of any sizes.
            questions: one for each picture.
            max_new_tokens: where an answer is broken off.
            on_token: called some times a second; what it raises ends the work.

        Raises:
            EndpointError: the server does not answer as it should.
        """
        chats = [
            Chat((Message("user", question, (picture,)),), max_new_tokens)
            for picture, question in zip(pictures, questions, strict=True)
        ]
        found = self.replies(chats, on_token)
        if fault := next((reply.fault for reply in found if reply.fault), ""):
            raise EndpointError(fault)
        return [reply.text for reply in found]

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        """Answers, asked for at the same time.

        Args:
            chats: independent of each other.
            on_wait: called some times a second; what it raises ends the work.
            on_reply: told each answer when it is there, before an error of another one is raised.

        Raises:
            EndpointError: the server cannot be reached or refuses.
        """
        stop = threading.Event()
        todo: SimpleQueue[int] = SimpleQueue()
        done: SimpleQueue[tuple[int, Reply | Exception]] = SimpleQueue()
        for number in range(len(chats)):
            todo.put(number)

        def work() -> None:
            with contextlib.suppress(Empty):
                while not stop.is_set():
                    number = todo.get_nowait()
                    try:
                        done.put((number, self._reply(chats[number], stop)))
                    except Exception as error:  # raised by whoever waits
                        done.put((number, error))

        for _ in range(min(self.parallel, len(chats))):
            # Not of a pool: a program that is cancelled would wait for the server at its end.
            threading.Thread(target=work, daemon=True).start()
        found: dict[int, Reply] = {}
        try:
            while len(found) < len(chats):
                for number, reply in _arrived(done):
                    found[number] = reply
                    on_reply(number, reply)
                on_wait()
        finally:
            stop.set()
        return [found[number] for number in range(len(chats))]

    def _reply(self, chat: Chat, stop: threading.Event) -> Reply:
        found = self._understood(self._body(chat), stop)
        try:
            choice = found["choices"][0]
            text = str(choice["message"].get("content") or "").strip()
            refusal = str(choice["message"].get("refusal") or "").strip()
            cut = choice.get("finish_reason") == "length"
        except (KeyError, IndexError, TypeError, AttributeError):
            told = json.dumps(found)[:200]
            return Reply("", fault=f"{self.address} answered no text: {told}.")
        if refusal and not text:
            return Reply("", fault=f"{self.identity} refuses to answer: {refusal}")
        usage = found.get("usage")
        counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
        return Reply(text, ended=not cut, tokens_in=counts[0], tokens_out=counts[1])

    def _body(self, chat: Chat) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_told(message) for message in chat.messages],
            "temperature": chat.temperature,
            "max_tokens": chat.max_new_tokens,
        }
        if chat.seed is not None:
            body["seed"] = chat.seed % 2**31  # some servers take no larger ones
        if chat.schema is not None:
            schema = {"name": "answer", "schema": chat.schema, "strict": True}
            body[_FORM] = {"type": "json_schema", "json_schema": schema}
        return body

    def _understood(self, body: dict[str, Any], stop: threading.Event) -> Any:
        """The answer to a request without the parts that this server does not know."""
        while True:
            known = {self._renamed.get(name, name): value for name, value in body.items()}
            known.pop("", None)
            if known.pop(_ANY_OBJECT, None):
                known[_FORM] = {"type": _ANY_OBJECT}
            try:
                return self._post(known, stop)
            except _NotUnderstoodError as error:
                name, instead = _to_change(error.reason, known)
                if not name:
                    raise
                self._renamed[name] = instead

    def _post(self, body: dict[str, Any], stop: threading.Event) -> Any:
        request, opener = self._request("chat/completions", body), opener_for(self.address)
        told, asked_for = "", 0.0
        for attempt in range(self.attempts):
            if attempt:
                stop.wait(max(self.pause * 2 ** (attempt - 1), asked_for))
            if stop.is_set():
                break
            try:
                with opener.open(request, timeout=self.timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                told = f"{error.code} {error.reason}"
                with error:  # has a socket
                    asked_for = self._wait_asked_for(error)
                    self._refuse_unless_passing(error, told, of_form=_FORM in body)
            except (OSError, ValueError, http.client.HTTPException) as error:
                told, asked_for = _why(error), 0.0
        raise EndpointError(
            f"{self.address} does not answer after {self.attempts} attempts: {told}.",
            hint="The same command goes on from here when it does.",
        )

    def models(self) -> list[str]:
        """The names of the models that the server has.

        Raises:
            EndpointError: it cannot be reached, or does not tell.
        """
        try:
            with opener_for(self.address).open(self._request("models"), timeout=30.0) as answer:
                return [str(one["id"]) for one in json.load(answer)["data"]]
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            raise EndpointError(
                f"{self.address} does not tell its models: {_why(error)}."
            ) from error

    def _request(self, path: str, body: dict[str, Any] | None = None) -> urllib.request.Request:
        if not self.address.startswith(("http://", "https://")):
            raise EndpointError(f"{self.address!r} is no address that begins with http.")
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        return urllib.request.Request(  # noqa: S310 (the scheme is checked)
            f"{self.address.rstrip('/')}/{path}",
            json.dumps(body).encode() if body else None,
            headers,
        )

    def _wait_asked_for(self, error: urllib.error.HTTPError) -> float:
        """Seconds of its Retry-After.

        Raises:
            EndpointError: they are more than anybody wants to sit through.
        """
        seconds = _retry_after(error.headers.get("Retry-After", ""))
        if error.code in _PASSING and seconds > self.patience:
            raise EndpointError(
                f"{self.address} wants to be left alone for {seconds:.0f} s ({error.code}).",
                hint="The same command goes on from here afterwards.",
            ) from error
        return seconds

    def _refuse_unless_passing(
        self, error: urllib.error.HTTPError, told: str, *, of_form: bool
    ) -> None:
        try:
            reason = error.read(2000).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException):
            reason = ""
        stumbled = of_form and any(word in reason.lower() for word in _OF_FORMS)
        if error.code in _PASSING and not stumbled:
            return
        kind = _NotUnderstoodError if error.code in _UNKNOWN or stumbled else EndpointError
        why = f"{told}. {reason[:500]}".strip().rstrip(".")
        raise kind(f"{self.address} refuses: {why}.", reason) from error


class _NotUnderstoodError(EndpointError):
    """The request is refused as it is; `reason` is what the server says."""


def _arrived(done: SimpleQueue[tuple[int, Reply | Exception]]) -> Iterator[tuple[int, Reply]]:
    """What is there within some tenths of a second; then the error of one that failed, if any."""
    error: Exception | None = None
    wait = 0.3
    with contextlib.suppress(Empty):
        while True:
            number, reply = done.get(timeout=wait)
            wait = 0.0
            if isinstance(reply, Exception):
                error = error or reply  # the others would only be refused one after another
            else:
                yield number, reply
    if error is not None:
        raise error


def _to_change(reason: str, body: dict[str, Any]) -> tuple[str, str]:
    """The part of a request that a server stumbled over, and its name there; ('', '') for none."""
    for word, (name, instead) in _PARTS.items():
        if word in reason and name in body:
            return name, instead
    if _FORM not in body:
        return "", ""
    return _FORM, "" if body[_FORM]["type"] == _ANY_OBJECT else _ANY_OBJECT


def _why(error: Exception) -> str:
    """In words, without what urllib and the operating system put around them."""
    reason = getattr(error, "reason", error)
    told = getattr(reason, "strerror", None) or str(reason)
    return str(told).rstrip(".") or type(error).__name__


def _count(usage: Any, name: str) -> int | None:
    number = usage.get(name) if isinstance(usage, dict) else None
    return number if isinstance(number, int) else None


def _retry_after(value: str) -> float:
    """Seconds of the header, which has seconds or a date; 0 for anything else."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _told(message: Message) -> dict[str, Any]:
    if not message.pictures:
        return {"role": message.role, "content": message.text}
    shown = [
        {"type": "image_url", "image_url": {"url": _data_url(picture)}}
        for picture in message.pictures
    ]
    return {"role": message.role, "content": [{"type": "text", "text": message.text}, *shown]}


def _data_url(picture: RGB8) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
