"""Published figures, from `published.toml`."""

from __future__ import annotations

from pathlib import Path

from imgedit_modelkit.evaluation import published
from imgedit_modelkit.evaluation.published import Published

MARK = f"{published.MARK}, other test set"

_FILE = Path(__file__).with_name("published.toml")


def published_figures(table: str, set_name: str) -> tuple[Published, ...]:
    """What the paper has in a table for a data set."""
    return published.read_published(_FILE, table, set_name)


def told_of_source(name: str) -> str:
    """Which table of the paper."""
    return published.told_of_source(_FILE, name)
