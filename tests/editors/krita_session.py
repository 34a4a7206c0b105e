"""The extension in Krita: what scripts in Krita use, and how Krita's pixels come back."""

import numpy as np

NAMES = """\
import array
import pathlib
import sys
import time

sys.path.append(EXTENSION)
from PyQt5.QtCore import QCoreApplication

from imgedit_bridges.krita import canvas, kept
from imgedit_bridges.krita.engine import Engine

engine = Engine()
Selection = krita.Selection

def spin(over, seconds=200):
    until = time.monotonic() + seconds
    while not over() and time.monotonic() < until:
        QCoreApplication.processEvents()
        time.sleep(0.002)
    assert over(), "it did not end"

def work(name, *arguments, **options):
    ends = []
    links = [(engine.finished, lambda value: ends.append(("finished", value))),
             (engine.failed, lambda told: ends.append(("failed", told))),
             (engine.cancelled, lambda: ends.append(("cancelled", None)))]
    for signal, slot in links:
        signal.connect(slot)
    getattr(engine, name)(*arguments, **options)
    spin(lambda: ends)
    for signal, slot in links:
        signal.disconnect(slot)
    how, value = ends[0]
    if how != "finished":
        mark("refused", how=how, told=value)
        return None
    return value

def painted(document, seconds=60):
    # Krita does that by itself; nobody refreshes it for the user.
    until = time.monotonic() + 0.3
    spin(lambda: time.monotonic() > until)
    locked = []
    spin(lambda: locked or (document.tryBarrierLock() and locked.append(True)) or locked, seconds)
    document.unlock()

def seen(document, path):
    painted(document)
    area = (0, 0, document.width(), document.height())
    pixels(bytes(document.pixelData(*area)), path, area, document.colorDepth())

def layer_pixels(node, path):
    document = Krita.instance().documents()[0]
    area = (0, 0, document.width(), document.height())
    pixels(bytes(node.projectionPixelData(*area)), path, area, node.colorDepth())

def pixels(data, path, area, depth):
    pathlib.Path(path).write_bytes(data)
    mark("pixels", path=str(path), width=area[2], height=area[3], depth=depth)

def tell(document):
    mark("layers", layers=[told(one) for one in reversed(document.rootNode().childNodes())])

def told(node):
    return {"name": node.name(), "type": node.type(), "opacity": node.opacity(),
            "passes": node.type() == "grouplayer" and node.passThroughMode(),
            "inner": [told(one) for one in reversed(node.childNodes())]}

def close(*documents):
    for document in documents or Krita.instance().documents():
        document.setModified(False)
        document.close()

def leave():
    # What Krita still has to do with a saved file ends it badly once its application is gone.
    close()
    until = time.monotonic() + 0.5
    spin(lambda: time.monotonic() > until)

def background(document):
    return document.rootNode().childNodes()[0]
"""


def pixels_of(run, path):
    """What `seen` or `layer_pixels` wrote, (height, width, 4): red, green, blue, alpha."""
    [mark] = [one for one in run.events("pixels") if one["path"] == str(path)]
    dtype = {"U8": np.uint8, "U16": np.uint16}[mark["depth"]]
    values = np.fromfile(path, dtype).reshape(mark["height"], mark["width"], 4)
    return values[:, :, [2, 1, 0, 3]]
