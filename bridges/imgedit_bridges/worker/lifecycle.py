"""From the worker's first moment to its last: lock, socket, state file, idle end, tidying up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import (
    Places,
    WorkerLock,
    WorkerState,
    find_places,
    private_folder,
    read_state,
    socket_fits,
    write_state,
)
from imgedit_bridges.protocol import PROTOCOL
from imgedit_bridges.worker.executor import Executor
from imgedit_bridges.worker.pixel_store import PixelStore, pixel_folder
from imgedit_bridges.worker.queue import JobQueue
from imgedit_bridges.worker.server import Service, WorkerServer, make_app
from imgedit_bridges.worker.settings import Settings
from imgedit_plugins import __version__, _version, large_pages

log = logging.getLogger("imgedit.worker")

ALREADY_RUNNING = 75
"""Exit code of a worker that found another one."""

_LOCK_SECONDS = 0.3
_LOG_BYTES = 1 << 20
_OLD_LOGS = 3
_TIDY_SECONDS = 1.0


def run_worker(folder: str | None = None) -> int:
    """Be the worker until it ends; returns the exit code.

    Args:
        folder: where whoever started it looks for it; by default the user's own place.

    Raises:
        BridgeError, ImgeditError, OSError: it cannot start.
    """
    settings = Settings.from_environment()
    os.environ.update(large_pages.asked_for(os.environ))  # for the processes that do the work
    places = Places(private_folder(Path(folder))) if folder else find_places()
    lock = _lock(places)
    if lock is None:
        return ALREADY_RUNNING
    _log_to(places)
    try:
        with _listening(places, tcp=settings.tcp) as (listener, address):
            asyncio.run(_serve(places, settings, listener, address))
    except Exception:
        log.exception("The worker ended by an error.")
        raise
    finally:
        with contextlib.suppress(OSError):
            places.state.unlink()
        lock.release()
    return 0


async def _serve(places: Places, settings: Settings, listener: socket.socket, address: str) -> None:
    folder = pixel_folder(places, settings)
    store = PixelStore(folder, settings.keep)
    executor = Executor(folder, settings.memory)
    queue = JobQueue(store, executor, settings.keep)
    token = secrets.token_urlsafe(32)
    state = WorkerState(
        protocol=PROTOCOL,
        pid=os.getpid(),
        address=address,
        token=token,
        version=__version__,
        python=sys.executable,
        pixels=str(folder),
        started=time.time(),
    )

    def stop() -> None:
        server.should_exit = True

    service = Service(queue, store, stop, state.pid, state.started, time.monotonic())
    server = WorkerServer(make_app(service, token), queue.close)
    _stop_on_signals(stop)
    queue.start()
    write_state(places, state)
    log.info("Started: process %d, %s, version %s.", state.pid, address, __version__)
    tidying = asyncio.create_task(_tidy(service, places, settings, state))
    try:
        await server.serve([listener])
    finally:
        tidying.cancel()
        await queue.close()
        store.clear()
        log.info("Ended.")


async def _tidy(service: Service, places: Places, settings: Settings, state: WorkerState) -> None:
    """Let results expire, and end the worker when it is of no use (any more)."""
    code = _code()
    while True:
        await asyncio.sleep(min(_TIDY_SECONDS, settings.idle / 4, settings.keep / 4))
        service.queue.expire()
        service.store.expire()
        idle = time.monotonic() - service.last_request
        if service.queue.busy:
            service.last_request = time.monotonic()
        elif idle > settings.idle:
            log.info("Nobody needed the worker for %.0f seconds.", idle)
            service.stop()
        elif _code() != code:
            log.info("imgedit-plugins was installed anew.")
            service.stop()
        if not _still_known(places, state):
            log.info("The state file is gone, nobody can find this worker.")
            service.stop()


def _code() -> tuple[int, int] | None:
    """Changes when another version of this package takes the place of the running one."""
    try:
        found = Path(_version.__file__).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _still_known(places: Places, state: WorkerState) -> bool:
    try:
        return read_state(places) == state
    except BridgeError:
        return False


def _lock(places: Places) -> WorkerLock | None:
    """The lock; those who look whether there is a worker hold it for a moment."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        lock = WorkerLock.acquire(places)
        if lock is not None or time.monotonic() > deadline:
            return lock
        time.sleep(0.02)


@contextlib.contextmanager
def _listening(places: Places, *, tcp: bool) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its address; what a dead worker left is removed."""
    for left in (places.socket, places.state):
        with contextlib.suppress(FileNotFoundError):
            left.unlink()
    if tcp or not hasattr(socket, "AF_UNIX") or not socket_fits(places.socket):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            yield listener, f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(places.socket))
        finally:
            os.umask(before)
        listener.listen(128)
        try:
            yield listener, f"unix:{places.socket}"
        finally:
            with contextlib.suppress(FileNotFoundError):
                places.socket.unlink()


def _stop_on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: stop())


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """A log that only its user can read, however it is made anew."""

    def _open(self):  # type: ignore[no-untyped-def]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")


def _log_to(places: Places) -> None:
    handler = _PrivateLog(places.log, maxBytes=_LOG_BYTES, backupCount=_OLD_LOGS)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It tells of each start and stop, which we do ourselves, and of strangers' bad requests.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def log_files(places: Places) -> list[Path]:
    """The log and its older parts, newest first."""
    older = [Path(f"{places.log}.{number}") for number in range(1, _OLD_LOGS + 1)]
    return [path for path in (places.log, *older) if path.is_file()]
