"""The queue: jobs wait here, are carried out one after another, and are kept until fetched.

Clients take turns: an editor that asks for ten previews does not keep another one waiting for all
of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from imgedit_bridges.errors import BridgeError, MessageError
from imgedit_bridges.pixels import PixelFileError
from imgedit_bridges.protocol import JobRequest, is_id, parse_picture
from imgedit_bridges.step_previews import parse_preview
from imgedit_bridges.worker.executor import Death, Executor
from imgedit_bridges.worker.jobs import WorkerJob
from imgedit_bridges.worker.pixel_store import PixelStore
from imgedit_bridges.worker.settings import WorkerError

log = logging.getLogger("imgedit.worker")

MAX_WAITING = 100
MAX_WAITING_OF_CLIENT = 32
MAX_KEPT = 500
LEFT_SECONDS = 15.0
"""So long may who follows a job be away: an editor that has died does not come back."""

_LOGS = "`imgedit-plugins worker logs` may tell more; other actions work."


class JobQueue:
    """All jobs of one worker.

    Args:
        store: the pixel files.
        executor: what carries jobs out.
        keep: seconds for which finished jobs are kept.
        clock: seconds; replaced in tests.
    """

    def __init__(
        self,
        store: PixelStore,
        executor: Executor,
        keep: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._executor = executor
        self._keep = keep
        self._clock = clock
        self._jobs: dict[str, WorkerJob] = {}
        self._waiting: OrderedDict[str, deque[WorkerJob]] = OrderedDict()
        self._running: WorkerJob | None = None
        self._work = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to carry out jobs."""
        self._runner = asyncio.create_task(self._run())

    def expect_job(self) -> None:
        """Start the executor now, while the pictures of a job are on their way."""
        if self._running is None and not self._closed:
            self._executor.start()

    async def operations(self) -> list[Any]:
        """The vocabulary with what plugins registered.

        Raises:
            WorkerError: the process that runs plugins cannot be started.
        """
        found = None if self._closed else await self._executor.operations()
        if found is None:
            raise WorkerError(
                "The process that runs plugins cannot be started.", hint=_LOGS, status=503
            )
        return found

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs, or somebody listens to one."""
        return any(not job.finished or job.listeners for job in self._jobs.values())

    def all(self) -> list[WorkerJob]:
        """All jobs, oldest first."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> WorkerJob:
        """The job of that id.

        Raises:
            WorkerError: there is none (any more).
        """
        if job := self._jobs.get(job_id):
            return job
        raise WorkerError(
            f"There is no job {job_id}.",
            hint="It has expired, or the worker was started anew: run the action again.",
            status=404,
        )

    def submit(self, client: str, request: JobRequest) -> WorkerJob:
        """Queue a job.

        Raises:
            WorkerError: a picture is not there, or too many jobs wait.
        """
        waiting = sum(map(len, self._waiting.values()))
        own = len(self._waiting.get(client, ()))
        if waiting >= MAX_WAITING or own >= MAX_WAITING_OF_CLIENT or len(self._jobs) >= MAX_KEPT:
            raise WorkerError(
                f"Too many jobs wait already ({waiting}).",
                hint="Cancel some, or wait for them.",
                status=429,
            )
        for ref in request.inputs.values():
            self._store.check(ref)
        job = WorkerJob(secrets.token_hex(16), client, request, self._clock)
        self._store.hold(job.inputs, lasting=request.hook != "render")
        self._jobs[job.id] = job
        self._waiting.setdefault(client, deque()).append(job)
        self._tell_places()
        self._work.set()
        return job

    def cancel(self, job_id: str) -> None:
        """Cancel a job that waits or runs; forget a finished one with its pictures.

        Raises:
            WorkerError: there is none.
        """
        job = self.get(job_id)
        if job.finished:
            self._forget(job)
            return
        job.cancelling = True
        if job is self._running:
            self._executor.cancel()
            return
        self._waiting[job.client].remove(job)
        if not self._waiting[job.client]:
            del self._waiting[job.client]
        self._finish(job, "cancelled")
        self._tell_places()

    def expire(self) -> None:
        """Forget what was finished long ago, and cancel what nobody follows (any more)."""
        limit = self._clock() - self._keep
        left = self._clock() - min(self._keep, LEFT_SECONDS)
        for job in self.all():
            if job.listeners:
                continue
            if job.ended is not None and job.ended < limit:
                self._forget(job)
            elif job.finished or job.cancelling:
                continue
            elif job.attended < (left if job.followed else limit):
                log.info("Job %s: whoever asked for it has gone.", job.id)
                self.cancel(job.id)

    async def close(self) -> None:
        """Cancel everything and end the executor."""
        self._closed = True
        for jobs in self._waiting.values():
            for job in jobs:
                self._finish(job, "failed", **_stopped())
        self._waiting.clear()
        self._work.set()
        self._executor.close()
        if self._runner is not None:
            await asyncio.wait({self._runner}, timeout=2.0)

    # --- running ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._closed:
            if (job := self._next()) is None:
                self._work.clear()
                await self._work.wait()
                continue
            self._running = job
            try:
                await self._carry_out(job)
            except Exception:
                log.exception("Job %s failed in the worker.", job.id)
                self._finish(
                    job, "failed", message="The job could not be carried out.", hint=_LOGS,
                    exit_code=1,
                )  # fmt: skip
            finally:
                self._running = None

    def _next(self) -> WorkerJob | None:
        """The next job: the first of the client whose last turn is longest ago."""
        if not self._waiting:
            return None
        client, jobs = self._waiting.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._waiting[client] = jobs  # at the end
        self._tell_places(job)
        return job

    async def _carry_out(self, job: WorkerJob) -> None:
        message = job.request.to_json()
        try:
            for name, ref in job.request.inputs.items():
                message["inputs"][name]["identity"] = self._store.check(ref)
        except WorkerError as error:
            self._finish(job, "failed", message=error.message, hint=error.hint, exit_code=1)
            return
        if job.request.hook == "render":
            size = job.request.inputs["picture"].file_bytes  # the result's too, mostly
            if spare := self._store.take_spare(size):
                job.made.append(spare.id)
                message["spare"] = {
                    "pixels": spare.id, "bytes": size, "identity": spare.identity,
                }  # fmt: skip
        job.tell("started")
        began = self._clock()
        end = await self._executor.run(message, lambda event: self._pass_on(job, event))
        if self._closed:
            self._finish(job, "failed", **_stopped())
        elif job.cancelling:
            self._finish(job, "cancelled")
        elif isinstance(end, Death):
            self._finish(job, "failed", **_crash(end, job))
        else:
            self._end_as_told(job, end)
        log.info(
            "Job %s (%s): %s after %.2f s.", job.id, job.request.hook, job.state,
            self._clock() - began,
        )  # fmt: skip

    def _pass_on(self, job: WorkerJob, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "progress":
                job.tell(
                    "progress",
                    stage=event.get("stage", ""),
                    done=event.get("done", 0),
                    total=event.get("total", 0),
                )
            case "preview":
                with contextlib.suppress(MessageError):  # one that is none is no loss
                    if (shown := parse_preview(event)) is not None:
                        job.tell("preview", **shown.to_json())
            case "warning":
                job.tell("warning", message=event.get("message", ""))
            case "making" if is_id(event.get("pixels")):
                job.made.append(event["pixels"])

    def _end_as_told(self, job: WorkerJob, end: dict[str, Any]) -> None:
        if end["event"] == "failed":
            told = {name: end.get(name, "") for name in ("message", "hint", "exit_code")}
            self._finish(job, "failed", **told)
            return
        if end["event"] == "cancelled":
            self._finish(job, "cancelled")
            return
        try:
            for picture in end["result"]["pictures"]:
                layout = {k: v for k, v in picture.items() if k not in ("offset", "seed")}
                self._store.adopt(parse_picture(layout, "result"))
        except (BridgeError, PixelFileError) as error:
            self._finish(job, "failed", message=error.message, hint=_LOGS, exit_code=1)
            return
        self._finish(job, "done", result=end["result"])

    def _finish(self, job: WorkerJob, event: str, **data: Any) -> None:
        self._store.release(job.inputs)
        if event != "done":
            for file_id in job.made:
                self._store.discard(file_id)
            job.made.clear()
        job.tell(event, **data)

    def _forget(self, job: WorkerJob) -> None:
        for file_id in job.made:
            self._store.discard(file_id)
        del self._jobs[job.id]

    def _tell_places(self, taken: WorkerJob | None = None) -> None:
        """Tell each waiting job how many come before it."""
        ahead = int(self._running is not None or taken is not None)
        turns = [list(jobs) for jobs in self._waiting.values()]
        for turn in range(max(map(len, turns), default=0)):
            for jobs in turns:
                if turn < len(jobs):
                    jobs[turn].tell("queued", ahead=ahead)
                    ahead += 1


def _stopped() -> dict[str, Any]:
    return {
        "message": "The worker was stopped.",
        "hint": "Run the action again: a new worker is started.",
        "exit_code": 1,
    }


def _crash(end: Death, job: WorkerJob) -> dict[str, Any]:
    who = f"the plugin {job.request.plugin!r}" if job.request.plugin else "a plugin"
    if job.request.hook == "render":
        who = "an operation"
    why = f"code {end.code}"
    if end.code is not None and end.code < 0:
        try:
            why = signal.Signals(-end.code).name
        except ValueError:
            why = f"signal {-end.code}"
    if not end.started:
        return {
            "message": f"The process that runs plugins cannot be started ({why}).",
            "hint": "`imgedit-plugins worker logs` tells why; a memory limit may be too small.",
            "exit_code": 1,
        }
    memory = "; it may have taken too much memory" if why in ("SIGKILL", "SIGABRT") else ""
    return {
        "message": f"The process that runs plugins ended in the middle of the job ({why}{memory}): "
        f"{who} crashed it.",
        "hint": _LOGS,
        "exit_code": 1,
    }
