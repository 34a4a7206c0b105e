"""The extension: menu entries, and the engine behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from krita import Extension, Krita

from imgedit_bridges.krita.engine import Engine
from imgedit_bridges.krita.qt import QtWidgets

_MENU = "imgedit"
_PLANS = "Plans and pictures (*.json *.png *.jpg *.jpeg *.tif *.tiff *.webp *.xmp);;All files (*)"


class ImgeditExtension(Extension):  # type: ignore[misc]
    """Adds Tools ▸ Scripts ▸ imgedit to every window."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.engine = Engine(parent=self)

    def setup(self) -> None:
        """Called once, when Krita has loaded all extensions."""
        self.engine.failed.connect(_warn)

    def createActions(self, window: Any) -> None:  # noqa: N802  # Krita calls it so
        """Called for every new window."""
        menu = window.createAction("imgedit_menu", "imgedit", "tools/scripts")
        menu.setMenu(QtWidgets.QMenu(_MENU, window.qwindow()))
        for name, label, run in self._entries():
            action = window.createAction(f"imgedit_{name}", label, f"tools/scripts/{_MENU}_menu")
            action.triggered.connect(run)

    def _entries(self) -> list[tuple[str, str, Callable[[], None]]]:
        return [
            ("recover", "Recover Edit from Two Layers", lambda *_: self.engine.recover()),
            ("apply_plan", "Apply Plan…", lambda *_: self._apply()),
            ("copy_edit", "Copy This Edit to Other Open Pictures",
             lambda *_: self.engine.copy_edit()),
            ("save_plan", "Save Plan…", lambda *_: self._save()),
            ("explain", "Explain This Layer's Edit", lambda *_: self.engine.explain()),
        ]  # fmt: skip

    def _apply(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(_window(), "Apply Plan", "", _PLANS)
        if path:
            self.engine.apply_file(Path(path))

    def _save(self) -> None:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(
            _window(), "Save Plan", "plan.json", "Plans (*.json)"
        )
        if path:
            self.engine.save_plan(Path(path))


def add_to_krita() -> None:
    """Make the extension known to Krita."""
    app = Krita.instance()
    app.addExtension(ImgeditExtension(app))


def _window() -> Any:
    window = Krita.instance().activeWindow()
    return window.qwindow() if window else None


def _warn(sentence: str) -> None:
    QtWidgets.QMessageBox.warning(_window(), "imgedit", sentence)
