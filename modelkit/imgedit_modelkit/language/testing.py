"""A server that speaks OpenAI's protocol and answers as a test says, for tests of plugins."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Said:
    """What the server does with one request.

    Attributes:
        content: the body: bytes as they are, everything else as JSON.
        status: of HTTP.
        headers: further ones.
        delay: seconds before anything is sent.
        cut: close the connection after so many bytes of the body; None sends it whole.
    """

    content: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


Answer = Callable[[dict[str, Any], Mapping[str, str]], Said]
"""From the body and the headers of a request."""


def text(content: str | None, *, ended: bool = True, **fields: Any) -> Said:
    """An answer that is well formed; `fields` as `Said` has them."""
    choice = {
        "message": {"role": "assistant", "content": content},
        "finish_reason": "stop" if ended else "length",
    }
    usage = {"prompt_tokens": 7, "completion_tokens": len((content or "").split())}
    return Said({"choices": [choice], "usage": usage}, **fields)


@contextmanager
def chat_server(
    answer: Answer, models: Sequence[str] = ("tiny",)
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server on this machine that names these models; yields its address and the bodies."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = {"data": [{"id": name} for name in models]}
            self._send(Said(listed, 200 if self.path == "/v1/models" else 404))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            said = answer(body, dict(self.headers))
            time.sleep(said.delay)
            self._send(said if self.path == "/v1/chat/completions" else Said(status=404))

        def _send(self, said: Said) -> None:
            data = said.content
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(data)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: said.cut])

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:  # clients that went away
            pass

    listening = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/v1", asked
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
