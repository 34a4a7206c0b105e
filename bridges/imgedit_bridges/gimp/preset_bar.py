"""Named presets of a procedure's options, as a row above them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, Gtk  # noqa: E402

from imgedit_bridges.client import BridgeError  # noqa: E402
from imgedit_bridges.gimp import windows  # noqa: E402
from imgedit_bridges.gimp.presets import Options, Presets  # noqa: E402


def presets() -> Presets:
    """The file with presets, in GIMP's configuration folder."""
    return Presets(Path(Gimp.directory()) / "imgedit" / "presets.json")


class PresetBar(Gtk.Box):  # type: ignore[misc]
    """A list of presets with buttons that save and remove one.

    Args:
        procedure: the name of the procedure.
        config: its options, which a preset sets.
        names: of the options that presets hold.
    """

    def __init__(self, procedure: str, config: Any, names: Sequence[str]) -> None:
        super().__init__(spacing=6, margin_bottom=6)
        self._procedure = procedure
        self._config = config
        self._names = names
        self._presets = presets()
        label = Gtk.Label(label="_Preset:", use_underline=True)
        self._list = Gtk.ComboBoxText.new_with_entry()
        self._list.set_hexpand(True)
        self._list.get_child().set_placeholder_text("Name")
        self._list.connect("changed", self._picked)
        label.set_mnemonic_widget(self._list)
        self._saves = Gtk.Button(label="Sa_ve", use_underline=True, sensitive=False)
        self._saves.set_tooltip_text("Keep the options below under this name")
        self._saves.connect("clicked", self._save)
        self._removes = Gtk.Button(label="Re_move", use_underline=True, sensitive=False)
        self._removes.set_tooltip_text("Forget this preset")
        self._removes.connect("clicked", self._remove)
        for widget, grows in (
            (label, False), (self._list, True), (self._saves, False), (self._removes, False),
        ):  # fmt: skip
            self.pack_start(widget, grows, grows, 0)
        self._fill()

    def _fill(self) -> None:
        self._list.remove_all()
        for name in self._presets.names(self._procedure):
            self._list.append_text(name)
        self._look()

    def _name(self) -> str:
        return str(self._list.get_active_text() or "").strip()

    def _look(self) -> None:
        self._saves.set_sensitive(bool(self._name()))
        self._removes.set_sensitive(self._name() in self._presets.names(self._procedure))

    def _picked(self, _: Any) -> None:
        self._look()
        if self._list.get_active() < 0:
            return
        for name, value in self._presets.options(self._procedure, self._name()).items():
            if name in self._names:
                _set(self._config, name, value)

    def _save(self, _: Any) -> None:
        values: Options = {}
        for name in self._names:
            value = self._config.get_property(name)
            if self._config.find_property(name).value_type.name == "GFile":
                value = (value.get_path() or "") if value is not None else ""
            if isinstance(value, bool | int | float | str):
                values[name] = value
        self._change(lambda: self._presets.save(self._procedure, self._name(), values))

    def _remove(self, _: Any) -> None:
        self._change(lambda: self._presets.remove(self._procedure, self._name()))
        self._list.get_child().set_text("")

    def _change(self, change: Any) -> None:
        try:
            change()
        except BridgeError as error:
            windows.show_fault(self.get_toplevel(), error)
        name = self._name()
        self._fill()
        self._list.get_child().set_text(name)


def _set(config: Any, name: str, value: object) -> None:
    """Set an option; a value that it no longer takes is left out."""
    spec = config.find_property(name)
    if spec is None:
        return
    if spec.value_type.name == "GFile":
        value = Gio.File.new_for_path(str(value)) if value else None
    try:
        config.set_property(name, value)
    except (TypeError, ValueError, OverflowError):
        return
