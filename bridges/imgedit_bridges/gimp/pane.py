"""The window in which a layer's edit is adjusted; it stays open while one works in GIMP."""

from __future__ import annotations

from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import GimpUi, GLib, Gtk  # noqa: E402

from imgedit_bridges.client import BridgeError, JobCancelledError  # noqa: E402
from imgedit_bridges.gimp import canvas, windows  # noqa: E402
from imgedit_bridges.gimp.pane_edit import LayerEdit, Outcome  # noqa: E402
from imgedit_bridges.gimp.pane_rows import AddStep, StepRow  # noqa: E402
from imgedit_bridges.gimp.preview_area import BeforeAfter  # noqa: E402
from imgedit_bridges.gimp.preview_pictures import Pixels, Renderer, Wanted  # noqa: E402
from imgedit_bridges.protocol import MAX_STRENGTH  # noqa: E402
from imgedit_bridges.steps import Step  # noqa: E402

TITLE = "Adjust edit"
_SLIDE_MS = 40  # from a change until it is shown: sliders change more often than can be shown
_LOOK_MS = 700  # how often the selected layer is looked at
_WIDTH = 380
_HEIGHT = 250


class Pane:
    """The window of one image.

    Args:
        image: whose selected layer is adjusted.
        layer: the first one.
        client: of the worker.
        vocabulary: see `Client.operations`.
        title: of the window.
    """

    def __init__(
        self, image: Any, layer: Any, client: Any, vocabulary: list[dict[str, Any]], title: str
    ) -> None:
        self._image = image
        self._client = client
        self._vocabulary = vocabulary
        self._title = title
        self._edit = LayerEdit(client, layer, vocabulary)
        self._renderer = Renderer(client, self._rendered)
        self._timer = 0
        self._build()
        self._load()

    def run(self) -> None:
        """Show the window until it is closed."""
        self._dialog.show()
        looking = GLib.timeout_add(_LOOK_MS, self._look)
        Gtk.main()
        for source in (looking, self._timer):
            if source:
                GLib.source_remove(source)
        self._renderer.close()
        self._dialog.destroy()

    # --- the window ---------------------------------------------------------------------------

    def _build(self) -> None:
        self._dialog = windows.dialog(self._title, "imgedit-adjust-edit")
        for label, response in (
            ("_Reset", _RESET), ("_Cancel", Gtk.ResponseType.CANCEL),
            ("_Apply", Gtk.ResponseType.APPLY), ("_OK", Gtk.ResponseType.OK),
        ):  # fmt: skip
            self._dialog.add_button(label, response)
        self._dialog.set_default_response(Gtk.ResponseType.OK)
        self._dialog.connect("response", self._responded)
        area = self._dialog.get_content_area()
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        self._name = Gtk.Label(xalign=0, ellipsize=3)  # Pango.EllipsizeMode.END
        self._name.get_style_context().add_class("dim-label")
        self._preview = BeforeAfter(_WIDTH, windows.room_for(_HEIGHT))
        self._note = Gtk.Label(xalign=0, wrap=True, max_width_chars=48, no_show_all=True)
        self._note.get_style_context().add_class("dim-label")
        self._rows = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE)
        self._rows.set_header_func(_separate)
        empty = Gtk.Label(label="No steps yet: add one below.", margin=18, visible=True)
        empty.get_style_context().add_class("dim-label")
        self._rows.set_placeholder(empty)
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN
        )
        scrolled.set_min_content_height(windows.room_for(220))
        scrolled.add(self._rows)
        self._strength = Gtk.Adjustment(
            value=100, lower=0, upper=100 * MAX_STRENGTH, step_increment=1, page_increment=10
        )
        slider = GimpUi.SpinScale.new(self._strength, "_Strength (%)", 0)
        slider.set_tooltip_text(
            "How far the whole edit goes: 0 is the picture before, 100 the edit as it is"
        )
        self._strength.connect("value-changed", self._strengthened)
        under = Gtk.Box(spacing=8)
        under.pack_start(AddStep(self._vocabulary, self._add), False, False, 0)
        self._on_canvas = Gtk.CheckButton(
            label="Show in the _image", use_underline=True, active=True, halign=Gtk.Align.END
        )
        self._on_canvas.set_tooltip_text("Show live steps in the image while you change them")
        self._on_canvas.connect("toggled", lambda _: self._changed())
        under.pack_end(self._on_canvas, False, False, 0)
        for widget, grows in (
            (self._name, False), (self._preview, False), (scrolled, True), (under, False),
            (slider, False), (self._note, False),
        ):  # fmt: skip
            box.pack_start(widget, grows, grows, 0)
        area.pack_start(box, True, True, 0)
        box.show_all()
        self._preview.set_busy(False)

    def _load(self) -> None:
        """Show the layer's edit."""
        self._name.set_text(f"Layer: {self._edit.layer.get_name()}")
        self._strength.set_value(100 * self._edit.steps.strength)
        self._fill()
        self._touched = False
        before = self._edit.before(self._preview.longest)
        if before is not None:
            self._preview.set_before(before)
        self._changed(touched=False)

    def _fill(self) -> None:
        for row in self._rows.get_children():
            row.destroy()
        for step in self._edit.steps.steps:
            row = StepRow(self._edit.steps, step, self._changed, self._moved)
            row.show_all()
            self._rows.add(row)

    # --- changes ------------------------------------------------------------------------------

    def _moved(self, step: Step, way: int) -> None:
        if way:
            self._edit.steps.move(step, way)
        else:
            self._edit.steps.remove(step)
        self._fill()
        self._changed()

    def _add(self, name: str) -> None:
        step = self._edit.steps.add(name)
        self._fill()
        self._changed()
        row = self._rows.get_row_at_index(self._edit.steps.steps.index(step))
        GLib.idle_add(row.child_focus, Gtk.DirectionType.TAB_FORWARD)

    def _strengthened(self, adjustment: Any) -> None:
        strength = adjustment.get_value() / 100
        if strength != self._edit.steps.strength:
            self._edit.steps.set_strength(strength)
            self._changed()

    def _changed(self, *, touched: bool = True) -> None:
        self._touched = self._touched or touched
        if not self._timer:
            self._timer = GLib.timeout_add(_SLIDE_MS, self._show)

    def _show(self) -> bool:
        """Show the steps as they are now, in the image and in the window."""
        self._timer = 0
        if not self._edit.layer.is_valid():
            self._say("The layer is gone. Select another one.")
            return False
        outcome = self._edit.outcome()
        live = self._edit.is_live(outcome)
        if self._touched and live and self._on_canvas.get_active():
            self._edit.show(outcome)
        else:
            self._edit.hide()
        self._tell(outcome, live=live)
        before = self._edit.before(self._preview.longest)
        if before is not None:
            self._preview.set_busy(True)
            steps = self._edit.steps
            self._renderer.ask(Wanted(before, steps.plan(), steps.strength))
        return False

    def _tell(self, outcome: Outcome, *, live: bool) -> None:
        number = len(outcome.form.layout.rendered)
        for row in self._rows.get_children():
            if row.step.on:
                number -= 1
            row.tell_rendered(rendered=row.step.on and number >= 0)
        if live or not self._touched:
            self._say("")
        else:
            self._say("What is rendered appears in the image when you accept.")

    def _say(self, text: str) -> None:
        self._note.set_text(text)
        self._note.set_visible(bool(text))

    def _rendered(self, picture: Pixels | None, fault: BridgeError | None) -> None:
        self._preview.set_busy(False)
        if picture is not None:
            self._preview.set_after(picture)
        elif fault is not None:
            self._say(str(fault))

    # --- the layer that is selected in GIMP -----------------------------------------------------

    def _look(self) -> bool:
        """Follow the selection of layers, as long as nothing would be lost."""
        if not self._image.is_valid():
            self._respond(Gtk.ResponseType.CANCEL)
            return False
        selected = self._image.get_selected_layers()
        if len(selected) == 1 and selected[0] != self._edit.layer and not self._touched:
            self._take(selected[0])
        return True

    def _take(self, layer: Any) -> None:
        try:
            self._edit = LayerEdit(self._client, layer, self._vocabulary)
        except BridgeError as error:
            self._say(str(error))
            return
        self._load()

    # --- the end ------------------------------------------------------------------------------

    def _respond(self, response: int) -> None:
        self._dialog.response(response)

    def _responded(self, _: Any, response: int) -> None:
        if response == _RESET:
            self._edit.hide()
            self._take(self._edit.layer)
            return
        if response in (Gtk.ResponseType.OK, Gtk.ResponseType.APPLY):
            if self._touched and not self._accept():
                return
            if response == Gtk.ResponseType.APPLY:
                return
        else:
            self._edit.hide()
        Gtk.main_quit()

    def _accept(self) -> bool:
        self._dialog.set_sensitive(False)
        try:
            with windows.progress(self._title) as told:
                self._edit.accept(told)
        except JobCancelledError:
            self._changed()
            return False
        except BridgeError as error:
            windows.show_fault(self._dialog, error)
            return False
        finally:
            self._dialog.set_sensitive(True)
        selected = self._image.get_selected_layers()
        if selected:
            self._take(selected[0])
        return True


_RESET = 1


def _separate(row: Any, before: Any) -> None:
    row.set_header(Gtk.Separator() if before is not None else None)


def open_pane(image: Any, layer: Any, title: str) -> None:
    """Show the pane until it is closed.

    Raises:
        BridgeError: the worker cannot be started, or the layer cannot be edited.
    """
    canvas.check_layer(layer)
    client, vocabulary = windows.with_vocabulary(title)
    Pane(image, layer, client, vocabulary, title).run()
