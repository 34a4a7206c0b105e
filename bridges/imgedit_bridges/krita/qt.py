"""The one place that says which Qt: PyQt5 in Krita 5, PyQt6 in later ones.

Enumerations are written with the name of their class (`QtCore.Qt.Key.Key_Up`), which both know.
What moved from one module to another is named here.
"""

from __future__ import annotations

try:
    from PyQt5 import QtCore, QtGui, QtWidgets
except ImportError:
    from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["QAction", "QShortcut", "QtCore", "QtGui", "QtWidgets"]

_ACTIONS = QtGui if hasattr(QtGui, "QAction") else QtWidgets
QAction = _ACTIONS.QAction
QShortcut = _ACTIONS.QShortcut
