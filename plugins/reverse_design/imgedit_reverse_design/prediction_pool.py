"""Predictions in processes of their own, one pair at a time in each.

So the processor time of a prediction (`time.process_time`: all threads of the process) is that of
the prediction alone; opening files and scoring are not counted.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from imgedit_plugins.errors import DataError, ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_reverse_design.outcome_journal import Journal
from imgedit_reverse_design.outcomes import Outcome, Predict, Result, Task, outcome_of

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

_POLL_SECONDS = 0.2
_AHEAD = 4  # tasks per process that wait in line

_Finished = Generator[tuple[int, Result], None, None]


class _WorkerJob(Job):
    """A job in a worker process, cancelled together with the one that waits for it."""

    def __init__(self, cancelled: Event) -> None:
        super().__init__()
        self._all_cancelled = cancelled

    def check(self) -> None:
        if self._all_cancelled.is_set():
            self.cancel()
        super().check()


class _Worker:
    """What a worker process got when it started."""

    predict: Predict
    cancelled: Event


def _start_worker(predict: Predict, cancelled: Event, threads: int) -> None:
    import cv2

    _Worker.predict, _Worker.cancelled = staticmethod(predict), cancelled
    cv2.setNumThreads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent must not leave its workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task) -> Result | None:
    try:
        return outcome_of(task, _Worker.predict, _WorkerJob(_Worker.cancelled))
    except JobCancelledError:
        return None  # nobody waits for it any more


def outcomes_of(
    tasks: Sequence[Task],
    predict: Predict,
    workers: int,
    job: Job,
    journal: Journal | None = None,
) -> tuple[Outcome, ...]:
    """The outcomes in the order of the tasks; pairs that cannot be opened are told of.

    What the journal has is not predicted again; what is finished is written into it.
    """
    results: dict[int, Result] = dict(journal.known(tasks)) if journal else {}
    job.report("evaluating", len(results), len(tasks))
    places = [number for number in range(len(tasks)) if number not in results]
    left = [tasks[number] for number in places]
    if workers == 1 or len(left) <= 1:
        finished = _here(left, predict, job)
    else:
        finished = _in_processes(left, predict, min(workers, len(left)), job)
    with closing(finished):
        for number, result in finished:
            results[places[number]] = result
            if journal and isinstance(result, Outcome):
                journal.keep(left[number], result)
            job.report("evaluating", len(results), len(tasks))
    outcomes = [results[number] for number in range(len(tasks))]
    _tell_unreadable([told for told in outcomes if isinstance(told, str)], len(tasks), job)
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Outcome))


def _tell_unreadable(told: Sequence[str], total: int, job: Job) -> None:
    if told:
        message = f"{len(told)} of {total} pairs cannot be opened, the first: {told[0]}"
        if len(told) == total:
            raise DataError(message)
        job.warn(f"{message} They are left out.")


def _here(tasks: Sequence[Task], predict: Predict, job: Job) -> _Finished:
    """(index, result) one after another, in this process."""
    for number, task in enumerate(tasks):
        yield number, outcome_of(task, predict, job)


def _in_processes(tasks: Sequence[Task], predict: Predict, workers: int, job: Job) -> _Finished:
    """(index, result) as they are finished."""
    context = multiprocessing.get_context("spawn")
    cancelled = context.Event()
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (predict, cancelled, threads))
    with _shut_down(pool, cancelled):
        line = iter(enumerate(tasks))
        waiting: dict[Future[Result | None], int] = {}
        while True:
            while len(waiting) < workers * _AHEAD and (entry := next(line, None)):
                waiting[pool.submit(_work, entry[1])] = entry[0]
            if not waiting:
                return
            done, _ = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
            job.check()
            for future in done:
                number, result = waiting.pop(future), future.result()
                if result is not None:
                    yield number, result


@contextmanager
def _shut_down(pool: ProcessPoolExecutor, cancelled: Event) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise ImgeditError(
            "A process that made predictions died; it may have run out of memory.",
            hint="Try fewer workers.",
        ) from error
    finally:
        cancelled.set()  # without effect on work that is finished
        pool.shutdown(wait=True, cancel_futures=True)
