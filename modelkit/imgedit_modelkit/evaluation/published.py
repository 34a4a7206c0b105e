"""Published figures, each with who says so, from a TOML file of the plugin.

::

    [sources.NAME]
    told = "who that is"

    [[figures]]
    table = "…"                  of the option 'table'
    set = "…"                    the data set
    figure = "…"                 as in our tables
    instructions = "…"           the group of instructions, where there are groups
    source = "NAME"
    values = { MODEL = 0.1 }
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "published, not reproduced here"


@dataclass(frozen=True)
class Published:
    """One figure of a paper.

    Attributes:
        figure: its name, as in our tables; in percent where they are.
        values: by the model's name in the paper.
        source: who says so, by name.
        group: of instructions; '' for all.
    """

    figure: str
    values: dict[str, float]
    source: str
    group: str = ""


def read_published(path: Path, table: str, set_name: str) -> tuple[Published, ...]:
    """What a file has for a table of a data set."""
    return tuple(
        Published(
            one["figure"], dict(one["values"]), one["source"], str(one.get("instructions", ""))
        )
        for one in _content(path)["figures"]
        if (one["table"], one["set"]) == (table, set_name)
    )


def told_of_source(path: Path, name: str) -> str:
    """Who a source is."""
    return str(_content(path)["sources"][name]["told"])


def _content(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))
