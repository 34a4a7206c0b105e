"""The process that carries out jobs, seen from the worker: started, given jobs, ended.

One child process does one job at a time. It may crash or hang, since plugins are other people's
code: its death is one failed job, and another child takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from imgedit_bridges.strict_json import encode
from imgedit_bridges.worker import child
from imgedit_bridges.worker.output import OutputPipe

log = logging.getLogger("imgedit.worker")

CANCEL_SECONDS = 0.7
"""So long a cancelled job may take to stop by itself; then its process is ended."""

READY_SECONDS = 60.0

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Death:
    """The end of a child process.

    Attributes:
        code: negative for a signal.
        started: whether it had come so far that it could do jobs.
    """

    code: int | None
    started: bool


def installed() -> tuple[int, ...]:
    """Changes whenever a package is installed into, or removed from, this Python's folders."""
    found = []
    for place in sys.path:
        with contextlib.suppress(OSError):
            found.append(Path(place or ".").stat().st_mtime_ns)
    return tuple(found)


class _Child:
    """One child process and the threads that listen to it."""

    def __init__(self, folder: Path, memory: int, loop: asyncio.AbstractEventLoop) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Connection[Any, Any] = ours
        self._output = OutputPipe(context)
        self._loop = loop
        self.ready: asyncio.Future[list[Any]] = loop.create_future()
        self.ended: asyncio.Future[Death] = loop.create_future()
        self.tell: Tell | None = None
        # Not a daemon: those may have no children, and plugins may need some.
        self.process = context.Process(
            target=child.main,
            args=(theirs, self._output.writer, str(folder), memory),
            name="imgedit-executor",
            daemon=False,
        )
        # In this thread, which lives as long as the worker: the child asks to die with it.
        self.process.start()
        theirs.close()
        self._output.started()
        self._reader = threading.Thread(target=self._listen, daemon=True, name="executor-pipe")
        self._reader.start()
        threading.Thread(target=self._watch, daemon=True, name="executor-end").start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; lost where the child is dead, whose end is told elsewhere."""
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(encode(message))

    def kill(self) -> None:
        """End the child and whatever processes it has started."""
        pid = self.process.pid
        if pid is None:
            return
        if os.name == "posix":
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()

    def _listen(self) -> None:
        while True:
            try:
                message = json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                return
            except ValueError:
                log.warning("The executor said something that is no message.")
                continue
            if isinstance(message, dict):
                self._call(self._received, message)

    def _received(self, message: dict[str, Any]) -> None:
        if message.get("event") == "ready":
            if not self.ready.done():
                self.ready.set_result(message["operations"])
        elif self.tell is not None:
            self.tell(message)

    def _watch(self) -> None:
        # Not by the end of the pipe: processes that the child has forked hold it open.
        self.process.join()
        self._reader.join(0.3)  # what it said last comes first
        self._call(self._over, self.process.exitcode)

    def _over(self, code: int | None) -> None:
        self.kill()  # what it has started may outlive it
        if not self.ended.done():
            self.ended.set_result(Death(code, started=self.ready.done()))

    def _call(self, function: Callable[..., None], argument: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function, argument)


class Executor:
    """Runs jobs one after another in a child process.

    Args:
        folder: of the pixel files.
        memory: MiB of address space for the child; 0 for no limit.
    """

    def __init__(self, folder: Path, memory: int) -> None:
        self._folder = folder
        self._memory = memory
        self._child: _Child | None = None
        self._installed = installed()
        self._cancelled = asyncio.Event()
        self._killer: asyncio.TimerHandle | None = None
        self._sent = False
        self._busy = False
        self._number = 0

    @property
    def pid(self) -> int | None:
        """Process id of the child, if there is one."""
        return self._child.process.pid if self._child else None

    def start(self) -> None:
        """Start the child, so that the first job need not wait for it."""
        self._alive()

    async def operations(self) -> list[Any] | None:
        """The vocabulary as the child has it, see `described`; None where it cannot be started."""
        # Not while a job runs: a child of other packages would take the place of its own.
        running = self._child if self._busy and self._child else self._alive()
        awaited: set[asyncio.Future[Any]] = {running.ready, running.ended}
        await asyncio.wait(awaited, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return running.ready.result() if running.ready.done() else None

    async def run(self, message: Mapping[str, Any], tell: Tell) -> dict[str, Any] | Death:
        """Carry out one job.

        Args:
            message: what `child` expects.
            tell: called with each event before the last.

        Returns:
            The last event ('done', 'failed', 'cancelled'), or how the process ended.
        """
        self._cancelled.clear()
        self._sent = False
        self._number += 1
        running = self._alive()
        self._busy = True
        try:
            if not running.ready.done():
                tell({"event": "progress", "stage": "Loading plugins", "done": 0, "total": 0})
            if (early := await self._until_ready(running)) is not None:
                return early
            return await self._until_final(running, {**message, "job_number": self._number}, tell)
        finally:
            self._busy = False
            running.tell = None
            if self._killer is not None:
                self._killer.cancel()
                self._killer = None
            if running.ended.done() and running.ready.done():
                self.start()  # one that died before it was ready is not tried again at once

    def cancel(self) -> None:
        """Ask the running job to stop; end its process where it does not."""
        if self._cancelled.is_set():
            return
        self._cancelled.set()
        running = self._child
        if running is not None and self._sent:
            running.send({"cancel": self._number})
            loop = asyncio.get_running_loop()
            self._killer = loop.call_later(CANCEL_SECONDS, running.kill)

    def close(self) -> None:
        """End the child for good."""
        if self._child is not None:
            self._child.kill()

    def _alive(self) -> _Child:
        now = installed()
        if self._child is not None and now != self._installed:
            log.info("Packages were installed or removed: plugins are looked for again.")
            self._child.kill()
            self._child = None
        self._installed = now
        if self._child is None or self._child.ended.done():
            self._child = _Child(self._folder, self._memory, asyncio.get_running_loop())
        return self._child

    async def _until_ready(self, running: _Child) -> dict[str, Any] | Death | None:
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            awaited: set[asyncio.Future[Any]] = {running.ready, running.ended, cancelled}
            await asyncio.wait(
                awaited,
                timeout=READY_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            cancelled.cancel()
        if self._cancelled.is_set():
            return {"event": "cancelled"}
        if running.ended.done():
            return running.ended.result()
        if running.ready.done():
            return None
        running.kill()
        return await running.ended

    async def _until_final(
        self, running: _Child, message: Mapping[str, Any], tell: Tell
    ) -> dict[str, Any] | Death:
        final: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def sort(event: dict[str, Any]) -> None:
            if event.get("event") not in ("done", "failed", "cancelled"):
                tell(event)
            elif not final.done():
                final.set_result(event)

        running.tell = sort
        self._sent = True
        # In a thread: a child that was stopped does not read.
        sending = asyncio.get_running_loop().run_in_executor(None, running.send, message)
        awaited: set[asyncio.Future[Any]] = {final, running.ended}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        await sending  # it ends with the child at the latest
        if final.done():
            return final.result()
        return running.ended.result()
