"""The experiments, read from `experiments.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from imgedit_plugins.errors import OptionError

Auxiliary = Literal["none", "value", "heuristic"]


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to fine-tune; the fields are explained in `experiments.toml`."""

    title: str
    auxiliary: Auxiliary = "none"
    gradient: bool = False
    breaks: bool = False
    special: tuple[str, ...] = ()
    published: tuple[float, ...] = ()


@functools.cache
def experiments() -> Mapping[str, Experiment]:
    """All experiments by their id, in the paper's order."""
    text = (Path(__file__).parent / "experiments.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Experiment])


def experiment(identifier: str) -> Experiment:
    """The experiment of an id such as '1' or '2-gradient'.

    Raises:
        OptionError: there is none.
    """
    known = experiments()
    if identifier not in known:
        raise OptionError(
            f"There is no experiment {identifier!r}.", hint=f"There are {', '.join(known)}."
        )
    return known[identifier]
