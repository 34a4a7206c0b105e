"""An edit on its way into an image: first prepared, which may fail, then put, in one undo step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from imgedit_bridges.client import BridgeError, Client, ResultPicture
from imgedit_bridges.edits import Plan, after, with_operations
from imgedit_bridges.gimp import canvas, holdings, records, transfer
from imgedit_bridges.gimp.forms import Turn
from imgedit_bridges.gimp.holdings import Layout
from imgedit_bridges.gimp.records import EditRecord
from imgedit_bridges.gimp.running import Told
from imgedit_bridges.gimp.strengths import Form, form_of
from imgedit_bridges.gimp.transfer import Jobs
from imgedit_bridges.protocol import JobRequest, PictureRef

Undo = list[Callable[[], object]]
"""What takes back the steps that were done, the first one first."""


@dataclass(frozen=True)
class Prepared:
    """One layer's edit, ready to be put into the image.

    Attributes:
        layer: the user's.
        layout: how GIMP holds the plan.
        plan: that the layer carries afterwards.
        picture: the rendered part, where there is one.
        masked: whether the rendered part is limited to the selection already.
        hides: whether the rendered part takes the layer's place instead of covering it.
        opacity: below 1 asks for a layer of its own of that opacity, above the same pixels.
        record: what the layer keeps beside the plan; its source is told by `put`.
    """

    layer: Any
    layout: Layout
    plan: Plan
    picture: ResultPicture | None = None
    masked: bool = False
    hides: bool = False
    opacity: float = 1.0
    record: EditRecord = field(default_factory=EditRecord)


# --- preparing --------------------------------------------------------------------------------


def prepare(
    jobs: Jobs,
    layer: Any,
    plan: Plan,
    told: Told,
    *,
    kept: Plan | None = None,
    selection: str = "",
    copied: bool = False,
    strength: float = 1.0,
) -> Prepared:
    """Lay a plan out and have rendered what needs it; the image is not changed.

    Args:
        jobs: gets the one that has the rendered pixels, where something is rendered.
        layer: to be edited.
        plan: the edit.
        told: told how it goes.
        kept: the plan that the layer carries already.
        selection: see `canvas.selection_kind`.
        copied: whether a copy of the layer gets the edit.
        strength: of the plan, 0..2.

    Raises:
        BridgeError: the worker failed, the two plans do not go together, the layer is locked, or
            it is grey and the edit is not.
    """
    whole, plain = after(kept, plan), canvas.is_plain(layer)
    form = _form(layer, plan, strength, again=kept is not None, plain=plain)
    layout = form.layout
    separate = bool(layout.rendered) or _needs_own_layer(layout, selection) or form.opacity < 1
    # Under a layer that is no plain one the same pixels once more would show through.
    masked = bool(selection) and separate and not plain
    if masked:
        form = Form(_all_rendered(plan), rendered=strength)
        layout = form.layout
    if not (separate or copied):
        canvas.check_locks(layer, moves=bool(layout.turns))
    apart = separate or copied
    record = _record(layer, form, strength, kept, selection, apart=apart)
    if not layout.rendered:
        return Prepared(layer, layout, whole, opacity=form.opacity, record=record)
    head = with_operations(plan, list(layout.rendered))
    job, picture = rendered(jobs.client, layer, head, told, masked=masked, strength=form.rendered)
    jobs.done.append(job)
    check_colours(layer, picture)
    hides = not (plain or copied)
    return Prepared(layer, layout, whole, picture, masked, hides, form.opacity, record)


def _form(layer: Any, plan: Plan, strength: float, *, again: bool, plain: bool) -> Form:
    """How the plan is held; `again`: on top of another one that the layer carries."""
    there = records.read_record(layer) if again else None
    if again and (strength != 1.0 or (there is not None and there.strength != 1.0)):
        return Form(_all_rendered(plan), rendered=strength)  # two strengths, two layers
    return form_of(plan, layout_of(layer, plan), strength, opaque=plain)


def _record(
    layer: Any, form: Form, strength: float, kept: Plan | None, selection: str, *, apart: bool
) -> EditRecord:
    """What the layer keeps beside the plan; `apart`: one of its own does, not this one."""
    turns = tuple((one.degrees, one.flip) for one in form.layout.turns)
    if apart:
        before = tuple(kept["operations"]) if kept is not None else ()
        baked, rendered_with = form.layout.rendered, form.rendered
        return EditRecord(strength, (), 0, baked, rendered_with, before=before, turns=turns)
    there = records.read_record(layer) or EditRecord()
    masked = there.masked or bool(selection)
    return replace(there, strength=strength, steps=(), turns=(*there.turns, *turns), masked=masked)


def _all_rendered(plan: Plan) -> Layout:
    return Layout(tuple(plan["operations"]), (), (), surroundings=False)


def check_colours(layer: Any, picture: ResultPicture) -> None:
    """Refuse colours where the image has none.

    Raises:
        BridgeError: the picture has some and the layer cannot.
    """
    if layer.is_gray() and picture.ref.channels > 2:
        raise BridgeError(
            f"The edit makes colours, and “{canvas.name_of(layer.get_image())}” is a grey image.",
            hint="Choose Image > Mode > RGB and run it again.",
        )


@dataclass(frozen=True)
class Ground:
    """What of a layer decides how a plan is held on it.

    Attributes:
        srgb: whether its colours are those of sRGB.
        opaque: whether no pixel is transparent.
        grey: whether it has no colours.
        hidden: operations that this GIMP has no live filters of.
    """

    srgb: bool
    opaque: bool
    grey: bool
    hidden: frozenset[str] = frozenset()

    def lay_out(self, plan: Plan) -> Layout:
        """How a plan is held."""
        if self.srgb:
            return holdings.lay_out(plan, opaque=self.opaque, grey=self.grey, hidden=self.hidden)
        # Filters see the codes of the image's own colour space, for which nothing was measured.
        return _all_rendered(plan)


def ground_of(layer: Any) -> Ground:
    """What a layer is like; looks at all its pixels."""
    srgb = canvas.is_srgb(layer.get_image())
    opaque = srgb and canvas.is_opaque(layer)
    return Ground(srgb, opaque, bool(layer.is_gray()), canvas.hidden_operations())


def layout_of(layer: Any, plan: Plan) -> Layout:
    """How a plan is held on this layer."""
    return ground_of(layer).lay_out(plan)


def rendered(
    client: Client,
    layer: Any,
    plan: Plan,
    told: Told,
    *,
    masked: bool = False,
    strength: float = 1.0,
) -> tuple[str, ResultPicture]:
    """Have a plan rendered on a layer as it is seen; the job, which keeps the picture, and it.

    Raises:
        BridgeError: the worker failed or was cancelled.
    """

    def request(picture: PictureRef, *mask: PictureRef) -> JobRequest:
        return JobRequest("render", pictures(picture, *mask), plan=plan, strength=strength)

    # A mask can be given to the result, but not to one that has been turned or cut.
    moved = any(map(holdings.is_geometric, plan["operations"]))
    job, result = transfer.run_on(client, [layer], request, told, selection=masked, masks=moved)
    if not result.pictures:
        raise BridgeError("The worker rendered nothing.")
    return job, result.pictures[0]


def pictures(picture: PictureRef, *mask: PictureRef) -> dict[str, PictureRef]:
    """The inputs of a job that edits a picture, within a mask where there is one."""
    return {"picture": picture, **({"mask": mask[0]} if mask else {})}


# --- putting it into the image ----------------------------------------------------------------


@contextmanager
def undo_group(image: Any) -> Iterator[Undo]:
    """One undo step; what was done so far is taken back when the block raises."""
    undo: Undo = []
    image.undo_group_start()
    try:
        yield undo
    except BaseException:
        for step in reversed(undo):
            with suppress(Exception):  # the others shall be taken back all the same
                step()
        raise
    finally:
        image.undo_group_end()


def put(
    client: Client,
    prepared: Prepared,
    undo: Undo,
    *,
    selection: str,
    above: Any = None,
    name: str,
) -> Any:
    """Put one prepared edit into the image; returns the layer that shows it.

    Args:
        client: of the worker, which has the rendered pixels.
        prepared: the edit.
        undo: gets what takes it back.
        selection: see `canvas.selection_kind`.
        above: asks for a layer of its own, above this one.
        name: of a new layer.

    Raises:
        BridgeError: the rendered pixels are gone.
    """
    layer, layout = prepared.layer, prepared.layout
    image = layer.get_image()
    target = layer
    place = _base(layer, above, prepared, undo)
    if prepared.picture is not None:
        target = put_picture(client, layer, prepared.picture, undo, place, name)
        if prepared.hides:
            hide_below(layer, target, undo)
        if not any(map(holdings.is_geometric, layout.rendered)):
            canvas.copy_mask(layer, target)
    elif above is not None or _needs_own_layer(layout, selection) or prepared.opacity < 1:
        target = layer.copy()
        _insert(place, layer, target, name, undo)
    masked = bool(selection) and target is not layer and not prepared.masked
    if masked:
        canvas.add_mask(target)
        canvas.mix_encoded(target)
    undo.append(partial(target.set_offsets, *target.get_offsets()[1:]))
    for one in layout.turns:
        canvas.turn(target, one)
        undo.append(partial(_turn_back, target, one))
    if masked:
        with canvas.nothing_selected(image):
            _add_filters(target, layout, undo)
    else:
        _add_filters(target, layout, undo)
    if prepared.opacity < 1:
        target.set_opacity(100.0 * prepared.opacity)
        canvas.mix_encoded(target)
    canvas.attach_plan(target, prepared.plan)
    source = prepared.record.source
    if prepared.opacity < 1:
        source = place.get_tattoo()
    elif target is not layer and (above is None or prepared.picture is not None):
        source = 0 if prepared.masked else layer.get_tattoo()
    records.attach_record(target, replace(prepared.record, source=source))
    if target is not layer:
        image.set_selected_layers([target])
    return target


def _base(layer: Any, above: Any, prepared: Prepared, undo: Undo) -> Any:
    """What a new layer lies on: where it lets something through, that must be the layer."""
    if above is None or prepared.opacity == 1:
        return above or layer
    base = layer.copy()
    _insert(above, layer, base, layer.get_name(), undo)
    return base


def put_picture(
    client: Client, layer: Any, picture: ResultPicture, undo: Undo, above: Any, name: str
) -> Any:
    """Put a picture that was made of a layer into a new layer above another one; returns it.

    Raises:
        BridgeError: its pixels are gone.
    """
    target = canvas.new_layer(layer.get_image(), picture.ref, name)
    _insert(above, layer, target, name, undo, picture.offset)
    transfer.write(client, picture.ref, target)
    return target


def hide_below(layer: Any, target: Any, undo: Undo) -> None:
    """Let a new layer take a layer's place; see `canvas.take_place`."""
    seen = layer.get_visible()
    undo.append(lambda: layer.set_visible(seen))
    canvas.take_place(layer, target)


def _needs_own_layer(layout: Layout, selection: str) -> bool:
    # Soft masks of filters change when an .xcf file is opened again; and behind a mask the second
    # blur would see pixels that the first has not blurred.
    return selection == "soft" or (bool(selection) and layout.surroundings)


def _insert(
    place: Any,
    source: Any,
    target: Any,
    name: str,
    undo: Undo,
    offset: tuple[int, int] = (0, 0),
) -> None:
    """Put a new layer above `place`, where `source` lies in the image, and so far from there."""
    canvas.insert_above(place, target, name)
    _, x, y = source.get_offsets()
    target.set_offsets(x + offset[0], y + offset[1])
    target.set_visible(True)
    image = place.get_image()
    undo.append(lambda: image.remove_layer(target))


def _turn_back(layer: Any, done: Turn) -> None:
    canvas.turn(layer, Turn(flip=done.flip))
    canvas.turn(layer, Turn(degrees=-done.degrees % 360))


def _add_filters(target: Any, layout: Layout, undo: Undo) -> None:
    for one in layout.filters:
        made = canvas.add_filter(target, one)
        undo.append(made.delete)
