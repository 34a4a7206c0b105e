"""An edit on its way into a document: first prepared, which may fail, then put, in one undo step.

An edit is one group, filled before it is in the document. Where nothing but the edited layer lies
below it, the group is a pass-through one of filter layers. Else it has a base, at its bottom: a
clone of the layer, or what the worker rendered; so it has with a selection, which is its mask.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from imgedit_bridges.krita.holdings import Layout, Place
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
        continues: id of the group whose entry in the history it takes; see `kept.keep`.
        around: id of the group that holds the edit whose place it takes; see `kept.Kept`.
    """

    source: Source
    plan: Plan
    strength: float
    above: Any
    title: str
    own: bool = False
    state: Mapping[str, Any] | None = None
    continues: str = ""
    around: str = ""


@dataclass(frozen=True)
class Prepared:
    """An edit, ready to be put.

    Attributes:
        wish: what is wanted.
        group: with all its layers, in no document yet.
        outer: the group around it and what lies above it; None where nothing does.
    """

    wish: Wish
    group: Any
    outer: Any = None


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
    base = yield from _base(session, wish, layout, selected=selected)
    return (yield from grouped(wish, filters, [base] if base else [], selected=selected))


def grouped(wish: Wish, filters: list[Filter], base: list[Any], *, selected: bool) -> Steps:
    """Build an edit's group.

    Args:
        wish: what is wanted.
        filters: the lowest first.
        base: what lies below them; nothing makes it a pass-through group.
        selected: whether the selection becomes its mask.
    """
    document = wish.source.document
    mixed = wish.own and wish.strength < 1 and not wish.source.stack
    # What lies below the group is not what was edited: they are mixed in the group.
    top = [_original(wish)] if mixed else []
    group = _group(document, filters, base, top, masked=selected)
    if selected:
        mask = next(one for one in group.childNodes() if one.type() == "transparencymask")
        yield from canvas.write_selection(document, mask)
    group.setName(wish.title)
    group.setPassThroughMode(not base)
    group.setOpacity(255 if mixed else round(255 * min(1.0, wish.strength)))
    return Prepared(wish, group)


def under(prepared: Prepared, layers: list[Any], name: str) -> Prepared:
    """The edit with layers above it, both in one group.

    They stay where they are when another group takes the edit's place.

    Args:
        prepared: the edit.
        layers: the lowest first.
        name: of the group.
    """
    outer = _group(prepared.wish.source.document, [], [prepared.group], layers, masked=False)
    outer.setName(name)
    outer.setPassThroughMode(True)
    return replace(prepared, outer=outer)


def _original(wish: Wish) -> Any:
    """What was edited, as opaque as the edit is weak."""
    node = wish.source.node
    original = wish.source.document.createCloneLayer(node.name(), node)
    original.setOpacity(round(255 * (1 - wish.strength)))
    return original


def _base(session: Session, wish: Wish, layout: Layout, *, selected: bool) -> Steps:
    """What lies at the bottom of the group; None where the filters see what lies below it."""
    source = wish.source
    # A pass-through group hands its opacity on to each of its layers.
    weak = wish.strength < 1 and len(layout.live) > 1
    alone = wish.own or selected or weak or not _lowest(source)
    if layout.rendered or (alone and source.stack):
        return (yield from _rendered(session, wish, list(layout.rendered)))
    return source.document.createCloneLayer(source.node.name(), source.node) if alone else None


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
    name = ", ".join(edits.describe(one) for one in steps) or wish.source.node.name()
    layer = yield from canvas.new_layer(client, document, ref, place, name)
    yield Work(lambda _: client.forget(job))
    return layer


def _only(pictures: tuple[ResultPicture, ...]) -> ResultPicture:
    if not pictures:
        raise BridgeError("The worker rendered nothing.")
    return pictures[0]


# --- the group --------------------------------------------------------------------------------


def _group(
    document: Any, filters: list[Filter], base: list[Any], top: list[Any], *, masked: bool
) -> Any:
    """A group of filter layers between a base and what is on top, in no document yet.

    Krita takes it for a part of the template, and crashes when it gets further layers once that
    is closed.
    """
    space = Space.of(document)
    held = space if space.exact else space.travelling
    data = template.document(filters, masked=masked, depth=held.depth, profile=held.profile)
    with _opened(data) as made:
        *layers, group = (one.clone() for one in made.rootNode().childNodes())
        if not masked and not space.exact:
            group = document.createGroupLayer("")
        # A clone belongs to no document, so filling it is no undo step of the user's document.
        # Krita crashes when a group gets layers whose document is closed.
        for one in base + layers + top:
            group.addChildNode(one, None)  # on top
        return group


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """A document without a window, closed with the block."""
    number, name = tempfile.mkstemp(suffix=".kra", prefix="imgedit-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        document = Krita.instance().openDocument(name)
    finally:
        Path(name).unlink(missing_ok=True)
    if document is None:
        raise BridgeError(
            "Krita did not open the template of the filter layers.",
            hint="Is the folder for temporary files full?",
        )
    try:
        yield document
    finally:
        document.setModified(False)
        document.close()


# --- putting it into the document -------------------------------------------------------------


def put(prepared: Prepared) -> Any:
    """Put one prepared edit into its document, in one undo step; returns its group.

    `waiting.repaint` must follow, so that it is seen.
    """
    wish, group = prepared.wish, prepared.group
    document = wish.source.document
    above = wish.above
    above.parentNode().addChildNode(prepared.outer or group, above)
    group = document.nodeByUniqueID(group.uniqueId())  # the one before is still the template's
    made = kept.Kept(
        plan=wish.plan, strength=wish.strength, title=wish.title,
        source=kept.key(wish.source.node), own=wish.own, state=wish.state,
        around=kept.key(prepared.outer) if prepared.outer else wish.around,
    )  # fmt: skip
    kept.keep(document, group, made, continues=wish.continues)
    return group
