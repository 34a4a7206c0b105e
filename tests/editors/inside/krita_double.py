"""A double of Krita's engine for tests of the docker: keeps to the seam, knows no Krita."""

import copy
import dataclasses
import json
import os
from pathlib import Path

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.krita import seam
from imgedit_bridges.krita.qt import QtCore, QtGui

PLAN = {
    "schema": "imgedit-plan/1",
    "definitions": "opencv-photo-filters/1",
    "operations": [
        {"name": "bright", "parameters": {"offset": 30.0}, "confidence": 0.9},
        {"name": "contrast", "parameters": {"gain": 1.3}, "confidence": 1.0},
        {"name": "vignette", "parameters": {"amount": -40.0}, "confidence": 0.8},
    ],
    "explanation": "Brightness 30, contrast 1.3×, vignette −40 %",
}


def state_of(plan, strength=1.0):
    steps = [{"confidence": 1.0, **one, "on": True} for one in plan["operations"]]
    return {"plan": plan, "steps": steps, "strength": strength}


def commands(**refusals):
    own = [
        ("recover", "Recover edit…", "Find out how the lower layer became the upper one"),
        ("apply-plan", "Apply plan…", "Put an edit from a file on the active layer"),
        ("copy-edit", "Copy this edit to other open documents", "As one undo step in each"),
        ("save-plan", "Save plan…", "Write the active edit to a file"),
        ("explain", "Explain this layer's edit", "Say in words what it does"),
    ]
    found = [
        seam.Command(name, label, told, refusal=refusals.get(name.replace("-", "_"), ""))
        for name, label, told in own
    ]
    return [*found, GLOW]


GLOW = seam.Command(
    "glow/soften",
    "Soften with words…",
    "Softens the picture as the instruction says.",
    inputs=("picture", "instruction"),
    options=(
        {"name": "guidance-scale", "type": "number", "help": "How closely it keeps to the words.",
         "default": 7.5, "minimum": 1.0, "maximum": 20.0, "unit": "", "choices": []},
        {"name": "steps", "type": "integer", "help": "More take longer.", "default": 20,
         "minimum": 1, "maximum": 100, "unit": "", "choices": []},
        {"name": "quality", "type": "choice", "help": "Of the model.", "default": "quick",
         "minimum": None, "maximum": None, "unit": "", "choices": ["quick", "thorough"]},
        {"name": "keep-colours", "type": "boolean", "help": "Whether colours stay.",
         "default": True, "minimum": None, "maximum": None, "unit": "", "choices": []},
        {"name": "style", "type": "string", "help": "A word for the style.", "default": "film",
         "minimum": None, "maximum": None, "unit": "", "choices": []},
        {"name": "weights", "type": "path", "help": "A file of weights.", "default": "",
         "minimum": None, "maximum": None, "unit": "", "choices": []},
    ),
)  # fmt: skip


class Engine:
    """Remembers what it is asked in `asked`; changes are carried out at once.

    Attributes:
        asked: (name, arguments) in order.
        holds: whether a change waits until `finish`.
    """

    def __init__(self, vocabulary, edit=True):
        self.vocabulary = vocabulary
        self.asked = []
        self.settings = {}
        self.holds = False
        self.now = seam.Situation("photo.kra", None, commands(**NOTHING), vocabulary)
        self._waiting = None
        if edit:
            self.put(state_of(PLAN))

    def put(self, state, **values):
        title = state["plan"].get("explanation") or "Edit"
        edit = seam.Edit("one", title, copy.deepcopy(dict(state)), **values)
        self.now = dataclasses.replace(self.now, edit=edit, commands=commands())

    def say(self, **values):
        self.now = dataclasses.replace(self.now, **values)
        self.listener.changed()

    def names(self):
        return [name for name, *_ in self.asked]

    # --- the seam -----------------------------------------------------------------------------

    def listen(self, listener):
        self.listener = listener

    def look(self):
        return self.now

    def layers(self):
        return seam.Layers(
            [("after", "edited in a lab"), ("before", "photo.png")], "before", "after"
        )

    def prepare(self):
        self.asked.append(("prepare",))

    def thumbnail(self, layer, width, height):
        return picture(layer == "after", width)

    def preview(self, command, values, size, done):
        self.asked.append(("preview", command, values))
        QtCore.QTimer.singleShot(0, lambda: done(picture(False, size), picture(True, size), ""))

    def start(self, command, values):
        self.asked.append(("start", command, dict(values)))
        if command == "recover":
            self.put(state_of(PLAN))
            self.listener.ended("", "", failed=False)
        if command == "explain":
            self.listener.ended("", "", failed=False)
            self.listener.explained(self.now.edit.title)

    def change(self, edit, state):
        self.asked.append(("change", edit, copy.deepcopy(state)))
        self._waiting = state
        if not self.holds:
            self.finish()

    def finish(self, message="", hint="", failed=False):
        state, self._waiting = self._waiting, None
        old = self.now.edit
        if state is not None and old is not None and not failed:
            kept = seam.Kept(old.title, "2026-11-27T12:31:00", old.state)
            self.put(json.loads(json.dumps(state)), history=(kept, *old.history))
        self.listener.ended(message, hint, failed=failed)

    def show(self, edit, *, on):
        self.asked.append(("show", edit, on))
        self.now = dataclasses.replace(self.now, edit=dataclasses.replace(self.now.edit, shown=on))

    def begin(self, operation):
        self.asked.append(("begin", operation))
        if operation not in {one["name"] for one in self.vocabulary}:
            raise BridgeError(f"There is no operation {operation!r}.")
        one = {"name": operation, "parameters": {}, "confidence": 1.0}
        self.put(state_of({**PLAN, "operations": [one], "explanation": "My edit"}))
        self.listener.ended("", "", failed=False)

    def cancel(self):
        self.asked.append(("cancel",))

    def setting(self, name):
        return self.settings.get(name, "")

    def write_setting(self, name, value):
        self.settings[name] = value


NOTHING = {
    "copy_edit": "The active layer carries no edit.",
    "save_plan": "The active layer carries no edit.",
    "explain": "The active layer carries no edit.",
}


def picture(bright, size):
    """A landscape of three colours, which is brighter after its edit."""
    image = QtGui.QImage(size, max(1, size * 2 // 3), QtGui.QImage.Format.Format_RGB32)
    lift = 50 if bright else 0
    painter = QtGui.QPainter(image)
    for row in range(image.height()):
        y = row / image.height()
        sky = QtGui.QColor(60 + lift + int(90 * y), 100 + lift + int(60 * y), 150 + lift)
        ground = QtGui.QColor(50 + lift, 90 + lift - int(30 * y), 50 + lift)
        painter.fillRect(0, row, size, 1, sky if y < 0.6 else ground)
    painter.end()
    return image


def vocabulary():
    """What the worker tells, as the test's process has written it down."""
    return json.loads(Path(os.environ["IMGEDIT_TEST_VOCABULARY"]).read_text("utf-8"))
