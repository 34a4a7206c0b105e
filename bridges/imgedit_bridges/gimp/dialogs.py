"""Dialogs of the entries: options with presets, and edits seen before they are put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gio, Gtk  # noqa: E402

from imgedit_bridges.client import Client, JobCancelledError, Result  # noqa: E402
from imgedit_bridges.edits import Plan, title  # noqa: E402
from imgedit_bridges.gimp import canvas, placing, preset_bar, transfer, windows  # noqa: E402
from imgedit_bridges.gimp.edit_view import EditView  # noqa: E402
from imgedit_bridges.gimp.plan_chooser import PlanChooser  # noqa: E402
from imgedit_bridges.gimp.preview_area import Comparison  # noqa: E402
from imgedit_bridges.gimp.preview_pictures import Pixels, above, read_layer, read_result  # noqa: E402
from imgedit_bridges.gimp.strengths import form_of  # noqa: E402
from imgedit_bridges.steps import StepList  # noqa: E402

_HEIGHT = 800
_EMPTY = "Choose or open a plan above, or add a step below."


class EditDialog:
    """An edit of a layer that is looked at, adjusted and accepted or not.

    Args:
        title: of the window.
        layer: that would get it.
        client: of the worker.
        vocabulary: see `Client.operations`.
    """

    def __init__(
        self, title: str, layer: Any, client: Client, vocabulary: list[dict[str, Any]]
    ) -> None:
        self._layer = layer
        self._vocabulary = vocabulary
        self._ground = placing.ground_of(layer)
        self._plain = canvas.is_plain(layer)
        self._seen: tuple[int | None, Pixels] | None = None
        self._view = EditView(client, vocabulary, self._rendered_steps, _EMPTY)
        self.window = windows.dialog(title, "imgedit-edit")
        self.window.add_button("_Cancel", Gtk.ResponseType.CANCEL)
        self._ok = self.window.add_button("_OK", Gtk.ResponseType.OK)
        self.window.set_default_response(Gtk.ResponseType.OK)
        self._top = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
        box.pack_start(self._top, False, False, 0)
        box.pack_start(self._view, True, True, 0)
        self.window.get_content_area().pack_start(box, True, True, 0)
        self.window.set_default_size(-1, windows.height_for(_HEIGHT))
        box.show()
        self._top.show()
        self.load({"operations": []}, 1.0)

    def add_on_top(self, widget: Any) -> None:
        """Show a widget above the preview."""
        widget.show_all()
        self._top.pack_start(widget, False, False, 0)

    def load(self, plan: Plan, strength: float) -> None:
        """Show an edit."""
        steps = StepList(plan, self._vocabulary)
        steps.set_strength(strength)
        self._view.load(steps, self._before)

    def run(self) -> tuple[Plan, float]:
        """Show the window; what was accepted.

        Raises:
            JobCancelledError: nothing was.
        """
        self.window.show()
        if self._view.steps.steps:
            self._view.focus_steps()
        try:
            if self.window.run() != Gtk.ResponseType.OK:
                raise JobCancelledError
            return self._view.steps.plan(), self._view.steps.strength
        finally:
            self._view.close()
            self.window.destroy()

    def _before(self, longest: int | None) -> Pixels:
        if self._seen is None or self._seen[0] != longest:
            with transfer.as_seen(self._layer) as seen:
                self._seen = (longest, read_layer(seen, longest))
        return self._seen[1]

    def _rendered_steps(self) -> int:
        plan, strength = self._view.steps.plan(), self._view.steps.strength
        self._ok.set_sensitive(bool(plan["operations"]))
        layout = self._ground.lay_out(plan)
        return len(form_of(plan, layout, strength, opaque=self._plain).layout.rendered)


def choose_plan(title: str, layer: Any, config: Any) -> tuple[Plan, float]:
    """Let the user choose a plan and look at what it does to a layer.

    Args:
        title: of the window.
        layer: that would get it.
        config: the procedure's options: a file is the plan that was used last.

    Raises:
        BridgeError: the worker cannot be started.
        JobCancelledError: the user cancelled.
    """
    canvas.check_layer(layer)
    client, vocabulary = windows.with_vocabulary()
    dialog = EditDialog(title, layer, client, vocabulary)
    file = config.get_property("file")
    chooser = PlanChooser(dialog.window, dialog.load, file.get_path() if file else None)
    dialog.add_on_top(chooser)
    chooser.start()
    plan, strength = dialog.run()
    chooser.used(plan, strength)
    config.set_property("strength", 100 * strength)
    if chooser.path is not None:
        config.set_property("file", Gio.File.new_for_path(chooser.path))
    return plan, strength


def review_plan(title: str, layer: Any, plan: Plan) -> tuple[Plan, float]:
    """Show a plan that was found; the plan as it was accepted, and its strength.

    Raises:
        BridgeError: the worker cannot be started.
        JobCancelledError: the user cancelled.
    """
    client, vocabulary = windows.with_vocabulary()
    dialog = EditDialog(title, layer, client, vocabulary)
    label = Gtk.Label(label=found_line(plan), xalign=0, wrap=True, max_width_chars=52)
    dialog.add_on_top(label)
    dialog.load(plan, 1.0)
    return dialog.run()


def found_line(plan: Plan) -> str:
    """What is known about a plan that was found, in a sentence or two.

    What the words of an instruction were taken to mean stands first; a plan that was recovered from
    a picture says nothing that its steps do not say.
    """
    residual = plan.get("residual") or {}
    meant = "" if residual else str(plan.get("explanation") or "").strip().rstrip(".")
    number = len(plan.get("operations") or ())
    told = f"Found {number} step{'' if number == 1 else 's'}"
    if isinstance(residual.get("explained"), int | float):
        noise = residual.get("psnr_db")
        told += f" for {100 * residual['explained']:.4g} % of the edit"
        told += " (exact)" if noise is None else f" (PSNR {noise:.1f} dB)"
    return f"{meant}. {told}." if meant else f"{told}."


def review_pictures(title: str, layer: Any, client: Client, result: Result) -> float:
    """Show what a plugin made of a layer; the strength with which it was accepted, 0..1.

    Raises:
        JobCancelledError: the user cancelled.
    """
    window = windows.dialog(title, "imgedit-result")
    window.add_button("_Cancel", Gtk.ResponseType.CANCEL)
    window.add_button("_OK", Gtk.ResponseType.OK)
    window.set_default_response(Gtk.ResponseType.OK)
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=12)
    # Layer and plan have their own strengths; weakened alike, they would not be the same edit.
    compared = Comparison(weakened=canvas.is_plain(layer) and not result.layered)
    for told in filter(None, (result.explanation, _layered_line(result))):
        label = Gtk.Label(label=told, xalign=0, wrap=True, max_width_chars=60)
        box.pack_start(label, False, False, 0)
    box.pack_start(compared, True, True, 0)
    if len(result.pictures) > 1:
        note = f"The first of {len(result.pictures)} results; the others come as hidden layers."
        box.pack_start(Gtk.Label(label=note, xalign=0), False, False, 0)
    window.get_content_area().pack_start(box, True, True, 0)
    box.show_all()
    after = read_result(client, result.pictures[0].ref)
    if result.layered and result.plan is not None:
        after = above(_exact(client, layer, result.plan), after)
    with transfer.as_seen(layer) as seen:
        compared.load(read_layer(seen, compared.longest), after)
    try:
        if window.run() != Gtk.ResponseType.OK:
            raise JobCancelledError
        return compared.strength
    finally:
        window.destroy()


def _exact(client: Client, layer: Any, plan: Plan) -> Pixels:
    """What a plan makes of a layer, within the selection where there is one."""
    masked = bool(canvas.selection_kind(layer.get_image()))
    job, picture = placing.rendered(client, layer, plan, lambda *_: True, masked=masked)
    try:
        return read_result(client, picture.ref)
    finally:
        transfer.forget(client, job)


def _layered_line(result: Result) -> str:
    """What of a result is done by operations, and where the rest is; empty without such."""
    if not result.layered or result.plan is None:
        return ""
    told = title(result.plan)
    return f"As filters: {told[:1].lower()}{told[1:]}. The rest lies in a layer above."


def asked(procedure: Any, title: str, config: Any, names: Sequence[str]) -> bool:
    """Show a procedure's options with named presets; returns whether to go on."""
    return windows.asked(
        procedure, title, config, above=preset_bar.PresetBar(procedure.get_name(), config, names)
    )
