"""The window in which a layer's edit is adjusted; it stays open while one works in GIMP."""

from __future__ import annotations

from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk  # noqa: E402

from imgedit_bridges.client import BridgeError, Client, JobCancelledError  # noqa: E402
from imgedit_bridges.gimp import canvas, windows  # noqa: E402
from imgedit_bridges.gimp.edit_view import EditView  # noqa: E402
from imgedit_bridges.gimp.pane_edit import LayerEdit  # noqa: E402

_LOOK_MS = 700  # how often the selected layer is looked at
_RESET = 1
_TURNED = "Redo has turned the order of the filters round; accept to put it right."


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
        self, image: Any, layer: Any, client: Client, vocabulary: list[dict[str, Any]], title: str
    ) -> None:
        self._image = image
        self._client = client
        self._vocabulary = vocabulary
        self._title = title
        self._selected: list[Any] = []
        self._turned = False
        self._edit = LayerEdit(client, layer, vocabulary)
        self._view = EditView(client, vocabulary, self._show)
        self._build()
        self._load()

    def run(self) -> None:
        """Show the window until it is closed."""
        self._dialog.show()
        self._view.focus_steps()
        looking = GLib.timeout_add(_LOOK_MS, self._look)
        Gtk.main()
        GLib.source_remove(looking)
        self._view.close()
        self._dialog.destroy()

    def _build(self) -> None:
        self._dialog = windows.dialog(self._title, "imgedit-adjust-edit")
        for label, response in (
            ("_Reset", _RESET), ("_Cancel", Gtk.ResponseType.CANCEL),
            ("_Apply", Gtk.ResponseType.APPLY), ("_OK", Gtk.ResponseType.OK),
        ):  # fmt: skip
            self._dialog.add_button(label, response)
        self._dialog.set_default_response(Gtk.ResponseType.OK)
        self._can_apply(can=False)
        self._dialog.connect("response", self._responded)
        self._name = Gtk.Label(xalign=0, ellipsize=3)  # Pango.EllipsizeMode.END
        self._name.get_style_context().add_class("dim-label")
        self._on_canvas = Gtk.CheckButton(
            label="Show in the _image", use_underline=True, active=True
        )
        self._on_canvas.set_tooltip_text("Show live steps in the image while you change them")
        self._on_canvas.connect("toggled", lambda _: self._view.refresh())
        self._view.under.pack_end(self._on_canvas, False, False, 0)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        box.pack_start(self._name, False, False, 0)
        box.pack_start(self._view, True, True, 0)
        self._dialog.get_content_area().pack_start(box, True, True, 0)
        box.show_all()
        self._dialog.set_default_size(-1, windows.height_for(780))

    def _can_apply(self, *, can: bool) -> None:
        for response in (_RESET, Gtk.ResponseType.APPLY):
            self._dialog.set_response_sensitive(response, can)

    def _load(self) -> None:
        self._name.set_text(f"Layer: {self._edit.layer.get_name()}")
        self._view.load(self._edit.steps, self._edit.before)
        self._view.touched = self._turned = self._edit.is_turned()

    def _show(self) -> int:
        """Show the steps as they are now in the image; returns how many are rendered."""
        if not self._edit.layer.is_valid():
            self._view.say("The layer is gone. Select another one.")
            return 0
        self._can_apply(can=self._view.touched)
        outcome = self._edit.outcome()
        live = self._edit.is_live(outcome)
        if self._view.touched and live and self._on_canvas.get_active():
            self._edit.show(outcome)
        else:
            self._edit.hide()
        if self._view.touched and not live:
            self._view.say("It appears in the image when you accept.")
        else:
            self._view.say(_TURNED if self._turned else "")
        return len(outcome.form.layout.rendered)

    # --- the layer that is selected in GIMP -----------------------------------------------------

    def _look(self) -> bool:
        """Follow the selection of layers, as long as nothing would be lost."""
        if not self._image.is_valid():
            self._dialog.response(Gtk.ResponseType.CANCEL)
            return False
        selected = self._image.get_selected_layers()
        free = not self._view.touched or not self._edit.layer.is_valid()
        other = len(selected) == 1 and selected[0] != self._edit.layer
        # Selected twice in a row: another plug-in's layer may be there for a moment only.
        if free and other and selected == self._selected:
            self._take(selected[0])
        self._selected = selected
        return True

    def _take(self, layer: Any) -> None:
        try:
            self._edit = LayerEdit(self._client, layer, self._vocabulary)
        except BridgeError as error:
            self._view.say(str(error))
            return
        self._load()

    # --- the end ------------------------------------------------------------------------------

    def _responded(self, _: Any, response: int) -> None:
        if response == _RESET:
            self._edit.hide()
            self._take(self._edit.layer)
        elif response == Gtk.ResponseType.APPLY:
            self._accept()
        elif response != Gtk.ResponseType.OK:
            self._edit.hide()
            Gtk.main_quit()
        elif self._accept():
            Gtk.main_quit()

    def _accept(self) -> bool:
        """Put the edit into the image; returns whether it is there."""
        if not self._view.touched:
            return True
        self._dialog.set_sensitive(False)
        try:
            with windows.progress(self._title) as told:
                self._edit.accept(told)
        except JobCancelledError:
            self._view.refresh()
            return False
        except BridgeError as error:
            windows.show_fault(self._dialog, error)
            self._view.refresh()
            return False
        finally:
            self._dialog.set_sensitive(True)
        selected = self._image.get_selected_layers()
        if selected:
            self._take(selected[0])
        return True


def open_pane(image: Any, layer: Any, title: str) -> None:
    """Show the pane until it is closed.

    Raises:
        BridgeError: the worker cannot be started, or the layer cannot be edited.
    """
    canvas.check_layer(layer)
    client, vocabulary = windows.with_vocabulary()
    Pane(image, layer, client, vocabulary, title).run()
