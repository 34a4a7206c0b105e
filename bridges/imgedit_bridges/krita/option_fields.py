"""One option of a plugin's action as a field of a dialog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from imgedit_bridges.krita.parameter_row import ScaleRow, suffix
from imgedit_bridges.krita.qt import QtCore, QtWidgets
from imgedit_bridges.krita.style import spacing
from imgedit_bridges.steps import scale_of

_UNBOUND = 1e9  # of a number without a bound
_MOST_INTEGER = 2**31 - 1

Spec = Mapping[str, Any]
"""As `Client.actions` gives it."""


class Field:
    """What the user sees of an option.

    Attributes:
        label: its name for people.
        widget: to be put into a dialog.
        changed: told when the value is another one.
    """

    def __init__(
        self, spec: Spec, widget: QtWidgets.QWidget, told: Any,
        get: Callable[[], Any], put: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self.name = str(spec["name"])
        self.label = label(self.name)
        self.widget = widget
        self._spec = spec
        self._get, self._put = get, put
        self.changed: Callable[[], None] = lambda: None
        told.connect(lambda *_: self.changed())
        help_text = str(spec.get("help") or "")
        for part in (widget, *widget.findChildren(QtWidgets.QWidget)):
            part.setToolTip(help_text)
            part.setAccessibleName(self.label)
            part.setAccessibleDescription(help_text)

    @property
    def value(self) -> Any:
        """What is chosen."""
        return self._get()

    def show_value(self, value: Any) -> None:
        """Show a value; one that cannot be, since the plugin has changed, is passed over."""
        try:
            self._put(value)
        except (TypeError, ValueError):
            return

    @property
    def missing(self) -> bool:
        """Whether the user must still give a value."""
        return self._spec.get("default") is None and self.value in ("", None)

    @property
    def default(self) -> Any:
        """What it is where the user says nothing."""
        default = self._spec.get("default")
        if default is not None:
            return default
        kinds = {"boolean": False, "integer": 0, "number": 0.0, "choice": None}
        return kinds.get(str(self._spec.get("type")), "")


def option_field(spec: Spec) -> Field:
    """The field for an option, with its default."""
    makers = {"boolean": _boolean, "integer": _number, "number": _number, "choice": _choice,
              "path": _path}  # fmt: skip
    field = makers.get(str(spec.get("type")), _text)(spec)
    field.show_value(field.default)
    return field


def label(name: str) -> str:
    """An option's name for people: 'guidance-scale' -> 'Guidance scale'."""
    words = name.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _boolean(spec: Spec) -> Field:
    box = QtWidgets.QCheckBox(label(str(spec["name"])))
    return Field(spec, box, box.toggled, box.isChecked, lambda value: box.setChecked(bool(value)))


def _number(spec: Spec) -> Field:
    low, high = spec.get("minimum"), spec.get("maximum")
    whole = spec.get("type") == "integer"
    if low is None or high is None or (whole and high - low > _MOST_INTEGER):
        return _free_number(spec, whole=whole)
    scale = scale_of({"minimum": low, "maximum": high, "integer": whole})
    assert scale is not None
    unit = str(spec.get("unit") or "")
    row = ScaleRow("", str(spec["name"]), scale, unit, float(low), lambda value: value)

    def get() -> float:
        return round(row.number.value()) if whole else float(row.number.value())

    return Field(spec, row, row.chosen, get, lambda value: row.show_value(float(value)))


def _free_number(spec: Spec, *, whole: bool) -> Field:
    box = QtWidgets.QDoubleSpinBox()
    box.setDecimals(0 if whole else 4)
    low, high = spec.get("minimum"), spec.get("maximum")
    box.setRange(-_UNBOUND if low is None else low, _UNBOUND if high is None else high)
    box.setSuffix(suffix(str(spec.get("unit") or "")))

    def get() -> float:
        return round(box.value()) if whole else float(box.value())

    return Field(spec, box, box.valueChanged, get, lambda value: box.setValue(float(value)))


def _choice(spec: Spec) -> Field:
    box = QtWidgets.QComboBox()
    box.addItems([str(choice) for choice in spec.get("choices") or ()])

    def put(value: Any) -> None:
        place = 0 if value is None else box.findText(str(value))
        if place >= 0:
            box.setCurrentIndex(place)

    return Field(spec, box, box.currentIndexChanged, box.currentText, put)


def _text(spec: Spec) -> Field:
    line = QtWidgets.QLineEdit()
    return Field(spec, line, line.textChanged, line.text, lambda value: line.setText(str(value)))


def _path(spec: Spec) -> Field:
    whole = QtWidgets.QWidget()
    line = QtWidgets.QLineEdit()
    browse = QtWidgets.QPushButton("Browse…")
    browse.setAutoDefault(False)
    title = label(str(spec["name"]))

    def look() -> None:
        # Either a file or a folder may be meant; a file is what nearly all of them are.
        path, _ = QtWidgets.QFileDialog.getOpenFileName(whole, title, line.text())
        if path:
            line.setText(QtCore.QDir.toNativeSeparators(path))

    browse.clicked.connect(look)
    row = QtWidgets.QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing(whole))
    row.addWidget(line, 1)
    row.addWidget(browse)
    whole.setFocusProxy(line)
    field = Field(spec, whole, line.textChanged, line.text, lambda value: line.setText(str(value)))
    browse.setAccessibleName(f"Browse for {title}")
    return field
