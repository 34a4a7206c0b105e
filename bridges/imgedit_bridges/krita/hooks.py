"""Menu actions of plugins: a hook is called with what the document has, and its answer is put in.

A `predict_operations` answers with a plan, an `apply_edit` with pictures, a plan, or both: then
the plan tells the same edit, or, where the result says so, the pictures lie above what it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgedit_bridges import edits
from imgedit_bridges.client import BridgeError, Result, ResultPicture
from imgedit_bridges.krita import actions, canvas, placing, waiting
from imgedit_bridges.krita.background import Steps, Work
from imgedit_bridges.krita.bands import Frame
from imgedit_bridges.krita.canvas import Source
from imgedit_bridges.krita.placing import Wish
from imgedit_bridges.krita.session import Session
from imgedit_bridges.protocol import JobRequest, PictureRef

Action = Mapping[str, Any]
"""One of `Client.actions`: 'plugin', 'label', 'hook', 'inputs'."""


def run_action(
    session: Session,
    document: Any,
    nodes: Sequence[Any],
    action: Action,
    *,
    instruction: str = "",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Steps:
    """Carry out a menu action on the selected layer, or on two; returns its plan or explanation.

    Args:
        session: the worker.
        document: that the layers are in.
        nodes: two layers where the action wants two pictures, else one.
        action: which.
        instruction: the edit in words, where the action wants it.
        options: of the plugin.
        seed: for anything random.

    Raises:
        BridgeError: a layer or the instruction is missing, or the plugin or the worker failed.
    """
    hook, inputs = str(action["hook"]), list(action["inputs"])
    if "instruction" in inputs and not instruction.strip():
        raise BridgeError("An instruction is needed.", hint="Say in words what to do.")
    given = {**(options or {}), **action.get("fixed", {})}
    asked: dict[str, Any] = {"plugin": action["plugin"] or None, "options": given}
    if hook == "predict_operations" and "second_picture" in inputs:
        return (yield from actions.recover(session, document, nodes, seed=seed, **asked))
    if len(nodes) != 1:
        raise BridgeError("One layer is needed.", hint="Select one layer and try again.")
    source = actions.source_of(document, nodes[0])
    asked |= {"seed": seed, "instruction": instruction or None}
    limited = canvas.has_selection(document)
    selected = "selection" in inputs and limited
    if hook == "apply_edit":
        asked["layers"] = _is_plain(nodes[0]) and selected == limited
    result = yield from _called(session, source, hook, asked, selected=selected)
    if result.plan is not None and not result.pictures:
        plan = edits.recovered(result)
        return (yield from actions.apply_plan(session, document, nodes, plan))
    title = edits.shortened(result.explanation or str(action["label"]).rstrip("…"))
    if result.layered:
        yield from _put_layers(session, source, result, title)
    else:
        yield from _put_pictures(session, source, result, title, selected=selected)
    return result.plan or result.explanation


def _is_plain(node: Any) -> bool:
    """Whether a layer above it hides it where it is opaque, and nowhere else."""
    return bool(node.opacity() == 255 and node.blendingMode() == "normal")


def _called(
    session: Session, source: Source, hook: str, asked: Mapping[str, Any], *, selected: bool
) -> Steps:
    frame = canvas.extent(source)
    name = "source" if hook == "predict_operations" else "picture"
    inputs: dict[str, PictureRef] = {}
    try:
        inputs[name] = yield from canvas.upload(session.client, source, frame)
        if selected:
            inputs["mask"] = yield from canvas.upload_selection(
                session.client, source.document, frame
            )
        request = JobRequest(hook, inputs, **asked)
        _, result = yield Work(lambda told: session.run(request, told))
        return result
    finally:
        yield Work(lambda _: session.drop(*inputs.values()))


def _put_pictures(
    session: Session, source: Source, result: Result, title: str, *, selected: bool
) -> Steps:
    """Put the best picture above the source; the others are in the same group, hidden."""
    if not result.pictures:
        raise BridgeError(result.explanation or "The plugin changed nothing.")
    document = source.document
    layers = yield from _layers(session, source, result, title)
    plan = result.plan or {"operations": [], "explanation": result.explanation}
    wish = Wish(source, plan, 1.0, above=source.node, title=title, own=True)
    prepared = yield from placing.grouped(wish, [], layers, selected=selected)
    yield from waiting.settled(document)
    group = placing.put(prepared)
    yield from waiting.repaint(document, group)


def _put_layers(session: Session, source: Source, result: Result, title: str) -> Steps:
    """Put the plan above the source, and above that what it does not do, in one group."""
    plan = edits.recovered(result)
    wish = Wish(source, plan, 1.0, above=source.node, title=edits.title(plan))
    prepared = yield from placing.prepare(session, wish)
    layers = yield from _layers(session, source, result, "The rest")
    prepared = placing.under(prepared, layers, title)
    yield from waiting.settled(source.document)
    group = placing.put(prepared)
    yield from waiting.repaint(source.document, group)


def _layers(session: Session, source: Source, result: Result, title: str) -> Steps:
    """The pictures as layers, the best one last; the others are hidden."""
    corner = canvas.extent(source)
    layers = []
    for number, one in enumerate(reversed(result.pictures)):
        name = title if number == len(result.pictures) - 1 else f"{title} ({_place(result, one)})"
        place = Frame(
            corner.x + one.offset[0], corner.y + one.offset[1], one.ref.width, one.ref.height
        )
        layer = yield from canvas.new_layer(session.client, source.document, one.ref, place, name)
        layer.setVisible(number == len(result.pictures) - 1)
        layers.append(layer)
    return layers


def _place(result: Result, one: ResultPicture) -> int:
    return result.pictures.index(one) + 1
