"""A job: the thread between a running hook and whoever waits for it.

A hook reports progress to its job and asks it now and then whether to go on. Front ends (the
command line, later the worker) subclass nothing: they pass callbacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgedit_plugins.errors import JobCancelledError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

LONGEST_PREVIEW = 256
"""Pixels of the longer side of a preview, at most."""


@dataclass(frozen=True)
class Progress:
    """One progress report.

    Attributes:
        stage: what is being done, a few words in the present tense ('searching').
        done: steps finished, 0 <= done <= total.
        total: steps in this stage; 0 when unknown.
        text: what is being written, as far as it is there.
    """

    stage: str
    done: int = 0
    total: int = 0
    text: str = ""


@dataclass(frozen=True, eq=False)
class StepPreview:
    """What an edit looks like while it is being made.

    Attributes:
        pixels: (height, width, 3), sRGB; no side is longer than `LONGEST_PREVIEW`.
        place: (left, top, width, height) of the part of the user's picture that it shows, in that
            picture's pixels.
    """

    pixels: RGB8
    place: tuple[int, int, int, int]


class Job:
    """Progress, warnings, previews and cancellation of one piece of work; safe across threads.

    Args:
        on_progress: called with each `Progress`, in the thread that does the work.
        on_warning: called with each warning, one sentence; warnings are also kept in `warnings`.
        on_preview: called with each `StepPreview`, in that thread too. Without it there are none.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
        on_preview: Callable[[StepPreview], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._on_preview = on_preview
        self._cancelled = threading.Event()
        self.warnings: list[str] = []

    def report(self, stage: str, done: int = 0, total: int = 0, text: str = "") -> None:
        """Tell how far the work is, and stop here if it was cancelled.

        Raises:
            JobCancelledError: `cancel` was called.
        """
        self.check()
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total, text))

    def warn(self, message: str) -> None:
        """Tell the user something that does not stop the work, as one sentence."""
        self.warnings.append(message)
        if self._on_warning is not None:
            self._on_warning(message)

    @property
    def wants_previews(self) -> bool:
        """Whether somebody looks at previews; where nobody does, none need be made."""
        return self._on_preview is not None

    def preview(self, pixels: RGB8, place: tuple[int, int, int, int]) -> None:
        """Show what the edit looks like so far; costs nothing where nobody looks.

        Args:
            pixels: (height, width, 3), sRGB; a larger one than a `StepPreview` may be is reduced.
            place: see `StepPreview`.
        """
        if self._on_preview is not None:
            self._on_preview(StepPreview(_reduced(pixels), place))

    def cancel(self) -> None:
        """Ask the work to stop at its next `report` or `check`."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Stop here if the job was cancelled.

        Raises:
            JobCancelledError: `cancel` was called.
        """
        if self._cancelled.is_set():
            raise JobCancelledError


def _reduced(pixels: RGB8) -> RGB8:
    height, width = pixels.shape[:2]
    share = LONGEST_PREVIEW / max(height, width)
    if share >= 1:
        return pixels
    import cv2
    import numpy as np

    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
