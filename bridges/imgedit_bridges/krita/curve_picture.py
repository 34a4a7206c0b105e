"""A curve that can be looked at and drawn, with the mouse or with keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgedit_bridges.krita import curve_shape
from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets
from imgedit_bridges.krita.style import SLIDING, KeepKeys, muted

_HELP = (
    "Drag a point to move it, click to add one, press Delete to remove it. With keys: Page Up and "
    "Page Down choose a point, arrows move it (Shift: finely), Insert adds one."
)
_KEY = QtCore.Qt.Key
_STEP, _FINE = 0.02, 0.004


class CurvePicture(QtWidgets.QWidget):
    """Input to the right, output upwards, both 0..1.

    Args:
        points: (input, output) pairs.
        name: for screen readers.

    Signals:
        changed: the user changed it.
    """

    changed = QtCore.pyqtSignal()

    def __init__(self, points: Any, name: str) -> None:
        super().__init__()
        self._points: curve_shape.Points = ()
        self._chosen = 0
        self._dragged = False
        self.set_points(points)
        self.setAccessibleName(name)
        self.setAccessibleDescription(_HELP)
        self.setToolTip(_HELP)
        KeepKeys(self, (*SLIDING, _KEY.Key_Insert, _KEY.Key_Delete, _KEY.Key_Backspace))
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Fixed)

    def points(self) -> list[list[float]]:
        """As a plan holds them."""
        return [[round(x, 4), round(y, 4)] for x, y in self._points]

    def set_points(self, points: Any) -> None:
        """Show another curve."""
        self._points = tuple((float(x), float(y)) for x, y in points)
        self._chosen = min(self._chosen, len(self._points) - 1)
        self.update()

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        height = self.fontMetrics().height()
        return QtCore.QSize(height * 12, height * 7)

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        height = self.fontMetrics().height()
        return QtCore.QSize(height * 6, height * 7)

    # --- painting ---------------------------------------------------------------------------

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: ARG002, N802, D102
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        palette, role = self.palette(), QtGui.QPalette.ColorRole
        area = self._area()
        painter.setBrush(palette.color(role.Base))
        edge = muted(palette)
        edge.setAlpha(130)
        painter.setPen(palette.color(role.Highlight) if self.hasFocus() else edge)
        painter.drawRect(area)
        self._draw_grid(painter, area)
        painter.setPen(QtGui.QPen(palette.color(role.Text), 1.5))
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        shape = curve_shape.line(self._points, 97)
        painter.setClipRect(area)
        painter.drawPolyline(QtGui.QPolygonF([self._place(x, y) for x, y in shape]))
        painter.setClipping(False)
        for index, (x, y) in enumerate(self._points):
            chosen = index == self._chosen and self.hasFocus()
            painter.setBrush(palette.color(role.Highlight if chosen else role.Base))
            size = self._dot() * (1.25 if chosen else 1.0)
            painter.drawEllipse(self._place(x, y), size, size)

    def _draw_grid(self, painter: QtGui.QPainter, area: QtCore.QRectF) -> None:
        ink = muted(self.palette())
        ink.setAlpha(70)
        painter.setPen(ink)
        for quarter in (0.25, 0.5, 0.75):
            x, y = area.x() + quarter * area.width(), area.y() + quarter * area.height()
            painter.drawLine(QtCore.QPointF(x, area.top()), QtCore.QPointF(x, area.bottom()))
            painter.drawLine(QtCore.QPointF(area.left(), y), QtCore.QPointF(area.right(), y))
        painter.drawLine(area.bottomLeft(), area.topRight())

    def _dot(self) -> float:
        return float(max(3.0, self.fontMetrics().height() / 5))

    def _area(self) -> QtCore.QRectF:
        edge = self._dot() + 1
        return QtCore.QRectF(self.rect()).adjusted(edge, edge, -edge, -edge)

    def _place(self, x: float, y: float) -> QtCore.QPointF:
        area = self._area()
        return QtCore.QPointF(area.x() + x * area.width(), area.bottom() - y * area.height())

    # --- changing ---------------------------------------------------------------------------

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802, D102
        x, y = self._at(event)
        near = self._near(event)
        if near is None:
            self._points, self._chosen = curve_shape.added(self._points, x, y)
            self.changed.emit()
        else:
            self._chosen = near
        self._dragged = True
        self.update()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: N802, D102
        if self._dragged:
            self._change(curve_shape.moved(self._points, self._chosen, *self._at(event)))

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:  # noqa: ARG002, N802, D102
        self._dragged = False

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802, D102
        key = event.key()
        shift = bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier)
        step = _FINE if shift else _STEP
        ways = {
            _KEY.Key_Left: (-step, 0.0), _KEY.Key_Right: (step, 0.0),
            _KEY.Key_Up: (0.0, step), _KEY.Key_Down: (0.0, -step),
        }  # fmt: skip
        if key in ways:
            x, y = self._points[self._chosen]
            dx, dy = ways[key]
            self._change(curve_shape.moved(self._points, self._chosen, x + dx, y + dy))
        elif key in (_KEY.Key_PageUp, _KEY.Key_PageDown):
            by = 1 if key == _KEY.Key_PageUp else -1
            self._chosen = (self._chosen + by) % len(self._points)
            self.update()
        elif key in (_KEY.Key_Delete, _KEY.Key_Backspace):
            self._change(curve_shape.removed(self._points, self._chosen))
        elif key == _KEY.Key_Insert:
            self._insert()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QtGui.QFocusEvent) -> None:  # noqa: N802, D102
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QtGui.QFocusEvent) -> None:  # noqa: N802, D102
        super().focusOutEvent(event)
        self.update()

    def _insert(self) -> None:
        """A point on the curve, half-way to the next one."""
        first = min(self._chosen, len(self._points) - 2)
        x = (self._points[first][0] + self._points[first + 1][0]) / 2
        y = _value(curve_shape.line(self._points, 1001), x)
        points, chosen = curve_shape.added(self._points, x, y)
        self._chosen = chosen
        self._change(points)

    def _change(self, points: curve_shape.Points) -> None:
        if points != self._points:
            self._points = points
            self._chosen = min(self._chosen, len(points) - 1)
            self.changed.emit()
        self.update()

    def _at(self, event: QtGui.QMouseEvent) -> tuple[float, float]:
        area, place = self._area(), event.pos()
        return (
            (place.x() - area.x()) / area.width(), (area.bottom() - place.y()) / area.height()
        )  # fmt: skip

    def _near(self, event: QtGui.QMouseEvent) -> int | None:
        reach = self._dot() * 2.5

        def distance(index: int) -> float:
            gap = self._place(*self._points[index]) - QtCore.QPointF(event.pos())
            return float(abs(gap.x()) + abs(gap.y()))

        nearest = min(range(len(self._points)), key=distance)
        return nearest if distance(nearest) <= reach else None


def _value(shape: Sequence[tuple[float, float]], x: float) -> float:
    return shape[round(x * (len(shape) - 1))][1]
