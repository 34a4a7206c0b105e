"""The dialog of a plugin's action, made from its manifest."""

from __future__ import annotations

from typing import Any

from imgedit_bridges.krita import seam
from imgedit_bridges.krita.option_fields import option_field
from imgedit_bridges.krita.presets import Presets
from imgedit_bridges.krita.previews import Preview
from imgedit_bridges.krita.qt import QtWidgets
from imgedit_bridges.krita.style import quietly, spacing

_LAST, _DEFAULTS = "Last used", "Defaults"


class OptionDialog(QtWidgets.QDialog):
    """Asks for an instruction, where the action takes one, and for its options.

    Args:
        command: the action.
        engine: keeps the values, and makes the preview.
        parent: the docker.
    """

    def __init__(
        self, command: seam.Command, engine: seam.Engine, parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(command.label.rstrip("….").strip())
        self._command = command
        self._engine = engine
        self.presets = Presets(engine, command.id)
        self.fields = [option_field(spec) for spec in command.options]
        for field in self.fields:
            field.changed = self._check
        self.instruction = QtWidgets.QPlainTextEdit()
        self.chooser = QtWidgets.QComboBox()
        self.save = _button("&Save…", "Keep these options under a name", self._save)
        self.delete = _button("&Delete", "Forget the chosen preset", self._delete)
        self.look = _button("&Preview", "Try it on a small copy of the picture", self._look)
        self.preview = Preview()
        names = QtWidgets.QDialogButtonBox.StandardButton
        self.buttons = QtWidgets.QDialogButtonBox(names.Ok | names.Cancel)
        self.ok = self.buttons.button(names.Ok)
        self.ok.setText("&Apply")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        self._fill_chooser(_LAST if self.presets.last else _DEFAULTS)
        self._choose()
        self._check()
        self.chooser.currentIndexChanged.connect(lambda _: self._choose())

    def values(self) -> dict[str, Any]:
        """As `Engine.start` takes them."""
        found: dict[str, Any] = {"options": self.options()}
        if self._asks_instruction:
            found["instruction"] = self.instruction.toPlainText().strip()
        return found

    def options(self) -> dict[str, Any]:
        """The options' values by name."""
        return {field.name: field.value for field in self.fields}

    def accept(self) -> None:
        """Keep what was chosen, and close."""
        kept = self.options()
        if self._asks_instruction:
            kept["instruction"] = self.instruction.toPlainText()
        self.presets.use(kept)
        super().accept()

    @property
    def _asks_instruction(self) -> bool:
        return "instruction" in self._command.inputs

    # --- making -------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QtWidgets.QFormLayout()
        form.setSpacing(spacing(self))
        policy = QtWidgets.QFormLayout.FieldGrowthPolicy
        form.setFieldGrowthPolicy(policy.AllNonFixedFieldsGrow)
        if self._asks_instruction:
            self._add_instruction(form)
        for field in self.fields:
            if isinstance(field.widget, QtWidgets.QCheckBox):
                form.addRow("", field.widget)  # which says itself what it is
                continue
            form.addRow(field.label, field.widget)
            form.labelForField(field.widget).setToolTip(field.widget.toolTip())
        column = QtWidgets.QVBoxLayout(self)
        column.setSpacing(spacing(self, 0.6))
        if self._command.help:
            told = QtWidgets.QLabel(self._command.help)
            told.setWordWrap(True)
            column.addWidget(told)
        if self.fields:
            column.addLayout(self._preset_line())
        column.addLayout(form)
        column.addWidget(self.preview, 1)
        line = QtWidgets.QHBoxLayout()
        line.addWidget(self.look)
        line.addWidget(self.buttons, 1)
        column.addLayout(line)
        self.preview.hide()
        # What is asked between two layers has no one picture to try it on.
        self.look.setVisible("second_picture" not in self._command.inputs)
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * 60)
        if self._asks_instruction:
            self.instruction.setFocus()

    def _add_instruction(self, form: QtWidgets.QFormLayout) -> None:
        self.instruction.setTabChangesFocus(True)
        self.instruction.setAccessibleName("Instruction")
        self.instruction.setPlaceholderText("What shall be changed, such as: make it warmer")
        self.instruction.setFixedHeight(4 * self.fontMetrics().lineSpacing())
        self.instruction.textChanged.connect(self._check)
        label = QtWidgets.QLabel("&Instruction")
        label.setBuddy(self.instruction)
        form.addRow(label, self.instruction)

    def _preset_line(self) -> QtWidgets.QHBoxLayout:
        label = QtWidgets.QLabel("P&reset")
        label.setBuddy(self.chooser)
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(spacing(self))
        line.addWidget(label)
        line.addWidget(self.chooser, 1)
        line.addWidget(self.save)
        line.addWidget(self.delete)
        return line

    # --- presets ------------------------------------------------------------------------------

    def _fill_chooser(self, chosen: str) -> None:
        def fill() -> None:
            self.chooser.clear()
            if self.presets.last:
                self.chooser.addItem(_LAST)
            self.chooser.addItem(_DEFAULTS)
            for name in sorted(self.presets.named, key=str.casefold):
                self.chooser.addItem(name, name)
            self.chooser.setCurrentText(chosen)

        quietly(self.chooser, fill)
        self.delete.setEnabled(self.chooser.currentData() is not None)

    def _choose(self) -> None:
        name = self.chooser.currentData()
        is_last = self.chooser.currentText() == _LAST and name is None
        kept = self.presets.named[name] if name else self.presets.last if is_last else {}
        for field in self.fields:
            field.show_value(kept.get(field.name, field.default))
        if is_last and kept.get("instruction"):
            self.instruction.setPlainText(str(kept["instruction"]))
        self.delete.setEnabled(name is not None)

    def _save(self) -> None:
        name, ok = QtWidgets.QInputDialog.getText(self, "Save preset", "Name")
        if ok and name.strip():
            self.presets.save(name.strip(), self.options())
            self._fill_chooser(name.strip())

    def _delete(self) -> None:
        if name := self.chooser.currentData():
            self.presets.delete(name)
            self._fill_chooser(_DEFAULTS)

    # --- preview, and whether it can begin ----------------------------------------------------

    def _check(self) -> None:
        missing = [field.label for field in self.fields if field.missing]
        if self._asks_instruction and not self.instruction.toPlainText().strip():
            missing.insert(0, "Instruction")
        told = f"Still needed: {', '.join(missing)}" if missing else ""
        for button in (self.ok, self.look):
            button.setEnabled(not missing)
        self.ok.setToolTip(told)

    def _look(self) -> None:
        self.preview.show()
        self.preview.wait("Making the preview…")
        size = self.preview.picture.pixels()
        self._engine.preview(self._command.id, self.values(), size, self._show)

    def _show(self, before: Any, after: Any, told: str) -> None:
        try:
            self.preview.show_pictures(before, after, told)
        except RuntimeError:
            return  # the dialog was closed in the meantime


def _button(text: str, help_text: str, do: Any) -> QtWidgets.QPushButton:
    button = QtWidgets.QPushButton(text)
    button.setToolTip(help_text)
    button.setAutoDefault(False)
    button.clicked.connect(do)
    return button
