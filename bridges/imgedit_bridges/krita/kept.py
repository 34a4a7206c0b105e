"""What a document keeps about its edits, in annotations: they stay in .kra files.

Each edit has an annotation of its own, named by its group's id; the history has one more. Undo does
not touch annotations: one whose group is gone is not found any more, and found again after redo.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imgedit_bridges.edits import Plan
from imgedit_bridges.krita.canvas import layers_of, same

_EDIT = "imgedit/edit/"
_HISTORY = "imgedit/history"
_LONGEST = 50  # entries of the history


@dataclass(frozen=True)
class Kept:
    """What is kept of one edit.

    Attributes:
        plan: the edit.
        strength: of the whole, 0..2.
        title: how its group was called.
        source: id of the layer that it was put on.
        own: whether it does not depend on what lies right below.
        state: of the list of steps in a pane, if it has one.
        around: id of the group that holds it and what was painted above it; empty without one.
        children: names of the layers in its group.
    """

    plan: Plan
    strength: float = 1.0
    title: str = ""
    source: str = ""
    own: bool = False
    state: Mapping[str, Any] | None = None
    around: str = ""
    children: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Edit:
    """An edit in a document.

    Attributes:
        group: the node that holds it.
        kept: what the document keeps about it.
    """

    group: Any
    kept: Kept


def keep(document: Any, group: Any, kept: Kept, *, continues: str = "") -> None:
    """Write down an edit, and its plan in the history.

    Args:
        document: that it is in.
        group: that holds it.
        kept: the edit.
        continues: id of the group that it goes on with: if the newest entry is that one's, this
            one takes its place.
    """
    name = key(group)
    children = [one.name() for one in layers_of(group)]
    data = {
        "plan": kept.plan, "strength": kept.strength, "title": kept.title, "source": kept.source,
        "own": kept.own, "state": kept.state, "around": kept.around, "children": children,
    }  # fmt: skip
    _write(document, _EDIT + name, f"imgedit: {kept.title}", data)
    entry = {"title": kept.title, "plan": kept.plan, "strength": kept.strength, "edit": name,
             "when": time.strftime("%Y-%m-%dT%H:%M:%S")}  # fmt: skip
    before = history(document)
    if continues and before and before[0].get("edit") == continues:
        del before[0]
    _write(document, _HISTORY, "imgedit: plans", [entry, *before][:_LONGEST])


def history(document: Any) -> list[dict[str, Any]]:
    """The plans that were used in a document, the newest first.

    Each has 'plan', 'strength', 'title', 'when' and 'edit', the id of its group.
    """
    found = _read(document, _HISTORY)
    entries = found if isinstance(found, list) else []
    return [one for one in entries if isinstance(one, dict) and _is_plan(one.get("plan"))]


def edit_of(document: Any, node: Any) -> Edit | None:
    """The edit that a node belongs to, or the uppermost one that was put on it."""
    there = edits(document)
    around = {one.kept.around: one for one in reversed(there) if one.kept.around}
    group = node
    while group is not None:
        if kept := _kept(document, group):
            return Edit(group, kept)
        if found := around.get(key(group)):
            return found
        group = group.parentNode()
    return next((one for one in there if one.kept.source == key(node)), None)


def edits(document: Any) -> list[Edit]:
    """All edits in a document, the uppermost first."""
    return [
        Edit(group, kept)
        for group in _groups(document.rootNode())
        if (kept := _kept(document, group)) is not None
    ]


def key(node: Any) -> str:
    """A node's id as it is written down."""
    return str(node.uniqueId().toString()).strip("{}")


def find(document: Any, name: str) -> Any:
    """The node of that id; None where it is gone."""
    return next((one for one in _nodes(document.rootNode()) if key(one) == name), None)


def _kept(document: Any, group: Any) -> Kept | None:
    if group.type() != "grouplayer" or same(group, document.rootNode()):
        return None
    if own := _parsed(_read(document, _EDIT + key(group))):
        return own
    # A copy of a group has another id, but layers of the same names.
    children = tuple(one.name() for one in layers_of(group))
    if not children:
        return None
    others = (_parsed(_read(document, one)) for one in _types(document) if one.startswith(_EDIT))
    alike = [one for one in others if one is not None and one.children == children]
    return next((one for one in alike if one.title in group.name()), None)


def _parsed(data: Any) -> Kept | None:
    if not isinstance(data, dict) or not _is_plan(data.get("plan")):
        return None
    strength, state = data.get("strength"), data.get("state")
    return Kept(
        plan=data["plan"],
        strength=float(strength) if isinstance(strength, int | float) else 1.0,
        title=str(data.get("title") or ""),
        source=str(data.get("source") or ""),
        own=data.get("own") is True,
        state=state if isinstance(state, dict) else None,
        around=str(data.get("around") or ""),
        children=tuple(str(one) for one in data.get("children") or ()),
    )


def _is_plan(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("operations"), list)


def _groups(parent: Any) -> list[Any]:
    return [one for one in _nodes(parent) if one.type() == "grouplayer"]


def _nodes(parent: Any) -> list[Any]:
    """All nodes below, the uppermost first."""
    found = []
    for one in reversed(parent.childNodes()):
        found += [one, *_nodes(one)]
    return found


# --- annotations ------------------------------------------------------------------------------


def _types(document: Any) -> list[str]:
    return [str(one) for one in document.annotationTypes()]


def _read(document: Any, name: str) -> Any:
    if name not in _types(document):
        return None
    try:
        return json.loads(bytes(document.annotation(name)))
    except ValueError:
        return None  # somebody else's, or damaged


def _write(document: Any, name: str, about: str, data: Any) -> None:
    document.setAnnotation(name, about, json.dumps(data).encode("utf-8"))
