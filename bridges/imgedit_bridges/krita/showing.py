"""Hiding an edit and showing it again, when Krita is ready for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imgedit_bridges.krita import waiting
from imgedit_bridges.krita.background import Steps, Task
from imgedit_bridges.krita.engine import sentence
from imgedit_bridges.krita.kept import Edit


class Showing:
    """Carries out the newest wish for each edit.

    Args:
        parent: of its tasks.
        find: the document and the edit of what it is called; None where it is gone.
        say: told what went wrong.
    """

    def __init__(
        self, parent: Any, find: Callable[[str], tuple[Any, Edit] | None], say: Callable[..., None]
    ) -> None:
        self._parent, self._find, self._say = parent, find, say
        self._wanted: dict[str, bool] = {}
        self._task: Task | None = None

    def show(self, edit: str, *, on: bool) -> None:
        """Show or hide an edit's group, as soon as Krita has painted what it is painting."""
        self._wanted[edit] = on
        if self._task is None:
            self._task = Task(self._steps(), self._parent)
            self._task.ended.connect(self._ended)
            self._task.start()

    def _steps(self) -> Steps:
        while self._wanted:
            edit = next(iter(self._wanted))
            if (found := self._find(edit)) is not None:
                yield from waiting.settled(found[0])
                found = self._find(edit)  # meanwhile it may be another group, or gone
            on = self._wanted.pop(edit)
            if found is not None and found[1].group.visible() != on:
                found[1].group.setVisible(on)
                yield from waiting.repaint(found[0])

    def _ended(self, _: Any, error: BaseException | None) -> None:
        self._task = None
        if error is not None:
            self._say(sentence(error), failed=True)
