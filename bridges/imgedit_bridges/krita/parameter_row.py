"""One parameter as a line of the docker: its name, a slider and a number with its unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from imgedit_bridges.krita.curve_picture import CurvePicture
from imgedit_bridges.krita.qt import QtCore, QtWidgets
from imgedit_bridges.krita.style import (
    SLIDING,
    ElidedLabel,
    KeepKeys,
    WheelGuard,
    quietly,
    spacing,
)
from imgedit_bridges.steps import Scale, scale_of

_FINEST = 1000  # positions of a slider
_LONGEST_UNIT = 3  # characters that stand behind a number; longer ones are told by the tooltip
_BARE = ("code", "number", "0..1")

Declared = Mapping[str, Any]
Changed = Callable[[Any], Any]
"""Told a new value; returns the one that it became."""


class ScaleRow(QtWidgets.QWidget):
    """A slider and a number that agree.

    Args:
        title: shown at the left; empty where a heading says it already.
        name: for screen readers.
        scale: the values.
        unit: behind the number.
        value: to begin with.
        changed: told what the user chose.

    Signals:
        chosen: the same, for who wants no values.
    """

    chosen = QtCore.pyqtSignal()

    def __init__(
        self, title: str, name: str, scale: Scale, unit: str, value: float, changed: Changed,
        help_text: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale = scale
        self._changed = changed
        self._positions = self._count()
        self.label = ElidedLabel(title)
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.slider.setRange(0, self._positions)
        self.slider.setMinimumWidth(self.fontMetrics().averageCharWidth() * 6)
        self.slider.setSingleStep(max(1, round(self._positions / 100)))
        self.slider.setPageStep(max(1, round(self._positions / 10)))
        self.number = self._number(unit)
        guard = WheelGuard(self)
        for widget in (self.slider, self.number):
            widget.setAccessibleName(name)
            widget.setToolTip(help_text or name)
            widget.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(guard)
        KeepKeys(self.slider, SLIDING)
        self.show_value(value)
        self.slider.valueChanged.connect(self._moved)
        self.number.valueChanged.connect(self._typed)
        _lay_out(self, self.label if title else None, self.slider, self.number)

    def show_value(self, value: float) -> None:
        """Show a value that somebody else has chosen."""
        quietly(self.number, lambda: self.number.setValue(value))
        place = round(self.scale.position(value) * self._positions)
        quietly(self.slider, lambda: self.slider.setValue(place))

    def _count(self) -> int:
        if self.scale.logarithmic:
            return _FINEST
        return max(1, min(_FINEST, round((self.scale.maximum - self.scale.minimum)
                                         / self.scale.increment)))  # fmt: skip

    def _number(self, unit: str) -> QtWidgets.QDoubleSpinBox:
        number = QtWidgets.QDoubleSpinBox()
        number.setDecimals(self.scale.decimals)
        number.setRange(self.scale.minimum, self.scale.maximum)
        number.setSingleStep(self.scale.increment)
        number.setSuffix(suffix(unit))
        number.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
        number.setKeyboardTracking(False)
        return number

    def _moved(self, place: int) -> None:
        self._choose(self.scale.value_at(place / self._positions))

    def _typed(self, value: float) -> None:
        self._choose(self.scale.nearest(value))

    def _choose(self, value: float) -> None:
        became = self._changed(value)
        value = value if became is None else became
        if abs(self.number.value() - value) >= 10.0**-self.scale.decimals / 2:
            quietly(self.number, lambda: self.number.setValue(value))
        place = round(self.scale.position(value) * self._positions)
        if not self.slider.isSliderDown():
            quietly(self.slider, lambda: self.slider.setValue(place))
        self.chosen.emit()


class ChoiceRow(QtWidgets.QWidget):
    """A parameter that has few values; the arguments are those of `ScaleRow`."""

    def __init__(
        self, title: str, name: str, scale: Scale, unit: str, value: float, changed: Changed,
        help_text: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self.label = ElidedLabel(title)
        self.box = QtWidgets.QComboBox()
        for choice in scale.choices:
            self.box.addItem(f"{choice:g}{suffix(unit)}", choice)
        self.box.setAccessibleName(name)
        self.box.setToolTip(help_text or name)
        self.box.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.box.installEventFilter(WheelGuard(self))
        KeepKeys(self.box, SLIDING)
        self.show_value(value)
        self.box.currentIndexChanged.connect(lambda _: changed(self.box.currentData()))
        _lay_out(self, self.label if title else None, self.box, None)

    def show_value(self, value: float) -> None:
        """Show a value that somebody else has chosen."""
        quietly(self.box, lambda: self.box.setCurrentIndex(self.box.findData(float(value))))


class CurveRow(QtWidgets.QWidget):
    """A parameter that is a curve."""

    def __init__(self, title: str, name: str, points: Any, changed: Changed) -> None:
        super().__init__()
        self.label = ElidedLabel(title)
        self.curve = CurvePicture(points, name)
        self.curve.changed.connect(lambda: changed(self.curve.points()))
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(spacing(self, 0.15))
        if title:
            column.addWidget(self.label)
        column.addWidget(self.curve)

    def show_value(self, value: Any) -> None:
        """Show a curve that somebody else has chosen."""
        self.curve.set_points(value)


def parameter_row(
    operation: str, parameter: Declared, value: Any, changed: Changed, *, alone: bool
) -> ScaleRow | ChoiceRow | CurveRow:
    """The line for a declared parameter.

    Args:
        operation: title of its operation.
        parameter: as `Client.operations` gives it.
        value: to begin with.
        changed: told what the user chose.
        alone: whether the operation has no other, so that its own title says enough.
    """
    title = str(parameter.get("title") or parameter["name"])
    name = f"{operation}: {title}"
    scale = scale_of(parameter)
    if scale is None:
        return CurveRow("" if alone else title, name, value, changed)
    unit = str(parameter.get("unit") or "")
    told = name if len(unit) <= _LONGEST_UNIT or unit in _BARE else f"{name} ({unit})"
    kind = ChoiceRow if scale.choices else ScaleRow
    start = scale.minimum if value is None else float(value)
    return kind("" if alone else title, name, scale, unit, start, changed, told)


def suffix(unit: str) -> str:
    """A unit as it stands behind a number in a box."""
    if unit.startswith("% "):
        unit = "%"
    if unit in _BARE or len(unit) > _LONGEST_UNIT:
        return ""
    return unit if unit in ("×", "°") else f" {unit}" if unit else ""


def _lay_out(
    row: QtWidgets.QWidget, label: QtWidgets.QWidget | None, wide: QtWidgets.QWidget,
    number: QtWidgets.QWidget | None,
) -> None:  # fmt: skip
    line = QtWidgets.QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(spacing(row))
    metrics = row.fontMetrics()
    if label is not None:
        line.addWidget(label)
    line.addWidget(wide, 1)
    if number is not None:
        number.setFixedWidth(metrics.horizontalAdvance("−000.00 ") + spacing(row, 1.4))
        line.addWidget(number)
