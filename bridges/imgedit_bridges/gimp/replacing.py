"""A layer's edit exchanged for another one.

The layer is not changed: a copy with the new filters takes its place. Undo brings the old one back
as it was; redo brings the filters of the new one back, several of them in turned order (GIMP 3.0).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from imgedit_bridges.edits import Plan, title
from imgedit_bridges.gimp import canvas, placing, records
from imgedit_bridges.gimp.held_edit import HeldEdit, delete, no_undo, turned, turns_back
from imgedit_bridges.gimp.records import EditRecord
from imgedit_bridges.gimp.strengths import Form


def replace_edit(
    held: HeldEdit, plan: Plan, form: Form, record: EditRecord, pixels: Any = None
) -> None:
    """Exchange the edit of a layer, in one undo step.

    Args:
        held: the edit as it is.
        plan: to be carried.
        form: how it is held.
        record: to be kept; its source is told here.
        pixels: a layer, not in the image, of what the filters lie on; by default the layer's own.
    """
    # The filters have the mask, as long as there are any and it is enough for them.
    layered = held.record.masked and (
        pixels is not None
        or form.opacity < 1
        or form.layout.surroundings
        or not form.layout.filters
    )
    with no_undo(held.image):
        new = _bare_layer(held, form, record, pixels)
        base = _base(held, form, record, layered=layered)
    with placing.undo_group(held.image) as undo, held.masked():
        canvas.insert_above(held.layer, new, held.layer.get_name())
        undo.append(lambda: held.image.remove_layer(new))
        _look_like(held.layer, new)
        if base is not None:
            place = held.image.get_item_position(new) + 1
            held.image.insert_layer(base, new.get_parent(), place)
            undo.append(lambda: held.image.remove_layer(base))
        if form.opacity < 1 or (held.record.source and held.record.strength < 1):
            new.set_opacity(100.0 * form.opacity)
        if layered and new.get_mask() is None:
            canvas.add_mask(new)
        if form.opacity < 1 or new.get_mask() is not None:
            canvas.mix_encoded(new)
        _add_filters(held, new, form, masked=not layered)
        _inherit(held, new, base, plan, record)


def _bare_layer(held: HeldEdit, form: Form, record: EditRecord, pixels: Any) -> Any:
    """What the filters will lie on, not in the image."""
    new = pixels if pixels is not None else held.layer.copy()
    turns = form.layout.turns
    if pixels is None:
        delete(held.own_of(new))
        same = record.turns == held.record.turns
        turns = () if same else (*turns_back(held.record.turns), *turns)
    return turned(new, turns)


def _add_filters(held: HeldEdit, layer: Any, form: Form, *, masked: bool) -> None:
    # As steps of the undo group: GIMP 3.0 forgets the filters of a layer whose insertion is undone.
    with nullcontext() if masked else canvas.nothing_selected(held.image):
        for wanted in form.layout.filters:
            canvas.add_filter(layer, wanted)


def _base(held: HeldEdit, form: Form, record: EditRecord, *, layered: bool) -> Any:
    """A layer of the pixels before the edit, to lie right below, where that is needed."""
    in_place = not held.record.source
    needed = form.opacity < 1 and not held.lies_on_source()
    if in_place:
        needed = needed or layered or bool(record.baked)
    source = held.source()
    if not needed or source is None:
        return None
    base = held.plain_copy(source)
    for name in (canvas.PARASITE, records.PARASITE):
        if in_place and base.get_parasite(name) is not None:
            base.detach_parasite(name)
    return base


def _inherit(held: HeldEdit, new: Any, base: Any, plan: Plan, record: EditRecord) -> None:
    """Let the old layer go. Who looks for it, such as an edit rendered from it, finds its heir."""
    tattoo, name = held.layer.get_tattoo(), held.layer.get_name()
    source = held.source()
    below = source.get_name() if source is not None else name
    held.image.remove_layer(held.layer)
    if base is None:
        new.set_tattoo(tattoo)
        new.set_name(name)
        kept = held.record.source
    elif held.record.source:
        new.set_tattoo(tattoo)
        new.set_name(name)
        base.set_name(below)
        kept = base.get_tattoo()
    else:
        base.set_tattoo(tattoo)
        base.set_name(name)
        new.set_name(title(plan))
        kept = tattoo
    canvas.attach_plan(new, plan)
    masked = held.record.masked and new.get_mask() is None
    records.attach_record(new, replace(record, source=kept, masked=masked))
    held.image.set_selected_layers([new])


def _look_like(old: Any, new: Any) -> None:
    """Give the new layer what the user has set on the old one."""
    new.set_visible(old.get_visible())
    new.set_mode(old.get_mode())
    new.set_opacity(old.get_opacity())
    new.set_color_tag(old.get_color_tag())
    size = (old.get_width(), old.get_height())
    if size != (new.get_width(), new.get_height()):
        return
    new.set_offsets(*old.get_offsets()[1:])  # the user may have moved it
    if new.get_mask() is None:
        canvas.copy_mask(old, new)
