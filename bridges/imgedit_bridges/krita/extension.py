"""The extension: menu entries, the docker, and the engine behind them."""

from __future__ import annotations

from typing import Any

from krita import Extension, Krita

from imgedit_bridges.client import BridgeError
from imgedit_bridges.krita import dialogs, docker, seam
from imgedit_bridges.krita.docker_engine import DockerEngine
from imgedit_bridges.krita.engine import Engine
from imgedit_bridges.krita.plugin_menu import PluginMenu
from imgedit_bridges.krita.qt import QtWidgets

_MENU = "imgedit"
_ENTRIES = {
    "recover": (seam.RECOVER, "Recover Edit from Two Layers"),
    "apply_plan": (seam.APPLY_PLAN, "Apply Plan…"),
    "copy_edit": (seam.COPY_EDIT, "Copy This Edit to Other Open Pictures"),
    "save_plan": (seam.SAVE_PLAN, "Save Plan…"),
    "explain": (seam.EXPLAIN, "Explain This Layer's Edit"),
}
"""Menu entries; all but the first do what the docker's buttons do."""


class ImgeditExtension(Extension):  # type: ignore[misc]
    """Adds Tools ▸ Scripts ▸ imgedit to every window."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.engine = Engine(parent=self)
        self.desk = DockerEngine(self.engine)
        self._menus: list[PluginMenu] = []

    def setup(self) -> None:
        """Called once, when Krita has loaded all extensions."""
        self.engine.failed.connect(self._warn)

    def createActions(self, window: Any) -> None:  # noqa: N802  # Krita calls it so
        """Called for every new window."""
        menu = window.createAction("imgedit_menu", "imgedit", "tools/scripts")
        submenu = QtWidgets.QMenu(_MENU, window.qwindow())
        menu.setMenu(submenu)
        made = []
        for name, (command, label) in _ENTRIES.items():
            action = window.createAction(f"imgedit_{name}", label, f"tools/scripts/{_MENU}_menu")
            action.triggered.connect(lambda _=False, command=command: self._do(command))
            made.append(action)
        for action in made:  # Krita 5.3 sorts them by their labels
            submenu.removeAction(action)
            submenu.addAction(action)
        # Kept, as Python forgets what only Qt knows of: in Krita 5.3 the menu stayed as it was.
        plugins = PluginMenu(submenu, self.desk, self._do)
        self._menus.append(plugins)
        plugins.destroyed.connect(lambda: self._menus.remove(plugins))

    def _do(self, name: str) -> None:
        if name == seam.RECOVER:
            self.engine.recover()  # between the selected layers; the docker asks which
            return
        command = next(one for one in self.desk.look().commands if one.id == name)
        if command.refusal:
            self._say(command.refusal)
            return
        values = dialogs.ask(_window(), self.desk, command)
        if values is None:
            return
        try:
            self.desk.start(name, values)
        except BridgeError as error:
            self._say(str(error))

    def _say(self, sentence: str) -> None:
        self.desk.say(sentence, failed=True)
        self._warn(sentence)

    def _warn(self, sentence: str) -> None:
        """Where no docker is seen that says it."""
        dockers = (one for one in Krita.instance().dockers() if one.objectName() == docker.NAME)
        if not any(one.isVisible() for one in dockers):
            QtWidgets.QMessageBox.warning(_window(), "imgedit", sentence)


def add_to_krita() -> None:
    """Make the extension and its docker known to Krita."""
    app = Krita.instance()
    extension = ImgeditExtension(app)
    app.addExtension(extension)
    docker.add_docker(extension.desk)


def _window() -> Any:
    window = Krita.instance().activeWindow()
    return window.qwindow() if window else None
