"""A server is reached where its address says and nowhere else; forms that it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from imgedit_modelkit.language.addresses import is_on_this_computer
from imgedit_modelkit.language.chats import Chat, Message
from imgedit_modelkit.language.endpoint import KEY_VARIABLE, Endpoint, EndpointError
from imgedit_modelkit.language.testing import Said, chat_server, text

CHAT = Chat((Message("user", "?"),), schema={"type": "object"})


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.3.2.1/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://LOCALHOST./v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://api.localhost/v1", True),
        ("http://0.0.0.0:8000/v1", False),
        ("http://192.168.1.7:8000/v1", False),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://127.0.0.1@example.com/v1", False),
        ("http://localhost.example.com/v1", False),
        ("http://example.com/127.0.0.1", False),
        ("http://[::1/v1", False),
        ("https://api.example.com/v1", False),
        ("", False),
    ],
)
def test_which_addresses_are_of_this_computer(address: str, here: bool) -> None:
    assert is_on_this_computer(address) == here


def test_a_redirection_takes_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    for status in (301, 302, 303, 307, 308):
        with chat_server(lambda *_: text("mine now")) as (other, stolen):
            away = Said(b"", status, headers={"Location": f"{other}/chat/completions"})
            with (
                chat_server(lambda *_, away=away: away) as (address, _),
                pytest.raises(EndpointError, match=f"refuses: {status}"),
            ):
                Endpoint(address, "tiny", pause=0.01).replies([CHAT])
            assert not stolen


def test_no_proxy_sees_what_goes_to_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(lambda *_: text("by proxy")) as (proxy, seen):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        with chat_server(lambda *_: text("hello")) as (address, _):
            (reply,) = Endpoint(address, "tiny", pause=0.01).replies([CHAT])
        assert reply.text == "hello"
        assert not seen


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    ("known", "asked_for"),
    [
        ("json_schema", ["json_schema"]),
        ("json_object", ["json_schema", "json_object"]),
        ("", ["json_schema", "json_object", ""]),
    ],
)
def test_forms_that_a_server_does_not_know(status: int, known: str, asked_for: list[str]) -> None:
    def answer(body: dict[str, Any], _: Any) -> Said:
        kind = body.get("response_format", {}).get("type", "")
        if kind and kind != known:
            return Said(b"Failed to parse grammar", status)
        return text(kind or "plain")

    with chat_server(answer) as (address, bodies):
        endpoint = Endpoint(address, "tiny", pause=0.01)
        for _ in range(2):
            (reply,) = endpoint.replies([CHAT])
            assert reply.text == (known or "plain")
    kinds = [body.get("response_format", {}).get("type", "") for body in bodies]
    assert kinds == [*asked_for, asked_for[-1]], "the second time it is asked in the right form"


def test_a_failure_for_another_reason_is_not_taken_for_a_form() -> None:
    statuses = iter([500, 200])

    def answer(*_: Any) -> Said:
        return text("hello") if next(statuses) == 200 else Said(b"out of memory", 500)

    with chat_server(answer) as (address, bodies):
        Endpoint(address, "tiny", pause=0.01).replies([CHAT])
    assert [body["response_format"]["type"] for body in bodies] == ["json_schema"] * 2


def test_a_refusal_is_told() -> None:
    said = {"choices": [{"message": {"content": None, "refusal": "I cannot do that."}}]}
    with chat_server(lambda *_: Said(said)) as (address, _):
        (reply,) = Endpoint(address, "tiny", pause=0.01).replies([CHAT])
    assert not reply.text
    assert "refuses to answer: I cannot do that." in reply.fault


def test_the_models_of_a_server() -> None:
    with chat_server(lambda *_: text("?"), models=("one", "two")) as (address, _):
        assert Endpoint(address, "").models() == ["one", "two"]
        with pytest.raises(EndpointError, match="does not tell its models"):
            Endpoint(f"{address}/other", "").models()
