"""A vision-language model behind a real HTTP server that speaks OpenAI's protocol."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.torch

from imgedit_mgie.data.endpoint import KEY_VARIABLE, Endpoint, EndpointError  # noqa: E402
from imgedit_mgie.data.prepare import prepare  # noqa: E402
from imgedit_mgie.data.prepared import read_prepared  # noqa: E402
from imgedit_plugins.errors import JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.requests import DataRequest  # noqa: E402

Answer = Callable[[dict[str, Any], dict[str, str]], tuple[int, Any]]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answers each request by a function; yields the address and the bodies that came."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            assert self.path == "/v1/chat/completions"
            status, content = answer(body, dict(self.headers))
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/v1", asked
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def said(text: str | None) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def seen(body: dict[str, Any]) -> tuple[str, np.ndarray[Any, Any]]:
    """The question and the picture of a request."""
    text, picture = body["messages"][0]["content"]
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    return text["text"], np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def pictures(*shades: int) -> list[Any]:
    return [np.full((20, 30, 3), shade, np.uint8) for shade in shades]


def test_questions_and_pictures_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")

    def answer(body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        assert headers["Authorization"] == "Bearer secret"
        question, picture = seen(body)
        return said(f" {question} {picture.shape} {int(picture.mean())} ")

    with server(answer) as (address, asked):
        found = Endpoint(address, "llava").answers(
            pictures(10, 200), ["one?", "two?"], max_new_tokens=7
        )
    assert found == ["one? (20, 30, 3) 10", "two? (20, 30, 3) 200"]
    assert {(body["model"], body["max_tokens"], body["temperature"]) for body in asked} == {
        ("llava", 7, 0)
    }


def test_a_busy_server_is_asked_again() -> None:
    busy = iter([503, 429, 200])

    def answer(*_: Any) -> tuple[int, Any]:
        status = next(busy)
        return said("The sky is red.") if status == 200 else (status, b"wait")

    with server(answer) as (address, asked):
        endpoint = Endpoint(address, "llava", pause=0.01)
        assert endpoint.answers(pictures(1), ["?"], max_new_tokens=7) == ["The sky is red."]
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("reply", "told", "requests"),
    [
        ((401, b"no key"), "refuses: 401 Unauthorized. no key", 1),
        ((404, b"no such model"), "no such model", 1),
        ((503, b""), "does not answer after 2 attempts: 503", 2),
        ((200, b"<html>"), "does not answer after 2 attempts", 2),
        ((200, {"choices": []}), "answered no text", 1),
    ],
)
def test_what_does_not_answer_is_told(reply: tuple[int, Any], told: str, requests: int) -> None:
    with server(lambda *_: reply) as (address, asked):
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

    def answer(*_: Any) -> tuple[int, Any]:
        done.wait(20)
        return said("late")

    job = Job()
    with server(answer) as (address, _):
        threading.Timer(0.5, job.cancel).start()
        began = time.monotonic()
        with pytest.raises(JobCancelledError):
            Endpoint(address, "llava").answers(
                pictures(1), ["?"], max_new_tokens=7, on_token=job.check
            )
        assert time.monotonic() - began < 10
        done.set()


def test_prepare_with_an_endpoint(pairs: Path, models: dict[str, str], tmp_path: Path) -> None:
    def answer(body: dict[str, Any], _: dict[str, str]) -> tuple[int, Any]:
        question, _picture = seen(body)
        if "'make the sky 3'" in question:
            return said("Alternatively, nothing.")  # nothing of it is usable
        return said(f"The sky is red. It is warm light. {question} Alternatively, no.")

    with server(answer) as (address, _):
        options = {
            "pairs": str(pairs), "endpoint": address, "endpoint-model": "llava",
            "summariser": models["summariser"], "shard-rows": 5, "batch-size": 3,
        }  # fmt: skip
        job = Job()
        report = prepare(DataRequest(recipe="prepare", out=tmp_path / "out", options=options), job)
    assert (report.rows, report.details["skipped"]) == (12, 6)
    rows = read_prepared(tmp_path / "out", Job())
    assert {row.expressive for row in rows} == {"The sky is red. It is warm light."}
    assert {row.provenance["describer"] for row in rows} == {f"llava at {address}"}
    reasons = [
        entry["reason"]
        for path in (tmp_path / "out").glob("shard-*/skipped.json")
        for entry in json.loads(path.read_text())
    ]
    assert reasons.count("the model's answer has no usable sentence") == 2
    pictures_there = {path.name for path in (tmp_path / "out").glob("shard-*/*.jpg")}
    assert len(pictures_there) == 24
