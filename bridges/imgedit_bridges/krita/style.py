"""How the docker's small parts look: drawn with the palette's colours, sized by the font.

So they follow Krita's theme, light or dark, and every scaling, without a picture file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets

_KEY = QtCore.Qt.Key
_Point = tuple[float, float]

_STROKES: dict[str, Sequence[Sequence[_Point]]] = {
    "up": [[(0.2, 0.65), (0.5, 0.35), (0.8, 0.65)]],
    "down": [[(0.2, 0.35), (0.5, 0.65), (0.8, 0.35)]],
    "right": [[(0.35, 0.2), (0.65, 0.5), (0.35, 0.8)]],
    "remove": [[(0.25, 0.25), (0.75, 0.75)], [(0.75, 0.25), (0.25, 0.75)]],
    "add": [[(0.5, 0.15), (0.5, 0.85)], [(0.15, 0.5), (0.85, 0.5)]],
    "warning": [[(0.5, 0.1), (0.95, 0.9), (0.05, 0.9), (0.5, 0.1)], [(0.5, 0.38), (0.5, 0.62)],
                [(0.5, 0.75), (0.5, 0.78)]],
    "told": [[(0.5, 0.45), (0.5, 0.8)], [(0.5, 0.22), (0.5, 0.25)]],
    "more": [[(0.5, 0.15), (0.5, 0.18)], [(0.5, 0.485), (0.5, 0.515)], [(0.5, 0.82), (0.5, 0.85)]],
}  # fmt: skip
"""Lines in a unit square; a very short one is a dot."""


def spacing(widget: QtWidgets.QWidget, share: float = 0.4) -> int:
    """A distance in proportion to the font's height."""
    return max(2, round(float(widget.fontMetrics().height()) * share))


def muted(palette: QtGui.QPalette) -> QtGui.QColor:
    """Text of less weight that can still be read: a little of the way to the background."""
    ink = palette.color(QtGui.QPalette.ColorRole.WindowText)
    ground = palette.color(QtGui.QPalette.ColorRole.Window)
    mixed = [
        round(0.9 * a + 0.1 * b) for a, b in zip(ink.getRgb()[:3], ground.getRgb()[:3], strict=True)
    ]
    return QtGui.QColor(*mixed)


def draw_glyph(painter: QtGui.QPainter, name: str, area: QtCore.QRectF, ink: QtGui.QColor) -> None:
    """Draw one of the small signs into a square."""
    pen = QtGui.QPen(ink, max(1.2, area.width() / 9))
    pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(QtCore.Qt.PenJoinStyle.RoundJoin)
    painter.save()
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(pen)
    if name == "more":
        pen.setWidthF(area.width() / 6)
        painter.setPen(pen)
    for line in _STROKES[name]:
        points = [
            QtCore.QPointF(area.x() + x * area.width(), area.y() + y * area.height())
            for x, y in line
        ]
        painter.drawPolyline(QtGui.QPolygonF(points))
    painter.restore()


class GlyphButton(QtWidgets.QToolButton):
    """A flat tool button with a drawn sign.

    Args:
        glyph: a key of the signs.
        name: what it does, for the tooltip and for screen readers.
    """

    def __init__(self, glyph: str, name: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self.setAutoRaise(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.name_as(name)

    def name_as(self, name: str) -> None:
        """Say what it does."""
        self.setToolTip(name)
        self.setAccessibleName(name)

    def set_glyph(self, glyph: str) -> None:
        """Show another sign."""
        self._glyph = glyph
        self.update()

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        side = self.fontMetrics().height() + spacing(self, 0.35)
        return QtCore.QSize(side, side)

    minimumSizeHint = sizeHint  # noqa: N815

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: ARG002, N802, D102
        option = QtWidgets.QStyleOptionToolButton()
        self.initStyleOption(option)
        option.features = QtWidgets.QStyleOptionToolButton.ToolButtonFeature.None_
        option.text = ""
        painter = QtWidgets.QStylePainter(self)
        painter.drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_ToolButton, option)
        group = (
            QtGui.QPalette.ColorGroup.Active if self.isEnabled()
            else QtGui.QPalette.ColorGroup.Disabled
        )  # fmt: skip
        ink = self.palette().color(group, QtGui.QPalette.ColorRole.WindowText)
        side = self.fontMetrics().height() * 0.62
        area = QtCore.QRectF(0, 0, side, side)
        area.moveCenter(QtCore.QRectF(self.rect()).center())
        draw_glyph(painter, self._glyph, area, ink)
        if self.hasFocus():
            focus = QtWidgets.QStyleOptionFocusRect()
            focus.initFrom(self)
            focus.rect = self.rect().adjusted(1, 1, -1, -1)
            painter.drawPrimitive(QtWidgets.QStyle.PrimitiveElement.PE_FrameFocusRect, focus)


class Glyph(QtWidgets.QWidget):
    """A sign that does nothing."""

    def __init__(self, glyph: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.glyph = glyph
        fixed = QtWidgets.QSizePolicy.Policy.Fixed
        self.setSizePolicy(fixed, fixed)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        side = self.fontMetrics().height()
        return QtCore.QSize(side, side)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: ARG002, N802, D102
        ink = self.palette().color(QtGui.QPalette.ColorRole.WindowText)
        area = QtCore.QRectF(self.rect()).adjusted(1, 1, -1, -1)
        draw_glyph(QtGui.QPainter(self), self.glyph, area, ink)


class ElidedLabel(QtWidgets.QWidget):
    """One line of text that is shortened where there is no room; the tooltip has all of it.

    Args:
        text: what to show.
        muted_ink: whether it has less weight.
        right: whether it stands at the right side.
    """

    def __init__(
        self, text: str = "", *, muted_ink: bool = False, right: bool = False,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._text = ""
        self._muted = muted_ink
        self._right = right
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Preferred, policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """All of the text."""
        return self._text

    def setText(self, text: str) -> None:  # noqa: N802  # as QLabel has it
        """Show this text."""
        if text != self._text:
            self._text = text
            self.setAccessibleName(text)
            self.setToolTip(text)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        metrics = self.fontMetrics()
        return QtCore.QSize(metrics.horizontalAdvance(self._text) + 2, metrics.height())

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        metrics = self.fontMetrics()
        return QtCore.QSize(metrics.averageCharWidth() * 4, metrics.height())

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: ARG002, N802, D102
        painter = QtGui.QPainter(self)
        palette = self.palette()
        plain = palette.color(QtGui.QPalette.ColorRole.WindowText)
        painter.setPen(muted(palette) if self._muted and self.isEnabled() else plain)
        metrics = self.fontMetrics()
        told = metrics.elidedText(self._text, QtCore.Qt.TextElideMode.ElideRight, self.width())
        left = self.width() - metrics.horizontalAdvance(told) if self._right else 0
        base = (self.height() + metrics.ascent() - metrics.descent()) // 2
        painter.drawText(left, base, told)


class WheelGuard(QtCore.QObject):
    """Keeps the wheel for scrolling: a slider below the pointer takes it only with the focus."""

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802, D102
        if event.type() == QtCore.QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


class KeepKeys(QtCore.QObject):
    """Keeps keys for a widget that has the focus: many are Krita's shortcuts as well.

    Args:
        widget: it.
        keys: that are its own.
    """

    def __init__(self, widget: QtWidgets.QWidget, keys: Collection[Any]) -> None:
        super().__init__(widget)
        self._keys = keys
        widget.installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: ARG002, N802, D102
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and event.key() in self._keys:
            event.accept()
            return True
        return False


ARROWS = (_KEY.Key_Left, _KEY.Key_Right, _KEY.Key_Up, _KEY.Key_Down)
SLIDING = (*ARROWS, _KEY.Key_PageUp, _KEY.Key_PageDown, _KEY.Key_Home, _KEY.Key_End)
"""Keys that move a slider, or what is chosen in a list."""


def plain_scroll(scroll: QtWidgets.QScrollArea) -> None:
    """Let an area scroll up and down, as part of what is around it."""
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
    if inside := scroll.widget():
        scroll.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)


def quietly(widget: QtWidgets.QWidget, change: Callable[[], object]) -> None:
    """Change a widget without its signals."""
    was = widget.blockSignals(True)
    try:
        change()
    finally:
        widget.blockSignals(was)
