"""What the menu entries do. Each is a generator for a `background.Task`, or an answer at once.

All work that can fail is done before a document is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgedit_bridges import edits
from imgedit_bridges.client import BridgeError
from imgedit_bridges.edits import Plan
from imgedit_bridges.krita import canvas, closing, holdings, kept, waiting
from imgedit_bridges.krita.background import Steps, Work
from imgedit_bridges.krita.canvas import Source
from imgedit_bridges.krita.kept import Edit
from imgedit_bridges.krita.placing import Wish, place_of, prepare, put
from imgedit_bridges.krita.session import Session
from imgedit_bridges.protocol import JobRequest, PictureRef


def recover(
    session: Session,
    document: Any,
    nodes: Sequence[Any],
    *,
    swap: bool = False,
    plugin: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Steps:
    """Find the edit between two layers and show it on a clone of the first, above both.

    Args:
        session: the worker.
        document: that they are in.
        nodes: two layers, of which the lower one is the picture before, unless `swap`; or one,
            which is the picture after, and the one below it is before.
        swap: whether the upper one is before.
        plugin: ask this one only.
        options: for it.
        seed: for anything random.

    Returns:
        The plan.

    Raises:
        BridgeError: there are not two layers, no plan explains the edit, or the worker failed.
    """
    lower, upper = _two(nodes)
    before, after = (upper, lower) if swap else (lower, upper)
    source = source_of(document, before)
    pictures = [source, source_of(document, after)]
    frame = canvas.extent(pictures[0]).joined(canvas.extent(pictures[1]))
    refs: list[PictureRef] = []
    try:
        for one in pictures:
            ref = yield from canvas.upload(session.client, one, frame)
            refs.append(ref)
        request = JobRequest(
            "predict_operations", {"source": refs[0], "edited": refs[1]},
            plugin=plugin, options=dict(options or {}), seed=seed,
        )  # fmt: skip
        job, result = yield Work(lambda told: session.run(request, told))
    finally:
        yield Work(lambda _: session.drop(*refs))
    yield Work(lambda _: session.client.forget(job))
    plan = edits.recovered(result)
    title = edits.title(plan, "Recovered")
    wish = Wish(source, plan, 1.0, above=upper, title=title, own=True)
    prepared = yield from prepare(session, wish)
    yield from waiting.settled(document)
    group = put(prepared)
    yield from waiting.repaint(document, group)
    return plan


def apply_plan(
    session: Session, document: Any, nodes: Sequence[Any], plan: Plan, *, strength: float = 1.0
) -> Steps:
    """Put a plan on layers, each in a group right above it; returns the plan.

    Raises:
        BridgeError: there is no layer, the plan moves pixels while something is selected, or the
            worker failed.
    """
    return (yield from _apply_to(session, [(document, nodes)], plan, strength))


def apply_file(
    session: Session, document: Any, nodes: Sequence[Any], path: Path, *, strength: float = 1.0
) -> Steps:
    """Put the plan of a JSON file, or of a picture that carries one, on layers.

    Raises:
        BridgeError: as `apply_plan`, and where there is no plan in the file.
    """
    plan = yield Work(lambda _: session.read_plan(path))
    return (yield from apply_plan(session, document, nodes, plan, strength=strength))


def copy_edit(session: Session, document: Any, node: Any) -> Steps:
    """Put a node's edit on the selected layers of all other documents; returns how many.

    Raises:
        BridgeError: the node has no edit, there is no other document, or as `apply_plan`; then no
            document is changed.
    """
    edit = edit_at(document, node)
    others = canvas.other_documents(document)
    if not others:
        raise BridgeError("No other picture is open.", hint="Open one and try again.")
    places = [(other, canvas.selected_nodes(other)) for other in others]
    yield from _apply_to(session, places, edit.kept.plan, edit.kept.strength)
    return len(others)


def change(
    session: Session,
    document: Any,
    edit: Edit,
    plan: Plan,
    *,
    strength: float = 1.0,
    state: Mapping[str, Any] | None = None,
    continues: bool = False,
) -> Steps:
    """Let an edit become another one: a new group takes the old one's place.

    With `continues` it takes the old one's place in the history, too.

    Krita's Python cannot join the two into one undo step; a first undo brings the old group back
    beside the new one.

    Returns:
        The plan; None where nothing was changed, since another picture is in front now.

    Raises:
        BridgeError: the layer that it was put on is gone, or the worker failed.
    """
    source_node = kept.find(document, edit.kept.source)
    if source_node is None:
        raise BridgeError(
            f"The layer that “{edit.group.name()}” was put on is gone.",
            hint="Apply the plan to another layer.",
        )
    title = edit.group.name() if plan == edit.kept.plan else edits.title(plan)
    wish = Wish(
        source_of(document, source_node), plan, strength, above=edit.group, title=title,
        own=edit.kept.own, state=state, continues=kept.key(edit.group) if continues else "",
        around=edit.kept.around,
    )  # fmt: skip
    prepared = yield from prepare(session, wish)
    yield from waiting.settled(document)
    if not closing.stands_aside(document, edit.group, source_node):
        return None
    group = put(prepared)
    edit.group.remove()
    yield from waiting.repaint(document, group)
    return plan


def explain(session: Session, document: Any, node: Any) -> Steps:
    """A node's edit in words: one line a fact.

    Raises:
        BridgeError: it has none, or the worker failed.
    """
    edit = edit_at(document, node)
    plan, strength = edit.kept.plan, edit.kept.strength
    vocabulary = yield from session.operations(plan)
    under = kept.find(document, edit.kept.source)
    place = holdings.Place()
    if under is not None:
        place = yield from place_of(source_of(document, under), plan, vocabulary)
    layout = holdings.lay_out(plan, vocabulary, place, strength=strength)
    lines = [str(plan.get("explanation") or "")]
    for number, step in enumerate(plan["operations"], 1):
        live = number > len(layout.rendered)
        how = "live" if live else f"rendered{holdings.why(step, vocabulary, place)}"
        lines.append(f"{number}. {edits.describe(step)}: {how}")
    if strength != 1:
        lines.append(f"Strength {100 * strength:.4g} %.")
    lines.append(edits.residual_line(plan))
    return "\n".join(line for line in lines if line) or "Nothing is changed."


def save_plan(document: Any, node: Any, path: Path) -> None:
    """Write a node's plan as JSON; the file appears whole or not at all.

    Raises:
        BridgeError: it has none, or the file cannot be written.
    """
    edits.write_plan(edit_at(document, node).kept.plan, path)


def edit_at(document: Any, node: Any) -> Edit:
    """The edit of a node.

    Raises:
        BridgeError: it has none.
    """
    found = kept.edit_of(document, node) if node is not None else None
    if found is None:
        name = f"The layer “{node.name()}”" if node is not None else "Nothing"
        raise BridgeError(f"{name} carries no plan.", hint="Recover an edit or apply a plan first.")
    return found


# --- layers -----------------------------------------------------------------------------------


def source_of(document: Any, node: Any) -> Source:
    """What an edit of this node edits."""
    passing = node.type() == "grouplayer" and node.passThroughMode()
    return Source(document, node, stack=passing)


def _apply_to(
    session: Session, places: Sequence[tuple[Any, Sequence[Any]]], plan: Plan, strength: float
) -> Steps:
    """Prepare everything, and only then change the documents."""
    ready = []
    for document, nodes in places:
        layers = [_layer(one) for one in nodes]
        if not layers:
            raise BridgeError(
                f"No layer of “{document.name() or document.fileName()}” is selected.",
                hint="Select a layer and try again.",
            )
        for node in layers:
            wish = Wish(
                source_of(document, node), plan, strength, above=node, title=edits.title(plan)
            )
            ready.append((yield from prepare(session, wish)))
    yield from waiting.settled(*(document for document, _ in places))
    groups = [(one.wish.source.document, put(one)) for one in ready]
    for document, _ in places:
        last = [group for holder, group in groups if holder == document][-1]
        yield from waiting.repaint(document, last)
    return plan


def _layer(node: Any) -> Any:
    """The node itself, or the layer that it is a mask of."""
    while node.type().endswith("mask"):
        node = node.parentNode()
    return node


def _two(nodes: Sequence[Any]) -> tuple[Any, Any]:
    layers = sorted((_layer(one) for one in nodes), key=canvas.place_of)
    if len(layers) == 1 and (under := canvas.below(layers[0])) is not None:
        return under, layers[0]
    if len(layers) != 2:
        raise BridgeError(
            "Two layers are needed: the picture before the edit and the one after it.",
            hint="Select both in the list of layers (Ctrl+click) and try again.",
        )
    return layers[0], layers[1]
