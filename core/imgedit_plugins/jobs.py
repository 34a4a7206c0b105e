"""A job: the thread between a running hook and whoever waits for it.

A hook reports progress to its job and asks it now and then whether to go on. Front ends (the
command line, later the worker) subclass nothing: they pass callbacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from imgedit_plugins.errors import JobCancelledError


@dataclass(frozen=True)
class Progress:
    """One progress report.

    Attributes:
        stage: what is being done, a few words in the present tense ('searching').
        done: steps finished, 0 <= done <= total.
        total: steps in this stage; 0 when unknown.
    """

    stage: str
    done: int = 0
    total: int = 0


class Job:
    """Progress, warnings and cancellation of one piece of work; safe to use across threads.

    Args:
        on_progress: called with each `Progress`, in the thread that does the work.
        on_warning: called with each warning, one sentence; warnings are also kept in `warnings`.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._cancelled = threading.Event()
        self.warnings: list[str] = []

    def report(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Tell how far the work is, and stop here if it was cancelled.

        Raises:
            JobCancelledError: `cancel` was called.
        """
        self.check()
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total))

    def warn(self, message: str) -> None:
        """Tell the user something that does not stop the work, as one sentence."""
        self.warnings.append(message)
        if self._on_warning is not None:
            self._on_warning(message)

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
