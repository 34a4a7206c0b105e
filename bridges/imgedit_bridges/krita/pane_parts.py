"""The parts of the docker around the plan: commands, the edit's name, history, status."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from datetime import datetime

from imgedit_bridges.krita import seam
from imgedit_bridges.krita.previews import Picture
from imgedit_bridges.krita.qt import QAction, QtCore, QtGui, QtWidgets
from imgedit_bridges.krita.style import (
    SLIDING,
    ElidedLabel,
    Glyph,
    GlyphButton,
    KeepKeys,
    plain_scroll,
    quietly,
    spacing,
)

_MNEMONICS = {seam.RECOVER: "Re&cover edit…", seam.APPLY_PLAN: "&Apply plan…"}
"""Letters that no menu of Krita's has."""


class CommandRow(QtWidgets.QWidget):
    """Buttons for the first two commands, a menu for the others.

    Args:
        wanted: told the command that the user chose.
    """

    def __init__(self, wanted: Callable[[seam.Command], None]) -> None:
        super().__init__()
        self._wanted = wanted
        self._commands: Sequence[seam.Command] = ()
        self.buttons = {name: self._button(name) for name in _MNEMONICS}
        self.menu = QtWidgets.QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.more = GlyphButton("more", "More of imgedit (Alt+M)")
        self.more.setMenu(self.menu)
        self.more.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setShortcut(QtGui.QKeySequence("Alt+M"))
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(spacing(self))
        for button in self.buttons.values():
            line.addWidget(button, 1)
        line.addWidget(self.more)

    def show_commands(self, commands: Sequence[seam.Command]) -> None:
        """Offer these."""
        if commands == self._commands:
            return
        self._commands = commands
        by_id = {command.id: command for command in commands}
        for name, button in self.buttons.items():
            command = by_id.get(name)
            button.setEnabled(command is not None and not command.refusal)
            told = (command.refusal or command.help) if command else ""
            button.setToolTip(told)
            button.setAccessibleDescription(told)
        if not self.menu.isVisible():
            self._fill_menu([one for one in commands if one.id not in self.buttons])
        self.more.setEnabled(bool(self.menu.actions()))

    def _button(self, name: str) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(_MNEMONICS[name])
        button.clicked.connect(lambda: self._choose(name))
        button.setEnabled(False)
        return button

    def _fill_menu(self, commands: Sequence[seam.Command]) -> None:
        self.menu.clear()
        was_ours = True
        for command in commands:
            is_ours = "/" not in command.id
            if was_ours and not is_ours and self.menu.actions():
                self.menu.addSeparator()
            was_ours = is_ours
            action = QAction(command.label.replace("&", "&&"), self.menu)
            action.setEnabled(not command.refusal)
            action.setToolTip(command.refusal or command.help)
            action.triggered.connect(lambda _=False, name=command.id: self._choose(name))
            self.menu.addAction(action)

    def _choose(self, name: str) -> None:
        command = next((one for one in self._commands if one.id == name), None)
        if command is not None and not command.refusal:
            self._wanted(command)


class EditHead(QtWidgets.QWidget):
    """The edit's name, and a button that hides the edit as long as it is held."""

    def __init__(self, show: Callable[..., None]) -> None:
        super().__init__()
        self._show = show
        self._held = False
        self.title = ElidedLabel()
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.before = QtWidgets.QPushButton("&Before")
        self.before.setToolTip("Hold to see the picture without this edit (Space does too)")
        self.before.pressed.connect(lambda: self._hold(on=True))
        self.before.released.connect(lambda: self._hold(on=False))
        self.before.installEventFilter(self)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(spacing(self))
        line.addWidget(self.title, 1)
        line.addWidget(self.before)

    def show_edit(self, edit: seam.Edit) -> None:
        """Show another edit, or the same one."""
        self.title.setText(edit.title[:1].upper() + edit.title[1:])  # may be names of operations
        if not self._held:
            self.before.setEnabled(edit.shown)
            self.before.setToolTip(
                "Hold to see the picture without this edit (Space does too)"
                if edit.shown
                else "The edit's group is hidden in the list of layers"
            )

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802, D102
        kinds = QtCore.QEvent.Type
        if event.type() in (kinds.FocusOut, kinds.Hide, kinds.WindowDeactivate):
            self._hold(on=False)  # a button that is let go elsewhere does not say so
        return bool(super().eventFilter(watched, event))

    def _hold(self, *, on: bool) -> None:
        if on != self._held:
            self._held = on
            self._show(on=not on)


class History(QtWidgets.QWidget):
    """Earlier plans of the edit."""

    def __init__(self, chosen: Callable[[seam.Kept], None]) -> None:
        super().__init__()
        self._chosen = chosen
        self._kept: Sequence[seam.Kept] | None = None
        self.box = QtWidgets.QComboBox()
        self.box.setAccessibleName("Earlier plans of this edit")
        self.box.setToolTip("Go back to a plan that this edit had")
        policy = QtWidgets.QComboBox.SizeAdjustPolicy
        self.box.setSizeAdjustPolicy(policy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(8)
        self.box.activated.connect(self._activated)
        KeepKeys(self.box, SLIDING)
        label = QtWidgets.QLabel("Earlier &plans")
        label.setBuddy(self.box)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(spacing(self))
        line.addWidget(label)
        line.addWidget(self.box, 1)
        self.show_history(())

    def show_history(self, kept: Sequence[seam.Kept]) -> None:
        """Offer these, the newest first."""
        if kept == self._kept or self.box.view().isVisible():
            return
        self._kept = kept
        quietly(self.box, self._fill)
        self.setVisible(bool(kept))

    def _fill(self) -> None:
        self.box.clear()
        self.box.addItem("As it is now")
        for one in self._kept or ():
            self.box.addItem(f"{_clock(one.when)}{one.title}")
            self.box.setItemData(self.box.count() - 1, one.title,
                                 QtCore.Qt.ItemDataRole.ToolTipRole)  # fmt: skip

    def _activated(self, place: int) -> None:
        if place > 0 and self._kept:
            kept = self._kept[place - 1]
            self._kept = None
            self._chosen(kept)


class Beginning(QtWidgets.QScrollArea):
    """What there is to do while there is no edit; or what must be done before anything works."""

    def __init__(self, add_step: Callable[[], None]) -> None:
        super().__init__()
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(QtCore.Qt.TextFormat.RichText)
        self.remedy = QtWidgets.QLineEdit()
        self.remedy.setReadOnly(True)
        self.remedy.setAccessibleName("The command that helps")
        self.remedy.setFont(
            QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont)
        )
        self.copy = QtWidgets.QPushButton("C&opy")
        self.copy.setToolTip("Copy the command; run it in a terminal")
        self.copy.clicked.connect(
            lambda: QtWidgets.QApplication.clipboard().setText(self.remedy.text())
        )
        self.add = QtWidgets.QPushButton("A&dd step…")
        self.add.clicked.connect(add_step)
        help_line = QtWidgets.QHBoxLayout()
        help_line.addStretch(1)
        help_line.addWidget(self.copy)
        add_line = QtWidgets.QHBoxLayout()
        add_line.addWidget(self.add)
        add_line.addStretch(1)
        inside = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(spacing(self))
        column.addWidget(self.text)
        column.addWidget(self.remedy)
        column.addLayout(help_line)
        column.addLayout(add_line)
        column.addStretch(1)
        self.setWidget(inside)
        plain_scroll(self)

    def show_situation(self, now: seam.Situation) -> None:
        """Say what can be done."""
        self.text.setText(beginning(now))
        for widget in (self.remedy, self.copy):
            widget.setVisible(bool(now.problem and now.remedy))
        if self.remedy.text() != now.remedy:
            self.remedy.setText(now.remedy)
            self.remedy.setCursorPosition(0)
        can_add = bool(now.document and not now.problem)
        self.add.setVisible(can_add)


class Status(QtWidgets.QWidget):
    """Work that goes on, with its end; and the last thing that was said."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        super().__init__()
        self.stage = ElidedLabel()
        self.bar = QtWidgets.QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(spacing(self, 0.6))
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.clicked.connect(self._cancel)
        self._end = cancel
        self.picture = Picture("What the edit looks like so far")
        self.work = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(self.work)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(spacing(self, 0.2))
        grid.addWidget(self.picture, 0, 0, 1, 2)
        grid.addWidget(self.stage, 1, 0)
        grid.addWidget(self.bar, 2, 0)
        grid.addWidget(self.cancel, 1, 1, 2, 1)
        self.message = _Message()
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(spacing(self))
        column.addWidget(self.message)
        column.addWidget(self.work)
        self.end_work()
        self.message.hide()
        self._fit()

    def show_work(self, stage: str, share: float) -> None:
        """Say what is being done."""
        told = stage[:1].upper() + stage[1:] or "Working"
        self.stage.setText(told)
        self.bar.setAccessibleName(told)
        known = share >= 0
        self.bar.setRange(0, 1000 if known else 0)
        if known:
            self.bar.setValue(round(1000 * min(1.0, share)))
        self.work.show()
        self._fit()

    def show_picture(self, image: object) -> None:
        """Show a QImage of the edit on its way."""
        self.picture.show_image(image)
        self.picture.show()

    def end_work(self) -> None:
        """Nothing is being done."""
        self.work.hide()
        self.picture.hide()
        self.cancel.setEnabled(True)
        self._fit()

    def tell(self, message: str, hint: str, *, failed: bool) -> None:
        """Say one sentence, and what to do next, until something else is begun."""
        self.message.show_text(f"{message} {hint}".strip(), failed=failed)
        self._fit()

    def clear(self) -> None:
        """Say nothing any more."""
        self.message.hide()
        self._fit()

    def _fit(self) -> None:
        self.setVisible(not (self.work.isHidden() and self.message.isHidden()))

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.stage.setText("Cancelling")
        self._end()


class _Message(QtWidgets.QFrame):
    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.sign = Glyph("told")
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.text.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.closer = GlyphButton("remove", "Close this message")
        self.closer.clicked.connect(self._close)
        line = QtWidgets.QHBoxLayout(self)
        edge = spacing(self, 0.35)
        line.setContentsMargins(edge, edge, edge, edge)
        line.setSpacing(edge)
        top = QtCore.Qt.AlignmentFlag.AlignTop
        line.addWidget(self.sign, 0, top)
        line.addWidget(self.text, 1)
        line.addWidget(self.closer, 0, top)

    def show_text(self, text: str, *, failed: bool) -> None:
        self.sign.glyph = "warning" if failed else "told"
        self.text.setText(text)
        self.text.setToolTip(text)  # a low docker cuts long ones off
        self.text.setAccessibleName(f"{'Error' if failed else 'Note'}: {text}")
        self.show()

    def _close(self) -> None:
        self.hide()
        status = self.parentWidget()
        if isinstance(status, Status):
            status._fit()


def beginning(now: seam.Situation) -> str:
    """What is said while there is no edit, as rich text."""
    if now.problem:
        return html.escape(now.problem)
    if not now.document:
        return "Open a picture to begin."
    lines = (
        "To find out how a picture was edited, have it and the edited one on two layers, and "
        "choose <b>Recover edit</b>.",
        "To use an edit that was saved, choose <b>Apply plan</b>.",
        "To make one by hand, add its first step.",
    )
    return "".join(f"<p>{line}</p>" for line in lines)


def _clock(when: str) -> str:
    try:
        return f"{datetime.fromisoformat(when):%H:%M}  "
    except ValueError:
        return ""
