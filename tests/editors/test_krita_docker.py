"""Krita's docker: its widgets alone and in the real Krita, with the mouse's place left alone."""

import json
import os
import shutil
import textwrap

import pytest
from editor_root import PROJECT
from editor_run import Run
from editor_screen import Screen

from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described

pytestmark = pytest.mark.editors

SOURCES = "/src/bridges"
INSIDE = "/src/tests/editors/inside"
EXTENSION = """\
import sys
sys.path[:0] = ["/src/bridges", "/src/tests/editors/inside"]
import krita_double
from imgedit_bridges.krita.docker import add_docker

engine = krita_double.Engine(krita_double.vocabulary(), edit=False)
add_docker(engine)
"""
NAMES = """\
import sys
sys.path[:0] = ["/src/bridges", "/src/tests/editors/inside"]
import krita_double as double
from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets
"""


@pytest.fixture
def vocabulary(folder):
    """A file with what the worker tells about operations."""
    path = folder / "vocabulary.json"
    path.write_text(json.dumps([described(one) for one in default_vocabulary()]), "utf-8")
    return {"IMGEDIT_TEST_VOCABULARY": str(path)}


@pytest.fixture
def alone(root, folder, vocabulary):
    """Runs a script with the widgets in a Qt program without Krita or a display."""

    def run(script, seconds=60):
        path = folder / "widgets.py"
        path.write_text(f"{ALONE}{textwrap.dedent(script)}\nmark('done')\n", "utf-8")
        environment = {
            **vocabulary, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": "/tmp",
            "PYTHONPATH": f"{SOURCES}:{INSIDE}",
        }  # fmt: skip
        log = folder / "widgets.log"
        running = Run("widgets", root.start(["python3", str(path)], log=log,
                                            environment=environment), log)  # fmt: skip
        running.wait(seconds)
        assert running.events("done"), running.output
        return running

    return run


ALONE = """\
import sys
from editor_marks import mark
import krita_double as double
from imgedit_bridges.krita.pane import Pane
from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets

app = QtWidgets.QApplication([])

def settle(milliseconds=20):
    QtTest.QTest.qWait(milliseconds)

from PyQt5 import QtTest
press = QtTest.QTest.keyClick
Key = QtCore.Qt.Key

def pane(edit=True):
    engine = double.Engine(double.vocabulary(), edit)
    shown = Pane(engine)
    shown.resize(300, 500)
    shown.show()
    shown.activateWindow()
    settle()
    return engine, shown
"""
