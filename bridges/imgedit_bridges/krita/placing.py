"""An edit on its way into a document: first prepared, which may fail, then put, in one undo step.

An edit is one group, filled before it is in the document. Where nothing but the edited layer lies
below it, the group is a pass-through one of filter layers. Else it has a base, at its bottom: a
clone of the layer, or what the worker rendered; so it has with a selection, which is its mask.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from krita import Krita

from imgedit_bridges import edits
from imgedit_bridges.client import BridgeError, ResultPicture
from imgedit_bridges.edits import Plan, Step
from imgedit_bridges.krita import canvas, holdings, kept, template
from imgedit_bridges.krita.background import Steps, Told, Work
from imgedit_bridges.krita.bands import Frame
from imgedit_bridges.krita.canvas import Source, Space
from imgedit_bridges.krita.forms import BLURS, POINTS, Filter
from imgedit_bridges.krita.holdings import Place
from imgedit_bridges.krita.session import Session
from imgedit_bridges.protocol import JobRequest


@dataclass(frozen=True)
class Wish:
    """An edit that somebody wants.

    Attributes:
        source: what is edited.
        plan: the edit.
        strength: of the whole, 0..2.
        above: the node above which it goes.
        title: of the group.
        own: whether it must not depend on what lies right below.
        state: of the list of steps in a pane.
    """

    source: Source
    plan: Plan
    strength: float
    above: Any
    title: str
    own: bool = False
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Prepared:
    """An edit, ready to be put.

    Attributes:
        wish: what is wanted.
        group: with all its layers, in no document yet.
    """

    wish: Wish
    group: Any


# --- preparing --------------------------------------------------------------------------------


def prepare(session: Session, wish: Wish) -> Steps:
    """Lay an edit out and build its group; the document is not changed.

    Raises:
        BridgeError: the worker failed, or the plan moves pixels while something is selected.
    """
    document = wish.source.document
    vocabulary = yield from session.operations(wish.plan)
    selected = canvas.has_selection(document)
    _refuse_moves(wish, vocabulary, selected=selected)
    place = yield from place_of(wish.source, wish.plan, vocabulary)
    layout = holdings.lay_out(wish.plan, vocabulary, place, strength=wish.strength)
    dtype = Space.of(document).dtype
    sampled = yield Work(lambda told: _sampled(session, wish.plan, layout.steps, dtype, told))
    filters = layout.filters(sampled)
    base = None
    if layout.rendered:
        base = yield from _rendered(session, wish, list(layout.rendered))
    elif wish.own or selected or not _lowest(wish.source):
        base = document.createCloneLayer(wish.source.node.name(), wish.source.node)
    group = _group(filters, base, masked=selected)
    if selected:
        mask = next(one for one in group.childNodes() if one.type() == "transparencymask")
        yield from canvas.write_selection(document, mask)
    group.setName(wish.title)
    group.setPassThroughMode(base is None)
    group.setOpacity(round(255 * min(1.0, wish.strength)))
    return Prepared(wish, group)


def place_of(source: Source, plan: Plan, vocabulary: list[dict[str, Any]]) -> Steps:
    """What a source is for the filters of a plan."""
    space = Space.of(source.document)
    if not space.exact:
        return Place(exact=False)
    layout = holdings.lay_out(plan, vocabulary, Place())
    blurs = any(
        one.filter in BLURS for held in layout.live if isinstance(held, tuple) for one in held
    )
    if not blurs:
        return Place()
    opaque = yield from canvas.opaque(source)
    return Place(opaque=opaque)


def _refuse_moves(wish: Wish, vocabulary: list[dict[str, Any]], *, selected: bool) -> None:
    moving = [
        step["name"] for step in wish.plan["operations"] if holdings.is_geometric(step, vocabulary)
    ]
    if moving and selected:
        raise BridgeError(
            f"The plan moves pixels ({', '.join(moving)}), which a selection cannot limit.",
            hint="Select nothing (Select > Deselect) and try again.",
        )


def _lowest(source: Source) -> bool:
    """Whether the source is all that a pass-through group above it sees."""
    if source.stack:
        return True
    under = canvas.below(source.node)
    while under is not None:
        if under.visible():
            return False
        under = canvas.below(under)
    return True


# --- what the worker does ---------------------------------------------------------------------


def _sampled(
    session: Session, plan: Plan, steps: list[Step], dtype: str, told: Told
) -> list[Filter]:
    """The curves of steps that are functions of each channel alone; runs on a thread."""
    if not steps:
        return []
    client = session.client
    data = holdings.ramp(dtype)
    ramp = client.put_picture(data, POINTS, 1, 3, dtype)
    made = []
    try:
        for step in steps:
            one = edits.with_operations(plan, [step])
            job, result = session.run(JobRequest("render", {"picture": ramp}, plan=one), told)
            ref = _only(result.pictures).ref
            with client.open_picture(ref) as file:
                made.append(holdings.sampled(step, bytes(file.data[: ref.pixel_bytes]), dtype))
            client.forget(job)
    finally:
        session.drop(ramp)
    return made


def _rendered(session: Session, wish: Wish, steps: list[Step]) -> Steps:
    """A paint layer with the source's pixels after these steps."""
    client, document = session.client, wish.source.document
    frame = canvas.extent(wish.source)
    source = yield from canvas.upload(client, wish.source, frame)
    request = JobRequest(
        "render", {"picture": source}, plan=edits.with_operations(wish.plan, steps),
        strength=max(1.0, wish.strength),
    )  # fmt: skip
    try:
        job, result = yield Work(lambda told: session.run(request, told))
    finally:
        yield Work(lambda _: session.drop(source))
    picture = _only(result.pictures)
    ref = picture.ref
    place = Frame(
        frame.x + (frame.width - ref.width) // 2, frame.y + (frame.height - ref.height) // 2,
        ref.width, ref.height,
    )  # fmt: skip
    name = edits.title(edits.with_operations(wish.plan, steps))
    layer = yield from canvas.new_layer(client, document, ref, place, name)
    yield Work(lambda _: client.forget(job))
    return layer


def _only(pictures: tuple[ResultPicture, ...]) -> ResultPicture:
    if not pictures:
        raise BridgeError("The worker rendered nothing.")
    return pictures[0]


# --- the group --------------------------------------------------------------------------------


def _group(filters: list[Filter], base: Any, *, masked: bool) -> Any:
    """A group of filter layers on top of a base, in no document."""
    group = _cloned(template.document(filters, masked=masked))
    if base is not None:
        layers = canvas.layers_of(group)
        for one in layers:
            group.removeChildNode(one)
        for one in (base, *layers):
            group.addChildNode(one, None)  # on top
    return group


def _cloned(data: bytes) -> Any:
    number, name = tempfile.mkstemp(suffix=".kra", prefix="imgedit-")
    path = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        document = Krita.instance().openDocument(name)
        if document is None:
            raise BridgeError(
                "Krita did not open the template of the filter layers.",
                hint="Is the folder for temporary files full?",
            )
        try:
            return document.nodeByName(template.GROUP).clone()
        finally:
            document.setModified(False)
            document.close()
    finally:
        path.unlink(missing_ok=True)


# --- putting it into the document -------------------------------------------------------------


def put(prepared: Prepared) -> Any:
    """Put one prepared edit into its document, in one undo step; returns its group."""
    wish, group = prepared.wish, prepared.group
    document = wish.source.document
    above = wish.above
    above.parentNode().addChildNode(group, above)
    made = kept.Kept(
        plan=wish.plan, strength=wish.strength, title=wish.title,
        source=kept.key(wish.source.node), state=wish.state,
    )  # fmt: skip
    kept.keep(document, group, made)
    document.setActiveNode(group)
    return group
