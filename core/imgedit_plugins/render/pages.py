"""Memory as the system gives it: page by page, when it is written first.

A new array of a picture's size is made of pages of 2 MiB where the system has such, as Linux
does for numpy. It clears each one when a thread writes there first. With that, fresh memory takes
longer than most plans take to compute what goes there, so it matters how it is asked for.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator

import numpy as np

from imgedit_plugins.pictures import Pixels

_PAGE = 1 << 21

_KEPT_BYTES = 1 << 24


def runs_of_rows(target: Pixels, size: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of a target so that threads seldom meet in a page.

    Two threads that write to the same fresh page at once both clear one, and one of the two is
    thrown away. So runs of a page or more begin with the row in which a page begins.

    Args:
        target: (height, width, channels), contiguous.
        size: rows of a run, about.

    Yields:
        (first row, row after the last one), from top to bottom.
    """
    height, row, start = len(target), target[0].nbytes, target.ctypes.data
    top = 0
    for wanted in range(size, height + size, size):
        bottom = min(wanted, height)
        if bottom < height and size * row >= _PAGE:
            page = (start + bottom * row) // _PAGE * _PAGE
            bottom = max(top + 1, (page - start) // row)
        yield top, bottom
        top = bottom


def fetch_pages(rows: Pixels) -> None:
    """Have the pages of rows cleared that are about to be written; what is there is lost.

    Linux clears a page so that the byte that was asked for comes last and is still in the cache:
    asked for the first byte, it goes backwards through the page, which takes twice as long as
    forwards. So each page is asked for by its last byte.
    """
    start, end = rows.ctypes.data, rows.ctypes.data + rows.nbytes
    for page in range(start // _PAGE * _PAGE, end, _PAGE):
        ctypes.memset(min(page + _PAGE, end) - 1, 0, 1)  # unlike numpy lets other threads run


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep what a strip frees for the next one.

    At first glibc gives each array of a strip back to the system at once, and gets it again page
    by page, which takes longer than to compute what goes there. It keeps twice what the largest
    block had that was freed so far, if that was up to 32 MiB: so one is freed here. Elsewhere
    this does nothing.
    """
    np.empty(_KEPT_BYTES, np.uint8)
