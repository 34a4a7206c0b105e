"""The actions of installed plugins in the menu; known as soon as the worker has told them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imgedit_bridges.krita.docker_engine import DockerEngine
from imgedit_bridges.krita.qt import QAction, QObject, QTimer

_AGAIN = 200  # milliseconds
_PATIENCE = 50  # times


class PluginMenu(QObject):  # type: ignore[misc]
    """Adds an entry for each action whenever the menu is opened.

    Krita wants its own actions when a window is made, before anybody needs the worker; so these
    are the menu's.

    Args:
        menu: with other entries in it; owns this object.
        desk: knows the actions.
        do: called with the id of the one that was chosen.
    """

    def __init__(self, menu: Any, desk: DockerEngine, do: Callable[[str], None]) -> None:
        super().__init__(menu)
        self._menu, self._desk, self._do = menu, desk, do
        self._made: list[Any] = []
        self._patience = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fill)
        menu.aboutToShow.connect(self._open)

    def _open(self) -> None:
        self._desk.prepare()
        self._patience = _PATIENCE
        self._fill()

    def _fill(self) -> None:
        for action in self._made:
            self._menu.removeAction(action)
        self._made = []
        now = self._desk.look()
        commands = [one for one in now.commands if "/" in one.id]
        if commands or (now.vocabulary is None and not now.problem):
            self._made.append(self._menu.addSeparator())
        for command in commands:
            self._add(command.label, command.refusal or command.help, command.id)
        if not commands and now.vocabulary is None and not now.problem:
            self._add("Asking the plugins…", "", "")
            self._patience -= 1
            if self._patience > 0:
                self._timer.start(_AGAIN)

    def _add(self, label: str, told: str, command: str) -> None:
        action = QAction(label, self._menu)
        action.setToolTip(told)
        action.setEnabled(bool(command))
        if command:
            action.triggered.connect(lambda _=False: self._do(command))
        self._menu.addAction(action)
        self._made.append(action)
