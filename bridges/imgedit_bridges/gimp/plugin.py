#!/usr/bin/env python3
"""The GIMP plug-in: `imgedit-plugins install gimp` puts it into GIMP's folder as imgedit.py.

Runs in GIMP's own Python: standard library and GIMP's own modules only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402

from imgedit_bridges.client import BridgeError, JobCancelledError  # noqa: E402
from imgedit_bridges.gimp import actions, running, windows  # noqa: E402

_MENU = "<Image>/Filters/imgedit"
_READWRITE = GObject.ParamFlags.READWRITE
_SOON = 0.5  # seconds; a window for less would only flicker

Work = Callable[[running.Told], Any]


@dataclass(frozen=True)
class _Entry:
    """A menu entry.

    Attributes:
        label: in the menu.
        about: what it does, for tooltips and the procedure browser.
        sensitivity: `Gimp.ProcedureSensitivityMask` by names.
        declare: adds the procedure's arguments and return values.
        run: image, layers, config, told -> the value to return, None where there is none.
        dialog: whether there is something to choose.
    """

    label: str
    about: str
    sensitivity: tuple[str, ...]
    declare: Callable[[Any], None]
    run: Callable[[Any, list[Any], Any, running.Told], str | None]
    dialog: bool = True

    @property
    def title(self) -> str:
        """Of its windows."""
        return self.label.replace("_", "")


# --- the entries ------------------------------------------------------------------------------


def _recover(image: Any, layers: list[Any], config: Any, told: running.Told) -> str:
    plan = actions.recover(image, layers, swap=config.get_property("swap"), told=told)
    return json.dumps(plan)


def _apply(image: Any, layers: list[Any], config: Any, told: running.Told) -> None:
    plan = running.read_plan(_path(config))
    actions.apply_plan(image, layers, plan, told)


def _copy(image: Any, layers: list[Any], _: Any, told: running.Told) -> None:
    actions.copy_edit(image, _one(layers), told)


def _save(_: Any, layers: list[Any], config: Any, __: running.Told) -> None:
    actions.save_plan(_one(layers), _path(config))


def _explain(_: Any, layers: list[Any], __: Any, ___: running.Told) -> str:
    return actions.explain(_one(layers))


def _declare_recover(procedure: Any) -> None:
    procedure.add_boolean_argument(
        "swap", "The _upper layer is the picture before the edit",
        "Otherwise the lower one is", False, _READWRITE,
    )  # fmt: skip
    procedure.add_string_return_value("plan", "Plan", "The plan as JSON", "", _READWRITE)


def _declare_open(procedure: Any) -> None:
    about = "A plan as JSON, or a picture that was edited by one and carries it"
    _add_file(procedure, "_Plan or picture", about, "OPEN")


def _declare_save(procedure: Any) -> None:
    _add_file(procedure, "_File", "Where the plan is written, as JSON", "SAVE")


def _add_file(procedure: Any, nick: str, about: str, action: str) -> None:
    choose = getattr(Gimp.FileChooserAction, action)
    procedure.add_file_argument("file", nick, about, choose, False, None, _READWRITE)


def _declare_explain(procedure: Any) -> None:
    procedure.add_string_return_value(
        "explanation", "Explanation", "The edit in words", "", _READWRITE
    )


_ENTRIES = {
    "imgedit-recover": _Entry(
        "_Recover edit from two layers…",
        "Finds the edit between two layers and shows it as live filters on a copy of the first",
        ("DRAWABLES",),
        _declare_recover,
        _recover,
    ),
    "imgedit-apply-plan": _Entry(
        "_Apply plan…",
        "Puts the edit of a plan on the selected layers, as live filters where GIMP has them",
        ("DRAWABLE", "DRAWABLES"),
        _declare_open,
        _apply,
    ),
    "imgedit-copy-edit": _Entry(
        "_Copy this edit to other open images",
        "Puts the plan that the selected layer carries on the selected layers of all other images",
        ("DRAWABLE",),
        lambda _: None,
        _copy,
        dialog=False,
    ),
    "imgedit-save-plan": _Entry(
        "_Save plan…",
        "Writes the plan that the selected layer carries",
        ("DRAWABLE",),
        _declare_save,
        _save,
    ),
    "imgedit-explain": _Entry(
        "_Explain this layer's edit",
        "Says in words what the plan of the selected layer does",
        ("DRAWABLE",),
        _declare_explain,
        _explain,
        dialog=False,
    ),
}


def _one(layers: list[Any]) -> Any:
    if len(layers) != 1:
        raise BridgeError("One layer is needed.", hint="Select one layer and try again.")
    return layers[0]


def _path(config: Any) -> Path:
    file = config.get_property("file")
    path = file.get_path() if file is not None else None
    if not path:
        raise BridgeError("No file was chosen.")
    return Path(path)


# --- running ----------------------------------------------------------------------------------


def _run(procedure: Any, mode: Any, image: Any, drawables: list[Any], config: Any, _: Any) -> Any:
    """One run of a procedure: dialog, work, and one sentence where something goes wrong."""
    entry = _ENTRIES[procedure.get_name()]
    interactive = mode == Gimp.RunMode.INTERACTIVE
    try:
        if interactive and entry.dialog and not windows.asked(procedure, entry.title, config):
            return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        layers = [_layer(one) for one in drawables]
        with _Progress(entry, interactive=interactive) as told:
            value = entry.run(image, layers, config, told)
    except JobCancelledError:
        return _ended(procedure, Gimp.PDBStatusType.CANCEL)
    except BridgeError as error:
        return _ended(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, str(error))
    except Exception as error:  # GIMP would show a traceback, or nothing
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
        return _ended(
            procedure, Gimp.PDBStatusType.EXECUTION_ERROR, f"Unexpected: {what}. Please report it."
        )
    Gimp.displays_flush()
    if interactive and not entry.dialog and value is not None:
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


class _Progress:
    """How the work goes: in GIMP's status bar, or in a window with Cancel."""

    def __init__(self, entry: _Entry, *, interactive: bool) -> None:
        self._title = entry.title.rstrip("…")
        self._interactive = interactive
        self._window: windows.ProgressWindow | None = None

    def __enter__(self) -> running.Told:
        Gimp.progress_init(self._title)
        self._began = time.monotonic()
        return self._told

    def _told(self, stage: str, share: float) -> bool:
        if not self._interactive:
            _ = Gimp.progress_update(share) if share >= 0 else Gimp.progress_pulse()
            return True
        if self._window is None and time.monotonic() - self._began > _SOON:
            self._window = windows.ProgressWindow(self._title)
        return self._window is None or self._window.show(stage, share)

    def __exit__(self, *_: object) -> None:
        if self._window is not None:
            self._window.close()
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
        made.set_image_types("RGB*")
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
