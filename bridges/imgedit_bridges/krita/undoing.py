"""Undo and redo of a change of an edit, which is several steps of Krita's, as if it were one.

A change puts a new group and removes the old one. Krita's Python cannot join the two, so as long
as an undo or redo leaves both groups in the document, one more is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from krita import Krita

from imgedit_bridges.krita import waiting
from imgedit_bridges.krita.qt import QtCore
from imgedit_bridges.krita.turns import KRITA

_ACTIONS = ("edit_undo", "edit_redo")
_WATCHED = "imgedit_watched"
_MOST = 12  # steps at once
_LOOKS_MS = (30, 100, 300, 800)  # after the action; Krita carries the step out when it has time


def watch(is_half: Callable[[], bool], done: Callable[[], None]) -> list[Any]:
    """Watch undo and redo of the active window; once for each window.

    Args:
        is_half: whether the active document has both groups of a change now.
        done: told after each undo or redo.

    Returns:
        What watches as long as it is kept.
    """
    made = []
    for name in _ACTIONS:
        action = Krita.instance().action(name)
        if action is not None and not action.property(_WATCHED):
            action.setProperty(_WATCHED, True)
            made.append(_Watch(action, is_half, done))
    return made


class _Watch(QtCore.QObject):
    def __init__(self, action: Any, is_half: Callable[[], bool], done: Callable[[], None]) -> None:
        super().__init__()
        self._action = action  # a connection ends with the Python object that it was made by
        self._is_half, self._done = is_half, done
        self._number = 0  # of the undo that is looked after
        self._left = 0  # how many more may follow it
        self._is_own = False
        action.triggered.connect(self._happened)

    def _happened(self) -> None:
        if not self._is_own:
            self._left = _MOST
        self._number += 1
        number = self._number
        for pause in _LOOKS_MS:
            QtCore.QTimer.singleShot(pause, lambda: self._look(number))

    def _look(self, number: int) -> None:
        if number != self._number:
            return
        document = Krita.instance().activeDocument()
        if KRITA.is_taken or (document is not None and waiting.is_at_work(document)):
            # Else the step before might not be seen, and be done twice.
            QtCore.QTimer.singleShot(_LOOKS_MS[0], lambda: self._look(number))
            return
        if self._left and self._is_half() and self._action.isEnabled():
            self._left -= 1
            self._is_own = True
            with KRITA.taken():
                self._action.trigger()
            self._is_own = False
            return
        self._done()
