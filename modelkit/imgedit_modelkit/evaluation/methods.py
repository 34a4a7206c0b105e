"""The rows of a table: models with their weights' folders, and what they are compared with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgedit_plugins.errors import OptionError

COPY, RESULTS = "copy", "results"
"""Kinds that every table of pictures has: the input itself, and pictures that are there already."""

TITLES = {COPY: "input itself"}


@dataclass(frozen=True)
class Method:
    """One row.

    Attributes:
        title: in tables; distinct.
        kind: what it is, such as a model's name, `COPY` or `RESULTS`.
        given: a folder, or what else the kind takes; '' for the usual one.
        asked: for kinds that may be asked in several ways: how; '' for their own.
    """

    title: str
    kind: str
    given: str = ""
    asked: str = ""

    @property
    def folder(self) -> str:
        """The name of its folder among kept results."""
        return re.sub(r"[^\w.-]+", "_", self.title).strip("._") or "row"


def row_parts(text: str) -> list[str]:
    """The rows that a text names with commas; those within brackets part nothing.

    >>> row_parts("copy, A=mgie:run[steps=2, seed=1],")
    ['copy', 'A=mgie:run[steps=2, seed=1]']
    """
    parts = re.findall(r"(?:\[[^\]]*\]|[^,\[]|\[)+", text)
    return [part.strip() for part in parts if part.strip()]


def method_of(
    text: str, kinds: Sequence[str], titles: Mapping[str, str], bare: Sequence[str], hint: str
) -> Method:
    """A row from `[TITLE=]KIND[:GIVEN]`.

    Args:
        text: without white space around it.
        kinds: that the table has.
        titles: of kinds; others have what is given as their title.
        bare: kinds that take nothing.
        hint: how rows are named.

    Raises:
        OptionError: the kind is none of these, lacks its folder, or takes none.
    """
    head, colon, given = text.partition(":")
    title, equals, kind = head.rpartition("=")
    kind, given = kind.strip(), given.strip()
    if kind not in kinds:
        raise OptionError(
            f"{kind!r} is no row of this table; there are {', '.join(kinds)}.", hint=hint
        )
    if kind == RESULTS and not given:
        raise OptionError("The row 'results' needs its folder.", hint="As in results:FOLDER.")
    if colon and kind in bare:
        raise OptionError(f"The row {kind!r} has no folder, and {given!r} was given.")
    named = titles.get(kind) or (Path(given).name if kind == RESULTS else given)
    return Method(title.strip() if equals else named, kind, given)


def distinct(methods: Sequence[Method], hint: str) -> tuple[Method, ...]:
    """The same rows.

    Raises:
        OptionError: two have one title, or titles that would be one folder.
    """
    names = [method.folder.casefold() for method in methods]
    twice = next((m.title for m in methods if names.count(m.folder.casefold()) > 1), None)
    if twice is not None:
        raise OptionError(f"Two rows would be called {twice!r}.", hint=hint)
    return tuple(methods)
