"""Work that does not block Krita: on a thread where it can, else in slices between events.

A `Task` carries out a generator on Krita's main thread. What the generator yields is either a
`Work`, done on a thread meanwhile, or `None`, after which Krita handles its events first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from imgedit_bridges.client import JobCancelledError
from imgedit_bridges.krita.qt import QObject, Qt, QTimer, signal
from imgedit_bridges.krita.turns import KRITA
from imgedit_bridges.step_previews import PreviewPicture

Told = Callable[[str, float], bool]
"""Told what is being done and how much of it (0..1, below 0 where that is not known); returns
whether to go on."""


@dataclass(frozen=True)
class Work:
    """Something for a thread: `function` gets a `Teller` and must not touch Krita's objects."""

    function: Callable[[Told], Any]


@dataclass(frozen=True)
class Pause:
    """Nothing to do for so many milliseconds."""

    milliseconds: int = 0


Steps = Generator[Any, Any, Any]
"""What a `Task` carries out: yields `Work`, `Pause` or None, and returns the result."""


class Task(QObject):  # type: ignore[misc]
    """One piece of work on its way.

    Signals (all on the main thread):
        progressed: (what is being done, how much of it: 0..1 or below 0).
        previewed: what an edit looks like meanwhile, a `PreviewPicture`.
        ended: (result, error), one of which is None; comes once.
    """

    progressed = signal(str, float)
    previewed = signal(object)
    ended = signal(object, object)
    _answered = signal(object, object)

    def __init__(self, steps: Steps, parent: Any = None) -> None:
        super().__init__(parent)
        self._steps = steps
        self._cancelled = threading.Event()
        self._over = False
        self._answered.connect(self._go_on, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Begin as soon as Krita has handled its events."""
        QTimer.singleShot(0, self._next)

    def cancel(self) -> None:
        """Ask for the end, which comes as a `JobCancelledError` in `ended`."""
        self._cancelled.set()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over

    def told(self, stage: str, share: float) -> bool:
        """Pass on how far the work is; from any thread."""
        if not self._cancelled.is_set():
            self.progressed.emit(stage, share)
        return not self._cancelled.is_set()

    def _next(self) -> None:
        self._go_on(None, None)

    def _go_on(self, value: Any, error: BaseException | None) -> None:
        if self._over or KRITA.postpones(lambda: self._go_on(value, error)):
            return
        if error is None and self._cancelled.is_set():
            error = JobCancelledError()
        try:
            with KRITA.taken():
                wanted = self._steps.throw(error) if error is not None else self._steps.send(value)
        except StopIteration as end:
            self._end(end.value, None)
        except Exception as fault:  # whatever it is, it must be told and not be lost
            self._end(None, fault)
        else:
            self._carry_out(wanted)

    def _carry_out(self, wanted: Any) -> None:
        if isinstance(wanted, Work):
            threading.Thread(target=self._work, args=(wanted,), daemon=True).start()
        else:
            milliseconds = wanted.milliseconds if isinstance(wanted, Pause) else 0
            QTimer.singleShot(milliseconds, self._next)

    def _work(self, wanted: Work) -> None:
        try:
            value = wanted.function(Teller(self))
        except BaseException as error:
            self._answered.emit(None, error)
        else:
            self._answered.emit(value, None)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._over = True
        self.ended.emit(value, error)


class Teller:
    """How work on a thread tells how it goes: called as a `Told`.

    Args:
        task: that the work is part of.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, stage: str, share: float) -> bool:
        """See `Task.told`."""
        return self._task.told(stage, share)

    def preview(self, picture: PreviewPicture) -> None:
        """Show what the edit looks like so far."""
        self._task.previewed.emit(picture)
