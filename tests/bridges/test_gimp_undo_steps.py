"""An edit that fails in the middle is taken back; with doubles of GIMP's image and layer."""

import importlib
import sys
from types import ModuleType
from unittest.mock import MagicMock

import pytest

MODULES = ("canvas", "records", "transfer", "running", "strengths", "placing", "actions")


@pytest.fixture
def placing(monkeypatch):
    """The module, in a Python that has no GIMP."""
    binding, repository = ModuleType("gi"), ModuleType("gi.repository")
    binding.require_version = lambda *_: None
    for name in ("Gegl", "Gimp", "GLib"):
        setattr(repository, name, MagicMock())
    monkeypatch.setitem(sys.modules, "gi", binding)
    monkeypatch.setitem(sys.modules, "gi.repository", repository)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, f"imgedit_bridges.gimp.{name}", raising=False)
    yield importlib.import_module("imgedit_bridges.gimp.placing")
    for name in MODULES:
        sys.modules.pop(f"imgedit_bridges.gimp.{name}", None)


class Image:
    def __init__(self):
        self.groups = []

    def undo_group_start(self):
        self.groups.append("start")

    def undo_group_end(self):
        self.groups.append("end")


def test_every_step_is_taken_back_even_if_one_cannot_be(placing):
    image, undone = Image(), []

    def fails():
        raise RuntimeError("a layer that is gone")

    def half_done():
        with placing.undo_group(image) as undo:
            undo += [lambda: undone.append(1), fails, lambda: undone.append(3)]
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        half_done()
    assert undone == [3, 1]
    assert image.groups == ["start", "end"]


class Turned:
    """A layer that keeps account of how it was turned."""

    def __init__(self):
        self.corners = [0, 1, 2, 3]  # clockwise
        self.filters = 0

    def transform_rotate_simple(self, quarters, *_):
        self.corners = self.corners[-quarters:] + self.corners[:-quarters]

    def transform_flip_simple(self, *_):
        one, two, three, four = self.corners
        self.corners = [two, one, four, three]


def test_a_layer_that_was_turned_is_turned_back(placing):
    kinds = placing.canvas.Gimp.RotationType
    kinds.DEGREES90, kinds.DEGREES180, kinds.DEGREES270 = 1, 2, 3
    turns = [placing.Turn(degrees=90), placing.Turn(flip=True), placing.Turn(270, flip=True)]
    layer = Turned()
    for one in turns:
        placing.canvas.turn(layer, one)
    assert layer.corners != [0, 1, 2, 3]
    for one in reversed(turns):
        placing._turn_back(layer, one)
    assert layer.corners == [0, 1, 2, 3]
