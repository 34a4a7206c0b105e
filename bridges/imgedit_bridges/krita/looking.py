"""What the docker shows of a document: its active edit, its layers, what can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgedit_bridges.krita import canvas, holdings, kept, seam
from imgedit_bridges.krita.states import state_of

_NO_DOCUMENT = "No picture is open."
_NO_EDIT = "The active layer has no edit: recover one or apply a plan first."
_PICTURES = ("paintlayer", "grouplayer", "clonelayer", "filelayer", "vectorlayer", "filllayer")

_OWN = (
    (seam.RECOVER, "Recover edit…", "Find out how one layer became another one"),
    (seam.APPLY_PLAN, "Apply plan…", "Put an edit from a file on the active layer"),
    (seam.COPY_EDIT, "Copy this edit to other open pictures",
     "Put it on the active layer of each, as one undo step in each"),
    (seam.SAVE_PLAN, "Save plan…", "Write this edit to a file"),
    (seam.EXPLAIN, "Explain this layer's edit", "Say in words what it does"),
)  # fmt: skip


def commands(
    document: Any, edit: kept.Edit | None, actions: Sequence[Mapping[str, Any]], problem: str
) -> list[seam.Command]:
    """All commands, with the reason where one cannot be used now.

    Args:
        document: the active one.
        edit: the active one.
        actions: as `Client.actions` gives them.
        problem: why nothing works; empty where all does.
    """
    found = []
    for name, label, told in _OWN:
        why = problem or _refusal(name, document, edit)
        found.append(seam.Command(name, label, told, refusal=why))
    others = (action for action in actions if action.get("plugin"))
    return [*found, *(_of_plugin(action, document, problem) for action in others)]


def _refusal(name: str, document: Any, edit: kept.Edit | None) -> str:
    if document is None:
        return _NO_DOCUMENT
    if name == seam.RECOVER:
        few = len(_layers(document)) < 2
        return "Two layers are needed: the picture before the edit and after it." if few else ""
    if name == seam.APPLY_PLAN:
        return "" if document.activeNode() is not None else "No layer is active."
    if edit is None:
        return _NO_EDIT
    if name == seam.COPY_EDIT and not canvas.other_documents(document):
        return "No other picture is open."
    return ""


def _of_plugin(action: Mapping[str, Any], document: Any, problem: str) -> seam.Command:
    why = problem or ("" if document is not None else _NO_DOCUMENT)
    inputs = tuple(action.get("inputs") or ())
    if not why and "second_picture" in inputs:
        why = _refusal(seam.RECOVER, document, None)
    return seam.Command(
        f"{action['plugin']}/{action['id']}", str(action["label"]), str(action.get("help") or ""),
        inputs, tuple(action.get("options") or ()), why,
    )  # fmt: skip


# --- layers -----------------------------------------------------------------------------------


def layers(document: Any) -> seam.Layers:
    """The layers that can be before or after an edit."""
    found = _layers(document)
    names = [(kept.key(node), str(node.name())) for node in found]
    chosen = {kept.key(node) for node in canvas.selected_nodes(document)}
    meant = [key for key, _ in names if key in chosen]
    if len(meant) != 2:
        meant = [key for key, _ in (names[:1] + names[-1:])] if len(names) > 1 else []
    return seam.Layers(names, meant[-1] if meant else "", meant[0] if meant else "")


def _layers(document: Any) -> list[Any]:
    """The uppermost first; without edits and what is in them."""
    groups = [one.group for one in kept.edits(document)]
    found: list[Any] = []

    def walk(parent: Any) -> None:
        for node in reversed(parent.childNodes()):
            if any(canvas.same(node, group) for group in groups):
                continue
            if node.type() in _PICTURES:
                found.append(node)
            walk(node)

    walk(document.rootNode())
    return found


# --- edits ------------------------------------------------------------------------------------


def edit(
    found: kept.Edit, key: str, document: Any, vocabulary: Sequence[Mapping[str, Any]]
) -> seam.Edit:
    """An edit as the docker shows it; `key` is what it is called there."""
    shown = state(found.kept)
    now = seam.plain(shown)
    history = [
        seam.Kept(
            str(one.get("title") or "Edit"),
            str(one.get("when") or ""),
            state_of(one["plan"], one.get("strength", 1.0)),
        )
        for one in kept.history(document)
    ]
    return seam.Edit(
        key, str(found.group.name()), shown, bool(found.group.visible()),
        [one for one in history if seam.plain(one.state) != now],
        baked(found.kept, shown, document, vocabulary),
    )  # fmt: skip


def state(held: kept.Kept) -> Mapping[str, Any]:
    """What `StepList.restore` takes."""
    return held.state if held.state is not None else state_of(held.plan, held.strength)


def baked(
    one: kept.Kept, state: Mapping[str, Any], document: Any,
    vocabulary: Sequence[Mapping[str, Any]],
) -> dict[int, str]:  # fmt: skip
    """Which steps are pixels, by their place in the pane's list, and why."""
    place = holdings.Place(exact=canvas.Space.of(document).exact)
    layout = holdings.lay_out(one.plan, vocabulary, place, strength=one.strength)
    shown = [number for number, step in enumerate(state["steps"]) if step.get("on", True)]
    found = {}
    for number, step in zip(shown, layout.rendered, strict=False):
        why = holdings.why(step, vocabulary, place).removeprefix(", since ")
        if one.strength > 1:
            why = "more than the whole strength is not possible with filter layers"
        found[number] = f"Made of pixels: {why or 'a later step is, and needs what is below it'}."
    return found
