"""One step of a plan: on or off, what it is, its values, its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imgedit_bridges.krita.parameter_row import Declared, parameter_row
from imgedit_bridges.krita.qt import QtCore, QtWidgets
from imgedit_bridges.krita.style import ElidedLabel, GlyphButton, spacing
from imgedit_bridges.steps import Step, StepList

_LONGEST = 15  # characters of a parameter's name; of a longer one the tooltip tells the rest
_MOST_SHOWN = 6  # parameters; of more, only those that are used are shown at first

Asked = Callable[[str, Step], None]
"""Told what the user wants of a step: 'changed', 'up', 'down' or 'remove'."""


class StepRow(QtWidgets.QWidget):
    """A step that can be adjusted.

    Args:
        steps: the list that it is in.
        step: it.
        asked: told what the user wants.
        is_open: whether its parameters are shown, where it has several.
        baked: why it is pixels and no live filter; empty where it is live.
    """

    def __init__(
        self, steps: StepList, step: Step, asked: Asked, *, is_open: bool, baked: str = ""
    ) -> None:
        super().__init__()
        self.step = step
        self._steps = steps
        self._asked = asked
        self._parameters = steps.parameters(step)
        self._folds = len(self._parameters) > 1 or any(p.get("points") for p in self._parameters)
        self.rows: dict[str, Any] = {}
        self._body = QtWidgets.QWidget(self)
        self._all: QtWidgets.QPushButton | None = None
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, spacing(self, 0.2), 0, spacing(self, 0.2))
        column.setSpacing(spacing(self, 0.15))
        column.addLayout(self._header(baked))
        column.addWidget(self._body)
        self._fill()
        self.open_up(is_open=is_open or not self._folds)
        self._listen_to_keys()

    @property
    def is_open(self) -> bool:
        """Whether its parameters are shown."""
        return not self._body.isHidden()

    def open_up(self, *, is_open: bool) -> None:
        """Show or hide its parameters."""
        self._body.setVisible(is_open and bool(self._parameters))
        self.value.setVisible(not is_open and self._folds)
        self.fold.set_glyph("down" if is_open else "right")
        title = self._steps.title(self.step)
        self.fold.name_as(f"Hide the settings of {title}" if is_open else f"Settings of {title}")

    def show_place(self, *, first: bool, last: bool) -> None:
        """Say whether it can be moved."""
        self.up.setEnabled(not first)
        self.down.setEnabled(not last)

    def tab_order(self) -> list[QtWidgets.QWidget]:
        """What the Tab key leads to, in its order."""
        inside = self._body.findChildren(QtWidgets.QWidget)
        reached = [one for one in inside if one.focusPolicy() & QtCore.Qt.FocusPolicy.TabFocus]
        own = [one for one in reached if one.focusProxy() is None]
        return [self.fold, self.switch, self.up, self.down, self.remove, *own]

    def show_values(self) -> None:
        """Show the step as it is now."""
        told = self._steps.summary(self.step).removeprefix(self._steps.title(self.step)).strip()
        self.value.setText(told)
        for parameter in self._parameters:
            if row := self.rows.get(str(parameter["name"])):
                row.show_value(self._steps.value(self.step, parameter))

    # --- making -------------------------------------------------------------------------------

    def _header(self, baked: str) -> QtWidgets.QHBoxLayout:
        title = self._steps.title(self.step)
        self.switch = QtWidgets.QCheckBox(title.replace("&", "&&"))
        self.switch.setChecked(self.step.on)
        self.switch.setAccessibleName(title)
        self.switch.setToolTip(f"Whether {title} takes part. Alt+Up and Alt+Down move it, Delete "
                               "removes it.")  # fmt: skip
        self.switch.toggled.connect(self._switched)
        self.value = ElidedLabel(muted_ink=True, right=True, parent=self)
        self.baked = ElidedLabel("pixels" if baked else "", muted_ink=True, parent=self)
        self.baked.setToolTip(baked)
        self.baked.setAccessibleName(f"{title} is made of pixels: {baked}" if baked else "")
        self.baked.setMinimumWidth(self.baked.sizeHint().width())
        self.baked.setVisible(bool(baked))
        self.fold = GlyphButton("right", "", self)  # shown without a parent, it were a window
        self.fold.clicked.connect(lambda: self.open_up(is_open=not self.is_open))
        self.up = self._button("up", f"Move {title} up", "up")
        self.down = self._button("down", f"Move {title} down", "down")
        self.remove = self._button("remove", f"Remove {title}", "remove")
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(0)
        policy = self.fold.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # check boxes stand below each other
        self.fold.setSizePolicy(policy)
        self.fold.setVisible(self._folds)
        line.addWidget(self.fold)
        line.addWidget(self.switch)
        line.addSpacing(spacing(self))
        line.addStretch(1)
        line.addWidget(self.value)
        line.addSpacing(spacing(self, 0.2))
        line.addWidget(self.baked)
        line.addSpacing(spacing(self, 0.2))
        for button in (self.up, self.down, self.remove):
            line.addWidget(button)
        return line

    def _button(self, glyph: str, name: str, what: str) -> GlyphButton:
        button = GlyphButton(glyph, name)
        button.clicked.connect(lambda: self._asked(what, self.step))
        return button

    def _fill(self, *, everything: bool = False) -> None:
        column = QtWidgets.QVBoxLayout(self._body)
        column.setContentsMargins(self.fold.sizeHint().width(), 0, 0, spacing(self, 0.2))
        column.setSpacing(spacing(self, 0.2))
        self._add_rows(column, everything=everything)
        self._align()
        left = len(self._parameters) - len(self.rows)
        if left:
            self._all = QtWidgets.QPushButton(f"Show all {len(self._parameters)} settings")
            self._all.clicked.connect(lambda: self._show_all(column))
            column.addWidget(self._all)
        self.show_values()

    def _add_rows(self, column: QtWidgets.QVBoxLayout, *, everything: bool) -> None:
        title, alone = self._steps.title(self.step), len(self._parameters) == 1
        for place, parameter in enumerate(self._parameters):
            name = str(parameter["name"])
            value = self._steps.value(self.step, parameter)
            few = len(self._parameters) <= _MOST_SHOWN and not parameter.get("points")
            used = few or not _is_neutral(parameter, value)
            if not (everything or used) or name in self.rows:
                continue
            row = parameter_row(title, parameter, value, self._setter(parameter), alone=alone)
            self.rows[name] = row
            column.insertWidget(place if everything else column.count(), row)

    def _show_all(self, column: QtWidgets.QVBoxLayout) -> None:
        if self._all is not None:
            column.removeWidget(self._all)
            self._all.deleteLater()
            self._all = None
        self._add_rows(column, everything=True)
        self._align()
        first = next(iter(self.rows.values()))
        first.slider.setFocus() if hasattr(first, "slider") else None

    def _align(self) -> None:
        """Sliders below each other begin at the same place."""
        labels = [row.label for row in self.rows.values() if row.label.text()]
        most = self.fontMetrics().averageCharWidth() * _LONGEST
        width = min(most, max((label.sizeHint().width() for label in labels), default=0))
        for label in labels:
            label.setFixedWidth(width)

    # --- what the user does -------------------------------------------------------------------

    def _setter(self, parameter: Declared) -> Callable[[Any], Any]:
        def chosen(value: Any) -> Any:
            became = self._steps.adjust(self.step, parameter, value)
            self.show_values()
            self._asked("changed", self.step)
            return became

        return chosen

    def _switched(self, on: bool) -> None:  # Qt's signal
        self.step.on = on
        self._asked("changed", self.step)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802, D102
        # As events and not as shortcuts, since Krita's own Delete would make that one ambiguous.
        kinds = QtCore.QEvent.Type
        if event.type() in (kinds.ShortcutOverride, kinds.KeyPress):
            is_switch = watched is self.switch
            if what := _wanted(event.key(), event.modifiers(), is_switch=is_switch):
                event.accept()
                if event.type() == kinds.KeyPress:
                    self._asked(what, self.step)
                return True
        return bool(super().eventFilter(watched, event))

    def _listen_to_keys(self) -> None:
        for widget in self.tab_order():
            widget.installEventFilter(self)


def _wanted(key: int, modifiers: object, *, is_switch: bool) -> str:
    """What a key asks of a step; Delete belongs to numbers and curves where they are focused."""
    names, held = QtCore.Qt.Key, QtCore.Qt.KeyboardModifier
    if modifiers == held.AltModifier and key in (names.Key_Up, names.Key_Down):
        return "up" if key == names.Key_Up else "down"
    plain = modifiers == held.NoModifier
    return "remove" if is_switch and plain and key == names.Key_Delete else ""


def _is_neutral(parameter: Declared, value: Any) -> bool:
    neutral = parameter.get("neutral")
    if parameter.get("points"):
        return [list(p) for p in value] == [list(p) for p in neutral or ()]
    return bool(value == neutral)
