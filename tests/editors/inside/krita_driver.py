"""Started by kritarunner (function `main`), or imported by Krita as the extension of the tests."""

import os

import editor_marks
import krita

try:  # Krita 5 has PyQt5, later ones PyQt6
    from PyQt5.QtCore import QTimer
except ImportError:
    from PyQt6.QtCore import QTimer


def load(path):
    """Open a file as a document; shown where there is a window."""
    app = krita.Krita.instance()
    document = app.openDocument(str(path))
    if document is None:
        raise OSError(f"Krita did not open {path}")
    if app.activeWindow():
        app.activeWindow().addView(document)
        app.setActiveDocument(document)
    return document


def save(document, path):
    """Save (.kra) or export a document in the format of the path's extension, without dialogs."""
    settle(document)
    document.setBatchmode(True)
    save_as = str(path).endswith(".kra")
    done = (
        document.saveAs(str(path))
        if save_as
        else document.exportImage(str(path), krita.InfoObject())
    )
    document.setBatchmode(False)
    if not done:
        raise OSError(f"Krita did not save {path}")


def settle(document):
    """Wait until a document's picture is computed."""
    document.refreshProjection()
    document.waitForDone()


NAMES = {"Krita": krita.Krita, "krita": krita, "load": load, "save": save, "settle": settle}


def main(_arguments=None):
    """Run the one script that the harness named."""
    editor_marks.started("krita", krita.Krita.instance().version())
    editor_marks.run_script(os.environ["EDITOR_SCRIPT"], NAMES)


class Requests(krita.Extension):
    """Runs scripts as they appear, on Krita's main thread, between events of its interface."""

    def setup(self):
        self.timer = None

    def createActions(self, window):  # noqa: N802  # Krita calls it, for every window
        if self.timer is None:
            self.timer = QTimer(self)
            self.timer.timeout.connect(self.look)
            self.timer.start(50)
            editor_marks.started("krita", krita.Krita.instance().version())

    def look(self):
        self.timer.stop()  # a script may run an event loop of its own
        editor_marks.run_next(os.environ["EDITOR_REQUESTS"], NAMES)
        self.timer.start(50)


def install():
    """Add the extension; called by the pykrita package of the tests."""
    app = krita.Krita.instance()
    app.addExtension(Requests(app))
