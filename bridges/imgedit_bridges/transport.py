"""Requests to the worker: HTTP/1.1 over its Unix socket, or over loopback TCP."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from typing import Any

from imgedit_bridges.errors import BridgeError, MessageError
from imgedit_bridges.locations import WorkerState
from imgedit_bridges.protocol import BEAT_SECONDS, CLIENT_HEADER, HOST, MAX_BODY
from imgedit_bridges.strict_json import decode, encode

ANSWER_SECONDS = 3.0
"""A worker that does not answer within this time is taken for dead."""

STREAM_SECONDS = 3.0 * BEAT_SECONDS
"""The same for a stream of events, in which it tells that it lives every `BEAT_SECONDS`."""

_LARGEST_ANSWER = 16 * MAX_BODY


class WorkerGoneError(BridgeError):
    """The worker does not answer, or ended in the middle of an answer."""


class RefusedError(BridgeError):
    """The worker answered and refused. `status` is HTTP's."""

    def __init__(self, message: str, *, hint: str = "", status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class _Connection(http.client.HTTPConnection):
    """HTTP to one of the two kinds of addresses."""

    def __init__(self, address: str, seconds: float) -> None:
        super().__init__(HOST, timeout=seconds)
        self._kind, _, self._where = address.partition(":")

    def connect(self) -> None:
        if self._kind == "unix":
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._where)
        else:
            host, _, port = self._where.rpartition(":")
            self.sock = socket.create_connection((host, int(port)), self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def request(
    state: WorkerState,
    method: str,
    path: str,
    body: object = None,
    *,
    client: str = "",
    seconds: float = ANSWER_SECONDS,
) -> dict[str, Any]:
    """One request and its answer.

    Raises:
        RefusedError: the worker says no, and why.
        WorkerGoneError: it does not answer in time, or what answers is no worker.
    """
    connection = _Connection(state.address, seconds)
    try:
        answer = _send(connection, state, method, path, body, client)
        return _read(answer.status, answer.read(_LARGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _gone(error) from error
    finally:
        connection.close()


def stream(state: WorkerState, path: str, *, client: str = "") -> Iterator[dict[str, Any]]:
    """The lines of a streamed answer, each as soon as it is there.

    Raises:
        RefusedError, WorkerGoneError: as `request`; also when nothing came for `STREAM_SECONDS`.
    """
    connection = _Connection(state.address, STREAM_SECONDS)
    try:
        answer = _send(connection, state, "GET", path, None, client)
        if answer.status != 200:
            _read(answer.status, answer.read(_LARGEST_ANSWER))
        while line := answer.readline(_LARGEST_ANSWER):
            yield _object(line)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _gone(error) from error
    finally:
        connection.close()


def _send(
    connection: _Connection, state: WorkerState, method: str, path: str, body: object, client: str
) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {state.token}", "Connection": "close"}
    if client:
        headers[CLIENT_HEADER] = client
    data = None
    if body is not None:
        data = encode(body)
        headers["Content-Type"] = "application/json"
        if len(data) > MAX_BODY:
            raise RefusedError(
                f"The request has {len(data)} bytes, more than {MAX_BODY}.", status=413
            )
    connection.request(method, path, body=data, headers=headers)
    return connection.getresponse()


def _read(status: int, text: bytes) -> dict[str, Any]:
    answer = _object(text)
    if 200 <= status < 300:
        return answer
    error = answer.get("error")
    if not isinstance(error, dict):
        error = {}
    message = str(error.get("message") or f"The worker refused the request ({status}).")
    raise RefusedError(message, hint=str(error.get("hint") or ""), status=status)


def _object(text: bytes) -> dict[str, Any]:
    try:
        answer = decode(text)
    except MessageError as error:
        raise ValueError(f"no answer of a worker: {error}") from error
    if not isinstance(answer, dict):
        raise ValueError("no answer of a worker")  # noqa: TRY004 (the caller's kind of error)
    return answer


def _gone(error: Exception) -> WorkerGoneError:
    why = str(error) or type(error).__name__
    return WorkerGoneError(
        f"The worker does not answer ({why.rstrip('.')}).",
        hint="Run the action again: a new worker is started.",
    )
