"""An edit as widgets: a preview before and after, its steps, and the strength of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import GimpUi, GLib, Gtk  # noqa: E402

from imgedit_bridges.client import BridgeError, Client  # noqa: E402
from imgedit_bridges.gimp import windows  # noqa: E402
from imgedit_bridges.gimp.pane_rows import AddStep, StepRow  # noqa: E402
from imgedit_bridges.gimp.preview_area import BeforeAfter  # noqa: E402
from imgedit_bridges.gimp.preview_pictures import Pixels, Renderer, Wanted  # noqa: E402
from imgedit_bridges.protocol import MAX_STRENGTH  # noqa: E402
from imgedit_bridges.steps import Step, StepList  # noqa: E402

_SLIDE_MS = 40  # from a change until it is shown: sliders change more often than can be shown
_WIDTH = 400
_HEIGHT = 266
_LIST = 230

Before = Callable[[int | None], "Pixels | None"]
"""The picture before the edit, no side longer than so many pixels (None: in full size); None where
there is none."""


class EditView(Gtk.Box):  # type: ignore[misc]
    """The widgets; `load` gives them an edit.

    Args:
        client: of the worker, which renders the preview.
        vocabulary: see `Client.operations`.
        changed: called some time after a change, before the preview is asked for; returns how many
            of the steps that are on GIMP has to render.
        empty: what to do where there are no steps.

    Attributes:
        touched: whether anything was changed since `load`.
        preview: the picture.
        under: a row below the steps, for more widgets.
    """

    def __init__(
        self,
        client: Client,
        vocabulary: list[dict[str, Any]],
        changed: Callable[[], int],
        empty: str = "No steps yet: add one below.",
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        self.touched = False
        self._empty = empty
        self._changed = changed
        self._steps = StepList({"operations": []}, vocabulary)
        self._before: Before | None = None
        self._renderer = Renderer(client, self._rendered)
        self._timer = 0
        self._build(vocabulary)
        self.show_all()
        self.preview.set_busy(busy=False)

    def _build(self, vocabulary: list[dict[str, Any]]) -> None:
        self.preview = BeforeAfter(_WIDTH, windows.room_for(_HEIGHT), self._resized)
        self._rows = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN
        )
        scrolled.set_min_content_height(windows.room_for(_LIST))
        scrolled.add(self._rows)
        self._strength = Gtk.Adjustment(
            value=100, lower=0, upper=100 * MAX_STRENGTH, step_increment=1, page_increment=10
        )
        slider = GimpUi.SpinScale.new(self._strength, "_Strength (%)", 0)
        slider.set_tooltip_text(
            "How far the whole edit goes: 0 is the picture before, 100 the edit as it is"
        )
        self._strength.connect("value-changed", self._strengthened)
        self.under = Gtk.Box(spacing=8)
        self._adds = AddStep(vocabulary, self._add)
        self.under.pack_start(self._adds, False, False, 0)
        self._note = Gtk.Label(xalign=0, wrap=True, max_width_chars=48, no_show_all=True)
        for widget, grows in (
            (self.preview, False), (scrolled, True), (self.under, False), (slider, False),
            (self._note, False),
        ):  # fmt: skip
            self.pack_start(widget, grows, grows, 0)

    @property
    def steps(self) -> StepList:
        """The edit as it is now."""
        return self._steps

    def load(self, steps: StepList, before: Before) -> None:
        """Show another edit."""
        self._steps, self._before = steps, before
        self._strength.set_value(100 * steps.strength)
        self._fill()
        self.touched = False
        self._resized()

    def say(self, text: str) -> None:
        """Say something below; nothing where the text is empty."""
        self._note.set_text(text)
        self._note.set_visible(bool(text))

    def focus_steps(self) -> None:
        """Give the first step the keyboard, or what adds one."""
        rows = self._step_rows()
        if rows:
            rows[0].child_focus(Gtk.DirectionType.TAB_FORWARD)
        else:
            self._adds.grab_focus()

    def close(self) -> None:
        """End what is going on; the widgets are of no use afterwards."""
        if self._timer:
            GLib.source_remove(self._timer)
        self._renderer.close()

    def _resized(self) -> None:
        before = self._before(self.preview.longest) if self._before is not None else None
        if before is not None:
            self.preview.set_before(before)
        self._soon()

    def refresh(self) -> None:
        """Show everything again, as after a change."""
        self._soon()

    # --- changes ------------------------------------------------------------------------------

    def _fill(self) -> None:
        for row in self._rows.get_children():
            row.destroy()
        for number, step in enumerate(self._steps.steps):
            if number:
                self._rows.pack_start(Gtk.Separator(visible=True), False, False, 0)
            row = StepRow(self._steps, step, self._touch, self._move)
            row.show_all()
            self._rows.pack_start(row, False, False, 0)
        if not self._steps.steps:
            empty = Gtk.Label(label=self._empty, margin=24, visible=True)
            empty.get_style_context().add_class("dim-label")
            self._rows.pack_start(empty, False, False, 0)

    def _step_rows(self) -> list[Any]:
        return [row for row in self._rows.get_children() if isinstance(row, StepRow)]

    def _move(self, step: Step, way: int) -> None:
        if way:
            self._steps.move(step, way)
        else:
            self._steps.remove(step)
        self._fill()
        self._touch()
        rows = self._step_rows()
        if rows:  # the keyboard's place in the list is not lost
            place = self._steps.steps.index(step) if way else 0
            GLib.idle_add(rows[place].child_focus, Gtk.DirectionType.TAB_FORWARD)

    def _add(self, name: str) -> None:
        self._steps.add(name)
        self._fill()
        self._touch()
        GLib.idle_add(self._step_rows()[-1].child_focus, Gtk.DirectionType.TAB_FORWARD)

    def _strengthened(self, adjustment: Any) -> None:
        strength = adjustment.get_value() / 100
        if strength != self._steps.strength:
            self._steps.set_strength(strength)
            self._touch()

    def _touch(self) -> None:
        self.touched = True
        self._soon()

    def _soon(self) -> None:
        if not self._timer:
            self._timer = GLib.timeout_add(_SLIDE_MS, self._show)

    def _show(self) -> bool:
        self._timer = 0
        number = self._changed()
        for row in self._step_rows():
            if row.step.on:
                number -= 1
            row.tell_rendered(rendered=row.step.on and number >= 0)
        before = self._before(self.preview.longest) if self._before is not None else None
        if before is not None:
            self.preview.set_busy(busy=True)
            self._renderer.ask(Wanted(before, self._steps.plan(), self._steps.strength))
        return False

    def _rendered(self, picture: Pixels | None, fault: BridgeError | None) -> None:
        self.preview.set_busy(busy=False)
        if picture is not None:
            self.preview.set_after(picture)
        elif fault is not None:
            self.say(str(fault))
