"""Letting go of what nobody has used for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS = 300.0


class Idle:
    """Calls `release` once nothing was `used` for some time, and again after each later use.

    Args:
        seconds: how long; 0 for never.
        release: called in a thread of its own; it should hold no reference to what holds this.
    """

    def __init__(self, seconds: float, release: Callable[[], None]) -> None:
        self._seconds, self._release = seconds, release
        self._used = 0.0
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def used(self) -> None:
        """Begin to wait anew."""
        with self._lock:
            self._used = time.monotonic()
            if self._seconds and self._timer is None:
                self._wait(self._seconds)

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            left = self._used + self._seconds - time.monotonic()
            if left > 0:
                self._wait(left)
                return
            self._timer = None
        self._release()
