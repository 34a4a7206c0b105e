"""The worker's HTTP side: its routes, and the server that listens on a socket given to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from imgedit_bridges.errors import BridgeError, MessageError
from imgedit_bridges.protocol import (
    CLIENT_HEADER,
    FEATURES,
    PROTOCOLS,
    is_client,
    is_id,
    parse_job,
    parse_pixels,
)
from imgedit_bridges.strict_json import decode, encode
from imgedit_bridges.worker.actions import all_actions
from imgedit_bridges.worker.guard import Guard
from imgedit_bridges.worker.pixel_store import PixelStore
from imgedit_bridges.worker.queue import JobQueue
from imgedit_bridges.worker.settings import WorkerError
from imgedit_plugins import __version__

log = logging.getLogger("imgedit.worker")

HEAD_SECONDS = 3.0
"""So long the head of a request may take to arrive."""

_CONNECTIONS = 512
_LARGEST_HEAD = 16_384  # bytes


@dataclass
class Service:
    """What the routes work on.

    Attributes:
        queue, store: jobs and pixel files.
        stop: ends the worker.
        pid: of the worker.
        started: seconds since 1970.
        last_request: when the last request came, by `time.monotonic`.
    """

    queue: JobQueue
    store: PixelStore
    stop: Callable[[], None]
    pid: int
    started: float
    last_request: float

    async def hello(self, _: Request) -> Response:
        """Who answers."""
        states = [job.state for job in self.queue.all()]
        counts = {state: states.count(state) for state in sorted(set(states))}
        return _json(
            {
                "protocols": list(PROTOCOLS),
                "features": list(FEATURES),
                "version": __version__,
                "pid": self.pid,
                "started": self.started,
                "jobs": counts,
            }
        )

    async def actions(self, _: Request) -> Response:
        """What menus can offer, as installed right now."""
        return _json({"actions": await asyncio.to_thread(all_actions)})

    async def operations(self, _: Request) -> Response:
        """What plans can be made of, plugins' operations included."""
        return _json({"operations": await self.queue.operations()})

    async def new_pixels(self, request: Request) -> Response:
        """Make a pixel file."""
        size = parse_pixels(decode(await request.body()))
        file_id = self.store.create(size)
        self.queue.expect_job()
        return _json({"id": file_id, "file": file_id}, 201)

    async def drop_pixels(self, request: Request) -> Response:
        """Remove a pixel file."""
        if not self.store.remove(_id(request)):
            raise HTTPException(404)
        return _json({})

    async def new_job(self, request: Request) -> Response:
        """Queue a job."""
        client = request.headers.get(CLIENT_HEADER, "unnamed")
        if not is_client(client):
            raise MessageError(CLIENT_HEADER, "it is no name of a client")
        job = self.queue.submit(client, parse_job(decode(await request.body())))
        return _json({"job": job.id}, 201)

    async def jobs(self, _: Request) -> Response:
        """All jobs."""
        return _json({"jobs": [job.summary() for job in self.queue.all()]})

    async def job(self, request: Request) -> Response:
        """One job."""
        return _json(self.queue.get(_id(request)).summary())

    async def events(self, request: Request) -> Response:
        """A job's events, streamed until its end."""
        job = self.queue.get(_id(request))
        after = request.query_params.get("after", "0")
        if not after.isascii() or not after.isdigit() or len(after) > 12:
            raise MessageError("after", "a whole number is needed")

        async def lines() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(job.follow(int(after))) as told:
                async for event in told:
                    self.last_request = time.monotonic()
                    yield encode(event) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def cancel(self, request: Request) -> Response:
        """Cancel or forget a job."""
        self.queue.cancel(_id(request))
        return _json({})

    async def shutdown(self, _: Request) -> Response:
        """End the worker."""
        log.info("Asked to stop.")
        asyncio.get_running_loop().call_later(0.05, self.stop)
        return _json({})


def make_app(service: Service, token: str) -> ASGIApp:
    """The application with its guard."""
    routes = [
        Route("/v1/hello", service.hello),
        Route("/v1/actions", service.actions),
        Route("/v1/operations", service.operations),
        Route("/v1/pixels", service.new_pixels, methods=["POST"]),
        Route("/v1/pixels/{id}", service.drop_pixels, methods=["DELETE"]),
        Route("/v1/jobs", service.jobs),
        Route("/v1/jobs", service.new_job, methods=["POST"]),
        Route("/v1/jobs/{id}", service.job),
        Route("/v1/jobs/{id}", service.cancel, methods=["DELETE"]),
        Route("/v1/jobs/{id}/events", service.events),
        Route("/v1/shutdown", service.shutdown, methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {
        BridgeError: _refused,
        WorkerError: _refused,
        HTTPException: _unknown,
        Exception: _unexpected,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        service.last_request = time.monotonic()
        await app(scope, receive, send)

    return Guard(noted, token)


class WorkerServer(uvicorn.Server):
    """The server; signals are the worker's own affair, and jobs end before connections.

    Args:
        app: the application.
        closing: awaited before connections are closed.
    """

    def __init__(self, app: ASGIApp, closing: Callable[[], Any]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_TimedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                timeout_graceful_shutdown=1,
            )
        )
        self._closing = closing

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again before we have tidied up."""
        yield

    async def shutdown(self, sockets: Any = None) -> None:
        """End jobs, then connections."""
        await self._closing()
        await super().shutdown(sockets)


class _TimedProtocol(H11Protocol):
    """HTTP/1.1 in which a request's head must arrive in time; uvicorn would wait for ever."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_timer()
        elif (before is None or before.response_complete) and self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


# --- answers ----------------------------------------------------------------------------------


def _id(request: Request) -> str:
    found = request.path_params["id"]
    if not is_id(found):
        raise HTTPException(404)
    return str(found)


def _json(data: dict[str, Any], status: int = 200) -> Response:
    return Response(encode(data), status, media_type="application/json")


def _error(status: int, message: str, hint: str = "") -> Response:
    return JSONResponse({"error": {"message": message, "hint": hint}}, status)


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, WorkerError) else 400
    return _error(status, getattr(error, "message", str(error)), getattr(error, "hint", ""))


async def _unknown(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _error(status, f"The worker has nothing there ({status}).")


async def _unexpected(_: Request, error: Exception) -> Response:
    what = type(error).__name__
    return _error(500, f"Something unexpected went wrong in the worker ({what}).")
