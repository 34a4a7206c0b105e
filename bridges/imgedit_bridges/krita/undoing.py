"""Undo and redo of a change of an edit, which is two steps of Krita's, as if it were one.

A change puts a new group and removes the old one. Krita's Python cannot join the two, so where an
undo or redo has left both groups in the document, the other half is done as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from krita import Krita

from imgedit_bridges.krita.qt import QtCore

_ACTIONS = ("edit_undo", "edit_redo")
_WATCHED = "imgedit_watched"
_SETTLED_MS = 30  # Krita carries the step out after the action


def watch(is_half: Callable[[], bool], done: Callable[[], None]) -> None:
    """Watch undo and redo of the active window; once for each window.

    Args:
        is_half: whether the active document has both groups of a change.
        done: told after each undo or redo.
    """
    for name in _ACTIONS:
        action = Krita.instance().action(name)
        if action is not None and not action.property(_WATCHED):
            action.setProperty(_WATCHED, True)
            _Watch(action, is_half, done)


class _Watch(QtCore.QObject):
    def __init__(self, action: Any, is_half: Callable[[], bool], done: Callable[[], None]) -> None:
        super().__init__(action)
        self._action = action
        self._is_half, self._done = is_half, done
        self._is_second = False
        action.triggered.connect(self._happened)

    def _happened(self) -> None:
        QtCore.QTimer.singleShot(_SETTLED_MS, self._look)

    def _look(self) -> None:
        document = Krita.instance().activeDocument()
        if document is not None:
            document.waitForDone()
        if not self._is_second and self._is_half() and self._action.isEnabled():
            self._is_second = True
            self._action.trigger()
            return
        self._is_second = False
        self._done()
