"""The rows of a table: models with their weights' folders, and what they are compared with."""

from __future__ import annotations

from dataclasses import replace

from imgedit_mgie.evaluation.subjects import Subject
from imgedit_modelkit.evaluation import methods as kit
from imgedit_modelkit.evaluation.methods import COPY, RESULTS, Method
from imgedit_plugins.errors import OptionError

MODELS = ("auto", "mgie", "e2e", "lgie", "fz", "ft", "instructpix2pix")
FORMS = ("full", "short", "summarised")

_TITLES = {
    **kit.TITLES,
    "auto": "MGIE",
    "mgie": "MGIE",
    "e2e": "E2E",
    "lgie": "LGIE",
    "fz": "FZ",
    "ft": "FT",
    "instructpix2pix": "InsPix2Pix",
    "instruction": "instruction itself",
}

_KINDS = {
    "edits": (*MODELS, COPY, RESULTS),
    "trade-off": MODELS,
    "texts": (*MODELS[:-1], "instruction", "told", RESULTS),
}

_HINT = "models=MGIE=mgie:FOLDER,LGIE=lgie:FOLDER,copy names rows, each [TITLE=]KIND[:FOLDER]."


def methods_of(text: str, subject: Subject) -> tuple[Method, ...]:
    """The rows that the option 'models' names, or the subject's own.

    Kinds are `MODELS`; 'copy' for the input itself, 'results' for pictures and texts that are there
    already, 'instruction' for the user's words, 'told' for the data's own expressive instructions.

    >>> from imgedit_mgie.evaluation.subjects import SUBJECTS
    >>> methods_of("E2E=mgie:run, copy", SUBJECTS["results"])[0]
    Method(title='E2E', kind='mgie', given='run', asked='')

    Raises:
        OptionError: a kind is unknown or has no place in this table, a folder is missing, or two
            rows have one title.
    """
    found = [_method(part, subject) for part in kit.row_parts(text.strip() or subject.models)]
    if len(subject.asks) > 1:
        found = [
            replace(one, title=f"{one.title}, {asked}" if asked else one.title, asked=asked)
            for one in found
            for asked in (subject.asks if one.kind in MODELS else ("",))
        ]
    return kit.distinct(found, _HINT)


def _method(text: str, subject: Subject) -> Method:
    method = kit.method_of(text, _KINDS[subject.work], _TITLES, (COPY, "instruction"), _HINT)
    if method.kind == "told" and method.given not in FORMS:
        raise OptionError(f"told:{method.given} is none of told:{', told:'.join(FORMS)}.")
    return method
