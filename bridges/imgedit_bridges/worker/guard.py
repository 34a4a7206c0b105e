"""Who may come in: every request is looked at here before the application sees it.

The socket's folder is closed to other users; the token, `Host` and `Origin` keep out what reaches
a loopback port all the same: other users' programs, and web pages in the user's own browser.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imgedit_bridges.protocol import HOST, MAX_BODY

BODY_SECONDS = 10.0
"""So long a body may take to arrive."""

_LARGEST_HEAD = 16_384  # bytes
_LONGEST_PATH = 200
_METHODS = ("GET", "POST", "DELETE")


class Bucket:
    """So many requests at once, and so many a second in the long run."""

    def __init__(
        self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left = burst
        self._then = clock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Refusal(Exception):  # noqa: N818 (an answer rather than a fault)
    """A request that is not let in."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """ASGI middleware: token, Host, Origin, sizes, rates; it also reads the whole body.

    Args:
        app: what is behind it.
        token: that every request must bring.
        allowed, strangers: buckets of requests with and without the token; the latter cannot use
            up what the former have.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        allowed: Bucket | None = None,
        strangers: Bucket | None = None,
    ) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode("ascii")
        self._allowed = allowed or Bucket(1000, 500)
        self._strangers = strangers or Bucket(50, 10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # closes the connection: there are no web sockets here
        try:
            self._check(scope)
            body = await self._body(scope, receive)
        except Refusal as refusal:
            answer = {"error": {"message": refusal.message, "hint": ""}}
            # Closed, so that nothing of an unread body is taken for another request.
            headers = {"Connection": "close"}
            await JSONResponse(answer, refusal.status, headers)(scope, receive, send)
            return
        await self._app(scope, _Replayed(body, receive), send)

    def _check(self, scope: Scope) -> None:
        given: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.lower(), []).append(value)
        known = given.get(b"authorization", [])
        ours = len(known) == 1 and hmac.compare_digest(known[0], self._expected)
        if not (self._allowed if ours else self._strangers).take():
            raise Refusal(429, "There were too many requests in a short time.")
        if given.get(b"host") != [HOST.encode("ascii")]:
            raise Refusal(421, "Requests to the worker name another host.")
        if b"origin" in given or b"sec-fetch-site" in given:
            raise Refusal(403, "Web pages may not use the worker.")
        if not ours:
            raise Refusal(401, "The token is missing or wrong.")
        if scope["method"] not in _METHODS:
            raise Refusal(405, "Only GET, POST and DELETE are answered.")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _LARGEST_HEAD:
            raise Refusal(431, "The head of the request is too large.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_PATH:
            raise Refusal(414, "The path is too long.")
        _check_body_headers(scope["method"], given)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if scope["method"] != "POST":
            return b""
        parts: list[bytes] = []
        length = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "The request was not finished.")
                    parts.append(message.get("body", b""))
                    length += len(parts[-1])
                    if length > MAX_BODY:
                        raise Refusal(413, f"A body may have {MAX_BODY} bytes.")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(408, "The body took too long.") from None


def _check_body_headers(method: str, given: dict[bytes, list[bytes]]) -> None:
    lengths = given.get(b"content-length", [])
    if lengths and (not lengths[0].isdigit() or int(lengths[0]) > MAX_BODY):
        raise Refusal(413, f"A body may have {MAX_BODY} bytes.")
    if method != "POST":
        if b"transfer-encoding" in given or lengths not in ([], [b"0"]):
            raise Refusal(400, f"{method} has no body.")
        return
    kind = given.get(b"content-type", [b""])[0].partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refusal(415, "Bodies are application/json.")


class _Replayed:
    """A body that was read already, then whatever else comes of the connection."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()
