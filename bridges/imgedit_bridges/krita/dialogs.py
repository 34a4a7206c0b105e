"""What is asked before something is done: layers, files, options; and an edit told in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgedit_bridges.krita import seam
from imgedit_bridges.krita.option_dialog import OptionDialog
from imgedit_bridges.krita.previews import Picture, Preview
from imgedit_bridges.krita.qt import QtWidgets
from imgedit_bridges.krita.style import spacing

_FOLDER = "folder"  # the setting that names the last one
_PLANS = "Plans and pictures (*.json *.png *.jpg *.jpeg *.tif *.tiff *.webp *.xmp)"

Values = dict[str, Any]


def ask(parent: QtWidgets.QWidget, engine: seam.Engine, command: seam.Command) -> Values | None:
    """What a command needs; None where the user thought better of it."""
    askers: dict[str, Callable[[QtWidgets.QWidget, seam.Engine], Values | None]] = {
        seam.RECOVER: _layers,
        seam.APPLY_PLAN: _plan_to_apply,
        seam.SAVE_PLAN: _file_to_save,
    }
    if asker := askers.get(command.id):
        return asker(parent, engine)
    if not command.options and "instruction" not in command.inputs:
        return {}
    dialog = OptionDialog(command, engine, parent)
    return dialog.values() if dialog.exec() else None


class RecoverDialog(QtWidgets.QDialog):
    """Which layer is before the edit, and which after it.

    Args:
        engine: knows the layers.
        parent: the docker.
    """

    def __init__(self, engine: seam.Engine, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Recover edit")
        self._engine = engine
        layers = engine.layers()
        self._layers = layers.names
        self.before, self.after = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        self._pictures = {self.before: Picture("The layer before the edit"),
                          self.after: Picture("The layer after the edit")}  # fmt: skip
        self.told = QtWidgets.QLabel()
        self.told.setWordWrap(True)
        self.swap = QtWidgets.QPushButton("&Swap")
        self.swap.setToolTip("Take them the other way round")
        self.swap.setAutoDefault(False)
        self.swap.clicked.connect(self._swap)
        self.buttons = _ok_cancel(self, "&Recover")
        self._lay_out()
        for box in (self.before, self.after):
            for key, name in self._layers:
                box.addItem(name, key)
            box.currentIndexChanged.connect(self._chosen)
        self.before.setCurrentIndex(self.before.findData(layers.before))
        self.after.setCurrentIndex(self.after.findData(layers.after))
        self._chosen()

    def values(self) -> Values:
        """Keys of the layers."""
        return {"before": self.before.currentData(), "after": self.after.currentData()}

    def _lay_out(self) -> None:
        grid = QtWidgets.QGridLayout()
        grid.setSpacing(spacing(self))
        for column, (title, box) in enumerate((("&Before", self.before), ("A&fter", self.after))):
            label = QtWidgets.QLabel(title)
            label.setBuddy(box)
            box.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored,
                              QtWidgets.QSizePolicy.Policy.Fixed)  # fmt: skip
            grid.addWidget(label, 0, column)
            grid.addWidget(box, 1, column)
            grid.addWidget(self._pictures[box], 2, column)
            grid.setColumnStretch(column, 1)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.swap)
        line.addWidget(self.told, 1)
        column = QtWidgets.QVBoxLayout(self)
        column.setSpacing(spacing(self, 0.6))
        column.addLayout(grid, 1)
        column.addLayout(line)
        column.addWidget(self.buttons)

    def _swap(self) -> None:
        places = self.after.currentIndex(), self.before.currentIndex()
        self.before.setCurrentIndex(places[0])
        self.after.setCurrentIndex(places[1])

    def _chosen(self) -> None:
        for box, picture in self._pictures.items():
            key, side = box.currentData(), picture.pixels()
            image = self._engine.thumbnail(key, side, side) if key else None
            picture.show_image(image, "" if image is not None else "No picture")
        same = self.before.currentData() == self.after.currentData()
        self.told.setText("Choose two different layers." if same else "")
        self.buttons.button(_NAMES.Ok).setEnabled(not same)


class PlanDialog(QtWidgets.QDialog):
    """An edit plan from a file, with what it makes of the picture.

    Args:
        engine: reads plans and makes the preview.
        path: of the file.
        parent: the docker.
    """

    def __init__(
        self, engine: seam.Engine, path: str, parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Apply plan")
        self._engine = engine
        self.path = path
        self.name = QtWidgets.QLabel(Path(path).name)
        self.other = QtWidgets.QPushButton("&Choose…")
        self.other.setToolTip("Choose another file")
        self.other.setAutoDefault(False)
        self.other.clicked.connect(self._choose)
        self.preview = Preview()
        self.buttons = _ok_cancel(self, "&Apply")
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.name, 1)
        line.addWidget(self.other)
        column = QtWidgets.QVBoxLayout(self)
        column.setSpacing(spacing(self, 0.6))
        column.addLayout(line)
        column.addWidget(self.preview, 1)
        column.addWidget(self.buttons)
        self._look()

    def _choose(self) -> None:
        if path := _open_file(self, self._engine):
            self.path = path
            self.name.setText(Path(path).name)
            self._look()

    def _look(self) -> None:
        self.preview.wait("Making the preview…")
        size = self.preview.picture.pixels()
        self._engine.preview(seam.APPLY_PLAN, {"path": self.path}, size, self._show)

    def _show(self, before: Any, after: Any, told: str) -> None:
        try:
            self.preview.show_pictures(before, after, told)
        except RuntimeError:
            return  # the dialog was closed in the meantime


def explain(parent: QtWidgets.QWidget, text: str) -> None:
    """Show an edit in words, one fact a line."""
    dialog = QtWidgets.QDialog(parent)
    dialog.setWindowTitle("This edit")
    told = QtWidgets.QPlainTextEdit(text)
    told.setReadOnly(True)
    told.setTabChangesFocus(True)
    told.setAccessibleName("This edit")
    metrics = dialog.fontMetrics()
    lines = min(18, max(6, text.count("\n") + 3))
    told.setMinimumSize(metrics.averageCharWidth() * 56, metrics.lineSpacing() * lines)
    buttons = QtWidgets.QDialogButtonBox(_NAMES.Close)
    buttons.rejected.connect(dialog.reject)
    column = QtWidgets.QVBoxLayout(dialog)
    column.addWidget(told, 1)
    column.addWidget(buttons)
    dialog.exec()


# --- the askers -------------------------------------------------------------------------------


def _layers(parent: QtWidgets.QWidget, engine: seam.Engine) -> Values | None:
    dialog = RecoverDialog(engine, parent)
    return dialog.values() if dialog.exec() else None


def _plan_to_apply(parent: QtWidgets.QWidget, engine: seam.Engine) -> Values | None:
    path = _open_file(parent, engine)
    if not path:
        return None
    dialog = PlanDialog(engine, path, parent)
    return {"path": dialog.path} if dialog.exec() else None


def _file_to_save(parent: QtWidgets.QWidget, engine: seam.Engine) -> Values | None:
    start = str(Path(engine.setting(_FOLDER) or Path.home()) / "edit.json")
    path, _ = QtWidgets.QFileDialog.getSaveFileName(parent, "Save plan", start,
                                                    "Edit plans (*.json)")  # fmt: skip
    if not path:
        return None
    engine.write_setting(_FOLDER, str(Path(path).parent))
    return {"path": path if Path(path).suffix else f"{path}.json"}


def _open_file(parent: QtWidgets.QWidget, engine: seam.Engine) -> str:
    start = engine.setting(_FOLDER) or str(Path.home())
    path, _ = QtWidgets.QFileDialog.getOpenFileName(parent, "Apply plan", start,
                                                    f"{_PLANS};;All files (*)")  # fmt: skip
    if path:
        engine.write_setting(_FOLDER, str(Path(path).parent))
    return str(path)


_NAMES = QtWidgets.QDialogButtonBox.StandardButton


def _ok_cancel(dialog: QtWidgets.QDialog, ok: str) -> QtWidgets.QDialogButtonBox:
    buttons = QtWidgets.QDialogButtonBox(_NAMES.Ok | _NAMES.Cancel)
    buttons.button(_NAMES.Ok).setText(ok)
    buttons.button(_NAMES.Ok).setDefault(True)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    return buttons
