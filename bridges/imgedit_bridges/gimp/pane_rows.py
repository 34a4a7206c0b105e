"""The steps of an edit as widgets: a switch, sliders with units, curves, and what moves them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import GimpUi, Gio, GLib, Gtk  # noqa: E402

from imgedit_bridges.steps import Declared, Scale, Step, StepList, scale_of, shown  # noqa: E402

_INDENT = 26  # of parameters: below the title, which stands behind a check box
_CURVE = 72  # pixels
_FEW = 6  # parameters, up to which all are shown
_PAGES = 10  # of a slider: so many presses of Page Up from end to end
_BEND = 0.98  # from which on a logarithmic slider is as good as a straight one


class StepRow(Gtk.Box):  # type: ignore[misc]
    """One step.

    Args:
        steps: the list that it is in.
        step: which.
        changed: called when a value has changed.
        moved: called with the step and the way when it shall move, 0 when it shall go.
    """

    def __init__(
        self,
        steps: StepList,
        step: Step,
        changed: Callable[[], None],
        moved: Callable[[Step, int], None],
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4, margin=8)
        self.step = step
        self._steps = steps
        self._changed = changed
        self.pack_start(self._head(moved), False, False, 0)
        self._body = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._body.set_margin_start(_INDENT)
        self._fill()
        self.pack_start(self._body, False, False, 0)
        self._body.set_sensitive(step.on)

    def _head(self, moved: Callable[[Step, int], None]) -> Any:
        head = Gtk.Box(spacing=2)
        title = self._steps.title(self.step)
        check = Gtk.CheckButton(active=self.step.on)
        check.add(Gtk.Label(label=f"<b>{GLib.markup_escape_text(title)}</b>", use_markup=True))
        check.get_accessible().set_name(title)
        check.set_tooltip_text(f"Whether {title} takes part")
        check.connect("toggled", self._switched)
        head.pack_start(check, True, True, 0)
        self._tag = Gtk.Label(no_show_all=True, margin_end=6)
        self._tag.get_style_context().add_class("dim-label")
        head.pack_start(self._tag, False, False, 0)
        place, last = self._steps.steps.index(self.step), len(self._steps.steps) - 1
        for icon, way, told, can in (
            ("go-up-symbolic", -1, "Move up", place > 0),
            ("go-down-symbolic", 1, "Move down", place < last),
            ("edit-delete-symbolic", 0, "Remove", True),
        ):
            button = Gtk.Button.new_from_icon_name(icon, Gtk.IconSize.MENU)
            button.set_relief(Gtk.ReliefStyle.NONE)
            button.set_tooltip_text(told)
            button.get_accessible().set_name(f"{told}: {title}")
            button.set_sensitive(can)
            button.connect("clicked", lambda _, by=way: moved(self.step, by))
            head.pack_start(button, False, False, 0)
        return head

    def _fill(self) -> None:
        parameters = self._steps.parameters(self.step)
        curves = [one for one in parameters if one.get("points")]
        if curves:
            self._body.pack_start(self._curves(curves), False, False, 0)
        sliders = [one for one in parameters if not one.get("points")]
        first, rest = self._split(sliders)
        for one in first:
            self._body.pack_start(self._slider(one), False, False, 0)
        if rest:
            more = Gtk.Expander(label=f"{len(rest)} more")
            inner = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=4, margin_top=4)
            for one in rest:
                inner.pack_start(self._slider(one), False, False, 0)
            more.add(inner)
            self._body.pack_start(more, False, False, 0)

    def _split(self, sliders: Sequence[Declared]) -> tuple[list[Declared], list[Declared]]:
        """What is seen at once: everything where there is little, else what does something."""
        if len(sliders) <= _FEW:
            return list(sliders), []
        used = [one for one in sliders if self._value(one) != one.get("neutral")]
        first = used or list(sliders[:3])
        return first, [one for one in sliders if one not in first]

    def _value(self, parameter: Declared) -> Any:
        return self._steps.value(self.step, parameter)

    def tell_rendered(self, *, rendered: bool) -> None:
        """Say whether the step is rendered instead of live."""
        self._tag.set_text("rendered" if rendered else "")
        self._tag.set_tooltip_text(
            "GIMP cannot hold this step live; it becomes pixels when you accept"
        )
        self._tag.set_visible(rendered)

    def _switched(self, check: Any) -> None:
        self.step.on = check.get_active()
        self._body.set_sensitive(self.step.on)
        self._changed()

    # --- parameters ---------------------------------------------------------------------------

    def _slider(self, parameter: Declared) -> Any:
        scale = scale_of(parameter)
        if scale is None:
            raise TypeError(f"{parameter['name']} is a curve")  # which `_fill` has sorted out
        if scale.choices:
            return self._choices(parameter, scale)
        value = float(self._value(parameter) or 0.0)
        adjustment = Gtk.Adjustment(
            value=value, lower=scale.minimum, upper=scale.maximum,
            step_increment=scale.increment,
            page_increment=max(scale.increment, (scale.maximum - scale.minimum) / _PAGES),
        )  # fmt: skip
        made = GimpUi.SpinScale.new(adjustment, label_of(parameter), scale.decimals)
        gamma = _gamma(scale)
        if gamma > 1 / _BEND:
            made.set_gamma(gamma)

        def moved(_: Any) -> None:
            before = self._value(parameter)
            taken = self._steps.adjust(self.step, parameter, adjustment.get_value())
            if taken != adjustment.get_value():
                adjustment.set_value(taken)
            if taken != before:
                self._changed()

        adjustment.connect("value-changed", moved)
        return made

    def _choices(self, parameter: Declared, scale: Scale) -> Any:
        box = Gtk.Box(spacing=8)
        label = Gtk.Label(label=str(parameter.get("title") or parameter["name"]), xalign=0)
        combo = Gtk.ComboBoxText()
        for choice in scale.choices:
            combo.append_text(shown(parameter, choice))
        value = self._value(parameter)
        combo.set_active(scale.choices.index(scale.nearest(float(value or scale.choices[0]))))

        def chosen(_: Any) -> None:
            self._steps.adjust(self.step, parameter, scale.choices[combo.get_active()])
            self._changed()

        combo.connect("changed", chosen)
        label.set_mnemonic_widget(combo)
        box.pack_start(label, False, False, 0)
        box.pack_start(combo, False, False, 0)
        return box

    def _curves(self, parameters: Sequence[Declared]) -> Any:
        box = Gtk.Box(spacing=10)
        for one in parameters:
            points = self._value(one) or ()
            title = str(one.get("title") or one["name"])
            straight = all(abs(x - y) < 1e-6 for x, y in points)
            if straight and len(parameters) > 1:
                continue
            column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
            picture = CurvePicture(points, (float(one["minimum"]), float(one["maximum"])))
            picture.set_tooltip_text(f"{title}: from left to right dark to light")
            column.pack_start(picture, False, False, 0)
            column.pack_start(Gtk.Label(label=title), False, False, 0)
            box.pack_start(column, False, False, 0)
        return box


class CurvePicture(Gtk.Image):  # type: ignore[misc]
    """A small picture of a curve in the colours of the theme, sharp at any scale."""

    def __init__(self, points: Sequence[Sequence[float]], ends: tuple[float, float]) -> None:
        super().__init__(pixel_size=_CURVE)
        self._points = points
        self._ends = ends
        self.connect("style-updated", self._draw)
        self._draw()

    def _draw(self, *_: object) -> None:
        context = self.get_style_context()
        colour = context.get_color(context.get_state())
        ink = f"rgb({colour.red * 255:.0f},{colour.green * 255:.0f},{colour.blue * 255:.0f})"
        text = curve_svg(self._points, self._ends, ink)
        self.set_from_gicon(
            Gio.BytesIcon.new(GLib.Bytes.new(text.encode("ascii"))), Gtk.IconSize.DIALOG
        )


def curve_svg(points: Sequence[Sequence[float]], ends: tuple[float, float], ink: str) -> str:
    """A curve through points as a drawing; from `ends[0]` to `ends[1]` both ways."""
    low, high = ends
    span = (high - low) or 1.0
    places = [(64 * (x - low) / span, 64 - 64 * (y - low) / span) for x, y in points]
    line = " ".join(f"{x + 4:.2f},{y + 4:.2f}" for x, y in places)
    grid = "".join(
        f'<path d="M{4 + 16 * i} 4V68M4 {4 + 16 * i}H68" opacity="0.25"/>' for i in range(5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72" width="72" height="72">'
        f'<g fill="none" stroke="{ink}">{grid}'
        f'<polyline points="{line}" stroke-width="2.5" stroke-linejoin="round"/></g></svg>'
    )


def label_of(parameter: Declared) -> str:
    """A slider's label: 'Amount (%)'."""
    title = str(parameter.get("title") or parameter["name"]).replace("_", "__")
    unit = str(parameter.get("unit") or "")
    return title if unit in ("", "code", "number") else f"{title} ({unit})"


def _gamma(scale: Scale) -> float:
    """How much a slider is bent so that its middle is the middle in factors; 1 where straight."""
    if not scale.logarithmic:
        return 1.0
    middle = math.sqrt(scale.minimum * scale.maximum)
    share = (middle - scale.minimum) / (scale.maximum - scale.minimum)
    return min(4.0, math.log(share) / math.log(0.5))


class AddStep(Gtk.MenuButton):  # type: ignore[misc]
    """A button that opens a list of all operations with a field to search it.

    Args:
        vocabulary: see `Client.operations`.
        add: called with the name of the operation that was chosen.
    """

    def __init__(self, vocabulary: Sequence[Declared], add: Callable[[str], None]) -> None:
        super().__init__(use_underline=True, label="A_dd step…", halign=Gtk.Align.START)
        self._add = add
        self._entry = Gtk.SearchEntry(placeholder_text="Search steps")
        self._entry.connect("search-changed", self._narrow)
        self._entry.connect("activate", self._take_first)
        self._list = Gtk.ListBox(selection_mode=Gtk.SelectionMode.BROWSE)
        for one in sorted(vocabulary, key=lambda one: str(one["title"]).lower()):
            self._list.add(_Choice(one))
        self._list.get_style_context().add_class("imgedit-choices")  # see `preview_area`
        self._list.set_filter_func(self._fits)
        self._list.connect("row-activated", lambda _, row: self._take(row))
        scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        scrolled.set_size_request(340, 240)
        scrolled.add(self._list)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=8)
        box.pack_start(self._entry, False, False, 0)
        box.pack_start(scrolled, True, True, 0)
        box.show_all()
        popover = Gtk.Popover()
        popover.add(box)
        popover.connect("show", self._opened)
        self.set_popover(popover)
        self.set_direction(Gtk.ArrowType.UP)

    def _opened(self, _: Any) -> None:
        self._entry.set_text("")
        self._entry.grab_focus()

    def _fits(self, row: Any) -> bool:
        return all(word in row.words for word in self._entry.get_text().lower().split())

    def _narrow(self, _: Any) -> None:
        self._list.invalidate_filter()
        first = self._first()
        if first is not None:
            self._list.select_row(first)

    def _first(self) -> Any:
        return next((row for row in self._list.get_children() if self._fits(row)), None)

    def _take_first(self, _: Any) -> None:
        first = self._first()
        if first is not None:
            self._take(first)

    def _take(self, row: Any) -> None:
        self.get_popover().popdown()
        self._add(row.name)


class _Choice(Gtk.ListBoxRow):  # type: ignore[misc]
    def __init__(self, one: Declared) -> None:
        super().__init__()
        self.name = str(one["name"])
        title, summary = str(one["title"]), str(one.get("summary") or "")
        self.words = f"{title} {self.name} {summary}".lower()
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, margin=4)
        box.pack_start(Gtk.Label(label=title, xalign=0), False, False, 0)
        about = Gtk.Label(label=summary, xalign=0, wrap=True, max_width_chars=44)
        about.get_style_context().add_class("dim-label")
        box.pack_start(about, False, False, 0)
        self.add(box)
