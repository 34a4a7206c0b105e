"""Small pictures in dialogs: a layer, and what an edit will make of the picture."""

from __future__ import annotations

from typing import Any

from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets
from imgedit_bridges.krita.style import muted, spacing


class Picture(QtWidgets.QWidget):
    """A picture, as large as there is room, or a sentence instead of one.

    Args:
        name: for screen readers.
        side: of the room, in heights of the font.
    """

    def __init__(self, name: str, side: int = 8) -> None:
        super().__init__()
        self._image: Any = None
        self._told = ""
        self._side = side
        self.setAccessibleName(name)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Expanding)

    def show_image(self, image: Any, told: str = "") -> None:
        """Show a QImage, or None and what is said instead."""
        self._image = image
        self._told = told
        self.setAccessibleDescription(told)
        self.update()

    def pixels(self) -> int:
        """The longer side of the room, in the pixels of the screen."""
        height = float(self.fontMetrics().height())
        return round(self._side * 2 * height * float(self.devicePixelRatioF()))

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802, D102
        height = self.fontMetrics().height()
        return QtCore.QSize(round(self._side * 1.5) * height, self._side * height)

    minimumSizeHint = sizeHint  # noqa: N815

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: ARG002, N802, D102
        painter = QtGui.QPainter(self)
        palette, role = self.palette(), QtGui.QPalette.ColorRole
        if self._image is None:
            painter.fillRect(self.rect(), palette.color(role.Base))
            painter.setPen(muted(palette))
            option = QtGui.QTextOption(QtCore.Qt.AlignmentFlag.AlignCenter)
            option.setWrapMode(QtGui.QTextOption.WrapMode.WordWrap)
            edge = spacing(self)
            area = QtCore.QRectF(self.rect()).adjusted(edge, edge, -edge, -edge)
            painter.drawText(area, self._told, option)
            return
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        keep = QtCore.Qt.AspectRatioMode.KeepAspectRatio
        size = QtCore.QSizeF(self._image.size()).scaled(QtCore.QSizeF(self.size()), keep)
        area = QtCore.QRectF(QtCore.QPointF(0, 0), size)
        area.moveCenter(QtCore.QRectF(self.rect()).center())
        painter.drawImage(area, self._image)


class Preview(QtWidgets.QWidget):
    """What an edit makes of the picture; held down, the picture before it."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture("Preview", 12)
        self._before: Any = None
        self._after: Any = None
        self.before = QtWidgets.QPushButton("&Before")
        self.before.setToolTip("Hold to see the picture without the edit")
        self.before.setEnabled(False)
        self.before.setAutoDefault(False)
        self.before.pressed.connect(lambda: self.picture.show_image(self._before))
        self.before.released.connect(lambda: self.picture.show_image(self._after))
        line = QtWidgets.QHBoxLayout()
        line.addStretch(1)
        line.addWidget(self.before)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(spacing(self))
        column.addWidget(self.picture, 1)
        column.addLayout(line)

    def wait(self, told: str) -> None:
        """Show a sentence until there is something to see."""
        self.show_pictures(None, None, told)

    def show_pictures(self, before: Any, after: Any, told: str) -> None:
        """Show both pictures, or why there are none."""
        self._before, self._after = before, after
        self.before.setEnabled(after is not None)
        self.picture.show_image(after, told)
