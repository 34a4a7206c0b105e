"""What can be wrong with a manifest: faults of form, one by one, and faults of meaning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Literal, get_args, get_origin

import msgspec

from imgedit_plugins.manifest import (
    ACTION_INPUTS,
    HOOK_INPUTS,
    Accepts,
    Action,
    Manifest,
    OptionSpec,
    WeightsFile,
)
from imgedit_plugins.options import check_value, did_you_mean

FETCHED = (".safetensors", ".onnx", ".data", ".json", ".txt", ".model", ".jinja", ".md")
"""Kinds of files that hold weights or say something about them, and can hold no program."""

Fault = tuple[str, str]
"""(place such as ``options[2].default``, what is wrong)"""

# --- form -------------------------------------------------------------------------------------


def faults_of_form(document: object, table: type[msgspec.Struct], place: str = "") -> list[Fault]:
    """Every fault of types and field names in `document`, which should hold a `table`."""
    if not isinstance(document, dict):
        return [(place or "the file", "must be a table")]
    known = {field.name: field for field in msgspec.structs.fields(table)}
    faults = [
        (_join(place, name), f"is unknown. {did_you_mean(name, known)}".rstrip(" ."))
        for name in document
        if name not in known
    ]
    for name, field in known.items():
        if name in document:
            faults += _faults_of_value(document[name], field.type, _join(place, name))
        elif field.required:
            faults.append((_join(place, name), "is missing"))
    return faults


def _faults_of_value(value: object, expected: Any, place: str) -> list[Fault]:
    if get_origin(expected) is tuple and isinstance(value, list):
        item = get_args(expected)[0]
        return [
            fault
            for index, entry in enumerate(value)
            for fault in _faults_of_value(entry, item, f"{place}[{index}]")
        ]
    if isinstance(expected, type) and issubclass(expected, msgspec.Struct):
        return faults_of_form(value, expected, place)
    if get_origin(expected) is Literal and value not in get_args(expected):
        allowed = " or ".join(repr(choice) for choice in get_args(expected))
        near = did_you_mean(value, get_args(expected)) if isinstance(value, str) else ""
        return [(place, f"must be {allowed}, not {value!r}. {near}".rstrip(" ."))]
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        return [(place, _in_words(str(error), value))]
    return []


def _in_words(message: str, value: object) -> str:
    """What msgspec says, as the end of a sentence that begins with the place."""
    message = re.sub(r" - at `.*`$", "", message).replace("`", "").rstrip(".")
    if message.startswith("Expected "):
        return f"{message.replace('Expected', 'must be', 1)} (it is {value!r})"
    return f"{message[0].lower()}{message[1:]} (it is {value!r})"


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


# --- meaning ----------------------------------------------------------------------------------


def faults_of_meaning(manifest: Manifest) -> list[Fault]:
    """Every contradiction in a manifest whose form is right."""
    return [
        *_hooks(manifest),
        *_repeated("hooks", manifest.hooks),
        *_repeated("operations", manifest.operations),
        *_repeated("actions", [a.id for a in manifest.actions], ".id"),
        *_repeated("options", [(o.hook, o.name) for o in manifest.options], ".name"),
        *_repeated("data", [r.name for r in manifest.data], ".name"),
        *_repeated("weights", [w.id for w in manifest.weights], ".id"),
        *_each(manifest.accepts, "accepts", lambda a, p: _accepts(a, p, manifest)),
        *_each(manifest.actions, "actions", lambda a, p: _action(a, p, manifest)),
        *_each(manifest.options, "options", lambda o, p: _hook_option(o, p, manifest)),
        *_data(manifest),
        *_weights(manifest),
    ]


def _hooks(manifest: Manifest) -> Iterator[Fault]:
    if not manifest.hooks:
        yield "hooks", "must name at least one hook"
    accepted = {a.hook for a in manifest.accepts}
    for index, hook in enumerate(manifest.hooks):
        if HOOK_INPUTS[hook] and hook not in accepted:
            yield f"hooks[{index}]", f"{hook!r} needs an entry in [[accepts]]"
    for hook, field in (("make_data", "data"), ("register_operations", "operations")):
        has_hook, has_entries = hook in manifest.hooks, bool(getattr(manifest, field))
        if has_hook and not has_entries:
            yield field, f"must not be empty, since hooks has {hook!r}"
        if has_entries and not has_hook:
            yield field, f"needs {hook!r} in hooks"


def _accepts(accepts: Accepts, place: str, manifest: Manifest) -> Iterator[Fault]:
    yield from _listed(accepts.hook, place, manifest)
    known = HOOK_INPUTS[accepts.hook]
    for field in ("inputs", "optional"):
        names: tuple[str, ...] = getattr(accepts, field)
        yield from _repeated(f"{place}.{field}", names)
        for index, name in enumerate(names):
            if name not in known:
                yield (
                    f"{place}.{field}[{index}]",
                    f"{name!r} is no input of {accepts.hook}, which has {', '.join(known)}",
                )
    for name in sorted(set(accepts.inputs) & set(accepts.optional)):
        yield f"{place}.optional", f"{name!r} is in inputs already"


def _action(action: Action, place: str, manifest: Manifest) -> Iterator[Fault]:
    yield from _listed(action.hook, place, manifest)
    mapping = ACTION_INPUTS.get(action.hook)
    if mapping is None:
        yield f"{place}.hook", f"{action.hook!r} cannot be in a menu; {_either(ACTION_INPUTS)} can"
        return
    yield from _repeated(f"{place}.inputs", action.inputs)
    unusable = [name for name in action.inputs if name not in mapping]
    for name in unusable:
        yield f"{place}.inputs", f"{action.hook} has no use for {name!r}; it takes {_and(mapping)}"
    inputs = frozenset(mapping[name] for name in action.inputs if name in mapping)
    # Without a selection the editor calls the hook without a mask, so both must be accepted.
    for offered in {inputs, inputs - {"mask"}}:
        if not unusable and manifest.rank(action.hook, offered) is None:
            yield f"{place}.inputs", f"no [[accepts]] of {action.hook} takes {_and(offered)} alone"

    yield from _action_options(action, place, manifest)


def _action_options(action: Action, place: str, manifest: Manifest) -> Iterator[Fault]:
    known = {option.name: option for option in manifest.options_for(action.hook)}
    for name, value in action.fixed.items():
        if name not in known:
            yield f"{place}.fixed", f"{action.hook} has no option {name!r}"
        elif what := check_value(known[name], value):
            yield f"{place}.fixed.{name}", f"{what}, not {value!r}"
    yield from _repeated(f"{place}.options", action.options)
    for name in action.options:
        if name not in known:
            yield f"{place}.options", f"{action.hook} has no option {name!r}"
        elif name in action.fixed:
            yield f"{place}.options", f"{name!r} is fixed, so the dialog cannot ask for it"


def _hook_option(option: Any, place: str, manifest: Manifest) -> Iterator[Fault]:
    yield from _listed(option.hook, place, manifest)
    yield from option_faults(option, place)
    if option.hook == "make_data":
        yield f"{place}.hook", "options of make_data belong to their recipe, [[data.options]]"


def _data(manifest: Manifest) -> Iterator[Fault]:
    for index, recipe in enumerate(manifest.data):
        place = f"data[{index}].options"
        yield from _repeated(place, [o.name for o in recipe.options], ".name")
        yield from _each(recipe.options, place, option_faults)


def _weights(manifest: Manifest) -> Iterator[Fault]:
    for index, weights in enumerate(manifest.weights):
        place = f"weights[{index}]"
        if not weights.files and not weights.parts:
            yield f"{place}.files", "must name at least one file, or parts at least one part"
        yield from _repeated(f"{place}.files", [file.path for file in weights.files], ".path")
        yield from _each(weights.files, f"{place}.files", _weights_file)
        yield from _repeated(f"{place}.parts", [part.name for part in weights.parts], ".name")
        if weights.parts and "import_weights" not in manifest.hooks:
            yield f"{place}.parts", "needs 'import_weights' in hooks"


def _weights_file(file: WeightsFile, place: str) -> Iterator[Fault]:
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or "\\" in file.path or ":" in file.path:
        yield f"{place}.path", f"must stay inside the weights' folder, not {file.path!r}"
    elif path.suffix not in FETCHED:
        yield f"{place}.path", f"{file.path!r} is fetched by nobody; {_either(FETCHED)} are"


# --- options ----------------------------------------------------------------------------------


def option_faults(option: OptionSpec, place: str) -> Iterator[Fault]:
    """Contradictions between an option's type, range, choices and default."""
    yield from _bounds(option, place)
    if option.type == "choice" and len(option.choices) < 2:
        yield f"{place}.choices", "needs at least two values"
    if option.type != "choice" and option.choices:
        yield f"{place}.choices", f"only a 'choice' has them, not {_article(option.type)}"
    yield from _repeated(f"{place}.choices", option.choices)
    if option.expert and option.default is None:
        yield f"{place}.default", "an option that is left out of dialogs needs one"
    if option.default is not None and (what := check_value(option, option.default)):
        yield f"{place}.default", f"{what}, not {option.default!r}"


def _bounds(option: OptionSpec, place: str) -> Iterator[Fault]:
    for field in ("minimum", "maximum"):
        bound: float | None = getattr(option, field)
        if bound is None:
            continue
        if option.type not in ("integer", "number"):
            yield f"{place}.{field}", f"{_article(option.type)} has no range"
        elif not math.isfinite(bound):
            yield f"{place}.{field}", "must be finite"
        elif option.type == "integer" and bound != int(bound):
            yield f"{place}.{field}", "must be a whole number, as the option is"
    low, high = option.minimum, option.maximum
    if low is not None and high is not None and low >= high:
        yield f"{place}.maximum", f"must be above the minimum {low}, not {high}"


# --- helpers ----------------------------------------------------------------------------------


def _each(items: Iterable[Any], place: str, check: Any) -> Iterator[Fault]:
    for index, item in enumerate(items):
        yield from check(item, f"{place}[{index}]")


def _listed(hook: str, place: str, manifest: Manifest) -> Iterator[Fault]:
    if hook not in manifest.hooks:
        yield f"{place}.hook", f"{hook!r} is not in hooks"


def _repeated(place: str, values: Iterable[object], field: str = "") -> Iterator[Fault]:
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            shown = value[-1] if isinstance(value, tuple) else value
            yield f"{place}[{index}]{field}", f"{shown!r} is there twice"
        seen.add(value)


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _and(names: Iterable[str]) -> str:
    return " + ".join(sorted(names)) or "nothing"


def _either(names: Iterable[str]) -> str:
    return " and ".join(names)
