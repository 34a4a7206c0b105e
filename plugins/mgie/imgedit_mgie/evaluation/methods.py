"""The rows of a table: models with their weights' folders, and what they are compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from imgedit_mgie.evaluation.subjects import Subject
from imgedit_plugins.errors import OptionError

MODELS = ("auto", "mgie", "e2e", "lgie", "fz", "ft", "instructpix2pix")
FORMS = ("full", "short", "summarised")

_TITLES = {
    "auto": "MGIE",
    "mgie": "MGIE",
    "e2e": "E2E",
    "lgie": "LGIE",
    "fz": "FZ",
    "ft": "FT",
    "instructpix2pix": "InsPix2Pix",
    "copy": "input itself",
    "instruction": "instruction itself",
}

_KINDS = {
    "edits": (*MODELS, "copy", "results"),
    "trade-off": MODELS,
    "texts": (*MODELS[:-1], "instruction", "told", "results"),
}

_HINT = "models=MGIE=mgie:FOLDER,LGIE=lgie:FOLDER,copy names rows, each [TITLE=]KIND[:FOLDER]."


@dataclass(frozen=True)
class Method:
    """One row.

    Attributes:
        title: in tables; distinct.
        kind: one of `MODELS`; 'copy' for the input itself, 'results' for pictures and texts that
            are there already, 'instruction' for the user's words, 'told' for the data's own
            expressive instructions.
        given: the folder, or the form of 'told'; '' for the usual place.
        asked: the question for the language model, 'how' or 'what'; '' for its own.
    """

    title: str
    kind: str
    given: str = ""
    asked: str = ""

    @property
    def is_model(self) -> bool:
        """Whether it computes anything."""
        return self.kind in MODELS

    @property
    def folder(self) -> str:
        """The name of its folder among kept results."""
        return re.sub(r"[^\w.-]+", "_", self.title).strip("._") or "row"


def methods_of(text: str, subject: Subject) -> tuple[Method, ...]:
    """The rows that the option 'models' names, or the subject's own.

    >>> from imgedit_mgie.evaluation.subjects import SUBJECTS
    >>> methods_of("E2E=mgie:run, copy", SUBJECTS["results"])[0]
    Method(title='E2E', kind='mgie', given='run', asked='')

    Raises:
        OptionError: a kind is unknown or has no place in this table, a folder is missing, or two
            rows have one title.
    """
    parts = [part.strip() for part in (text.strip() or subject.models).split(",")]
    found = [_method(part, subject) for part in parts if part]
    if len(subject.asks) > 1:
        found = [
            replace(one, title=f"{one.title}, {asked}" if asked else one.title, asked=asked)
            for one in found
            for asked in (subject.asks if one.is_model else ("",))
        ]
    names = [method.folder.casefold() for method in found]
    twice = next((m.title for m in found if names.count(m.folder.casefold()) > 1), None)
    if twice is not None:
        raise OptionError(f"Two rows would be called {twice!r}.", hint=_HINT)
    return tuple(found)


def _method(text: str, subject: Subject) -> Method:
    head, colon, given = text.partition(":")
    title, equals, kind = head.rpartition("=")
    kind, given = kind.strip(), given.strip()
    allowed = _KINDS[subject.work]
    if kind not in allowed:
        raise OptionError(
            f"{kind!r} is no row of this table; there are {', '.join(allowed)}.", hint=_HINT
        )
    if kind == "results" and not given:
        raise OptionError("The row 'results' needs its folder.", hint="As in results:FOLDER.")
    if kind == "told" and given not in FORMS:
        raise OptionError(f"told:{given} is none of told:{', told:'.join(FORMS)}.")
    if colon and kind in ("copy", "instruction"):
        raise OptionError(f"The row {kind!r} has no folder, and {given!r} was given.")
    named = _TITLES.get(kind) or (Path(given).name if kind == "results" else given)
    return Method(title.strip() if equals else named, kind, given)
