"""A picture before and after, side by side at a line that the user moves.

Drawn as pixels, since Python's cairo bindings are not there in every GIMP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gdk, GdkPixbuf, GimpUi, GLib, Gtk  # noqa: E402

from imgedit_bridges.gimp import windows  # noqa: E402
from imgedit_bridges.gimp.preview_pictures import Pixels  # noqa: E402

_CHECKS = (0x666666, 0x999999)  # of transparent places
_STEP = 0.05  # of the line, by a key
_GRAB = 12  # from the line, where a drag moves it
_PAN = 40  # by a key
_LARGEST = 4.0  # of how many pixels of the screen one pixel may become


class BeforeAfter(Gtk.Box):  # type: ignore[misc]
    """The picture, a line in it, what is on which side, and whether it is seen in full size.

    Args:
        width, height: of the room for the picture, in the toolkit's units.
        resized: called when the pictures are needed in another size.
    """

    def __init__(self, width: int, height: int, resized: Callable[[], None]) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._room = (width, height)
        self._before: GdkPixbuf.Pixbuf | None = None
        self._after: GdkPixbuf.Pixbuf | None = None
        self._split = 0.5
        self._corner = [0.5, 0.5]  # of what is seen in full size: 0 left or top, 1 right or bottom
        self._drag: tuple[float, float] | None = None
        self._image = Gtk.Image()
        self._build(resized)

    def _build(self, resized: Callable[[], None]) -> None:
        over = Gtk.Overlay()
        over.add(self._events())
        self._spinner = Gtk.Spinner(halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        self._spinner.set_size_request(32, 32)
        over.add_overlay(self._spinner)
        over.set_overlay_pass_through(self._spinner, True)
        for text, side in (("Before", Gtk.Align.START), ("After", Gtk.Align.END)):
            label = Gtk.Label(label=text, halign=side, valign=Gtk.Align.START, margin=8)
            label.get_style_context().add_class("imgedit-tag")
            over.add_overlay(label)
            over.set_overlay_pass_through(label, True)
        self._zoom = Gtk.ToggleButton(
            label="_1:1", use_underline=True, halign=Gtk.Align.END, valign=Gtk.Align.END, margin=8
        )
        self._zoom.set_tooltip_text("One pixel of the picture is one of the screen (Alt+1)")
        self._zoom.get_style_context().add_class("imgedit-tag")
        self._zoom.connect("toggled", self._zoomed, resized)
        over.add_overlay(self._zoom)
        _style()
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.set_size_request(self._room[0] + 2, self._room[1] + 2)
        frame.add(over)
        style = frame.get_style_context()
        self._area.connect("focus-in-event", lambda *_: style.add_class("imgedit-focus"))
        self._area.connect("focus-out-event", lambda *_: style.remove_class("imgedit-focus"))
        self.pack_start(frame, True, True, 0)

    def _events(self) -> Any:
        area = Gtk.EventBox(
            can_focus=True, above_child=True, halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER
        )
        # An icon takes a square of room, whose rest lies outside of this.
        self._layout = Gtk.Layout()
        self._layout.put(self._image, 0, 0)
        area.add(self._layout)
        area.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        area.connect("button-press-event", self._pressed)
        area.connect("motion-notify-event", self._moved)
        area.connect("key-press-event", self._key)
        area.set_tooltip_text(
            "Before is left of the line, after right of it: drag it, or press the left and right "
            "arrow keys. In full size, drag the picture, or press Shift and an arrow key."
        )
        area.get_accessible().set_name("Preview, before and after")
        self._area = area
        return area

    def _zoomed(self, button: Any, resized: Callable[[], None]) -> None:
        if button.get_active():
            self._area.grab_focus()  # whose keys move what is seen
        resized()

    @property
    def longest(self) -> int | None:
        """How long the pictures' longer side shall be at most; None: they are needed in full."""
        if self._zoom.get_active():
            return None
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
        factor, share = self.get_scale_factor(), 1.0
        if not self._zoom.get_active():
            sides = (self._room[0] / pixels.width, self._room[1] / pixels.height, _LARGEST)
            share = min(sides) * factor
        width, height = max(1, int(pixels.width * share)), max(1, int(pixels.height * share))
        kind = GdkPixbuf.InterpType.BILINEAR
        if not made.get_has_alpha():
            return made if share == 1.0 else made.scale_simple(width, height, kind)
        return made.composite_color_simple(width, height, kind, 255, 8, *_CHECKS)

    def _draw(self) -> None:
        if self._before is None:
            return
        before, after = self._seen(self._before), self._seen(self._after or self._before)
        factor = self.get_scale_factor()
        shown = after
        width, height = (side // factor for side in _size(after))
        self._layout.set_size_request(width, height)
        if _size(before) == _size(after):  # otherwise it was turned or cropped
            shown = _joined(before, after, self._split, factor)
        if factor == 1:
            self._image.set_from_pixbuf(shown)
            return
        # As an icon, pixels are pixels of the screen also where that is scaled.
        self._image.set_from_gicon(shown, Gtk.IconSize.DIALOG)
        self._image.set_pixel_size(max(width, height))

    def _seen(self, picture: Any) -> Any:
        """The part of a picture that there is room for."""
        factor = self.get_scale_factor()
        width, height = (
            min(side, room * factor) for side, room in zip(_size(picture), self._room, strict=True)
        )
        left = round(self._corner[0] * (picture.get_width() - width))
        top = round(self._corner[1] * (picture.get_height() - height))
        return picture.new_subpixbuf(left, top, width, height)

    # --- mouse and keyboard -------------------------------------------------------------------

    def _pressed(self, _: Any, event: Any) -> bool:
        self._area.grab_focus()
        near = abs(event.x - self._split * self._area.get_allocated_width()) <= _GRAB
        pans = self._zoom.get_active() and not near
        self._drag = (event.x, event.y) if pans else None
        return self._dragged(event)

    def _moved(self, _: Any, event: Any) -> bool:
        # Widgets with tooltips are told of every motion, also without a button.
        return bool(event.get_state() & Gdk.ModifierType.BUTTON1_MASK) and self._dragged(event)

    def _dragged(self, event: Any) -> bool:
        if self._drag is None:
            self._move_to(event.x / max(1, self._area.get_allocated_width()))
        else:
            self._pan(self._drag[0] - event.x, self._drag[1] - event.y)
            self._drag = (event.x, event.y)
        return True

    def _key(self, _: Any, event: Any) -> bool:
        ways = {
            Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1),
        }  # fmt: skip
        if event.keyval not in ways:
            return False
        x, y = ways[event.keyval]
        if event.state & Gdk.ModifierType.SHIFT_MASK:
            self._pan(_PAN * x, _PAN * y)
        elif x:
            self._move_to(self._split + _STEP * x)
        else:
            return False
        return True

    def _move_to(self, split: float) -> None:
        self._split = min(1.0, max(0.0, split))
        self._draw()

    def _pan(self, x: float, y: float) -> None:
        if self._before is None:
            return
        factor = self.get_scale_factor()
        for axis, way in enumerate((x, y)):
            hidden = _size(self._before)[axis] - self._room[axis] * factor
            if hidden > 0:
                place = self._corner[axis] + way * factor / hidden
                self._corner[axis] = min(1.0, max(0.0, place))
        self._draw()


class Comparison(Gtk.Box):  # type: ignore[misc]
    """Two pictures that are there already, and how strongly the second one shall be taken.

    Args:
        weakened: whether it can be taken in part.
    """

    def __init__(self, *, weakened: bool) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        self._pictures: tuple[Pixels, Pixels] | None = None
        self._area = BeforeAfter(480, windows.room_for(360), self._show)
        self.pack_start(self._area, True, True, 0)
        self._strength = Gtk.Adjustment(
            value=100, lower=0, upper=100, step_increment=1, page_increment=10
        )
        if weakened:
            slider = GimpUi.SpinScale.new(self._strength, "_Strength (%)", 0)
            slider.set_tooltip_text("The opacity of the new layer; it can be changed later")
            self._strength.connect("value-changed", lambda _: self._show())
            self.pack_start(slider, False, False, 0)

    @property
    def strength(self) -> float:
        """0..1."""
        return float(self._strength.get_value() / 100)

    @property
    def longest(self) -> int | None:
        """See `BeforeAfter`."""
        return None  # both are there in full, for 1:1

    def load(self, before: Pixels, after: Pixels) -> None:
        """Show two pictures."""
        self._pictures = (before, after)
        self._show()

    def _show(self) -> None:
        if self._pictures is None:
            return
        before, after = self._pictures
        self._area.set_before(before)
        self._area.set_after(mixed(before, after, self.strength))


def mixed(before: Pixels, after: Pixels, strength: float) -> Pixels:
    """A picture between two of one shape; `after` where they have different ones."""
    if strength == 1.0 or (before.width, before.height, before.channels) != (
        after.width, after.height, after.channels,
    ):  # fmt: skip
        return after
    one, two = (_pixbuf_of(pixels) for pixels in (after, before))
    one = one.add_alpha(False, 0, 0, 0) if not one.get_has_alpha() else one
    alpha = round(255 * strength)
    one.composite(
        two, 0, 0, before.width, before.height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, alpha
    )
    return Pixels(before.width, before.height, before.channels, _packed(two))


def _pixbuf_of(pixels: Pixels) -> Any:
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(pixels.data), GdkPixbuf.Colorspace.RGB, pixels.channels == 4, 8,
        pixels.width, pixels.height, pixels.width * pixels.channels,
    ).copy()  # fmt: skip


def _packed(picture: Any) -> bytes:
    """Its bytes without gaps between rows."""
    row, stride = picture.get_width() * picture.get_n_channels(), picture.get_rowstride()
    data = bytes(picture.get_pixels())
    if row == stride:
        return data
    return b"".join(data[y * stride : y * stride + row] for y in range(picture.get_height()))


def _size(picture: Any) -> tuple[int, int]:
    return picture.get_width(), picture.get_height()


def _joined(before: Any, after: Any, split: float, factor: int) -> Any:
    """One picture of the left of `before` and the right of `after`, with a line between."""
    width, height = _size(before)
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
        b".imgedit-tag { color: white; background: rgba(0, 0, 0, 0.6); border: none;"
        b" border-radius: 3px; padding: 2px 7px; min-height: 0; font-size: smaller; }"
        b" button.imgedit-tag label { color: white; }"
        b" button.imgedit-tag:checked { background: rgba(255, 255, 255, 0.85); }"
        b" button.imgedit-tag:checked label { color: black; }"
        b" button.imgedit-tag:focus { outline: 1px solid white; }"
        b" frame.imgedit-focus > border { border-color: @theme_selected_bg_color; }"
        b" .imgedit-choices row box, .imgedit-choices row label { background: none; }"
    )
    screen = Gdk.Screen.get_default()
    Gtk.StyleContext.add_provider_for_screen(screen, sheet, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
