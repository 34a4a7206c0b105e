"""The toolkit that Krita brings: PyQt5 with Krita 5, PyQt6 with later ones.

Nothing else imports a toolkit. What differs between the two has one name here.
"""

from __future__ import annotations

from typing import Any

try:
    from PyQt5 import QtCore, QtGui, QtWidgets

    QAction: Any = QtWidgets.QAction
except ImportError:
    from PyQt6 import QtCore, QtGui, QtWidgets

    QAction = QtGui.QAction

QByteArray: Any = QtCore.QByteArray
QObject: Any = QtCore.QObject
QTimer: Any = QtCore.QTimer
Qt: Any = QtCore.Qt
signal: Any = QtCore.pyqtSignal

__all__ = [
    "QAction",
    "QByteArray",
    "QObject",
    "QTimer",
    "Qt",
    "QtCore",
    "QtGui",
    "QtWidgets",
    "signal",
]
