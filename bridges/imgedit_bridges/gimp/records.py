"""What a layer keeps of its edit beside the plan: strength, steps that are off, where it is from.

With it the pane can change the edit later, in an .xcf file that is opened again too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

PARASITE = "imgedit-edit"
_UNDOABLE = 2  # Gimp.PARASITE_UNDOABLE


@dataclass(frozen=True)
class EditRecord:
    """How a layer holds its plan.

    Attributes:
        strength: of the plan, 0..2.
        steps: of the pane, those that are off included; empty where they are the plan's.
        source: tattoo of the layer that has the pixels before the edit; 0 where it is this one.
        baked: the operations that the layer's own pixels have gone through.
        baked_strength: with which they were rendered.
        masked: whether the filters have a selection as their mask.
        before: the first operations of the plan, if the source shows them already.
        turns: how its own pixels were turned: clockwise degrees, and whether mirrored after that.
    """

    strength: float = 1.0
    steps: tuple[Mapping[str, Any], ...] = ()
    source: int = 0
    baked: tuple[Mapping[str, Any], ...] = ()
    baked_strength: float = 1.0
    masked: bool = False
    before: tuple[Mapping[str, Any], ...] = ()
    turns: tuple[tuple[int, bool], ...] = ()


def read_record(layer: Any) -> EditRecord | None:
    """A layer's record; None where there is none, or it is damaged."""
    parasite = layer.get_parasite(PARASITE)
    if parasite is None:
        return None
    try:
        data = json.loads(bytes(parasite.get_data()).rstrip(b"\0").decode("utf-8"))
        return EditRecord(
            float(data["strength"]), tuple(map(dict, data["steps"])), int(data["source"]),
            tuple(map(dict, data["baked"])), float(data["baked_strength"]), bool(data["masked"]),
            tuple(map(dict, data["before"])),
            tuple((int(degrees), bool(flip)) for degrees, flip in data["turns"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None


def attach_record(layer: Any, record: EditRecord) -> None:
    """Let a layer carry a record; kept in .xcf files."""
    data = json.dumps(asdict(record)).encode("utf-8")
    flags = Gimp.PARASITE_PERSISTENT | _UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, data))


def find_layer(image: Any, tattoo: int) -> Any:
    """The layer with this tattoo, in groups too; None where there is none."""
    waiting = list(image.get_layers())
    while waiting:
        layer = waiting.pop()
        if layer.get_tattoo() == tattoo:
            return layer
        if layer.is_group():
            waiting.extend(layer.get_children())
    return None
