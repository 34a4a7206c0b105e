"""Which plan: a file, or one that was used before; favourites stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402

from imgedit_bridges.client import BridgeError  # noqa: E402
from imgedit_bridges.edits import Plan, title  # noqa: E402
from imgedit_bridges.gimp import preset_bar, running, windows  # noqa: E402
from imgedit_bridges.gimp.presets import KeptPlan  # noqa: E402

_NONE = "Choose a plan…"
_STAR = "★ "


class PlanChooser(Gtk.Box):  # type: ignore[misc]
    """A list of plans, a button that opens a file, and one that makes a favourite.

    Args:
        window: that it is in.
        chosen: told the plan and its strength.
        path: of a plan that is chosen at the beginning; may be gone.

    Attributes:
        path: of the file that was chosen last.
    """

    def __init__(
        self, window: Any, chosen: Callable[[Plan, float], None], path: str | None
    ) -> None:
        super().__init__(spacing=6)
        self._window = window
        self._chosen = chosen
        self.path = path
        self._presets = preset_bar.presets()
        self._plans: list[KeptPlan] = []
        self._current: KeptPlan | None = None
        self._filling = False
        label = Gtk.Label(label="_Plan:", use_underline=True)
        self._list = Gtk.ComboBoxText(hexpand=True)
        self._list.get_cells()[0].set_property("ellipsize", 3)
        self._list.get_cells()[0].set_property("width-chars", 18)
        self._list.connect("changed", self._picked)
        label.set_mnemonic_widget(self._list)
        self._star = Gtk.ToggleButton(label="☆", sensitive=False)
        self._star.set_tooltip_text("Keep this plan in the list")
        self._star.get_accessible().set_name("Favourite")
        self._star.connect("toggled", self._starred)
        self._star.connect("toggled", lambda one: one.set_label("★" if one.get_active() else "☆"))
        opened = Gtk.Button(label="Op_en…", use_underline=True)
        opened.set_tooltip_text("A plan as JSON, or a picture that was edited by one")
        opened.connect("clicked", self._open)
        for widget, grows in (
            (label, False), (self._list, True), (self._star, False), (opened, False),
        ):  # fmt: skip
            self.pack_start(widget, grows, grows, 0)
        self._fill()

    def start(self) -> None:
        """Choose the plan that was used last, if it is still there."""
        if self.path is not None and Path(self.path).is_file():
            self._read(Path(self.path))
        elif self._plans:
            self._list.set_active(1)

    def used(self, plan: Plan, strength: float) -> None:
        """Remember what was accepted; where that fails, the edit is not held up."""
        try:
            self._presets.used(KeptPlan(title(plan), plan, strength))
        except BridgeError as error:
            windows.show_fault(None, error)

    def _fill(self) -> None:
        self._filling = True
        self._plans = self._presets.plans()
        known = [one.plan.get("operations") for one in self._plans]
        if self._current is not None and self._current.plan.get("operations") not in known:
            self._plans.insert(0, self._current)
        self._list.remove_all()
        self._list.append_text(_NONE)
        for one in self._plans:
            self._list.append_text(f"{_STAR if one.favourite else ''}{one.title}")
        place = self._plans.index(self._current) + 1 if self._current in self._plans else 0
        self._list.set_active(place)
        self._star.set_sensitive(self._current is not None)
        self._star.set_active(self._current is not None and self._current.favourite)
        self._filling = False

    def _picked(self, _: Any) -> None:
        place = self._list.get_active()
        if self._filling or place < 1:
            return
        self._current = self._plans[place - 1]
        self._filling = True
        self._star.set_sensitive(True)
        self._star.set_active(self._current.favourite)
        self._filling = False
        self._chosen(self._current.plan, self._current.strength)

    def _starred(self, _: Any) -> None:
        if self._filling or self._current is None:
            return
        favourite = self._star.get_active()
        one = KeptPlan(self._current.title, self._current.plan, self._current.strength, favourite)
        try:
            self._presets.keep(one)
        except BridgeError as error:
            windows.show_fault(self._window, error)
        else:
            self._current = one
        self._fill()

    def _open(self, _: Any) -> None:
        chooser = Gtk.FileChooserDialog(
            title="Open plan", transient_for=self._window, modal=True,
            action=Gtk.FileChooserAction.OPEN,
        )  # fmt: skip
        chooser.add_button("_Cancel", Gtk.ResponseType.CANCEL)
        chooser.add_button("_Open", Gtk.ResponseType.OK)
        chooser.set_default_response(Gtk.ResponseType.OK)
        for name, patterns in (
            ("Plans and pictures", ("*.json", "*.png", "*.jpg", "*.jpeg", "*.tif", "*.tiff",
                                    "*.webp", "*.xmp")),
            ("All files", ("*",)),
        ):  # fmt: skip
            kinds = Gtk.FileFilter()
            kinds.set_name(name)
            for pattern in patterns:
                kinds.add_pattern(pattern)
            chooser.add_filter(kinds)
        path = chooser.get_filename() if chooser.run() == Gtk.ResponseType.OK else None
        chooser.destroy()
        if path is not None:
            self._read(Path(path))

    def _read(self, path: Path) -> None:
        try:
            plan = running.read_plan(path)
        except BridgeError as error:
            windows.show_fault(self._window, error)
            return
        self.path = str(path)
        self._current = KeptPlan(f"{path.name}: {title(plan)}", plan)
        self._fill()
        self._chosen(plan, 1.0)
