"""Values for a plugin's options: parsed from text, checked, completed with defaults."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from imgedit_plugins.errors import OptionError

if TYPE_CHECKING:
    from imgedit_plugins.manifest import OptionSpec
    from imgedit_plugins.requests import Options, OptionValue

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def resolve_options(specs: Sequence[OptionSpec], given: Mapping[str, str | OptionValue]) -> Options:
    """A value for every option: the given one, parsed where it is text, or the default.

    Args:
        specs: the options that there are.
        given: what the user set, by name; text as on the command line, or values of the
            option's own type.

    Raises:
        OptionError: an unknown name, a value of the wrong kind or out of range, or an option
            without a default that was not given.
    """
    by_name = {spec.name: spec for spec in specs}
    for name in given:
        if name not in by_name:
            raise OptionError(f"There is no option {name!r}.", hint=_instead(name, by_name))
    return {
        name: _resolve(spec, given[name]) if name in given else _default(spec)
        for name, spec in by_name.items()
    }


def check_value(spec: OptionSpec, value: object) -> str:
    """What `value` has to be instead, as in 'must be 1 to 8'; '' if it is right."""
    return "" if _is_allowed(spec, value) else f"must be {describe_range(spec)}"


def describe_range(spec: OptionSpec) -> str:
    """What an option can be, in words: 'a whole number from 1 to 8 px', 'quick or thorough'."""
    if spec.type == "choice":
        return " or ".join(filter(None, [", ".join(spec.choices[:-1]), *spec.choices[-1:]]))
    kind = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "path": "a path",
    }[spec.type]
    return f"{kind}{_bounds(spec)}{' ' + spec.unit if spec.unit else ''}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'Did you mean ...?' where something known is similar, else ''."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=2)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _resolve(spec: OptionSpec, given: str | OptionValue) -> OptionValue:
    value = _parse(spec, given) if isinstance(given, str) else given
    if what := check_value(spec, value):
        near = did_you_mean(given, spec.choices) if isinstance(given, str) else ""
        raise OptionError(f"Option {spec.name!r} {what}, not {given!r}.", hint=near)
    return float(value) if spec.type == "number" else value


def _parse(spec: OptionSpec, text: str) -> OptionValue:
    """The value that `text` stands for; `text` itself where it is none of that type."""
    try:
        if spec.type == "integer":
            return int(text)
        if spec.type == "number":
            return float(text)
    except ValueError:
        return text
    if spec.type == "boolean" and text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    return text


def _default(spec: OptionSpec) -> OptionValue:
    if spec.default is None:
        raise OptionError(
            f"Option {spec.name!r} is needed: {spec.help}",
            hint=f"It is {describe_range(spec)}.",
        )
    return float(spec.default) if spec.type == "number" else spec.default


def _is_allowed(spec: OptionSpec, value: object) -> bool:
    if spec.type == "boolean":
        return isinstance(value, bool)
    if spec.type == "choice":
        return value in spec.choices
    if spec.type in ("string", "path"):
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if spec.type == "integer" and not isinstance(value, int):
        return False
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    return math.isfinite(value) and low <= value <= high


def _bounds(spec: OptionSpec) -> str:
    if spec.minimum is not None and spec.maximum is not None:
        return f" from {_plain(spec.minimum)} to {_plain(spec.maximum)}"
    if spec.minimum is not None:
        return f" of at least {_plain(spec.minimum)}"
    return f" of at most {_plain(spec.maximum)}" if spec.maximum is not None else ""


def _plain(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _instead(name: str, known: Mapping[str, OptionSpec]) -> str:
    return did_you_mean(name, known) or (f"There are {', '.join(known)}." if known else "")
