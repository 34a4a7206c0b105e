"""A picture before and after, side by side at a line that the user moves.

Drawn as pixels, since Python's cairo bindings are not there in every GIMP.
"""

from __future__ import annotations

from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GdkPixbuf, GLib, Gtk  # noqa: E402

from imgedit_bridges.gimp.preview_pictures import Pixels  # noqa: E402

_CHECKS = (0x666666, 0x999999)  # of transparent places
_STEP = 0.05  # of the line, by a key


class BeforeAfter(Gtk.Box):  # type: ignore[misc]
    """The picture, a line in it, and what is on which side.

    Args:
        width, height: of the room for the picture, in the toolkit's units.
    """

    def __init__(self, width: int, height: int) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._before: GdkPixbuf.Pixbuf | None = None
        self._after: GdkPixbuf.Pixbuf | None = None
        self._split = 0.5
        self._image = Gtk.Image(halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        self._events = Gtk.EventBox(can_focus=True, above_child=True)
        self._events.add(self._image)
        self._events.set_halign(Gtk.Align.CENTER)
        self._events.set_valign(Gtk.Align.CENTER)
        self._events.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self._events.connect("button-press-event", self._pressed)
        self._events.connect("motion-notify-event", self._moved)
        self._events.connect("key-press-event", self._key)
        self._events.set_tooltip_text(
            "Before on the left, after on the right; drag the line, or move it with the arrow keys"
        )
        self._events.get_accessible().set_name("Preview, before and after")
        self._spinner = Gtk.Spinner(halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        self._spinner.set_size_request(32, 32)
        over = Gtk.Overlay()
        over.add(self._events)
        over.add_overlay(self._spinner)
        over.set_overlay_pass_through(self._spinner, True)
        for text, side in (("Before", Gtk.Align.START), ("After", Gtk.Align.END)):
            label = Gtk.Label(label=text, halign=side, valign=Gtk.Align.START, margin=8)
            label.get_style_context().add_class("imgedit-tag")
            over.add_overlay(label)
            over.set_overlay_pass_through(label, True)
        _style()
        self._room = (width, height)
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.set_size_request(width + 2, height + 2)
        frame.add(over)
        self.pack_start(frame, True, True, 0)

    @property
    def longest(self) -> int:
        """How many pixels of the screen the longer side of the room has."""
        return int(max(self._room) * self.get_scale_factor())

    def set_before(self, pixels: Pixels) -> None:
        """Show a picture before the edit, on both sides until there is one after it."""
        self._before = self._fitted(pixels)
        self._after = None
        self._draw()

    def set_after(self, pixels: Pixels) -> None:
        """Show the picture after the edit; it may have another shape."""
        self._after = self._fitted(pixels)
        self.set_busy(busy=False)
        self._draw()

    def set_busy(self, *, busy: bool) -> None:
        """Show that a new picture is on its way."""
        if busy:
            self._spinner.show()
            self._spinner.start()
        else:
            self._spinner.stop()
            self._spinner.hide()

    def _fitted(self, pixels: Pixels) -> GdkPixbuf.Pixbuf:
        made = GdkPixbuf.Pixbuf.new_from_bytes(
            GLib.Bytes.new(pixels.data), GdkPixbuf.Colorspace.RGB, pixels.channels == 4, 8,
            pixels.width, pixels.height, pixels.width * pixels.channels,
        )  # fmt: skip
        factor = self.get_scale_factor()
        share = min(
            self._room[0] * factor / pixels.width, self._room[1] * factor / pixels.height, 4.0
        )
        width, height = max(1, int(pixels.width * share)), max(1, int(pixels.height * share))
        kind = GdkPixbuf.InterpType.BILINEAR
        if not made.get_has_alpha():
            return made.scale_simple(width, height, kind)
        first, second = _CHECKS
        return made.composite_color_simple(width, height, kind, 255, 8, first, second).copy()

    def _draw(self) -> None:
        if self._before is None:
            return
        after = self._after or self._before
        if self._before.get_width() != after.get_width() or (
            self._before.get_height() != after.get_height()
        ):  # turned or cropped: nothing lies on anything
            shown = after
        else:
            shown = _joined(self._before, after, self._split, self.get_scale_factor())
        factor = self.get_scale_factor()
        size = max(shown.get_width(), shown.get_height())
        if factor == 1:
            self._image.set_from_pixbuf(shown)
            return
        # As an icon, pixels are pixels of the screen also where it is scaled.
        self._image.set_from_gicon(shown, Gtk.IconSize.DIALOG)
        self._image.set_pixel_size(size // factor)

    def _pressed(self, _: Any, event: Any) -> bool:
        self._events.grab_focus()
        return self._moved(_, event)

    def _moved(self, _: Any, event: Any) -> bool:
        self._move_to(event.x / max(1, self._events.get_allocated_width()))
        return True

    def _key(self, _: Any, event: Any) -> bool:
        steps = {Gdk.KEY_Left: -_STEP, Gdk.KEY_Right: _STEP}
        if event.keyval not in steps:
            return False
        self._move_to(self._split + steps[event.keyval])
        return True

    def _move_to(self, split: float) -> None:
        self._split = min(1.0, max(0.0, split))
        self._draw()


def _joined(before: Any, after: Any, split: float, factor: int) -> Any:
    """One picture of the left of `before` and the right of `after`, with a line between."""
    width, height = before.get_width(), before.get_height()
    place = min(int(width * split), width)
    made = after.copy()
    if place > 0:
        before.copy_area(0, 0, place, height, made, 0, 0)
    for offset, colour in ((-2, 0x000000FF), (-1, 0xFFFFFFFF), (0, 0xFFFFFFFF), (1, 0x000000FF)):
        left = place + offset * factor
        if left >= 0 and left + factor <= width:
            made.new_subpixbuf(left, 0, factor, height).fill(colour)
    return made


def _style() -> None:
    """Labels on a picture: readable on any picture and in any theme."""
    sheet = Gtk.CssProvider()
    sheet.load_from_data(
        b".imgedit-tag { color: white; background-color: rgba(0, 0, 0, 0.6);"
        b" border-radius: 3px; padding: 2px 7px; font-size: smaller; }"
    )
    screen = Gdk.Screen.get_default()
    Gtk.StyleContext.add_provider_for_screen(screen, sheet, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
