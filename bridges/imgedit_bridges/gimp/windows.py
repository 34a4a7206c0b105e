"""The plug-in's windows: the dialog of a procedure, progress with Cancel, and a text."""

from __future__ import annotations

from typing import Any

import gi


def _ui() -> Any:
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init("imgedit")
    return GimpUi


def asked(procedure: Any, title: str, config: Any) -> bool:
    """Show the procedure's dialog, which fills `config`; returns whether to go on."""
    dialog = _ui().ProcedureDialog.new(procedure, config, title)
    dialog.fill(None)
    wanted = dialog.run()
    dialog.destroy()
    return bool(wanted)


def _gtk() -> Any:
    _ui()
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gtk

    return Gtk


class ProgressWindow:
    """A bar and a button; the work asks it now and then whether to go on."""

    def __init__(self, title: str) -> None:
        self._gtk = _gtk()
        self._dialog = self._gtk.Dialog(title=title)
        self._dialog.add_button("_Cancel", self._gtk.ResponseType.CANCEL)
        self._dialog.connect("response", self._stop)
        self._bar = self._gtk.ProgressBar(show_text=True, text="Starting", margin=18)
        self._bar.set_size_request(360, -1)
        self._dialog.get_content_area().add(self._bar)
        self._dialog.show_all()
        self._going = True

    def _stop(self, *_: object) -> None:
        self._going = False
        self._bar.set_text("Cancelling")

    def show(self, stage: str, share: float) -> bool:
        """Show how far the work is; returns whether it shall go on."""
        if share >= 0:
            self._bar.set_fraction(share)
        else:
            self._bar.pulse()
        if self._going and stage:
            self._bar.set_text(stage[:1].upper() + stage[1:])
        while self._gtk.events_pending():
            self._gtk.main_iteration()
        return self._going

    def close(self) -> None:
        """Take the window away."""
        self._dialog.destroy()


def show(title: str, text: str) -> None:
    """Show a text until the user closes it."""
    gtk = _gtk()
    dialog = gtk.MessageDialog(
        message_type=gtk.MessageType.INFO, buttons=gtk.ButtonsType.CLOSE, text=text
    )
    dialog.set_title(title)
    dialog.run()
    dialog.destroy()
