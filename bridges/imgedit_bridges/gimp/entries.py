"""The menu entries: the bridge's own, and one for each action of an installed plugin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GObject  # noqa: E402

from imgedit_bridges.client import BridgeError, Client, JobCancelledError, Result  # noqa: E402
from imgedit_bridges.edits import Plan  # noqa: E402
from imgedit_bridges.gimp import actions, pane_edit, plugin_actions, running  # noqa: E402
from imgedit_bridges.gimp.catalogue import Action, Argument  # noqa: E402
from imgedit_bridges.gimp.plugin_actions import Given  # noqa: E402
from imgedit_bridges.protocol import MAX_STRENGTH  # noqa: E402

_READWRITE = GObject.ParamFlags.READWRITE
_COLOURS = "RGB*, GRAY*"
_ALL = "*"
_FOLDERS = ("folder", "directory", "dir")
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Entry:
    """A menu entry.

    Attributes:
        label: in the menu.
        about: what it does, for tooltips and the procedure browser.
        sensitivity: `Gimp.ProcedureSensitivityMask` by names.
        declare: adds the procedure's arguments and return values.
        run: image, layers, config, told -> the value to return, None where there is none.
        dialog: whether there is something to choose.
        images: types of images that it works on.
        tells: whether what it returns is shown to the user.
        window: what is shown instead of a dialog of the arguments; procedure, entry, image,
            layers, config -> as `run`.
    """

    label: str
    about: str
    sensitivity: tuple[str, ...]
    declare: Callable[[Any], None]
    run: Callable[[Any, list[Any], Any, running.Told], str | None]
    dialog: bool = True
    images: str = _COLOURS
    tells: bool = False
    window: Callable[[Any, Entry, Any, list[Any], Any], str | None] | None = None

    @property
    def title(self) -> str:
        """Of its windows."""
        return self.label.replace("__", "\0").replace("_", "").replace("\0", "_")


# --- the bridge's own -------------------------------------------------------------------------


def _apply(image: Any, layers: list[Any], config: Any, told: running.Told) -> None:
    plan = running.read_plan(_path(config, "file"))
    strength = config.get_property("strength") / 100
    actions.apply_plan(image, layers, plan, told, strength=strength)


def _adjust(_: Any, layers: list[Any], config: Any, told: running.Told) -> None:
    layer = _one(layers)
    file = config.get_property("file")
    plan = running.read_plan(_path(config, "file")) if file is not None else None
    pane_edit.adjust(layer, plan, config.get_property("strength") / 100, told)


def _copy(image: Any, layers: list[Any], _: Any, told: running.Told) -> None:
    actions.copy_edit(image, _one(layers), told)


def _save(_: Any, layers: list[Any], config: Any, __: running.Told) -> None:
    actions.save_plan(_one(layers), _path(config, "file"))


def _explain(_: Any, layers: list[Any], __: Any, ___: running.Told) -> str:
    return actions.explain(_one(layers))


def _show_pane(_: Any, entry: Entry, image: Any, layers: list[Any], __: Any) -> None:
    from imgedit_bridges.gimp import pane  # needs a display

    pane.open_pane(image, _one(layers), entry.title.rstrip("…"))


def _show_plans(_: Any, entry: Entry, image: Any, layers: list[Any], config: Any) -> None:
    from imgedit_bridges.gimp import dialogs, windows  # need a display

    if not layers:
        raise BridgeError("No layer is selected.", hint="Select a layer and try again.")
    title = entry.title.rstrip("…")
    plan, strength = dialogs.choose_plan(title, layers[0], config)
    with windows.progress(title) as told:
        actions.apply_plan(image, layers, plan, told, strength=strength)


def _declare_open(procedure: Any) -> None:
    about = "A plan as JSON, or a picture that was edited by one and carries it"
    _add_file(procedure, "_Plan or picture", about, "OPEN")
    _add_strength(procedure)


def _declare_adjust(procedure: Any) -> None:
    about = "A plan that takes the place of the layer's; without one, that stays"
    _add_file(procedure, "_Plan or picture", about, "OPEN", optional=True)
    _add_strength(procedure)


def _add_strength(procedure: Any) -> None:
    procedure.add_double_argument(
        "strength", "_Strength (%)", "How far to go: 0 is the picture before, 100 the edit",
        0.0, 100.0 * MAX_STRENGTH, 100.0, _READWRITE,
    )  # fmt: skip


def _declare_save(procedure: Any) -> None:
    _add_file(procedure, "_File", "Where the plan is written, as JSON", "SAVE")


def _add_file(
    procedure: Any, nick: str, about: str, action: str, *, optional: bool = False
) -> None:
    choose = getattr(Gimp.FileChooserAction, action)
    procedure.add_file_argument("file", nick, about, choose, optional, None, _READWRITE)


def _declare_explain(procedure: Any) -> None:
    procedure.add_string_return_value(
        "explanation", "Explanation", "The edit in words", "", _READWRITE
    )


OWN = {
    "imgedit-apply-plan": Entry(
        "_Apply plan…",
        "Puts the edit of a plan on the selected layers, as live filters where GIMP has them",
        ("DRAWABLE", "DRAWABLES"),
        _declare_open,
        _apply,
        window=_show_plans,
    ),
    "imgedit-adjust-edit": Entry(
        "A_djust edit…",
        "Changes the steps of the selected layer's edit and its strength, or starts an edit",
        ("DRAWABLE",),
        _declare_adjust,
        _adjust,
        window=_show_pane,
    ),
    "imgedit-copy-edit": Entry(
        "_Copy this edit to other open images",
        "Puts the plan that the selected layer carries on the selected layers of all other images",
        ("DRAWABLE",),
        lambda _: None,
        _copy,
        dialog=False,
    ),
    "imgedit-save-plan": Entry(
        "_Save plan…",
        "Writes the plan that the selected layer carries",
        ("DRAWABLE",),
        _declare_save,
        _save,
        images=_ALL,
    ),
    "imgedit-explain": Entry(
        "_Explain this layer's edit",
        "Says in words what the plan of the selected layer does",
        ("DRAWABLE",),
        _declare_explain,
        _explain,
        dialog=False,
        images=_ALL,
        tells=True,
    ),
}


# --- of plugins -------------------------------------------------------------------------------


def entries_of(found: Iterable[Action]) -> dict[str, Entry]:
    """Entries by the names of their procedures."""
    return {action.procedure: _entry(action) for action in found}


def _entry(action: Action) -> Entry:
    both = "second_picture" in action.inputs
    return Entry(
        action.label.replace("_", "__"),
        f"{action.help} (plugin {action.plugin})",
        ("DRAWABLES",) if both else ("DRAWABLE", "DRAWABLES"),
        lambda procedure: _declare(procedure, action),
        lambda image, layers, config, told: _run(image, layers, config, told, action),
        dialog=bool(action.arguments) or both or "instruction" in action.inputs,
        window=lambda procedure, entry, image, layers, config: _show_action(
            procedure, entry, image, layers, config, action
        ),
    )


def _show_action(
    procedure: Any, entry: Entry, image: Any, layers: list[Any], config: Any, action: Action
) -> str:
    """Ask for the options, do the work, and have the user look at it before it is put."""
    from imgedit_bridges.gimp import dialogs, windows  # need a display

    plugin_actions.check_number(layers, action)
    title = entry.title.rstrip("…")
    names = [one.name for one in action.arguments]
    names += [name for name in ("instruction", "swap", "seed") if config.find_property(name)]
    if entry.dialog and not dialogs.asked(procedure, entry.title, config, names):
        raise JobCancelledError
    with windows.progress(title) as told:

        def see_plan(layer: Any, plan: Plan) -> tuple[Plan, float]:
            told.rest()
            return dialogs.review_plan(f"{title}: found", layer, plan)

        def see_pictures(client: Client, layer: Any, result: Result) -> float:
            told.rest()
            return dialogs.review_pictures(f"{title}: result", layer, client, result)

        review = plugin_actions.Review(see_plan, see_pictures)
        return _run(image, layers, config, told, action, review)


def _run(
    image: Any,
    layers: list[Any],
    config: Any,
    told: running.Told,
    action: Action,
    review: plugin_actions.Review | None = None,
) -> str:
    given = Given(
        options=_options(config, action.arguments),
        instruction=config.get_property("instruction") if "instruction" in action.inputs else "",
        swap="second_picture" in action.inputs and config.get_property("swap"),
        seed=config.get_property("seed") if action.hook == "apply_edit" else 0,
    )
    if action.hook == "predict_operations":
        return json.dumps(plugin_actions.predict(image, layers, action, given, told, review))
    return plugin_actions.edit(image, layers, action, given, told, review)


def _declare(procedure: Any, action: Action) -> None:
    if "instruction" in action.inputs:
        procedure.add_string_argument(
            "instruction", "_Instruction", "The edit in your words", "", _READWRITE
        )
    if "second_picture" in action.inputs:
        procedure.add_boolean_argument(
            "swap", "The _upper layer is the picture before the edit",
            "Otherwise the lower one is", False, _READWRITE,
        )  # fmt: skip
    for one in action.arguments:
        _ADD[one.type](procedure, one)
    if action.hook == "apply_edit":
        procedure.add_int_argument(
            "seed", "See_d", "Another number, another result, where chance plays a part",
            0, _LARGEST_SEED, 0, _READWRITE,
        )  # fmt: skip
    name, about = _RETURNS[action.hook]
    procedure.add_string_return_value(name, name.capitalize(), about, "", _READWRITE)


_RETURNS = {
    "predict_operations": ("plan", "The plan as JSON"),
    "apply_edit": ("explanation", "What was done, in words; may be empty"),
}


def _add_number(procedure: Any, one: Argument) -> None:
    whole = one.type == "integer"
    add = procedure.add_int_argument if whole else procedure.add_double_argument
    add(one.name, one.label, one.help, one.minimum, one.maximum, one.default, _READWRITE)


def _add_choice(procedure: Any, one: Argument) -> None:
    choice = Gimp.Choice.new()
    for number, value in enumerate(one.choices):
        choice.add(value, number, value.replace("-", " ").capitalize(), "")
    procedure.add_choice_argument(
        one.name, one.label, one.help, choice, one.default, _READWRITE
    )  # fmt: skip


def _add_path(procedure: Any, one: Argument) -> None:
    # GIMP's dialogs leave out what may be both, a file and a folder; manifests do not tell.
    folder = one.option.rpartition("-")[2] in _FOLDERS
    choose = Gimp.FileChooserAction.SELECT_FOLDER if folder else Gimp.FileChooserAction.OPEN
    procedure.add_file_argument(one.name, one.label, one.help, choose, True, None, _READWRITE)


_ADD: Mapping[str, Callable[[Any, Argument], None]] = {
    "boolean": lambda p, a: p.add_boolean_argument(a.name, a.label, a.help, a.default, _READWRITE),
    "integer": _add_number,
    "number": _add_number,
    "string": lambda p, a: p.add_string_argument(a.name, a.label, a.help, a.default, _READWRITE),
    "choice": _add_choice,
    "path": _add_path,
}


def _options(config: Any, arguments: Sequence[Argument]) -> dict[str, bool | int | float | str]:
    """The values that the user chose; a text or path that is empty was not given."""
    values: dict[str, bool | int | float | str] = {}
    for one in arguments:
        value = config.get_property(one.name)
        if one.type == "path":
            value = value.get_path() if value is not None else None
        if value not in (None, ""):
            values[one.option] = value
    return values


# --- arguments of the bridge's own ------------------------------------------------------------


def _one(layers: list[Any]) -> Any:
    if len(layers) != 1:
        raise BridgeError("One layer is needed.", hint="Select one layer and try again.")
    return layers[0]


def _path(config: Any, name: str) -> Path:
    file = config.get_property(name)
    path = file.get_path() if file is not None else None
    if not path:
        raise BridgeError("No file was chosen.")
    return Path(path)
