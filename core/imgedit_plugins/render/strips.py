"""Strips: a picture cut into bands that fit the cache, worked on by all cores."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal, TypeVar

import numpy as np

from imgedit_plugins.operations.forms import Region
from imgedit_plugins.pictures import Pixels
from imgedit_plugins.render import pages
from imgedit_plugins.render.passes import StripPass

_STRIP_PIXELS = 1 << 18
"""Pixels of a strip: small enough for its values to stay in the caches from one kernel to the next,
large enough that the interpreter's part, which cores cannot share, does not count. Each kernel
begins and ends by waiting for it: with half of this, two cores take up to twice as long."""
_ALL_PIXELS = 3 << 19
"""Pixels of the strips of all cores: 40 bytes each in float32, so 60 MiB at most."""

_ONCE = 16  # times so many pixels where each value is read and written once
_ONCE_AROUND = 4  # ... and then copied, as a strip with a halo is
_HALO_SHARE = 16  # a strip has at least so many times the rows of its halo,
_HALO_ROWS = 512  # but a wide halo gets four times its rows, so that a cancelled job stops soon

_RUN_BYTES = 1 << 22
"""What a thread writes in one go: two pages of fresh memory. Where none is free in one piece, the
system looks for it for milliseconds; with longer runs the others would wait for that in the end."""
_LONG_RUN_BYTES = 3 << 22  # into memory in use, without a copy of the strip on the way
_RUNS_EACH = 4  # at least, for each core: so that all end together

Order = Literal["rgb", "bgr"]
"""Which colour comes first."""

T = TypeVar("T")

Advance = Callable[[int], None]
"""Told how many more rows are done; may raise to stop the work."""


class ColouredError(Exception):
    """A grey picture became coloured, where the result was to have one channel."""


def run_strips(
    work: StripPass,
    source: Pixels,
    target: Pixels,
    with_alpha: Pixels | None,
    advance: Advance,
    *,
    orders: tuple[Order, Order] = ("rgb", "rgb"),
    fresh: bool = False,
) -> None:
    """Compute `target` from `source`, strip by strip.

    Args:
        work: what to do; its types are those of the arrays.
        source: (height, width, 1 to 4 channels); left alone, its own alpha not looked at.
        target: (height, width, 3), (height, width, 1) for a grey result, one more with alpha; the
            source itself, where strips do not depend on each other.
        with_alpha: (height, width, n) of the target's type, whose last channel becomes its last.
        advance: called in this thread.
        orders: of the colours in source and target.
        fresh: whether nobody has written to the target's memory yet.

    Raises:
        ColouredError: the target has one colour channel, and the result needs three.
    """
    own = target.ctypes.data == source.ctypes.data
    short = fresh or (own and not work.in_place)
    run_bytes = _RUN_BYTES if short else _LONG_RUN_BYTES
    rows, size = _rows_of_strips_and_runs(work, source, target, run_bytes)

    def strips_of(first: int, end: int) -> Iterator[tuple[int, int]]:
        if fresh:
            pages.fetch_pages(target[first:end])
        strips = max(1, round((end - first) / rows))
        edges = [first + (end - first) * number // strips for number in range(strips + 1)]
        yield from itertools.pairwise(edges)

    def one(strip: tuple[int, int]) -> int:
        top, bottom = strip
        alpha = None if with_alpha is None else with_alpha[top:bottom]
        if alpha is not None and own:
            alpha = alpha.copy()
        _run_strip(work, source, target, top, bottom, orders)
        if alpha is not None:
            _put_alpha(alpha, target[top:bottom])
        return bottom - top

    in_runs(one, [strips_of(*run) for run in pages.runs_of_rows(target, size)], advance)


def _rows_of_strips_and_runs(
    work: StripPass, source: Pixels, target: Pixels, run_bytes: int
) -> tuple[int, int]:
    height, width = source.shape[:2]
    cores = os.cpu_count() or 1
    pixels = min(_STRIP_PIXELS, _ALL_PIXELS // cores)
    pixels *= (_ONCE_AROUND if work.halo else _ONCE) if work.once else 1
    around = min(_HALO_SHARE * work.halo, max(_HALO_ROWS, 4 * work.halo))
    rows = min(max(1, pixels // width, around), -(-height // cores))
    run = min(run_bytes // target[0].nbytes, height // (_RUNS_EACH * cores))
    if work.once and not work.halo:
        rows = max(1, min(rows, run))
    return rows, max(1, run // rows) * rows


def in_parallel(one: Callable[[int], int], tops: Sequence[int], advance: Advance) -> None:
    """`in_runs` for strips that threads take one by one."""
    in_runs(one, [(top,) for top in tops], advance)


def in_runs(one: Callable[[T], int], runs: Sequence[Iterable[T]], advance: Advance) -> None:
    """Call `one` for each strip on all cores, and `advance` here with what it returned.

    This thread works as well, and tells between two strips of its own what all have done. The
    first error, of a strip or of `advance`, stops every thread at its next strip.

    Args:
        one: (strip) -> rows that it did.
        runs: strips that a thread takes at once; it alone goes through them.
        advance: called in this thread.
    """
    todo, done = iter(runs), _Done()

    def work(tell: Advance) -> None:
        # `next` of a list's iterator is one step for the interpreter, so no run is done twice.
        try:
            for run in todo:
                for strip in run:
                    if done.stopped:
                        return
                    tell(one(strip))
        except BaseException as error:
            done.stop(error)

    pages.keep_freed_memory()
    helpers = min(len(runs), os.cpu_count() or 1) - 1
    with _one_thread_each() if helpers else nullcontext():
        threads = [threading.Thread(target=work, args=(done.add,)) for _ in range(helpers)]
        for thread in threads:
            thread.start()
        work(lambda rows: advance(rows + done.take()))
        for thread in threads:
            thread.join()
    if done.error is not None:
        raise done.error
    advance(done.take())


class _Done:
    """Rows that helpers have done and nobody has told yet, and what went wrong first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0
        self.error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        return self.error is not None

    def add(self, rows: int) -> None:
        with self._lock:
            self._rows += rows

    def take(self) -> int:
        with self._lock:
            rows, self._rows = self._rows, 0
        return rows

    def stop(self, error: BaseException) -> None:
        with self._lock:
            self.error = self.error or error


def _run_strip(
    work: StripPass,
    source: Pixels,
    target: Pixels,
    top: int,
    bottom: int,
    orders: tuple[Order, Order],
) -> None:
    height, width = source.shape[:2]
    first, last = max(0, top - work.halo), min(height, bottom + work.halo)
    region = Region(first, last - first, height, width)
    strip = three_channels(source[first:last], orders[0])
    if strip.dtype == np.float32:
        # A copy where it is a part of the picture; files may hold less than black and more than
        # white.
        strip = np.clip(strip, 0.0, 1.0, out=None if np.may_share_memory(strip, source) else strip)
    place = target[top:bottom]
    as_is = target.shape[2] == 3 and orders[1] == "rgb"
    if work.rows is not None and as_is and work.rows(strip, top - first, place) is not None:
        return
    direct = place if as_is and work.halo == 0 else None
    if direct is not None and np.may_share_memory(strip, direct) and not work.in_place:
        strip = strip.copy()
    for number, kernel in enumerate(work.kernels, 1):
        strip = kernel(strip, region, direct if number == len(work.kernels) else None)
    if work.halo:
        strip = strip[top - first : bottom - first]
    if strip is not direct:
        _put(strip, place, orders[1])


def three_channels(pixels: Pixels, order: Order = "rgb") -> Pixels:
    """The colours of pixels with 1 to 4 channels as (height, width, 3), red first, contiguous."""
    import cv2

    channels = pixels.shape[2]
    if channels == 3:
        pixels = np.ascontiguousarray(pixels)
        if order == "rgb":
            return pixels
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), pixels.dtype)
    if channels == 4:
        code = cv2.COLOR_RGBA2RGB if order == "rgb" else cv2.COLOR_BGRA2RGB
        return np.asarray(cv2.cvtColor(pixels, code), pixels.dtype)
    grey = np.ascontiguousarray(pixels[:, :, :1])
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def is_grey(color: Pixels) -> bool:
    """Whether the three channels are the same."""
    first = color[:, :, 0]
    return np.array_equal(first, color[:, :, 1]) and np.array_equal(first, color[:, :, 2])


def _put(color: Pixels, place: Pixels, order: Order) -> None:
    import cv2

    if place.shape[2] == 4:  # ten times as fast as by numpy, which goes pixel by pixel
        code = cv2.COLOR_RGB2RGBA if order == "rgb" else cv2.COLOR_RGB2BGRA
        cv2.cvtColor(np.ascontiguousarray(color), code, dst=place)
    elif place.shape[2] == 3:
        place[:] = three_channels(color, order)
    elif is_grey(color):
        place[:, :, 0] = color[:, :, 0]
    else:
        raise ColouredError


def _put_alpha(with_alpha: Pixels, place: Pixels) -> None:
    import cv2

    if with_alpha.shape[2] == place.shape[2] == 4 and _is_opaque(with_alpha):
        return  # as `_put` has left it, and most pictures are
    last = [with_alpha.shape[2] - 1, place.shape[2] - 1]
    cv2.mixChannels([np.ascontiguousarray(with_alpha)], [place], last)


def _is_opaque(pixels: Pixels) -> bool:
    """Whether 8-bit pixels with alpha, of four channels, are all opaque; False for others."""
    if pixels.dtype != np.uint8 or not pixels.flags.c_contiguous:
        return False
    alpha_of_all = np.bitwise_and.reduce(pixels.view(np.uint32), axis=None)
    return int(np.atleast_1d(alpha_of_all).view(np.uint8)[3]) == 255


_users = 0
_threads_before = 0
_lock = threading.Lock()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """While strips run on all cores, OpenCV's own threads would only get in their way."""
    import cv2

    global _users, _threads_before  # noqa: PLW0603 - the setting is the process's
    with _lock:
        if _users == 0:
            _threads_before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_threads_before)
