"""Who takes part: the same plan, carried out by us and by others, and the clock around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.rendering.rows import Step
from benchmarks.rendering.sample import Pixels, write_ppm
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import Rounding, render_plan


class NotExpressedError(Exception):
    """A peer cannot express an operation; the message names it and says why."""


class PeerFailedError(Exception):
    """A peer ended with an error; the message is the last line that it said."""


@dataclass
class Source:
    """A picture to edit, in memory and, once somebody asks, in a file.

    Attributes:
        pixels: (height, width, 3), uint8 or uint16.
        folder: where its file goes.
    """

    pixels: Pixels
    folder: Path

    @cached_property
    def place(self) -> Pixels:
        """Memory like the picture's that is in use, for results."""
        return self.pixels.copy()

    @property
    def bits(self) -> int:
        """8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def white(self) -> int:
        """The largest code."""
        return int(np.iinfo(self.pixels.dtype).max)

    @property
    def file(self) -> Path:
        """The picture as PPM, written on first use."""
        height, width = self.pixels.shape[:2]
        path = self.folder / f"{width}x{height}-{self.bits}.ppm"
        if not path.exists():
            write_ppm(path, self.pixels)
        return path


@dataclass(frozen=True)
class Attempt:
    """One plan on one picture by one contender.

    Attributes:
        seconds: carries it out once and returns the time of the operations.
        result: carries it out once and returns the pixels, in codes of 0..255 or 0..65535.
        own_process: whether each time is a new process, which is never warm.
        in_place: whether the result overwrites the picture.
    """

    seconds: Callable[[], float]
    result: Callable[[], Pixels]
    own_process: bool = False
    in_place: bool = False


class Peer(Protocol):
    """Another program or library.

    Attributes:
        name: for tables.
        how: how it is timed, in half a sentence.
    """

    name: str
    how: str

    def version(self) -> str | None:
        """Its version; None where it is not installed."""

    def attempt(self, steps: Sequence[Step], source: Source) -> Attempt:
        """The plan in the peer's own terms.

        Raises:
            NotExpressedError: it has no such operation, or not at this depth.
        """


def in_process(
    work: Callable[[], Any],
    pixels: Callable[[Any], Pixels],
    *,
    prepare: Callable[[], Any] | None = None,
) -> Attempt:
    """A call from memory to memory; its result is freed after the clock has stopped.

    Args:
        work: the call.
        pixels: its result as pixels.
        prepare: called each time before the clock starts.
    """

    def seconds() -> float:
        if prepare is not None:
            prepare()
        started = time.perf_counter()
        made = work()
        ended = time.perf_counter()
        del made
        return ended - started

    return Attempt(seconds, lambda: pixels(work()))


def ours(
    steps: Sequence[Step], source: Source, rounding: Rounding, *, into_place: bool = False
) -> Attempt:
    """`render_plan` on the picture, into fresh memory or into the source's `place`."""
    plan = _plan(steps)
    picture = Picture(source.pixels)
    out = source.place if into_place else None
    return in_process(
        lambda: render_plan(picture, plan, rounding=rounding, out=out), lambda made: made.pixels
    )


def ours_in_place(steps: Sequence[Step], source: Source, rounding: Rounding) -> Attempt:
    """`render_plan` on a copy of the picture, which was read before and becomes the result."""
    plan = _plan(steps)

    def work() -> Pixels:
        return render_plan(Picture(place), plan, rounding=rounding, out=place).pixels

    place = source.place

    def seconds() -> float:
        np.copyto(place, source.pixels)
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    def result() -> Pixels:
        np.copyto(place, source.pixels)
        return work().copy()

    return Attempt(seconds, result, in_place=True)


def _plan(steps: Sequence[Step]) -> EditPlan:
    return EditPlan(operations=tuple(step(s.name, **s.parameters) for s in steps))


def copies(source: Source) -> dict[str, Attempt]:
    """The yardsticks: a copy into memory that is in use, and one into fresh memory."""

    def into_warm() -> Pixels:
        np.copyto(source.place, source.pixels)
        return source.place

    return {
        "np.copyto (warm)": in_process(into_warm, lambda made: made),
        "np.copy (fresh)": in_process(lambda: np.copy(source.pixels), lambda made: made),
    }
