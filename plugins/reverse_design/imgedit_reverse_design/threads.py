"""Steps of a long piece of work, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from imgedit_plugins.jobs import Job

_POLL_SECONDS = 0.2

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass
class Steps:
    """Counts steps and reports each to the job."""

    job: Job
    stage: str
    done: int
    total: int

    def one_more(self) -> None:
        """Report one more step."""
        self.done += 1
        self.job.report(self.stage, self.done, self.total)


def in_threads(
    work: Callable[[_T], _R], items: Sequence[_T], workers: int, steps: Steps
) -> list[_R]:
    """`work` for each item, results in the order of the items; stops early when cancelled.

    Threads are enough: decoding, OpenCV and encoding release Python's lock.
    """
    results = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(work, item) for item in items]:
                results.append(_result_of(future, steps.job))
                steps.one_more()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results


def _result_of(future: Future[_R], job: Job) -> _R:
    while True:
        wait([future], _POLL_SECONDS)
        job.check()
        if future.done():
            return future.result()
