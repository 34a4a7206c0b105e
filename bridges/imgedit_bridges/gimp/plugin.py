#!/usr/bin/env python3
"""The GIMP plug-in: `imgedit-plugins install gimp` puts it into GIMP's folder as imgedit.py.

Runs in GIMP's own Python: standard library and GIMP's own modules only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402

from imgedit_bridges.client import BridgeError, JobCancelledError  # noqa: E402
from imgedit_bridges.gimp import catalogue, entries, running, windows  # noqa: E402
from imgedit_bridges.gimp.entries import Entry  # noqa: E402

_MENU = "<Image>/Filters/imgedit"
_FOLDER = Path(__file__).resolve().parent

_ENTRIES = entries.OWN | entries.entries_of(
    catalogue.read_actions(_FOLDER, asked="-query" in sys.argv, own=entries.OWN)
)


# --- running ----------------------------------------------------------------------------------


def _run(procedure: Any, mode: Any, image: Any, drawables: list[Any], config: Any, _: Any) -> Any:
    """One run of a procedure: dialog, work, and one sentence where something goes wrong."""
    entry = _ENTRIES[procedure.get_name()]
    interactive = mode == Gimp.RunMode.INTERACTIVE
    running.look_for_plugins(_FOLDER)
    if interactive:
        sys.excepthook = windows.tell_unexpected  # GTK gives it what its callbacks raise
    try:
        layers = [_layer(one) for one in drawables]
        if interactive and entry.window is not None:
            value = entry.window(procedure, entry, image, layers, config)
        elif interactive and entry.dialog and not windows.asked(procedure, entry.title, config):
            return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        else:
            with _progress(entry, interactive=interactive) as told:
                value = entry.run(image, layers, config, told)
    except JobCancelledError:
        return _ended(procedure, Gimp.PDBStatusType.CANCEL)
    except BridgeError as error:
        if interactive:  # GIMP would call a picture without an edit an error of execution
            windows.show_fault(None, error, entry.title)
            return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, str(error))
    except Exception as error:  # GIMP would show a traceback, or nothing
        fault = str(windows.unexpected(error))
        return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, fault)
    Gimp.displays_flush()
    if interactive and entry.tells and value is not None:
        windows.show(entry.title, value)
    return _ended(procedure, Gimp.PDBStatusType.SUCCESS, value=value)


def _layer(drawable: Any) -> Any:
    if isinstance(drawable, Gimp.LayerMask):
        return Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise BridgeError("A layer is needed, not a channel.", hint="Select a layer and try again.")
    return drawable


def _ended(procedure: Any, status: Any, fault: str = "", value: str | None = None) -> Any:
    error = GLib.Error()
    if fault:
        error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), fault, 0)
    values = procedure.new_return_values(status, error)
    if value is not None:
        values.remove(1)
        values.insert(1, GObject.Value(GObject.TYPE_STRING, value))
    return values


@contextmanager
def _progress(entry: Entry, *, interactive: bool) -> Iterator[running.Told]:
    """How the work goes: in GIMP's status bar, or in a window with Cancel."""
    title = entry.title.rstrip("…")
    if interactive:
        with windows.progress(title) as told:
            yield told
        return
    Gimp.progress_init(title)

    def tell(_: str, share: float) -> bool:
        _ = Gimp.progress_update(share) if share >= 0 else Gimp.progress_pulse()
        return True

    try:
        yield tell
    finally:
        Gimp.progress_end()


# --- the plug-in ------------------------------------------------------------------------------


class ImgeditPlugin(Gimp.PlugIn):  # type: ignore[misc]
    """Declares the menu entries to GIMP."""

    def do_set_i18n(self, _: str) -> bool:
        """There are no translations."""
        return False

    def do_query_procedures(self) -> list[str]:
        """Names of the procedures."""
        return list(_ENTRIES)

    def do_create_procedure(self, name: str) -> Any:
        """One procedure with its arguments and its place in the menu."""
        entry = _ENTRIES[name]
        made = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, _run, None)
        made.set_image_types(entry.images)
        mask = 0
        for part in entry.sensitivity:
            mask |= int(getattr(Gimp.ProcedureSensitivityMask, part))
        made.set_sensitivity_mask(mask)
        made.set_menu_label(entry.label)
        made.add_menu_path(_MENU)
        made.set_documentation(entry.about, entry.about, name)
        made.set_attribution("imgedit-plugins", "imgedit-plugins", "2026")
        entry.declare(made)
        return made


if __name__ == "__main__":
    Gimp.main(ImgeditPlugin.__gtype__, sys.argv)
