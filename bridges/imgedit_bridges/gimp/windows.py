"""The plug-in's windows: the dialog of a procedure, progress with Cancel, and a text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import gi

from imgedit_bridges.client import BridgeError, Client, JobCancelledError
from imgedit_bridges.gimp import running
from imgedit_bridges.step_previews import PreviewPicture

_SOON = 0.5  # seconds; a window for less would only flicker
_LOOK_SECONDS = 0.05
_ROOM = 0.3  # of the screen's height, which one part of a window may take
_WHOLE = 0.9
_WIDE = 360  # pixels of the window that says how work goes


def _ui() -> Any:
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init("imgedit")
    return GimpUi


def asked(procedure: Any, title: str, config: Any, above: Any = None) -> bool:
    """Show the procedure's dialog, which fills `config`; returns whether to go on.

    Args:
        procedure: whose arguments are asked for.
        title: of the window.
        config: of the run.
        above: a widget to show above the arguments.
    """
    made = _ui().ProcedureDialog.new(procedure, config, title)
    if above is not None:
        area = made.get_content_area()
        area.pack_start(above, False, False, 0)
        above.show_all()
    made.fill(None)
    if above is not None:
        area.reorder_child(above, 0)
    if config.find_property("instruction") is not None:
        _begin_at(made, "instruction")
    wanted = made.run()
    made.destroy()
    return bool(wanted)


def _begin_at(made: Any, name: str) -> None:
    """Give the keyboard to an argument, not to what happens to stand first."""
    from gi.repository import GObject, Gtk

    field = made.get_widget(name, GObject.TYPE_NONE)
    # Once it is shown: before, nothing can have the keyboard.
    made.connect_after("map", lambda _: field.child_focus(Gtk.DirectionType.TAB_FORWARD))


def dialog(title: str, role: str) -> Any:
    """An empty dialog with GIMP's looks, not shown yet."""
    ui = _ui()
    made = ui.Dialog(title=title, role=role)
    ui.window_set_transient(made)  # it stays above GIMP's windows
    return made


def room_for(height: int) -> int:
    """A height that leaves room for the rest of a window also on a small or scaled screen."""
    return int(min(height, _ROOM * _screen_height()))


def height_for(height: int) -> int:
    """A height of a window that fits on the screen."""
    return int(min(height, _WHOLE * _screen_height()))


def _screen_height() -> int:
    _gtk()
    gi.require_version("Gdk", "3.0")
    from gi.repository import Gdk

    display = Gdk.Display.get_default()
    monitor = display.get_primary_monitor() or display.get_monitor(0)
    return int(monitor.get_workarea().height)


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
        self._bar.set_size_request(_WIDE, -1)
        self._picture = self._gtk.Image(no_show_all=True, margin=18, margin_bottom=0)
        self._picture.get_accessible().set_name("What the edit looks like so far")
        area = self._dialog.get_content_area()
        area.add(self._picture)
        area.add(self._bar)
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

    def preview(self, picture: PreviewPicture) -> None:
        """Show what the edit looks like so far."""
        from gi.repository import GdkPixbuf, GLib

        wide, high = picture.width, picture.height
        small = GdkPixbuf.Pixbuf.new_from_bytes(
            GLib.Bytes.new(picture.pixels), GdkPixbuf.Colorspace.RGB, False, 8, wide, high, 3 * wide
        )
        share = min(_WIDE / wide, room_for(_WIDE) / high)
        size = (max(1, round(share * wide)), max(1, round(share * high)))
        shown = small.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
        self._picture.set_from_pixbuf(shown)
        self._picture.show()

    def close(self) -> None:
        """Take the window away."""
        self._dialog.destroy()


class Progress:
    """Told how work goes; shows a window with Cancel when it takes a while."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._window: ProgressWindow | None = None
        self.rest()

    def __call__(self, stage: str, share: float) -> bool:
        """Show how far the work is; returns whether it shall go on."""
        if self._window is None and time.monotonic() - self._began > _SOON:
            self._window = ProgressWindow(self._title)
        return self._window is None or self._window.show(stage, share)

    def preview(self, picture: PreviewPicture) -> None:
        """Show what the edit looks like so far, in the window if there is one."""
        if self._window is not None:
            self._window.preview(picture)

    def rest(self) -> None:
        """Take the window away until work goes on: the user is asked something."""
        if self._window is not None:
            self._window.close()
        self._window = None
        self._began = time.monotonic()


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Work with a window that appears when it takes a while; its Cancel stops the work."""
    told = Progress(title)
    try:
        yield told
    finally:
        told.rest()


def with_vocabulary() -> tuple[Client, list[dict[str, Any]]]:
    """A line to the worker and what plans are made of; starts the worker if need be.

    Raises:
        BridgeError: it cannot be started.
        JobCancelledError: the user did not want to wait.
    """
    client = running.new_client()
    pool = ThreadPoolExecutor(1)
    try:
        with progress("Loading plugins") as told:
            going = pool.submit(client.operations)
            while not wait([going], _LOOK_SECONDS).done:
                if not told("Loading", -1.0):
                    raise JobCancelledError
            return client, going.result()
    finally:
        pool.shutdown(wait=False)  # who has cancelled does not wait for a worker that starts


def unexpected(error: BaseException) -> BridgeError:
    """A fault of ours in a sentence: a traceback helps no user."""
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return BridgeError(f"Unexpected: {what}.", hint="Please report it.")


def tell_unexpected(kind: type[BaseException], error: BaseException, _: object) -> None:
    """A `sys.excepthook`: what goes wrong in a window's own functions is said, too."""
    if issubclass(kind, Exception):
        show_fault(None, unexpected(error))


def show_fault(parent: Any, error: BridgeError, title: str = "imgedit") -> None:
    """Show a fault and what to do, above the window that it happened in, or above GIMP's."""
    gtk = _gtk()
    made = gtk.MessageDialog(
        transient_for=parent, modal=True, message_type=gtk.MessageType.WARNING,
        buttons=gtk.ButtonsType.CLOSE, text=error.message, title=title,
    )  # fmt: skip
    if error.hint:
        made.format_secondary_text(error.hint)
    if parent is None:
        _ui().window_set_transient(made)
    made.run()
    made.destroy()


def show(title: str, text: str) -> None:
    """Show a text until the user closes it."""
    gtk = _gtk()
    first, _, rest = text.partition("\n")
    made = gtk.MessageDialog(
        message_type=gtk.MessageType.INFO, buttons=gtk.ButtonsType.CLOSE, text=first, title=title
    )
    if rest:
        made.format_secondary_text(rest)
    _ui().window_set_transient(made)
    made.run()
    made.destroy()
