"""Which rows of a data set are scored, and options that say so."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from imgedit_plugins.errors import OptionError
from imgedit_plugins.requests import Options

_Row = TypeVar("_Row")


def drawn(rows: Sequence[_Row], limit: int, seed: int) -> Sequence[_Row]:
    """So many rows, drawn with the seed, in their order; 0 for all."""
    if not 0 < limit < len(rows):
        return rows
    rng = random.Random(f"limit/{seed}")  # noqa: S311 (not for secrets)
    places = sorted((rng.random(), number) for number in range(len(rows)))[:limit]
    return [rows[number] for number in sorted(number for _, number in places)]


def choice(options: Options, name: str, choices: tuple[str, ...]) -> str:
    """An option's value, the first choice by default; raises OptionError for any other."""
    value = options.get(name, choices[0])
    if value not in choices:
        raise OptionError(f"Option {name!r} must be one of {', '.join(choices)}, not {value!r}.")
    return str(value)


def whole(options: Options, name: str) -> int:
    """An option's value, 0 by default; raises OptionError where it is no number from 0."""
    value = options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"Option {name!r} must be a whole number from 0, not {value!r}.")
    return value
