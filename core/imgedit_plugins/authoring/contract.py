"""The contract of `apply_edit` and `predict_operations`, checked on results.

Each function returns what is wrong as one sentence, or '' if nothing is. `validation` makes a
report of them, `imgedit_plugins.testing` assertions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job, Progress
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Candidate, EditResult

PATIENCE_S = 5.0
"""How long a cancelled hook may go on."""

_CHECK_INTERVAL_S = 1.5
"""A hook looks at its job about every second; one that ends sooner need not look again."""


class NothingToCheckError(Exception):
    """The result is right but says nothing about this point; the message tells why."""


def mask_fault(picture: Picture, mask: NDArray[np.uint8], result: EditResult) -> str:
    """Whether every candidate is the picture, bit for bit, where the mask is 0.

    Raises:
        NothingToCheckError: there are no candidates, or they change nothing anywhere.
    """
    if not result.candidates:
        raise NothingToCheckError("it returns a plan, which the core renders")
    changed = False
    for number, candidate in enumerate(result.candidates, 1):
        before, after = _overlap(picture, candidate)
        if before.shape != after.shape or before.dtype != after.dtype:
            return f"candidate {number} is {candidate.picture!r}, the picture is {picture!r}"
        kept = _crop(mask, candidate) == 0
        wrong = int(np.any(before != after, axis=2)[kept].sum())
        if wrong:
            return f"candidate {number} differs in {wrong} of {int(kept.sum())} pixels to be kept"
        changed = changed or bool(np.any(before != after))
    if not changed:
        raise NothingToCheckError("the edit changed nothing, so nothing can be said")
    return ""


def form_fault(picture: Picture, result: EditResult) -> str:
    """Whether every candidate keeps size, bit depth, channels, alpha and colour profile.

    Raises:
        NothingToCheckError: there are no candidates.
    """
    if not result.candidates:
        raise NothingToCheckError("it returns a plan, which the core renders")
    for number, candidate in enumerate(result.candidates, 1):
        what = _form_fault(picture, candidate)
        if what:
            return f"candidate {number}: {what}"
    return ""


def difference_between(first: EditResult, second: EditResult) -> str:
    """How two results differ: '' if plans, explanations and pixels are the same bit for bit."""
    if first.plan != second.plan:
        return "the plans differ"
    if first.explanation != second.explanation:
        return "the explanations differ"
    if len(first.candidates) != len(second.candidates):
        return f"{len(first.candidates)} candidates, then {len(second.candidates)}"
    for number, (one, two) in enumerate(zip(first.candidates, second.candidates, strict=True), 1):
        if (one.offset, one.seed) != (two.offset, two.seed):
            return f"offset or seed of candidate {number} differs"
        if not np.array_equal(one.picture.pixels, two.picture.pixels):
            return f"the pixels of candidate {number} differ"
    return ""


def cancelled_before_fault(work: Callable[[Job], object]) -> str:
    """Whether `work` raises `JobCancelledError` at once when its job is cancelled already."""
    job = Job()
    job.cancel()
    outcome = _run(work, job, deadline=PATIENCE_S)
    if isinstance(outcome.error, JobCancelledError):
        return ""
    if outcome.running:
        return f"it went on for more than {PATIENCE_S:g} s with a job that was cancelled before"
    if outcome.error is not None:
        return f"it raised {type(outcome.error).__name__} instead of JobCancelledError"
    return "it went through with a job that was cancelled before; call job.check()"


def cancelled_midway_fault(work: Callable[[Job], object]) -> str:
    """Whether `work` stops when its job is cancelled at the first progress report.

    Raises:
        NothingToCheckError: it was finished about as soon as it could have looked again.
    """
    cancelled_at: list[float] = []

    def cancel(_: Progress | None = None) -> None:
        if not cancelled_at:
            cancelled_at.append(time.monotonic())
            job.cancel()

    job = Job(on_progress=cancel)
    timer = threading.Timer(0.5, cancel)  # for hooks that check but report nothing
    timer.daemon = True
    timer.start()
    outcome = _run(work, job, deadline=0.5 + PATIENCE_S)
    timer.cancel()
    if isinstance(outcome.error, JobCancelledError):
        return ""
    if outcome.running:
        return f"it went on for more than {PATIENCE_S:g} s after the job was cancelled"
    if outcome.error is not None:
        return f"it raised {type(outcome.error).__name__} instead of JobCancelledError"
    late = outcome.ended - cancelled_at[0] if cancelled_at else 0.0
    if late > _CHECK_INTERVAL_S:
        return f"it worked for {late:.1f} s after the job was cancelled and returned a result"
    raise NothingToCheckError("it finished before it had to look whether the job is cancelled")


class _Outcome:
    """What a thread did: `running` until the deadline, or ended with `error` or without."""

    running = True
    error: BaseException | None = None
    ended = 0.0


def _run(work: Callable[[Job], object], job: Job, *, deadline: float) -> _Outcome:
    outcome = _Outcome()

    def run() -> None:
        try:
            work(job)
        except BaseException as error:
            outcome.error = error
        outcome.ended = time.monotonic()
        outcome.running = False

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(deadline)
    return outcome


def _overlap(
    picture: Picture, candidate: Candidate
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    return _crop(picture.pixels, candidate), candidate.picture.pixels


def _crop(array: NDArray[np.generic], candidate: Candidate) -> NDArray[np.generic]:
    x, y = candidate.offset
    if min(x, y) < 0:
        return array[:0]
    return array[y : y + candidate.picture.height, x : x + candidate.picture.width]


def _form_fault(picture: Picture, candidate: Candidate) -> str:
    after = candidate.picture
    if (after.mode, after.pixels.dtype) != (picture.mode, picture.pixels.dtype):
        return f"{after.mode} {after.pixels.dtype} instead of {picture.mode} {picture.pixels.dtype}"
    covered = _crop(picture.pixels, candidate)
    if covered.shape != after.pixels.shape:
        return (
            f"{after.width}x{after.height} at {candidate.offset} does not lie within "
            f"{picture.width}x{picture.height}"
        )
    if after.alpha is not None and not np.array_equal(after.alpha, covered[:, :, -1:]):
        return "the alpha channel was changed"
    if after.icc_profile != picture.icc_profile:
        return "the colour profile was lost"
    return ""
