"""Doubles of Krita's documents and of Qt's event loop, for modules that run inside Krita.

`tests/editors/test_krita_double.py` tells the same stories to them and to the real ones.
"""

from __future__ import annotations

import heapq
import importlib
import itertools
import queue
import sys
import threading
import types
import uuid

# --- Qt ---------------------------------------------------------------------------------------


class Loop:
    """Events of one thread; pauses take no time."""

    def __init__(self):
        self._numbers = itertools.count()
        self._timed = []
        self._now = 0
        self._posted = queue.Queue()
        self.thread = threading.get_ident()

    def call_in(self, milliseconds, do):
        heapq.heappush(self._timed, (self._now + milliseconds, next(self._numbers), do))

    def post(self, do):
        self._posted.put(do)

    def spin(self, over, seconds=10):
        """Handle events until something is so."""
        while not over():
            try:
                do = self._posted.get(timeout=0 if self._timed else seconds)
            except queue.Empty:
                assert self._timed, "nothing more happens"
                self._now, _, do = heapq.heappop(self._timed)
            do()


class Signal:
    """What `pyqtSignal` makes: each object has its own."""

    def __init__(self, *_kinds):
        self._name = ""

    def __set_name__(self, owner, name):
        self._name = f"_signal_{name}"

    def __get__(self, one, owner):
        return one.__dict__.setdefault(self._name, Bound(one.loop))


class Bound:
    """A signal of one object."""

    def __init__(self, loop):
        self._loop = loop
        self._slots = []

    def connect(self, slot, kind="auto"):
        self._slots.append((slot, kind))

    def disconnect(self, slot):
        self._slots = [one for one in self._slots if one[0] != slot]

    def emit(self, *values):
        queued = threading.get_ident() != self._loop.thread
        for slot, kind in list(self._slots):
            call = slot.emit if isinstance(slot, Bound) else slot
            if queued or kind == "queued":
                self._loop.post(lambda call=call: call(*values))
            else:
                call(*values)


def qt(loop):
    """PyQt5 as far as these modules use it."""

    class QObject:
        def __init__(self, parent=None):
            self.parent = parent

    QObject.loop = loop
    timer = types.SimpleNamespace(singleShot=loop.call_in)
    kinds = types.SimpleNamespace(QueuedConnection="queued")
    core = types.SimpleNamespace(
        QObject=QObject,
        QTimer=timer,
        QByteArray=bytes,
        Qt=types.SimpleNamespace(ConnectionType=kinds),
        pyqtSignal=Signal,
    )
    widgets = types.SimpleNamespace(QAction=object)
    package = types.ModuleType("PyQt5")
    package.QtCore, package.QtGui, package.QtWidgets = core, types.SimpleNamespace(), widgets
    return package


# --- Krita ------------------------------------------------------------------------------------


class Id:
    """A QUuid."""

    def __init__(self):
        self._value = f"{{{uuid.uuid4()}}}"

    def toString(self):  # noqa: N802
        return self._value

    def __eq__(self, other):
        return self._value == other.toString()

    def __hash__(self):
        return hash(self._value)


class Node:
    """A layer; Krita makes a new Python object at each call, which is the same here."""

    def __init__(self, name, kind):
        self._name, self._kind, self._id = name, kind, Id()
        self._children, self._parent = [], None
        self._visible = True

    def name(self):
        return self._name

    def setName(self, name):  # noqa: N802
        self._name = name

    def type(self):
        return self._kind

    def uniqueId(self):  # noqa: N802
        return self._id

    def childNodes(self):  # noqa: N802
        return list(self._children)

    def parentNode(self):  # noqa: N802
        return self._parent

    def passThroughMode(self):  # noqa: N802
        return False

    def addChildNode(self, child, above):  # noqa: N802
        place = self._children.index(above) + 1 if above is not None else len(self._children)
        self._children.insert(place, child)
        child._parent = self
        return True

    def remove(self):
        if self._parent is None:
            return False
        self._parent._children.remove(self)
        self._parent = None
        return True

    def duplicate(self):
        made = Node(self._name, self._kind)
        for child in self._children:
            made.addChildNode(child.duplicate(), None)
        return made


class Document:
    """A document with one layer."""

    def __init__(self, app, name):
        self._app, self._name = app, name
        self._root = Node("root", "grouplayer")
        self._root.addChildNode(Node("Background", "paintlayer"), None)
        self._annotations = {}
        self.active = None

    def name(self):
        return self._name

    def fileName(self):  # noqa: N802
        return ""

    def colorModel(self):  # noqa: N802
        return "RGBA"

    def colorDepth(self):  # noqa: N802
        return "U8"

    def colorProfile(self):  # noqa: N802
        return "sRGB-elle-V2-srgbtrc.icc"

    def rootNode(self):  # noqa: N802
        return self._root if self in self._app.open else None

    def activeNode(self):  # noqa: N802
        return self.active

    def createNode(self, name, kind):  # noqa: N802
        return Node(name, kind)

    def createGroupLayer(self, name):  # noqa: N802
        return Node(name, "grouplayer")

    def annotationTypes(self):  # noqa: N802
        return list(self._annotations)

    def annotation(self, name):
        return self._annotations.get(name, b"")

    def setAnnotation(self, name, about, data):  # noqa: N802
        self._annotations[name] = bytes(data)

    def setModified(self, modified):  # noqa: N802
        """Nobody is asked."""

    def close(self):
        self._app.open.remove(self)
        return True


class App:
    """Krita without a window; the document that was made last is the active one."""

    def __init__(self):
        self.open = []

    def instance(self):
        return self

    def createDocument(self, width, height, name, *_space):  # noqa: N802
        self.open.append(Document(self, name))
        return self.open[-1]

    def documents(self):
        return list(self.open)

    def activeDocument(self):  # noqa: N802
        return self.open[-1] if self.open else None

    def activeWindow(self):  # noqa: N802
        return None


class Inside:
    """Modules of the extension that see these doubles.

    Args:
        monkeypatch: puts everything back.
    """

    def __init__(self, monkeypatch):
        self.loop, self.app = Loop(), App()
        krita = types.ModuleType("krita")
        krita.Krita = self.app
        package = qt(self.loop)
        for name in [one for one in sys.modules if one.startswith("imgedit_bridges.krita.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "krita", krita)
        monkeypatch.setitem(sys.modules, "PyQt5", package)

    def module(self, name):
        """One of `imgedit_bridges.krita`."""
        return importlib.import_module(f"imgedit_bridges.krita.{name}")
