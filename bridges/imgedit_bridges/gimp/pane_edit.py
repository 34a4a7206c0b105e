"""A layer's edit while somebody works on it: shown on the canvas, and put in one undo step.

The layer is never changed in place: a copy with the new filters takes its place, which undo and
redo exchange as wholes (GIMP 3.0 turns single filters round on redo). What is shown meanwhile are
filters without undo steps, on top of the hidden ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gi.repository import Gegl, Gimp

from imgedit_bridges.client import BridgeError, Client
from imgedit_bridges.edits import with_operations
from imgedit_bridges.gimp import actions, canvas, holdings, placing, records, running, transfer
from imgedit_bridges.gimp.forms import Filter, Turn
from imgedit_bridges.gimp.preview_pictures import Pixels, read_layer
from imgedit_bridges.gimp.records import EditRecord
from imgedit_bridges.gimp.running import Told
from imgedit_bridges.gimp.strengths import Form, form_of
from imgedit_bridges.steps import StepList

SHOWN = " (preview)"
"""At the end of the names of filters that are only shown."""


@dataclass(frozen=True)
class Outcome:
    """What is to become of the layer.

    Attributes:
        plan: to be carried.
        form: how it is held.
        record: without the source.
    """

    plan: Mapping[str, Any]
    form: Form
    record: EditRecord


class LayerEdit:
    """The edit of one layer.

    Args:
        client: of the worker.
        layer: carries a plan, or none yet.
        vocabulary: see `Client.operations`.

    Raises:
        BridgeError: what the layer carries is damaged.
    """

    def __init__(self, client: Client, layer: Any, vocabulary: list[dict[str, Any]]) -> None:
        self._client = client
        self._image = layer.get_image()
        self.layer = layer
        canvas.check_layer(layer)
        clean_up(layer)
        plan = canvas.plan_of(layer) or {"schema": "imgedit-plan/1", "operations": []}
        self._record = records.read_record(layer) or EditRecord(
            baked=placing.layout_of(layer, plan).rendered
        )
        self.steps = _steps_of(plan, self._record, vocabulary)
        ground = self.source() or layer
        self._ground = placing.ground_of(ground)
        self._plain_source = canvas.is_plain(ground)
        self._seen: tuple[int, Pixels] | None = None
        self._shown: list[tuple[Filter, Any]] = []
        self._opacity: float | None = None
        self._own = _own_filters(layer, plan, self._record)

    def source(self) -> Any:
        """The layer with the pixels before the edit; None where it is gone."""
        if not self._record.source:
            return None if self._record.baked else self.layer
        return records.find_layer(self._image, self._record.source)

    def outcome(self) -> Outcome:
        """What the steps as they are now come to."""
        plan, strength, before = self.steps.plan(), self.steps.strength, self._record.before
        form = form_of(plan, self._ground.lay_out(plan), strength, opaque=self._plain_source)
        turns = tuple((one.degrees, one.flip) for one in form.layout.turns)
        steps = tuple(self.steps.state()["steps"])
        record = EditRecord(
            strength, steps, 0, form.layout.rendered, form.rendered, self._record.masked,
            before, turns,
        )  # fmt: skip
        whole = {**plan, "operations": [*before, *plan["operations"]]}
        return Outcome(whole, form, record)

    def before(self, longest: int) -> Pixels | None:
        """The picture before the edit, reduced; None where the layer that has it is gone."""
        if self._seen is not None and self._seen[0] == longest:
            return self._seen[1]
        source = self.source()
        if source is None:
            return None
        plain = self._plain(source) if source == self.layer else source
        with transfer.as_seen(plain) as seen:
            self._seen = (longest, read_layer(seen, longest))
        if plain != source:
            plain.delete()
        return self._seen[1]

    def is_live(self, outcome: Outcome) -> bool:
        """Whether the canvas can show it without rendering."""
        kept = self._keeps_pixels(outcome) and outcome.record.turns == self._record.turns
        return kept and (outcome.form.opacity == 1.0 or self._lies_on_source())

    def _keeps_pixels(self, outcome: Outcome) -> bool:
        old, new = self._record, outcome.record
        return _same(old.baked, new.baked) and (
            not new.baked or old.baked_strength == new.baked_strength
        )

    def _lies_on_source(self) -> bool:
        """Whether the pixels before the edit are right below."""
        if not self._record.source or self.layer.get_mask() is not None:
            return False
        place = self._image.get_item_position(self.layer)
        parent = self.layer.get_parent()
        siblings = parent.get_children() if parent else self._image.get_layers()
        below = siblings[place + 1 : place + 2]
        return bool(below) and below[0].get_tattoo() == self._record.source

    # --- showing ------------------------------------------------------------------------------

    def show(self, outcome: Outcome) -> None:
        """Show it on the canvas, without undo steps; `hide` takes it away."""
        wanted = outcome.form.layout.filters
        with _no_undo(self._image):
            if [_kind(one) for one, _ in self._shown] == [_kind(one) for one in wanted]:
                for (_, made), one in zip(self._shown, wanted, strict=True):
                    canvas.set_filter(made, one)
            else:
                self._rebuild(wanted)
            self._show_opacity(outcome.form.opacity)
            self._refresh()
        self._shown = [(one, made) for one, (_, made) in zip(wanted, self._shown, strict=True)]
        Gimp.displays_flush()

    def _rebuild(self, wanted: tuple[Filter, ...]) -> None:
        for _, made in self._shown:
            made.delete()
        self._shown = []
        for made in self._own:
            made.set_visible(False)
        with self._masked():
            for one in wanted:
                named = Filter(
                    one.operation, one.name + SHOWN, one.properties, one.colour, one.mode,
                    one.opacity,
                )  # fmt: skip
                self._shown.append((one, canvas.add_filter(self.layer, named)))

    def _show_opacity(self, share: float) -> None:
        if share == 1.0 and self._opacity is None and self._record.strength == 1.0:
            return
        if not self._lies_on_source():
            return
        if self._opacity is None:
            self._opacity = self.layer.get_opacity()
        self.layer.set_opacity(100.0 * share)

    def hide(self) -> None:
        """Take what is shown off the canvas; the layer is as it was."""
        if not self.layer.is_valid():
            return
        with _no_undo(self._image):
            for _, made in self._shown:
                if made.is_valid():
                    made.delete()
            for made in self._own:
                if made.is_valid():
                    made.set_visible(True)
            if self._opacity is not None:
                self.layer.set_opacity(self._opacity)
            self._refresh()
        self._shown, self._opacity = [], None
        Gimp.displays_flush()

    def _refresh(self) -> None:
        self.layer.update(0, 0, self.layer.get_width(), self.layer.get_height())

    # --- accepting ----------------------------------------------------------------------------

    def accept(self, told: Told) -> None:
        """Put the steps as they are now into the image, in one undo step.

        Raises:
            BridgeError: the worker failed or was cancelled, or a layer is gone; the image is as
                it was.
        """
        outcome = self.outcome()
        self.hide()
        self._check(outcome)
        pixels = None if self._keeps_pixels(outcome) else self._pixels(outcome, told)
        with placing.undo_group(self._image), self._masked():
            self._replace(outcome, pixels)
        Gimp.displays_flush()

    def _check(self, outcome: Outcome) -> None:
        layer = self.layer
        if not layer.is_valid() or records.find_layer(self._image, layer.get_tattoo()) is None:
            raise BridgeError("The layer is gone.", hint="Undo its removal, or close this window.")
        canvas.check_locks(layer, moves=bool(outcome.form.layout.turns))
        if self._record.masked:
            actions.refuse_moves(outcome.plan, "hard")

    def _pixels(self, outcome: Outcome, told: Told) -> Any:
        """A layer of the pixels that the filters lie on, not yet in the image."""
        source = self.source()
        if source is None:
            raise BridgeError(
                "The layer from which this edit was rendered is gone.",
                hint="Undo its removal, or change only the steps that are live.",
            )
        plain = self._plain(source)
        if not outcome.record.baked:
            return plain
        head = with_operations(outcome.plan, list(outcome.record.baked))
        strength = outcome.form.rendered
        job, picture = placing.rendered(self._client, plain, head, told, strength=strength)
        placing.check_colours(self.layer, picture)
        made = canvas.new_layer(self._image, picture.ref, self.layer.get_name())
        _, x, y = plain.get_offsets()
        made.set_offsets(x + picture.offset[0], y + picture.offset[1])
        transfer.write(self._client, picture.ref, made)
        self._client.forget(job)
        return made

    def _plain(self, source: Any) -> Any:
        """A copy of the source, not in the image; of this layer's, the state before its edit."""
        copy = source.copy()
        if source == self.layer:
            _delete(self._own_of(copy))
            return _turned(copy, _back(self._record.turns))
        return copy

    def _own_of(self, copy: Any) -> list[Any]:
        """The filters of a copy of the layer that stand where this edit's are."""
        own = {one.get_id() for one in self._own}
        pairs = zip(copy.get_filters(), self.layer.get_filters(), strict=True)
        return [made for made, original in pairs if original.get_id() in own]

    def _replace(self, outcome: Outcome, pixels: Any) -> None:
        old, form, source = self.layer, outcome.form, self._record.source
        new = pixels if pixels is not None else old.copy()
        turns = form.layout.turns
        if pixels is None:
            _delete(self._own_of(new))
            same = outcome.record.turns == self._record.turns
            turns = () if same else (*_back(self._record.turns), *turns)
        new = _turned(new, turns)
        for wanted in form.layout.filters:
            canvas.add_filter(new, wanted)
        canvas.insert_above(old, new, old.get_name())
        _look_like(old, new)
        base = self._base(new, outcome)
        if base is not None:
            source = base.get_tattoo()
        if form.opacity < 1 or (source and self._record.strength < 1):
            new.set_opacity(100.0 * form.opacity)
        lies = bool(source) and (base is not None or pixels is not None)
        if self._record.masked and lies and new.get_mask() is None:
            canvas.add_mask(new)
        if form.opacity < 1 or new.get_mask() is not None:
            canvas.mix_encoded(new)
        masked = self._record.masked and new.get_mask() is None
        tattoo = old.get_tattoo()
        self._image.remove_layer(old)
        # Who looks for the old layer, such as an edit that was rendered from it, finds its heir.
        if base is not None and not self._record.source:
            base.set_tattoo(tattoo)
            source = tattoo
        else:
            new.set_tattoo(tattoo)
        canvas.attach_plan(new, outcome.plan)
        records.attach_record(new, replace(outcome.record, source=source, masked=masked))
        self._image.set_selected_layers([new])

    def _base(self, new: Any, outcome: Outcome) -> Any:
        """A layer of the pixels before the edit right below the new one, where it needs one."""
        in_place = not self._record.source
        if in_place:
            needed = bool(outcome.record.baked) or outcome.form.opacity < 1
        else:
            needed = outcome.form.opacity < 1 and not self._lies_on_source()
        source = self.source()
        if not needed or source is None:
            return None
        base = self._plain(source)
        place = self._image.get_item_position(new) + 1
        self._image.insert_layer(base, new.get_parent(), place)
        base.set_name(source.get_name())
        for name in (canvas.PARASITE, records.PARASITE):
            if in_place and base.get_parasite(name) is not None:
                base.detach_parasite(name)
        return base

    @contextmanager
    def _masked(self) -> Iterator[None]:
        """What the filters of the layer have as their mask is selected meanwhile, else nothing."""
        with canvas.nothing_selected(self._image):
            if not self._record.masked or not self._own:
                yield
                return
            channel = self._mask()
            self._image.select_item(Gimp.ChannelOps.REPLACE, channel)
            self._image.remove_channel(channel)
            try:
                yield
            finally:
                Gimp.Selection.none(self._image)

    def _mask(self) -> Any:
        """The mask of the layer's filters as a channel: where one of them can erase."""
        image, layer = self._image, self.layer
        number = [one.get_id() for one in layer.get_filters()].index(self._own[0].get_id())
        chosen = image.get_selected_layers()
        copy = layer.copy()
        made = copy.get_filters()[number]
        _delete([one for one in copy.get_filters() if one.get_id() != made.get_id()])
        copy.add_alpha()
        canvas.insert_above(layer, copy, "mask")
        made.set_visible(True)
        made.set_opacity(1.0)
        made.set_blend_mode(Gimp.LayerMode.ERASE)
        made.update()
        copy.merge_filters()
        _, x, y = copy.get_offsets()
        width, height = copy.get_width(), copy.get_height()
        data = copy.get_buffer().get(
            Gegl.Rectangle.new(0, 0, width, height), 1.0, "A u8", Gegl.AbyssPolicy.NONE
        )
        image.remove_layer(copy)
        image.set_selected_layers(chosen)
        size = (image.get_width(), image.get_height())
        channel = Gimp.Channel.new(image, "mask", *size, 100.0, Gegl.Color.new("black"))
        image.insert_channel(channel, None, 0)
        turned = bytes(data).translate(bytes(range(255, -1, -1)))
        buffer = channel.get_buffer()
        buffer.set(Gegl.Rectangle.new(0, 0, *size), "Y u8", bytes(size[0] * size[1]))
        buffer.set(Gegl.Rectangle.new(x, y, width, height), "Y u8", turned)
        buffer.flush()
        channel.update(0, 0, *size)
        return channel


def adjust(layer: Any, plan: Mapping[str, Any] | None, strength: float, told: Told) -> None:
    """Give a layer's edit another strength, and another plan if there is one; one undo step.

    Raises:
        BridgeError: see `LayerEdit.accept`.
    """
    edit = LayerEdit(running.new_client(), layer, [])
    if plan is not None:
        edit.steps = StepList(plan, [])
    edit.steps.set_strength(strength)
    edit.accept(told)


def clean_up(layer: Any) -> None:
    """Remove what a preview left that did not end well, or was saved with the file."""
    left = [one for one in layer.get_filters() if one.get_name().endswith(SHOWN)]
    if not left:
        return
    with _no_undo(layer.get_image()):
        _delete(left)
        for made in layer.get_filters():
            made.set_visible(True)
        layer.update(0, 0, layer.get_width(), layer.get_height())


def _back(turns: Sequence[tuple[int, bool]]) -> tuple[Turn, ...]:
    """What takes turns back."""
    return tuple(
        one
        for degrees, flip in reversed(turns)
        for one in (Turn(flip=flip), Turn(degrees=-degrees % 360))
    )


def _turned(layer: Any, turns: Sequence[Turn]) -> Any:
    """A layer that is not in the image, turned: GIMP turns only what is in one."""
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
    return made


def _steps_of(
    plan: Mapping[str, Any], record: EditRecord, vocabulary: list[dict[str, Any]]
) -> StepList:
    if record.before:
        plan = {**plan, "operations": plan["operations"][len(record.before) :]}
    on = [{k: v for k, v in one.items() if k != "on"} for one in record.steps if one.get("on")]
    if record.steps and _same(on, plan["operations"]):
        state = {"plan": plan, "steps": record.steps, "strength": record.strength}
        return StepList.restore(state, vocabulary)
    found = StepList(plan, vocabulary)
    found.set_strength(record.strength)
    return found


def _own_filters(layer: Any, plan: Mapping[str, Any], record: EditRecord) -> list[Any]:
    """The layer's filters that stand for its plan, by their names; others are left alone."""
    layout = holdings.lay_out(plan)
    names = [one.name for one in layout.filters]
    own = []
    for made in reversed(layer.get_filters()):
        if made.get_name() in names:
            names.remove(made.get_name())
            own.append(made)
    return own if len(record.baked) < len(plan["operations"]) else []


def _same(some: Any, others: Any) -> bool:
    def told(one: Any) -> tuple[str, Any]:
        return str(one["name"]), dict(one.get("parameters") or {})

    return [told(one) for one in some] == [told(one) for one in others]


def _kind(one: Filter) -> tuple[str, str]:
    """Filters of one kind differ only in what `canvas.set_filter` can set."""
    return one.operation, one.mode


def _delete(filters: list[Any]) -> None:
    for one in filters:
        one.delete()


def _look_like(old: Any, new: Any) -> None:
    """Give the new layer what the user has set on the old one."""
    new.set_visible(old.get_visible())
    new.set_mode(old.get_mode())
    new.set_opacity(old.get_opacity())
    new.set_color_tag(old.get_color_tag())
    mask = old.get_mask()
    same = (old.get_width(), old.get_height()) == (new.get_width(), new.get_height())
    if same:  # the user may have moved it
        new.set_offsets(*old.get_offsets()[1:])
    if mask is not None and new.get_mask() is None and same:
        made = new.create_mask(Gimp.AddMaskType.WHITE)
        new.add_mask(made)
        area = Gegl.Rectangle.new(0, 0, old.get_width(), old.get_height())
        data = mask.get_buffer().get(area, 1.0, "Y u16", Gegl.AbyssPolicy.NONE)
        buffer = made.get_buffer()
        buffer.set(area, "Y u16", bytes(data))
        buffer.flush()
        made.update(0, 0, old.get_width(), old.get_height())
        new.set_edit_mask(False)


@contextmanager
def _no_undo(image: Any) -> Iterator[None]:
    image.undo_freeze()
    try:
        yield
    finally:
        image.undo_thaw()
