"""The list from which an operation is chosen: searched by typing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgedit_bridges.krita.qt import QtCore, QtWidgets
from imgedit_bridges.krita.style import spacing

_NAME = QtCore.Qt.ItemDataRole.UserRole


class AddStep(QtWidgets.QDialog):
    """Lets the user choose one operation.

    Args:
        vocabulary: as `Client.operations` gives it.
        parent: the docker.
    """

    def __init__(
        self, vocabulary: Sequence[Mapping[str, Any]], parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add step")
        self.search = QtWidgets.QLineEdit()
        self.search.setPlaceholderText("Search, such as: blur")
        self.search.setAccessibleName("Search for an operation")
        self.search.setClearButtonEnabled(True)
        self.list = QtWidgets.QListWidget()
        self.list.setAccessibleName("Operations")
        self.list.setUniformItemSizes(True)
        self.told = QtWidgets.QLabel()
        self.told.setWordWrap(True)
        self.told.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.told.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop)
        self._fill(vocabulary)
        names = QtWidgets.QDialogButtonBox.StandardButton
        self.buttons = QtWidgets.QDialogButtonBox(names.Ok | names.Cancel)
        self.buttons.button(names.Ok).setText("&Add")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QtWidgets.QVBoxLayout(self)
        column.setSpacing(spacing(self))
        for widget in (self.search, self.list, self.told, self.buttons):
            column.addWidget(widget)
        self.search.textChanged.connect(self.find)
        self.search.installEventFilter(self)
        self.list.itemActivated.connect(lambda _: self.accept())
        self.list.currentItemChanged.connect(lambda *_: self._chosen())
        self.find("")
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 46, metrics.height() * 26)

    def find(self, text: str) -> None:
        """Show those in whose title, name or summary words begin so; titles that begin so first."""
        words = text.casefold().split()
        best = None
        for row in range(self.list.count()):
            item = self.list.item(row)
            where = str(item.data(_NAME + 1))
            hit = all(f" {word}" in where for word in words)
            item.setHidden(not hit)
            begins = hit and item.text().casefold().startswith(text.casefold().strip())
            if hit and (best is None or (begins and not best[0])):
                best = (begins, item)
        self.list.setCurrentItem(best[1] if best else None)
        self._chosen()

    def chosen(self) -> str:
        """The name of the chosen operation; empty where there is none."""
        item = self.list.currentItem()
        return "" if item is None or item.isHidden() else str(item.data(_NAME))

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802, D102
        keys = QtCore.Qt.Key
        moving = (keys.Key_Up, keys.Key_Down, keys.Key_PageUp, keys.Key_PageDown)
        if (
            watched is self.search
            and event.type() == QtCore.QEvent.Type.KeyPress
            and event.key() in moving
        ):
            QtWidgets.QApplication.sendEvent(self.list, event)
            return True
        return bool(super().eventFilter(watched, event))

    def _fill(self, vocabulary: Sequence[Mapping[str, Any]]) -> None:
        for one in sorted(vocabulary, key=lambda one: str(one.get("title", "")).casefold()):
            title = str(one.get("title") or one["name"])
            summary = str(one.get("summary") or "")
            item = QtWidgets.QListWidgetItem(title)
            item.setData(_NAME, str(one["name"]))
            item.setData(_NAME + 1, f" {title} {one['name']} {summary}".casefold())
            item.setData(_NAME + 2, summary)
            self.list.addItem(item)

    def _chosen(self) -> None:
        item = self.list.currentItem() if self.chosen() else None
        nothing = "There is no such operation." if self.search.text() else ""
        self.told.setText(str(item.data(_NAME + 2)) if item else nothing)
        names = QtWidgets.QDialogButtonBox.StandardButton
        self.buttons.button(names.Ok).setEnabled(item is not None)
