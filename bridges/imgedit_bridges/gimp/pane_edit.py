"""A layer's edit while somebody works on it: shown on the canvas, then accepted or not.

What is shown are filters without undo steps, on top of the layer's own, which are hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gi.repository import Gimp

from imgedit_bridges.client import BridgeError, Client
from imgedit_bridges.edits import Plan, with_operations
from imgedit_bridges.gimp import actions, canvas, placing, running, transfer
from imgedit_bridges.gimp.forms import Filter
from imgedit_bridges.gimp.held_edit import SHOWN, HeldEdit, clean_up, delete, no_undo, same_steps
from imgedit_bridges.gimp.preview_pictures import Pixels, read_layer
from imgedit_bridges.gimp.records import EditRecord
from imgedit_bridges.gimp.replacing import replace_edit
from imgedit_bridges.gimp.running import Told
from imgedit_bridges.gimp.strengths import Form, form_of
from imgedit_bridges.steps import StepList


@dataclass(frozen=True)
class Outcome:
    """What is to become of the layer.

    Attributes:
        plan: to be carried.
        form: how it is held.
        record: without the source.
    """

    plan: Plan
    form: Form
    record: EditRecord


class LayerEdit:
    """The edit of one layer.

    Args:
        client: of the worker.
        layer: carries a plan, or none yet.
        vocabulary: see `Client.operations`.

    Attributes:
        layer: the same.
        steps: what it shall become; anybody may change them.

    Raises:
        BridgeError: the layer cannot be edited, or what it carries is damaged.
    """

    def __init__(self, client: Client, layer: Any, vocabulary: Sequence[Mapping[str, Any]]) -> None:
        canvas.check_layer(layer)
        clean_up(layer)
        self._client = client
        self._held = HeldEdit(layer)
        self._image = layer.get_image()
        self.layer = layer
        self.steps = _steps_of(self._held.plan, self._held.record, vocabulary)
        ground = self._held.source() or layer
        self._ground = placing.ground_of(ground)
        self._plain_source = canvas.is_plain(ground)
        self._seen: tuple[int | None, Pixels] | None = None
        self._shown: list[tuple[Filter, Any]] = []
        self._opacity: float | None = None

    def is_turned(self) -> bool:
        """Whether redo has left the filters in another order than the plan has them."""
        return self._held.is_turned()

    def outcome(self) -> Outcome:
        """What the steps as they are now come to."""
        held, strength = self._held.record, self.steps.strength
        plan = self.steps.plan()
        form = form_of(plan, self._ground.lay_out(plan), strength, opaque=self._plain_source)
        record = EditRecord(
            strength=strength,
            steps=tuple(self.steps.state()["steps"]),
            baked=form.layout.rendered,
            baked_strength=form.rendered,
            masked=held.masked,
            before=held.before,
            turns=tuple((one.degrees, one.flip) for one in form.layout.turns),
        )
        whole = {**plan, "operations": [*held.before, *plan["operations"]]}
        return Outcome(whole, form, record)

    def before(self, longest: int | None) -> Pixels | None:
        """The picture before the edit, reduced; None where the layer that has it is gone."""
        if self._seen is not None and self._seen[0] == longest:
            return self._seen[1]
        source = self._held.source()
        if source is None:
            return None
        with self._plain(source) as plain, transfer.as_seen(plain) as seen:
            self._seen = (longest, read_layer(seen, longest))
        return self._seen[1]

    @contextmanager
    def _plain(self, source: Any) -> Iterator[Any]:
        """The layer with the pixels before the edit; of this one, a copy that lives so long."""
        if source != self.layer:
            yield source
            return
        with no_undo(self._image):
            copy = self._held.plain_copy(source)
        try:
            yield copy
        finally:
            copy.delete()

    def is_live(self, outcome: Outcome) -> bool:
        """Whether the canvas can show it without rendering."""
        held = self._held.record
        if not self._keeps_pixels(outcome) or outcome.record.turns != held.turns:
            return False
        if held.masked and outcome.form.layout.surroundings:
            return False
        return outcome.form.opacity == 1.0 or self._held.lies_on_source()

    def _keeps_pixels(self, outcome: Outcome) -> bool:
        old, new = self._held.record, outcome.record
        return same_steps(old.baked, new.baked) and (
            not new.baked or old.baked_strength == new.baked_strength
        )

    # --- showing ------------------------------------------------------------------------------

    def show(self, outcome: Outcome) -> None:
        """Show it on the canvas, without undo steps; `hide` takes it away."""
        wanted = outcome.form.layout.filters
        with no_undo(self._image):
            there = all(made.is_valid() for _, made in self._shown)  # GIMP's lists remove them, too
            kinds = [_kind(one) for one, _ in self._shown]
            if there and kinds == [_kind(one) for one in wanted]:
                for (_, made), one in zip(self._shown, wanted, strict=True):
                    canvas.set_filter(made, one)
            else:
                self._rebuild(wanted)
            self._show_opacity(outcome.form.opacity)
            self._refresh()
        Gimp.displays_flush()

    def _rebuild(self, wanted: Sequence[Filter]) -> None:
        delete([made for _, made in self._shown if made.is_valid()])
        self._shown = []
        for made in self._held.filters:
            if made.is_valid():
                made.set_visible(False)
        with self._held.masked():
            for one in wanted:
                named = replace(one, name=one.name + SHOWN)
                self._shown.append((one, canvas.add_filter(self.layer, named)))

    def _show_opacity(self, share: float) -> None:
        """The strength, where it is the layer's opacity; other layers' opacity is the user's."""
        if not self._held.lies_on_source() or (share == 1.0 and self._held.record.strength == 1.0):
            return
        if self._opacity is None:
            self._opacity = self.layer.get_opacity()
        self.layer.set_opacity(100.0 * share)

    def hide(self) -> None:
        """Take what is shown off the canvas; the layer is as it was."""
        nothing = not self._shown and self._opacity is None
        hidden = [one for one in self._held.filters if one.is_valid() and not one.get_visible()]
        if not self.layer.is_valid() or (nothing and not hidden):
            return
        with no_undo(self._image):
            delete([made for _, made in self._shown if made.is_valid()])
            for made in hidden:
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
        replace_edit(self._held, outcome.plan, outcome.form, outcome.record, pixels)
        Gimp.displays_flush()

    def _check(self, outcome: Outcome) -> None:
        if not self._held.is_there():
            raise BridgeError("The layer is gone.", hint="Undo its removal, or close this window.")
        canvas.check_locks(self.layer, moves=bool(outcome.form.layout.turns))
        if self._held.record.masked:
            actions.refuse_moves(outcome.plan, "hard")

    def _pixels(self, outcome: Outcome, told: Told) -> Any:
        """A layer of the pixels that the filters lie on, not yet in the image."""
        source = self._held.source()
        if source is None:
            raise BridgeError(
                "The layer from which this edit was rendered is gone.",
                hint="Undo its removal, or change only the steps that are live.",
            )
        if not outcome.record.baked:
            with no_undo(self._image):
                return self._held.plain_copy(source)
        head = with_operations(outcome.plan, list(outcome.record.baked))
        with self._plain(source) as plain:
            return self._rendered(plain, head, outcome.form.rendered, told)

    def _rendered(self, plain: Any, head: Plan, strength: float, told: Told) -> Any:
        job, picture = placing.rendered(self._client, plain, head, told, strength=strength)
        try:
            placing.check_colours(self.layer, picture)
            made = canvas.new_layer(self._image, picture.ref, self.layer.get_name())
            try:
                _, x, y = plain.get_offsets()
                made.set_offsets(x + picture.offset[0], y + picture.offset[1])
                transfer.write(self._client, picture.ref, made)
            except BaseException:
                made.delete()
                raise
        finally:
            transfer.forget(self._client, job)
        return made


def adjust(layer: Any, plan: Plan | None, strength: float, told: Told) -> None:
    """Give a layer's edit another strength, and another plan if there is one; one undo step.

    Raises:
        BridgeError: see `LayerEdit.accept`.
    """
    edit = LayerEdit(running.new_client(), layer, [])
    if plan is not None:
        edit.steps = StepList(plan, [])
    edit.steps.set_strength(strength)
    edit.accept(told)


def _steps_of(plan: Plan, record: EditRecord, vocabulary: Sequence[Mapping[str, Any]]) -> StepList:
    if record.before:
        plan = {**plan, "operations": plan["operations"][len(record.before) :]}
    on = [one for one in record.steps if one.get("on")]
    if record.steps and same_steps(on, plan["operations"]):
        state = {"plan": plan, "steps": record.steps, "strength": record.strength}
        return StepList.restore(state, vocabulary)
    found = StepList(plan, vocabulary)
    found.set_strength(record.strength)
    return found


def _kind(one: Filter) -> tuple[str, str]:
    """Filters of one kind differ only in what `canvas.set_filter` can set."""
    return one.operation, one.mode
