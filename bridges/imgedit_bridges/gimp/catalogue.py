"""The actions of installed plugins, as they were written down: entries without a worker.

GIMP asks a plug-in for its procedures when it starts and the plug-in's script has changed, and
keeps the answer. What it was told is in `ACTIONS`. When plugins change, `refresh` writes `NEXT`
and makes the script look changed; what GIMP asks then is answered from there, and `NEXT` becomes
`ACTIONS`: a GIMP that is running never meets other arguments than those it was told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACTIONS = "actions.json"
NEXT = "actions.next.json"

HOOKS = ("predict_operations", "apply_edit")
_RESERVED = frozenset({"run-mode", "image", "drawables", "instruction", "swap", "seed"})
# OK, Cancel, Reset, Help of GIMP's dialogs; our own arguments; the bar of presets.
_NOT_FREE = frozenset("ocrhiudpvm")
_INT = 2**31


@dataclass(frozen=True)
class Argument:
    """An option of a plugin as an argument of a procedure.

    Attributes:
        name: of the argument.
        option: of the plugin.
        type: 'boolean', 'integer', 'number', 'string', 'choice' or 'path'.
        label: in the dialog; an underscore stands before the letter that Alt goes with.
        help: one sentence.
        default: of that type; '' for a text or path that is not given.
        minimum, maximum: of numbers, as far as GIMP can hold them.
        choices: of a 'choice'.
    """

    name: str
    option: str
    type: str
    label: str
    help: str
    default: bool | int | float | str
    minimum: int | float
    maximum: int | float
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """One menu entry of a plugin.

    Attributes:
        procedure: its name in GIMP: imgedit-PLUGIN-ACTION.
        plugin: whose it is.
        label: in the menu.
        hook: one of `HOOKS`.
        inputs: of 'picture', 'second_picture', 'selection' and 'instruction'.
        help: one sentence.
        arguments: the options that are asked for.
        fixed: values of options that go with it unasked.
    """

    procedure: str
    plugin: str
    label: str
    hook: str
    inputs: tuple[str, ...]
    help: str
    arguments: tuple[Argument, ...]
    fixed: Mapping[str, bool | int | float | str] = field(default_factory=dict)


def read_actions(folder: Path, *, asked: bool, own: Collection[str] = ()) -> list[Action]:
    """The actions in the plug-in's folder; none where the file is missing or damaged.

    Args:
        folder: of the plug-in.
        asked: whether GIMP asks what there is: only then newer ones take their place.
        own: procedures of the bridge itself, whose names no plugin can take.
    """
    if asked:
        with suppress(OSError):
            os.replace(folder / NEXT, folder / ACTIONS)  # noqa: PTH105  # says no other thing
    recorded = read_listing(folder / ACTIONS)
    found: dict[str, Action] = {}
    for data in recorded.get("actions", []):
        with suppress(KeyError, TypeError, AttributeError):
            action = _action(data, {*own, *found})
            if action.hook in HOOKS:
                found[action.procedure] = action
    return list(found.values())


def read_listing(path: Path) -> dict[str, Any]:
    """What such a file holds: 'actions', and 'watched' (see `is_stale`); empty if it is damaged."""
    try:
        recorded = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def newest_listing(folder: Path) -> dict[str, Any]:
    """What was written down last, whether GIMP knows it already or not; see `read_listing`."""
    return read_listing(folder / NEXT) or read_listing(folder / ACTIONS)


def is_stale(folder: Path) -> bool:
    """Whether packages were installed or removed since the actions were written down."""
    watched = newest_listing(folder).get("watched")
    if not isinstance(watched, dict):
        return True
    return any(modified(place) != then for place, then in watched.items())


def modified(place: str | os.PathLike[str]) -> int:
    """When a folder's list of files changed, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116  # a string of sys.path
    except OSError:
        return 0


# --- from manifests to GIMP -------------------------------------------------------------------


def _action(data: Mapping[str, Any], taken: set[str]) -> Action:
    name = f"imgedit-{data['plugin']}-{data['id']}".replace("_", "-")
    return Action(
        _free(name, taken),
        str(data["plugin"]),
        str(data["label"]),
        str(data["hook"]),
        tuple(data["inputs"]),
        str(data["help"] or data["label"]),
        _arguments(data["options"]),
        dict(data.get("fixed") or {}),  # of older listings
    )


def _free(name: str, taken: set[str]) -> str:
    """Plugins `a-b` and `a_b` are two, but GIMP's names have no underscores."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _arguments(options: Sequence[Mapping[str, Any]]) -> tuple[Argument, ...]:
    letters = set(_NOT_FREE)
    return tuple(_argument(option, letters) for option in options)


def _argument(option: Mapping[str, Any], letters: set[str]) -> Argument:
    name, kind = str(option["name"]), str(option["type"])
    low, high = _range(option)
    return Argument(
        f"option-{name}" if name in _RESERVED else name,
        name,
        kind,
        _label(name, str(option.get("unit") or ""), letters),
        str(option["help"]),
        _default(option, low),
        low,
        high,
        tuple(option.get("choices") or ()),
    )


def _range(option: Mapping[str, Any]) -> tuple[int | float, int | float]:
    low, high = option.get("minimum"), option.get("maximum")
    if option["type"] == "integer":
        low = -_INT if low is None else max(-_INT, int(low))
        return low, _INT - 1 if high is None else min(_INT - 1, int(high))
    return -1e9 if low is None else float(low), 1e9 if high is None else float(high)


def _default(option: Mapping[str, Any], low: float) -> Any:
    default, kind = option.get("default"), option["type"]
    if default is not None:
        return float(default) if kind == "number" else default
    without = {"boolean": False, "string": "", "path": "", "choice": (option["choices"] or [""])[0]}
    return without[kind] if kind in without else max(low, type(low)(0))


def _label(name: str, unit: str, letters: set[str]) -> str:
    """'max-operations' becomes '_Max operations': no letter twice, so that all can be reached."""
    words = name.replace("-", " ").capitalize()
    for place, letter in enumerate(words.lower()):
        if letter.isalnum() and letter not in letters:
            letters.add(letter)
            words = f"{words[:place]}_{words[place:]}"
            break
    return f"{words} ({unit})" if unit else words
