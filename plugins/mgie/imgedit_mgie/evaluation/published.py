"""Published figures, each with who quotes it, from `published.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "published, not reproduced here"

_FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Published:
    """One figure of the paper.

    Attributes:
        figure: its name, as in our tables; in percent where they are.
        values: by the model's name in the paper.
        source: who quotes it, by name.
    """

    figure: str
    values: dict[str, float]
    source: str


def published_figures(table: str, set_name: str) -> tuple[Published, ...]:
    """What the paper has in a table for a data set, as far as it is known here."""
    return tuple(
        Published(one["figure"], dict(one["values"]), one["source"])
        for one in _content()["figures"]
        if (one["table"], one["set"]) == (table, set_name)
    )


def told_of_source(name: str) -> str:
    """Who quotes a figure."""
    return str(_content()["sources"][name]["told"])


def _content() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text("utf-8"))
