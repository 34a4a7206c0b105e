"""What editors can put into their menus: the actions of all manifests, and the core's own."""

from __future__ import annotations

from typing import Any

OWN_ACTIONS: tuple[dict[str, Any], ...] = (
    {
        "plugin": "",
        "id": "apply-plan",
        "label": "Apply Plan…",
        "hook": "render",
        "inputs": ["picture", "selection", "plan"],
        "help": "Applies an edit plan from a file.",
        "options": [],
        "fixed": {},
    },
)
"""What the core does by itself; `plugin` is empty. `inputs` are what the editor collects."""


def all_actions() -> list[dict[str, Any]]:
    """Every action of every plugin that can be used; no plugin is imported.

    Each has 'plugin', 'id', 'label', 'hook', 'inputs', 'help', the 'options' that its dialog asks
    for, which have the fields of `manifest.OptionSpec`, and in 'fixed' the values of options that
    go with it unasked.
    """
    from imgedit_plugins.plugins import PluginManager

    found = list(OWN_ACTIONS)
    for info in PluginManager.discover().plugins:
        if info.status != "available" or info.manifest is None:
            continue
        found += [_told(info.name, action, info.manifest) for action in info.manifest.actions]
    return found


def _told(plugin: str, action: Any, manifest: Any) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "id": action.id,
        "label": action.label,
        "hook": action.hook,
        "inputs": list(action.inputs),
        "help": action.help,
        "options": [_option(spec) for spec in manifest.asked_by(action)],
        "fixed": dict(action.fixed),
    }


def _option(spec: Any) -> dict[str, Any]:
    names = ("name", "type", "help", "default", "minimum", "maximum", "unit", "choices")
    values = {name: getattr(spec, name) for name in names}
    return {**values, "choices": list(values["choices"])}
