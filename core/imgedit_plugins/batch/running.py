"""Several pictures at a time, within bounds of memory, stopped at once and cleanly."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imgedit_plugins.batch.outliers import Figures
from imgedit_plugins.batch.tasks import Task
from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job, Progress

if TYPE_CHECKING:
    from imgedit_plugins.plan import EditPlan

T = TypeVar("T")

_MOST_PIXELS = 250_000_000
"""Pixels of the pictures in work together, unless one alone has more. A pixel takes about 8 bytes
at 8 bits (three before, three after, and the encoder's), 16 at 16 bits."""

_MOST_JOBS = 8
_POLL_SECONDS = 0.1

Warn = Callable[[Task, str], None]


@dataclass(frozen=True)
class Told:
    """What a plugin says of its edit.

    Attributes:
        explanation: for the user, such as an expressive instruction.
        plan: what operations can express of the edit.
        further: where its other candidates are saved.
    """

    explanation: str = ""
    plan: EditPlan | None = None
    further: tuple[Path, ...] = ()


class Turn:
    """What the work on one picture needs of the run it is part of.

    Args:
        job: progress, warnings, cancellation.
        run: the run; without it there is one picture alone, in the caller's thread.

    Attributes:
        told: what a plugin says of the edit; the work sets it.
    """

    def __init__(self, job: Job, run: _Run | None = None) -> None:
        self.job = job
        self.told = Told()
        self._run = run

    def alone(self, function: Callable[[], T]) -> T:
        """Call a function in the thread that started the run, never two at a time.

        For hooks of plugins, which need not bear threads; Ctrl-C reaches them there.
        """
        return self._run.alone(function) if self._run else function()

    def room(self, pixels: int) -> contextlib.AbstractContextManager[None]:
        """Wait until the pictures in work leave room for another of so many pixels."""
        return self._run.room(pixels) if self._run else contextlib.nullcontext()


Work = Callable[[Task, Turn], Figures | None]


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    Attributes:
        task: the picture.
        error: why it failed; None where it did not.
        warnings: sentences.
        figures: how hard the edit hit it, where that was measured.
        kept: whether an earlier run had done it.
        told: what a plugin said of the edit.
    """

    task: Task
    error: ImgeditError | None = None
    warnings: tuple[str, ...] = ()
    figures: Figures | None = None
    kept: bool = False
    told: Told = Told()


def default_jobs() -> int:
    """How many pictures to work on at a time: as many as there are cores, at most 8.

    Reading and saving take one core for each picture, rendering takes all of them. On two cores,
    a third picture gained nothing and took 180 MB more (24 megapixels, JPEG).
    """
    return min(os.cpu_count() or 1, _MOST_JOBS)


def run_batch(
    tasks: Sequence[Task],
    work: Work,
    *,
    jobs: int = 0,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_warning: Warn = lambda _, __: None,
    on_stop: Callable[[int], None] = lambda _: None,
    unexpected: Callable[[Exception], ImgeditError] | None = None,
) -> list[Outcome]:
    """Work on each picture; one that fails does not stop the others.

    Args:
        tasks: the pictures.
        work: opens, edits and saves one; called in several threads.
        jobs: how many at a time; 0 for `default_jobs`.
        on_progress: told which picture is at which stage, and how many are done; from any thread.
        on_warning: told each warning; from any thread.
        on_stop: called when the run is interrupted, with the number of pictures still in work.
            They end at their next report; what is being saved is saved.
        unexpected: the error for what is no `ImgeditError`; without it, that stops the run.

    Returns:
        What became of each, in the order of `tasks`.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing is left half written.
    """
    run = _Run(len(tasks), work, on_progress, on_warning, unexpected)
    workers = max(1, min(jobs or default_jobs(), len(tasks)))
    with ThreadPoolExecutor(workers, "apply") as pool:
        futures = [pool.submit(run.one, task) for task in tasks]
        for future in futures:
            future.add_done_callback(run.wake)
        try:
            run.serve(futures)
        except BaseException:
            run.stop()
            for future in futures:
                future.cancel()
            on_stop(sum(future.running() for future in futures))
            raise
    return [future.result() for future in futures]


class _Run:
    """The state that the threads of a run share."""

    def __init__(
        self,
        total: int,
        work: Work,
        on_progress: Callable[[Progress], None],
        on_warning: Warn,
        unexpected: Callable[[Exception], ImgeditError] | None,
    ) -> None:
        self._total = total
        self._work = work
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._unexpected = unexpected
        self._done = 0
        self._pixels = 0
        self._jobs: set[Job] = set()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()

    # In the thread that started the run ------------------------------------------------------

    def serve(self, futures: Sequence[Future[Outcome]]) -> None:
        """Make the calls that the workers ask for, until all pictures are done."""
        waiting = len(futures)
        while waiting:
            try:
                # With a limit, since Windows does not interrupt a wait without one.
                call = self._calls.get(timeout=_POLL_SECONDS * 5)
            except queue.Empty:
                continue
            if call is None:
                waiting -= 1
            else:
                call()
        faults = [fault for future in futures if (fault := future.exception())]
        # Those that were stopped for it are not the cause.
        for fault in sorted(faults, key=lambda f: isinstance(f, JobCancelledError)):
            raise fault

    def wake(self, _: Future[Outcome]) -> None:
        """One picture less to wait for."""
        self._calls.put(None)

    def stop(self) -> None:
        """Let the workers end at their next report."""
        self._stopped.set()
        with self._changed:
            for job in self._jobs:
                job.cancel()

    # In the workers --------------------------------------------------------------------------

    def one(self, task: Task) -> Outcome:
        """Work on one picture."""
        job = Job(
            on_progress=lambda progress: self._tell(task, progress),
            on_warning=lambda message: self._on_warning(task, message),
        )
        with self._changed:
            self._jobs.add(job)
        figures = error = None
        turn = Turn(job, self)
        try:
            self._check()
            figures = self._work(task, turn)
        except JobCancelledError:
            self.stop()
            raise
        except ImgeditError as fault:
            error = fault
        except Exception as fault:
            if self._unexpected is None:
                self.stop()
                raise
            error = self._unexpected(fault)
        with self._changed:
            self._done += 1
            self._jobs.discard(job)
        self._on_progress(Progress(str(task.name), self._done, self._total))
        return Outcome(task, error, tuple(job.warnings), figures, told=turn.told)

    def _tell(self, task: Task, progress: Progress) -> None:
        share = f" {progress.done / progress.total:.0%}" if progress.total else ""
        stage = f"{task.name}: {progress.stage}{share}"
        self._on_progress(Progress(stage, self._done, self._total))

    def alone(self, function: Callable[[], T]) -> T:
        """See `Turn.alone`."""
        answer: Future[T] = Future()

        def call() -> None:
            try:
                answer.set_result(function())
            except Exception as error:
                answer.set_exception(error)

        self._check()
        self._calls.put(call)
        while not wait([answer], timeout=_POLL_SECONDS).done:
            self._check()
        return answer.result()

    @contextlib.contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        """See `Turn.room`."""
        with self._changed:
            while self._pixels and self._pixels + pixels > _MOST_PIXELS:
                self._changed.wait(_POLL_SECONDS)
                self._check()
            self._pixels += pixels
        try:
            yield
        finally:
            with self._changed:
                self._pixels -= pixels
                self._changed.notify_all()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise JobCancelledError
