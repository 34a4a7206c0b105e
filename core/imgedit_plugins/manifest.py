"""The manifest of a plugin: a static file from which menus, dialogs and `list` are made.

Each plugin ships ``imgedit_plugin.toml`` beside its entry-point module. Reading it imports none of
the plugin's code, so this module stays light too: msgspec and the standard library's TOML reader.
`load` checks the form (types, unknown fields) and the meaning (defaults within their range, known
hooks, unique names) and reports every fault at once.
"""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from imgedit_plugins.errors import ManifestError

SCHEMA = "imgedit-plugin/1"
FILE_NAME = "imgedit_plugin.toml"

Hook = Literal[
    "predict_operations",
    "apply_edit",
    "train",
    "evaluate",
    "make_data",
    "import_weights",
    "export_parts",
    "verify_bundle",
    "register_operations",
]
ActionInput = Literal["picture", "second_picture", "selection", "instruction"]
OptionType = Literal["boolean", "integer", "number", "string", "choice", "path"]

PluginName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Identifier = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, Meta(min_length=1)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Meta(ge=1)]

HOOK_INPUTS: dict[str, tuple[str, ...]] = {
    "predict_operations": ("source", "edited", "instruction"),
    "apply_edit": ("picture", "instruction", "plan", "mask"),
    "train": ("data",),
    "evaluate": ("data",),
    "make_data": ("recipe",),
    "import_weights": ("weights",),
    "export_parts": ("model",),
    "verify_bundle": ("bundle",),
    "register_operations": (),
}
"""The inputs that a request to each hook can have."""

ACTION_INPUTS: dict[str, dict[str, str]] = {
    "predict_operations": {
        "picture": "source",
        "second_picture": "edited",
        "instruction": "instruction",
    },
    "apply_edit": {"picture": "picture", "selection": "mask", "instruction": "instruction"},
}
"""Hooks that can stand in an editor's menu, and which of their inputs a menu's inputs become."""


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the manifest; unknown fields are faults."""


class OptionSpec(_Table, frozen=True):
    """One option that a user can set.

    Attributes:
        name: as in ``--option NAME=VALUE``; lower case, words joined by hyphens.
        type: 'boolean', 'integer', 'number', 'string', 'choice' or 'path'.
        help: one sentence.
        default: used when the user says nothing; without one the option must be given.
        minimum, maximum: inclusive range of integers and numbers.
        unit: natural unit, for dialogs and help.
        choices: the allowed values of a 'choice'.
        expert: left out of editors' dialogs, where the default is taken.
    """

    name: Identifier
    type: OptionType
    help: Text
    default: bool | int | float | str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    unit: str = ""
    choices: tuple[Text, ...] = ()
    expert: bool = False


class HookOption(OptionSpec, frozen=True, kw_only=True):
    """An option of one hook."""

    hook: Hook


class Accepts(_Table, frozen=True):
    """One combination of inputs that a hook takes.

    Attributes:
        hook: which hook.
        inputs: must all be there.
        optional: may be there too.
        rank: of several plugins that accept a request, the highest rank gets it.
    """

    hook: Hook
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    rank: int = 0

    def takes(self, inputs: frozenset[str]) -> bool:
        """Whether a request with exactly these inputs is accepted."""
        required = frozenset(self.inputs)
        return required <= inputs <= required.union(self.optional)


class Action(_Table, frozen=True):
    """One entry of an editor's menu.

    Attributes:
        id: unique within the plugin.
        label: text of the menu entry.
        hook: what it calls.
        inputs: what the editor collects for it.
        help: tooltip.
        fixed: values of options that this entry stands for; its dialog does not ask for them.
        options: names of those that its dialog asks for, in this order; by default all of the hook
            that are not for experts.
    """

    id: Identifier
    label: Text
    hook: Hook
    inputs: tuple[ActionInput, ...]
    help: str = ""
    fixed: dict[Identifier, bool | int | float | str] = {}
    options: tuple[Identifier, ...] = ()


class Recipe(_Table, frozen=True):
    """One kind of data set that `make_data` makes."""

    name: Identifier
    title: Text
    help: Text
    options: tuple[OptionSpec, ...] = ()


class WeightsFile(_Table, frozen=True):
    """One file of published weights that can be fetched.

    Attributes:
        path: relative to their folder, and in the publisher's repository.
        sha256: what it must be; without one, what the publisher's hub says of its commit counts.
        size: in bytes; without one, the hub is asked.
    """

    path: Text
    sha256: Sha256 | None = None
    size: Bytes | None = None


class WeightsPart(_Table, frozen=True):
    """One part of weights that the user has, for `import_weights`.

    Attributes:
        name: as in ``--NAME PATH``.
        help: one sentence.
        licence: SPDX identifier, or the name that the publisher gives.
        source: URL that it comes from.
        kind: 'file' or 'folder'.
        optional: whether the import does without it.
    """

    name: Identifier
    help: Text
    licence: Text
    source: Annotated[str, Meta(pattern=r"^https?://")]
    kind: Literal["file", "folder"] = "file"
    optional: bool = False


class Weights(_Table, frozen=True):
    """Published weights that the plugin can use: fetched, or imported from what the user has.

    Attributes:
        id: as in ``imgedit-plugins weights fetch PLUGIN/ID``.
        title: for people.
        licence: SPDX identifier, or the name that the publisher gives.
        source: URL that they come from; a repository of a hub where there are files.
        files: what is fetched.
        parts: what is imported.
        revision: the commit to fetch; the newest by default.
    """

    id: Identifier
    title: Text
    licence: Text
    source: Annotated[str, Meta(pattern=r"^https?://")]
    files: tuple[WeightsFile, ...] = ()
    parts: tuple[WeightsPart, ...] = ()
    revision: str = ""


class Manifest(_Table, frozen=True):
    """Everything that can be known about a plugin without importing it.

    Attributes:
        schema: 'imgedit-plugin/1'.
        name: the name of the entry point.
        title, summary: for people.
        hooks: what the entry-point module implements.
        extra: the pip extra of its distribution that it needs, or ''.
        accepts: input combinations, at least one for each hook that has inputs.
        actions: menu entries.
        options: of the hooks.
        data: recipes of `make_data`.
        weights: published weights that it can use.
        operations: names that its `register_operations` adds.
    """

    schema: Literal["imgedit-plugin/1"]
    name: PluginName
    title: Text
    summary: Text
    hooks: tuple[Hook, ...]
    extra: str = ""
    accepts: tuple[Accepts, ...] = ()
    actions: tuple[Action, ...] = ()
    options: tuple[HookOption, ...] = ()
    data: tuple[Recipe, ...] = ()
    weights: tuple[Weights, ...] = ()
    operations: tuple[Text, ...] = ()

    def rank(self, hook: str, inputs: frozenset[str]) -> int | None:
        """The highest rank with which the plugin accepts these inputs; None if it does not."""
        ranks = [a.rank for a in self.accepts if a.hook == hook and a.takes(inputs)]
        return max(ranks, default=None)

    def options_for(self, hook: str) -> tuple[OptionSpec, ...]:
        """The options of one hook, in the order of the file."""
        return tuple(option for option in self.options if option.hook == hook)

    def asked_by(self, action: Action) -> tuple[OptionSpec, ...]:
        """The options that the dialog of a menu entry asks for."""
        known = {option.name: option for option in self.options_for(action.hook)}
        if action.options:
            return tuple(known[name] for name in action.options)
        shown = (one for one in known.values() if not one.expert)
        return tuple(one for one in shown if one.name not in action.fixed)

    def recipe(self, name: str) -> Recipe | None:
        """The data recipe of that name."""
        return next((recipe for recipe in self.data if recipe.name == name), None)


def load(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: the file is missing, unreadable, no TOML, or has faults; all are listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"There is no manifest {path}.", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"The manifest {path} cannot be read: {error}.", path=path) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Manifest:
    """The manifest that `text` holds; `path` is named in errors.

    Raises:
        ManifestError: no TOML, or faults; all are listed.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"The manifest {path} is no valid TOML: {error}.", path=path) from error
    return _convert(document, path)


def schema() -> dict[str, Any]:
    """The JSON Schema of a manifest's form; published in ``schemas/``."""
    generated = msgspec.json.schema(Manifest)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "imgedit-plugin-1.schema.json",
        "title": f"{FILE_NAME} ({SCHEMA})",
        **_portable(generated),
    }


def _portable(node: Any) -> Any:
    """The same schema on every Python: docstrings dedented, alternatives in one order."""
    if isinstance(node, dict):
        portable = {key: _portable(value) for key, value in node.items()}
        if isinstance(text := node.get("description"), str):
            portable["description"] = inspect.cleandoc(text)
        if "anyOf" in portable:
            portable["anyOf"].sort(key=str)
        return portable
    return [_portable(item) for item in node] if isinstance(node, list | tuple) else node


def _convert(document: dict[str, Any], path: Path) -> Manifest:
    from imgedit_plugins import manifest_checks

    try:
        manifest = msgspec.convert(document, Manifest)
    except msgspec.ValidationError:
        # msgspec stops at the first fault; authors want all of them.
        problems = manifest_checks.faults_of_form(document, Manifest)
        raise _malformed(document, path, problems) from None
    if problems := manifest_checks.faults_of_meaning(manifest):
        raise _malformed(document, path, problems)
    return manifest


def _malformed(
    document: dict[str, Any], path: Path, problems: list[tuple[str, str]]
) -> ManifestError:
    listed = "; ".join(f"{place}: {what}" for place, what in problems)
    name = document.get("name")
    return ManifestError(
        f"The manifest {path} has {_count(len(problems), 'fault')}: {listed}.",
        plugin=name if isinstance(name, str) else "",
        path=path,
        problems=tuple(problems),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    import json

    print(json.dumps(schema(), indent=2))  # noqa: T201
