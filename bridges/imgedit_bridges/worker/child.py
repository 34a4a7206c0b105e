"""The executor's process: holds the plugins and does one job at a time.

It talks with the worker by JSON texts over a pipe. Jobs run in its main thread, since some
libraries want that; another thread reads the pipe and hears of a cancellation or of the worker's
end at once.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgedit_bridges.step_previews import PreviewPicture
from imgedit_bridges.strict_json import encode

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job, Progress, StepPreview
    from imgedit_plugins.plugins import PluginManager

_PROGRESS_SECONDS = 0.05
_PREVIEW_SECONDS = 0.25
_MAX_WARNINGS = 100
_LONGEST = 2000  # characters
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def main(
    pipe: Connection[Any, Any], output: Connection[Any, Any] | None, folder: str, memory: int
) -> None:
    """Run until the worker ends."""
    _settle(output, memory)
    talk = _Talk(pipe)
    from imgedit_bridges.worker import tasks
    from imgedit_plugins.operations.described import described
    from imgedit_plugins.plugins import PluginManager

    manager = PluginManager.discover()
    talk.send({"event": "ready", "operations": [described(one) for one in manager.vocabulary()]})
    while True:
        message = talk.jobs.get()
        talk.send(_run(message, manager, tasks.Task(Path(folder), talk.send), talk))


class _Talk:
    """The pipe to the worker."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self.jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._pipe = pipe
        self._sending = threading.Lock()
        self._running: tuple[int, Job] | None = None
        self._cancelled = 0  # number of the job that was cancelled last
        threading.Thread(target=self._read, daemon=True, name="pipe").start()

    def send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._pipe.send_bytes(encode(message))

    def begin(self, number: int, job: Job) -> None:
        """Pass cancellations of this number on to the job, one that has come already too."""
        self._running = (number, job)
        if self._cancelled == number:
            job.cancel()

    def _read(self) -> None:
        while True:
            try:
                message = json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)  # the worker is gone, and nobody waits for the job
            if "cancel" in message:
                self._cancelled = message["cancel"]
                if (running := self._running) is not None and running[0] == message["cancel"]:
                    running[1].cancel()
            else:
                self.jobs.put(message)


class _Reports:
    """What one job tells, no more of it than a person can read or see."""

    def __init__(self, talk: _Talk) -> None:
        self._talk = talk
        self._last = 0.0
        self._stage = ""
        self._warnings = 0
        self._shown = -_PREVIEW_SECONDS

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        ends = progress.done >= progress.total > 0 or progress.stage != self._stage
        if now - self._last < _PROGRESS_SECONDS / (5 if ends else 1):
            return
        self._last, self._stage = now, progress.stage
        self._talk.send(
            {"event": "progress", "stage": clean(progress.stage), "done": int(progress.done),
             "total": int(progress.total)}
        )  # fmt: skip

    def warning(self, message: str) -> None:
        self._warnings += 1
        if self._warnings <= _MAX_WARNINGS:
            self._talk.send({"event": "warning", "message": clean(message)})

    def preview(self, preview: StepPreview) -> None:
        now = time.monotonic()
        if now - self._shown < _PREVIEW_SECONDS:
            return
        self._shown = now
        height, width = preview.pixels.shape[:2]
        told = PreviewPicture(width, height, preview.pixels.tobytes(), preview.place)
        self._talk.send({"event": "preview", **told.to_json()})


def clean(text: object) -> str:
    """Text that can be told: no half characters, no novels."""
    told = str(text).encode("utf-8", "replace").decode("utf-8")
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"


def _run(message: dict[str, Any], manager: PluginManager, task: Any, talk: _Talk) -> dict[str, Any]:
    from imgedit_plugins.errors import ImgeditError, JobCancelledError
    from imgedit_plugins.jobs import Job

    reports = _Reports(talk)
    shown = reports.preview if message.get("previews") else None
    job = Job(reports.progress, reports.warning, shown)
    talk.begin(message["job_number"], job)
    try:
        return {"event": "done", "result": task.run(message, manager, job)}
    except JobCancelledError:
        return {"event": "cancelled"}
    except ImgeditError as error:
        return _failed(error.message, error.hint, error.exit_code)
    except MemoryError:
        return _failed("There was not enough memory for the job.", "Try a smaller picture.")
    except Exception as error:
        import logging

        from imgedit_plugins.faults import one_line

        logging.getLogger().exception("A job failed.")
        hint = "`imgedit-plugins worker logs` shows where."
        return _failed(f"Something unexpected went wrong ({one_line(error)}).", hint)


def _failed(message: str, hint: str = "", exit_code: int = 1) -> dict[str, Any]:
    told = {"message": clean(message), "hint": clean(hint), "exit_code": exit_code}
    return {"event": "failed", **told}


# --- the process ------------------------------------------------------------------------------


def _settle(output: Connection[Any, Any] | None, memory: int) -> None:
    """Its own process group, its output to the log, its end with the worker's, its limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if output is not None:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        output.close()
    if os.name == "posix":
        os.setpgid(0, 0)
    if sys.platform == "linux":
        # The thread that reads the pipe cannot run while a plugin's C code holds the GIL.
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    faulthandler.enable()
    if memory:
        _limit_memory(memory << 20)


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
