"""Somebody in a hurry: rapid random operations of the docker, Krita's menu and the documents.

Runs between Krita's events and writes down each operation before it is carried out, so that the
last line tells what Krita died of.
"""

import faulthandler
import hashlib
import pathlib
import random
import sys
import time

from editor_marks import mark
from krita import Krita

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.krita import kept, waiting
from imgedit_bridges.krita.qt import QtCore, QtWidgets

_OPERATIONS = ("bright", "contrast", "gaussian", "saturate", "sharp", "curves", "vignette", "blur")
_MENU = ("duplicatelayer", "add_new_paint_layer", "move_layer_up", "move_layer_down",
         "toggle_layer_visibility", "select_all", "deselect")  # fmt: skip
_LONGEST_STEPS = 5
_FROZEN = 60  # seconds; then it is written down where Krita stands still


class Stress:
    """Carries out so many operations, and then waits for the end of all work.

    Args:
        pictures: files to be opened; the first one is open.
        folder: what is saved goes there.
        seed: of what is chosen.
        count: how many operations.
    """

    def __init__(self, pictures, folder, seed, count):
        self.app = Krita.instance()
        self.pictures, self.folder, self.left = pictures, pathlib.Path(folder), count
        self.random = random.Random(seed)
        self.faults = []
        self.done = {}
        self.log = (self.folder / "operations.txt").open("w", buffering=1)
        self.crash = (self.folder / "crash.txt").open("w")
        faulthandler.enable(self.crash)
        sys.excepthook = self._fault
        self.ways = {
            self.slide: 12, self.switch: 4, self.strength: 4, self.before: 5, self.undo: 4,
            self.redo: 3, self.add: 3, self.remove: 1, self.move: 1, self.earlier: 1,
            self.cancel: 1, self.delete: 1, self.close: 1, self.open: 2,
            self.look_at: 3, self.save: 2, self.activate: 2, self.menu: 2, self.eye: 1,
            self.paint: 1,
        }  # fmt: skip
        self.timer = QtCore.QTimer()
        self.timer.setSingleShot(True)
        self.timer.timeout.connect(self._step)
        self.timer.start(0)
        self.dialogs = QtCore.QTimer()
        self.dialogs.timeout.connect(self._close_dialogs)
        self.dialogs.start(200)

    # --- carrying out -------------------------------------------------------------------------

    def _step(self):
        faulthandler.dump_traceback_later(_FROZEN, file=self.crash)
        if self.left <= 0:
            self._settle()
            return
        self.left -= 1
        way = self.random.choices(list(self.ways), list(self.ways.values()))[0]
        if self.document is None:
            way = self.open
        elif way not in (self.close, self.open, self.look_at) and self.pane.plan.steps is None:
            way = self.random.choice([way, self.begin])
        self._note(way.__name__)
        try:
            told = way()
        except BridgeError as error:
            told = str(error)
        if told:
            self._note(f"  {told}")
        self.done[way.__name__] = self.done.get(way.__name__, 0) + 1
        self.timer.start(self.random.choice((0, 0, 10, 30, 80, 160, 200, 400)))

    def _settle(self):
        if self.pane._later.isActive() or self.desk._engine.is_busy:
            self.timer.start(100)
            return
        if any(map(waiting.is_at_work, self.app.documents())):
            self.timer.start(100)
            return
        self._note("settled")
        lost = [name for name, document in enumerate(self.app.documents())
                if not self._is_kept(document, name)]  # fmt: skip
        mark("stressed", done=self.done, faults=self.faults, lost=lost)

    def _is_kept(self, document, number):
        """Whether a document is the same in a saved copy."""
        path = str(self.folder / f"kept-{number}.kra")
        document.setBatchmode(True)
        assert document.saveAs(path)
        document.setBatchmode(False)
        copy = self.app.openDocument(path)
        same = told(copy) == told(document)
        if not same:
            self._note(f"{told(document)}\nand saved: {told(copy)}")
        copy.setModified(False)
        copy.close()
        return same

    def _note(self, words):
        self.log.write(f"{time.monotonic():.3f} {words}\n")

    def _fault(self, *raised):
        import traceback

        self.faults.append("".join(traceback.format_exception(*raised)))
        self._note(self.faults[-1])

    def _close_dialogs(self):
        dialog = QtWidgets.QApplication.activeModalWidget()
        if isinstance(dialog, QtWidgets.QMessageBox):
            self._note(f"  dialog: {dialog.text()[:100]}")
            button = dialog.button(QtWidgets.QMessageBox.StandardButton.No)
            (button or dialog.buttons()[0]).click()
        elif dialog is not None:
            dialog.close()

    # --- what there is ------------------------------------------------------------------------

    @property
    def document(self):
        return self.app.activeDocument()

    @property
    def pane(self):
        dockers = self.app.activeWindow().dockers()
        return next(one for one in dockers if one.objectName() == "imgedit_docker").widget()

    @property
    def desk(self):
        return self.pane.engine

    def _edit(self):
        found = kept.edits(self.document)
        return self.random.choice(found) if found else None

    def _nodes(self):
        return kept._nodes(self.document.rootNode())

    # --- the docker ---------------------------------------------------------------------------

    def slide(self):
        rows = [row for step in self.pane.plan.rows for row in step.rows.values()
                if hasattr(row, "slider")]  # fmt: skip
        if rows:
            slider = self.random.choice(rows).slider
            for _ in range(self.random.choice((1, 1, 4))):
                slider.setValue(self.random.randint(slider.minimum(), slider.maximum()))

    def switch(self):
        if self.pane.plan.rows:
            self.random.choice(self.pane.plan.rows).switch.click()

    def strength(self):
        slider = self.pane.plan.strength.slider
        slider.setValue(self.random.randint(slider.minimum(), slider.maximum()))

    def before(self):
        button = self.pane.head.before
        if button.isEnabled():
            button.pressed.emit()
            hold = self.random.choice((0, 20, 150))
            QtCore.QTimer.singleShot(hold, button.released.emit)

    def add(self):
        if len(self.pane.plan.rows) < _LONGEST_STEPS:
            self.pane.plan.append(self.random.choice(_OPERATIONS))

    def remove(self):
        if self.pane.plan.rows:
            self.random.choice(self.pane.plan.rows).remove.click()

    def move(self):
        if self.pane.plan.rows:
            self.random.choice(self.pane.plan.rows).up.click()

    def earlier(self):
        edit = self.pane.situation.edit
        if edit is not None and edit.history:
            self.pane._go_back(self.random.choice(edit.history))

    def cancel(self):
        self.desk.cancel()

    def begin(self):
        self.desk.begin(self.random.choice(_OPERATIONS))

    # --- Krita's own --------------------------------------------------------------------------

    def undo(self):
        self.app.action("edit_undo").trigger()

    def redo(self):
        self.app.action("edit_redo").trigger()

    def menu(self):
        name = self.random.choice(_MENU)
        self.app.action(name).trigger()
        return name

    def delete(self):
        if (edit := self._edit()) is not None:
            self.document.setActiveNode(edit.group)
            self.app.action("remove_layer").trigger()

    def activate(self):
        self.document.setActiveNode(self.random.choice(self._nodes()))

    def eye(self):
        node = self.random.choice(self._nodes())
        node.setVisible(not node.visible())

    def paint(self):
        layers = [one for one in self._nodes() if one.type() == "paintlayer"]
        if layers:
            colour = bytes(self.random.randrange(256) for _ in range(3)) + b"\xff"
            self.random.choice(layers).setPixelData(colour * (32 * 32), 8, 8, 32, 32)

    # --- documents ----------------------------------------------------------------------------

    def open(self):
        if len(self.app.documents()) >= 3:
            return "enough are open"
        path = self.random.choice(self.pictures)
        window = self.app.activeWindow()
        document = self.app.openDocument(path)
        window.addView(document)
        self.app.setActiveDocument(document)
        return path

    def look_at(self):
        window = self.app.activeWindow()
        window.showView(self.random.choice(window.views()))

    def close(self):
        if len(self.app.documents()) > 1:
            self.document.setModified(False)
            self.app.action("file_close").trigger()

    def save(self):
        document = self.document
        document.setBatchmode(True)
        done = document.saveAs(str(self.folder / f"saved-{self.left}.kra"))
        document.setBatchmode(False)
        return f"saved: {done}"


def told(document):
    """What must be the same in a document and in its saved copy."""
    area = (0, 0, document.width(), document.height())
    layers = [
        (one.name(), one.type(), hashlib.sha256(bytes(one.pixelData(*area))).hexdigest()
         if one.type() == "paintlayer" else "")
        for one in kept._nodes(document.rootNode()) if not one.type().endswith("mask")
    ]  # fmt: skip
    edits = [(one.group.name(), dict(one.kept.plan), one.kept.strength)
             for one in kept.edits(document)]  # fmt: skip
    return layers, edits
