"""The edit that a layer holds: its filters, its source, and what it is limited to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp  # noqa: E402

from imgedit_bridges.edits import Plan  # noqa: E402
from imgedit_bridges.gimp import canvas, holdings, placing, records  # noqa: E402
from imgedit_bridges.gimp.forms import BLUR, Turn  # noqa: E402
from imgedit_bridges.gimp.records import EditRecord  # noqa: E402

SHOWN = " (preview)"
"""At the end of the names of filters that are only shown while somebody works on the edit."""


class HeldEdit:
    """A layer with its edit, or without one yet; nothing here changes the image.

    Args:
        layer: of an image.

    Attributes:
        image, layer: where it is.
        plan: as the layer carries it.
        record: what is kept beside the plan.
        filters: the layer's filters that stand for the plan, the lowest one first.

    Raises:
        BridgeError: what the layer carries is damaged.
    """

    def __init__(self, layer: Any) -> None:
        self.image = layer.get_image()
        self.layer = layer
        empty: Plan = {"schema": "imgedit-plan/1", "operations": []}
        self.plan: Plan = canvas.plan_of(layer) or empty
        self.record = records.read_record(layer) or EditRecord(
            baked=placing.layout_of(layer, self.plan).rendered
        )
        self.filters = _own_filters(layer, self.plan, self.record)

    def is_turned(self) -> bool:
        """Whether the filters are in another order than the plan has them, as redo leaves them."""
        names = _names(self.layer, self.plan, self.record)
        there = [one.get_name() for one in self.filters]
        return sorted(names) == sorted(there) and names != there

    def source(self) -> Any:
        """The layer with the pixels before the edit; None where it is gone."""
        if self.record.source:
            return records.find_layer(self.image, self.record.source)
        return None if self.record.baked else self.layer

    def is_there(self) -> bool:
        """Whether the layer is still in the image."""
        layer = self.layer
        return layer.is_valid() and (records.find_layer(self.image, layer.get_tattoo()) is not None)

    def lies_on_source(self) -> bool:
        """Whether the pixels before the edit are right below, and nothing hides them."""
        if not self.record.source:
            return False
        parent = self.layer.get_parent()
        siblings = parent.get_children() if parent else self.image.get_layers()
        place = self.image.get_item_position(self.layer)
        below = siblings[place + 1 : place + 2]
        return bool(below) and below[0].get_tattoo() == self.record.source

    def plain_copy(self, source: Any) -> Any:
        """A copy of the source, not in the image; of this layer, the state before its edit.

        GIMP makes undo steps of filters that go, even of a layer that is not in the image: to be
        called within an undo group, or without undo.
        """
        copy = source.copy()
        if source == self.layer:
            delete(self.own_of(copy))
            return turned(copy, turns_back(self.record.turns))
        return copy

    def own_of(self, copy: Any) -> list[Any]:
        """The filters of a copy of the layer that stand where this edit's are."""
        own = {one.get_id() for one in self.filters}
        pairs = zip(copy.get_filters(), self.layer.get_filters(), strict=True)
        return [made for made, original in pairs if original.get_id() in own]

    @contextmanager
    def masked(self) -> Iterator[None]:
        """What the filters have as their mask is selected meanwhile; else nothing is."""
        with canvas.nothing_selected(self.image):
            if not self.record.masked or not self.filters:
                yield
                return
            channel = self._mask()
            self.image.select_item(Gimp.ChannelOps.REPLACE, channel)
            self.image.remove_channel(channel)
            try:
                yield
            finally:
                Gimp.Selection.none(self.image)

    def _mask(self) -> Any:
        """The mask of the filters, which GIMP does not tell: one of them erases with it."""
        numbers = [one.get_id() for one in self.layer.get_filters()]
        number = numbers.index(self.filters[0].get_id())
        chosen = self.image.get_selected_layers()
        copy = self.layer.copy()
        made = copy.get_filters()[number]
        delete([one for one in copy.get_filters() if one.get_id() != made.get_id()])
        copy.add_alpha()
        canvas.insert_above(self.layer, copy, "mask")
        try:
            made.set_visible(True)
            made.set_opacity(1.0)
            made.set_blend_mode(Gimp.LayerMode.ERASE)
            made.update()
            copy.merge_filters()
            _, x, y = copy.get_offsets()
            place = Gegl.Rectangle.new(x, y, copy.get_width(), copy.get_height())
            area = Gegl.Rectangle.new(0, 0, copy.get_width(), copy.get_height())
            left = bytes(copy.get_buffer().get(area, 1.0, "A u8", Gegl.AbyssPolicy.NONE))
        finally:
            self.image.remove_layer(copy)
            self.image.set_selected_layers(chosen)
        return _channel(self.image, place, left.translate(bytes(range(255, -1, -1))))


def _channel(image: Any, place: Any, data: bytes) -> Any:
    """A channel of an image that is black but in one place."""
    size = (image.get_width(), image.get_height())
    made = Gimp.Channel.new(image, "mask", *size, 100.0, Gegl.Color.new("black"))
    image.insert_channel(made, None, 0)
    buffer = made.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, *size), "Y u8", bytes(size[0] * size[1]))
    buffer.set(place, "Y u8", data)
    buffer.flush()
    made.update(0, 0, *size)
    return made


def clean_up(layer: Any) -> None:
    """Remove what a preview left that did not end well, or was saved with the file."""
    left = [one for one in layer.get_filters() if one.get_name().endswith(SHOWN)]
    if not left:
        return
    with no_undo(layer.get_image()):
        delete(left)
        for made in layer.get_filters():
            made.set_visible(True)
        layer.update(0, 0, layer.get_width(), layer.get_height())


def _own_filters(layer: Any, plan: Plan, record: EditRecord) -> list[Any]:
    """Found by their names; filters of others are left alone."""
    if len(record.baked) + len(record.before) >= len(plan["operations"]):
        return []
    names = _names(layer, plan, record)
    own = []
    for made in layer.get_filters():  # from the top: those of an edit before this one are below
        if made.get_name() in names:
            names.remove(made.get_name())
            own.append(made)
    return own[::-1]


def _names(layer: Any, plan: Plan, record: EditRecord) -> list[str]:
    """Names of the plan's filters, the lowest one first: as this GIMP or another one holds it."""
    tail = {**plan, "operations": plan["operations"][len(record.before) :]}
    there = {made.get_name() for made in layer.get_filters()}
    ways = [
        [one.name for one in holdings.lay_out(tail, hidden=hidden).filters]
        for hidden in (canvas.hidden_operations(), (), (BLUR,))
    ]
    return max(ways, key=lambda names: len(there.intersection(names)))


def turns_back(turns: Sequence[tuple[int, bool]]) -> tuple[Turn, ...]:
    """What takes turns back."""
    return tuple(
        one
        for degrees, flip in reversed(turns)
        for one in (Turn(flip=flip), Turn(degrees=-degrees % 360))
    )


def turned(layer: Any, turns: Sequence[Turn]) -> Any:
    """A layer that is not in the image, turned: GIMP turns only what is in one.

    The layer itself is gone then, where it had to be turned.
    """
    if not any(one.degrees or one.flip for one in turns):
        return layer
    image = layer.get_image()
    size = (image.get_width(), image.get_height())
    aside = Gimp.Image.new_with_precision(*size, image.get_base_type(), image.get_precision())
    aside.undo_disable()
    try:
        copy = Gimp.Layer.new_from_drawable(layer, aside)
        aside.insert_layer(copy, None, 0)
        copy.set_offsets(*layer.get_offsets()[1:])
        for one in turns:
            canvas.turn(copy, one)
        made = Gimp.Layer.new_from_drawable(copy, image)
        made.set_offsets(*copy.get_offsets()[1:])
    finally:
        aside.delete()
    layer.delete()
    return made


def same_steps(some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    """Whether operations do the same; how sure somebody was of them does not count."""

    def told(one: Mapping[str, Any]) -> tuple[str, Any]:
        return str(one["name"]), dict(one.get("parameters") or {})

    return [told(one) for one in some] == [told(one) for one in others]


def delete(filters: Sequence[Any]) -> None:
    """Remove filters from their layer."""
    for one in filters:
        one.delete()


@contextmanager
def no_undo(image: Any) -> Iterator[None]:
    """What is done meanwhile makes no undo steps; the image must be the same at the end.

    Not within an undo group: GIMP 3.0 ends that, since filters begin and end groups of their own.
    """
    image.undo_freeze()
    try:
        yield
    finally:
        image.undo_thaw()
