"""A model behind a real HTTP server that speaks OpenAI's protocol, well and badly."""

from __future__ import annotations

import base64
import email.utils
import io
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgedit_modelkit.language.chats import Chat, Message
from imgedit_modelkit.language.endpoint import KEY_VARIABLE, Endpoint, EndpointError
from imgedit_modelkit.language.testing import Said, chat_server, text
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job


def seen(body: dict[str, Any]) -> tuple[str, np.ndarray[Any, Any]]:
    """The question and the picture of a request."""
    question, picture = body["messages"][0]["content"]
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    return question["text"], np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def pictures(*shades: int) -> list[Any]:
    return [np.full((20, 30, 3), shade, np.uint8) for shade in shades]


def test_questions_and_pictures_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")

    def answer(body: dict[str, Any], headers: Mapping[str, str]) -> Said:
        assert headers["Authorization"] == "Bearer secret"
        question, picture = seen(body)
        return text(f" {question} {picture.shape} {int(picture.mean())} ")

    with chat_server(answer) as (address, asked):
        found = Endpoint(address, "llava").answers(
            pictures(10, 200), ["one?", "two?"], max_new_tokens=7
        )
    assert found == ["one? (20, 30, 3) 10", "two? (20, 30, 3) 200"]
    assert {(body["model"], body["max_tokens"], body["temperature"]) for body in asked} == {
        ("llava", 7, 0)
    }


def test_a_busy_server_is_asked_again() -> None:
    busy = iter([503, 429, 200])

    def answer(*_: Any) -> Said:
        status = next(busy)
        return text("The sky is red.") if status == 200 else Said(b"wait", status)

    with chat_server(answer) as (address, asked):
        endpoint = Endpoint(address, "llava", pause=0.01)
        assert endpoint.answers(pictures(1), ["?"], max_new_tokens=7) == ["The sky is red."]
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("reply", "told", "requests"),
    [
        (Said(b"no key", 401), "refuses: 401 Unauthorized. no key", 1),
        (Said(b"no such model", 404), "no such model", 1),
        (Said(b"", 503), "does not answer after 2 attempts: 503", 2),
        (Said(b"<html>"), "does not answer after 2 attempts", 2),
        (Said({"choices": []}), "answered no text", 1),
    ],
)
def test_what_does_not_answer_is_told(reply: Said, told: str, requests: int) -> None:
    with chat_server(lambda *_: reply) as (address, asked):
        endpoint = Endpoint(address, "llava", attempts=2, pause=0.01)
        with pytest.raises(EndpointError, match=told):
            endpoint.answers(pictures(1), ["?"], max_new_tokens=7)
    assert len(asked) == requests


def test_nobody_there() -> None:
    endpoint = Endpoint("http://127.0.0.1:1/v1", "llava", attempts=2, pause=0.01)
    with pytest.raises(EndpointError, match="does not answer after 2 attempts"):
        endpoint.answers(pictures(1), ["?"], max_new_tokens=7)
    with pytest.raises(EndpointError, match="no address that begins with http"):
        Endpoint("file:///etc", "llava").answers(pictures(1), ["?"], max_new_tokens=7)


def test_waiting_can_be_cancelled() -> None:
    done = threading.Event()

    def answer(*_: Any) -> Said:
        done.wait(20)
        return text("late")

    job = Job()
    with chat_server(answer) as (address, _):
        threading.Timer(0.5, job.cancel).start()
        began = time.monotonic()
        with pytest.raises(JobCancelledError):
            Endpoint(address, "llava").answers(
                pictures(1), ["?"], max_new_tokens=7, on_token=job.check
            )
        assert time.monotonic() - began < 10
        done.set()


# --- conversations ----------------------------------------------------------------------------


def ask(said: str = "?", **fields: Any) -> Chat:
    return Chat((Message("user", said),), **fields)


def test_a_conversation_arrives_as_it_is() -> None:
    turns = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))
    schema = {"type": "object"}
    with chat_server(lambda *_: text(" one two ", ended=False)) as (address, asked):
        (reply,) = Endpoint(address, "m").replies([Chat(turns, 9, 0.7, 2**40 + 5, schema)])
    assert (reply.text, reply.ended, reply.tokens_in, reply.tokens_out) == ("one two", False, 7, 2)
    (body,) = asked
    assert body["messages"] == [
        {"role": role, "content": said} for role, said in zip(
            ("system", "user", "assistant"), "sua", strict=True
        )
    ]  # fmt: skip
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (9, 0.7, 5)
    assert body["response_format"]["json_schema"]["schema"] == schema


def test_many_questions_are_asked_at_the_same_time() -> None:
    with chat_server(lambda body, _: text(body["messages"][0]["content"], delay=0.3)) as (
        address,
        _asked,
    ):
        began = time.monotonic()
        found = Endpoint(address, "m", parallel=20).replies([ask(str(n)) for n in range(20)])
    assert [reply.text for reply in found] == [str(n) for n in range(20)]
    assert time.monotonic() - began < 20 * 0.3
    assert Endpoint("nowhere", "m").replies([]) == []


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(kind: str) -> None:
    # A date has whole seconds: 3 s from now are at least 2.
    wait = "1" if kind == "seconds" else email.utils.formatdate(time.time() + 3, usegmt=True)
    came: list[float] = []

    def answer(*_: Any) -> Said:
        came.append(time.monotonic())
        return text("now") if len(came) > 1 else Said(b"", 429, {"Retry-After": wait})

    with chat_server(answer) as (address, _):
        (reply,) = Endpoint(address, "m", pause=0.01).replies([ask()])
    assert reply.text == "now"
    assert came[1] - came[0] > (0.9 if kind == "seconds" else 1.5)


def test_a_server_that_wants_to_be_left_alone_for_long_ends_the_work() -> None:
    with (
        chat_server(lambda *_: Said(b"", 429, {"Retry-After": "3600"})) as (address, asked),
        pytest.raises(EndpointError, match="left alone for 3600 s") as told,
    ):
        Endpoint(address, "m", pause=0.01).replies([ask()])
    assert "goes on from here" in told.value.hint
    assert len(asked) == 1


@pytest.mark.parametrize("wait", ["soon", "-5", "", "nan"])
def test_a_foolish_retry_after_is_no_reason_to_fail(wait: str) -> None:
    said = iter([Said(b"", 503, {"Retry-After": wait}), text("well")])
    with chat_server(lambda *_: next(said)) as (address, _):
        assert Endpoint(address, "m", pause=0.01).replies([ask()])[0].text == "well"


@pytest.mark.parametrize(
    "fault",
    [
        text("a long answer", cut=20),
        text("late", delay=2.0),
        Said(b'{"choices": [{"mess'),
        Said(b"\xff\xfe not text"),
        Said(b"", 500),
    ],
    ids=["closed", "late", "half", "bytes", "500"],
)
def test_faults_that_pass_are_waited_out(fault: Said) -> None:
    said = iter([fault, fault, text("well")])
    with chat_server(lambda *_: next(said)) as (address, asked):
        endpoint = Endpoint(address, "m", pause=0.01, timeout=0.5)
        assert endpoint.replies([ask()])[0].text == "well"
    assert len(asked) == 3


@pytest.mark.parametrize("content", [{"choices": []}, {"error": "x"}, [], "x", None])
def test_an_answer_without_text_is_no_end_of_the_others(content: Any) -> None:
    def answer(body: dict[str, Any], _: Mapping[str, str]) -> Said:
        return text("well") if body["messages"][0]["content"] == "good" else Said(content)

    with chat_server(answer) as (address, _):
        bad, good = Endpoint(address, "m").replies([ask("bad"), ask("good")])
    assert (bad.text, good.text, good.fault) == ("", "well", "")
    assert "answered no text" in bad.fault


def test_one_refusal_ends_all() -> None:
    def answer(body: dict[str, Any], _: Mapping[str, str]) -> Said:
        if body["messages"][0]["content"] == "0":
            return Said(b"no key", 401)
        return text("late", delay=5.0)

    with chat_server(answer) as (address, _):
        began = time.monotonic()
        with pytest.raises(EndpointError, match="no key"):
            Endpoint(address, "m").replies([ask(str(n)) for n in range(4)])
        assert time.monotonic() - began < 4


def test_parts_that_a_server_does_not_know_are_left_out_from_then_on() -> None:
    def answer(body: dict[str, Any], _: Mapping[str, str]) -> Said:
        if "max_tokens" in body:
            return Said(b"Use 'max_completion_tokens' instead of 'max_tokens'.", 400)
        if "temperature" in body:
            return Said(b"'temperature' does not support 0.7 with this model.", 400)
        return Said(b"what is this?", 422) if "response_format" in body else text("well")

    with chat_server(answer) as (address, asked):
        endpoint = Endpoint(address, "m", pause=0.01)
        chat = ask(temperature=0.7, schema={"type": "object"}, max_new_tokens=9)
        assert [endpoint.replies([chat])[0].text for _ in range(2)] == ["well", "well"]
    assert len(asked) == 6  # the schema gives way to any object, and that to any text
    assert set(asked[-1]) == {"model", "messages", "max_completion_tokens"}
    assert asked[-1]["max_completion_tokens"] == 9


def test_a_request_that_stays_wrong_is_told() -> None:
    with (
        chat_server(lambda *_: Said(b"bad words", 400)) as (address, asked),
        pytest.raises(EndpointError, match="refuses: 400 Bad Request\\. bad words"),
    ):
        Endpoint(address, "m", pause=0.01).replies([ask(schema={})])
    assert len(asked) == 3


def test_waiting_for_a_busy_server_can_be_cancelled() -> None:
    job, before = Job(), set(threading.enumerate())
    with chat_server(lambda *_: Said(b"", 429, {"Retry-After": "30"})) as (address, _):
        threading.Timer(0.5, job.cancel).start()
        began = time.monotonic()
        with pytest.raises(JobCancelledError):
            Endpoint(address, "m").replies([ask()], job.check)
        assert time.monotonic() - began < 10
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("ThreadPool"):  # none sleeps on after its work is gone
                thread.join(5)
                assert not thread.is_alive()


def test_a_program_that_is_cancelled_does_not_wait_for_the_server() -> None:
    program = """
import sys
from imgedit_modelkit.language.chats import Chat, Message
from imgedit_modelkit.language.endpoint import Endpoint

def cancel():
    raise SystemExit(3)

Endpoint(sys.argv[1], "m").replies([Chat((Message("user", "?"),))], cancel)
"""
    with chat_server(lambda *_: text("late", delay=30.0)) as (address, _):
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", program, address], check=False)
    assert done.returncode == 3
    assert time.monotonic() - began < 20
