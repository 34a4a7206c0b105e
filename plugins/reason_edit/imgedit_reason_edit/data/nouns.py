"""Candidate categories: the nouns of a caption, found by spaCy (eq. 4)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgedit_modelkit import fingerprints
from imgedit_plugins.errors import PluginError, WeightsError
from imgedit_reason_edit.requirements import NAME

DEFAULT = "en_core_web_sm"

_TAGGERS = ("tagger", "morphologizer")
_UNUSED = ["ner", "lemmatizer", "senter"]
"""Parts that cost time and are not asked."""

_NOUNS = ("NOUN", "PROPN")
_PICTURES = frozenset(
    ("photo", "photograph", "picture", "image", "painting", "drawing", "illustration", "view",
     "scene", "close", "closeup", "background", "foreground", "front", "back", "side", "top",
     "bottom", "left", "right", "middle", "center", "centre", "group", "couple", "pair", "bunch",
     "lot", "number", "piece", "part", "kind", "style", "color", "colour", "day", "night", "time")
)  # fmt: skip
"""Nouns of captions that are no things to be replaced."""


@dataclass
class NounFinder:
    """spaCy's tagger at work.

    Attributes:
        model: the name of an installed spaCy model, or the folder of one.
    """

    model: str = DEFAULT
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    @functools.cached_property
    def identity(self) -> str:
        """The model's name and the hash of its files.

        Raises:
            PluginError: spaCy or the model is not installed.
        """
        place = _place(self.model)
        return f"{Path(self.model).name} {fingerprints.of_folder(place)[:12]}"

    def __call__(self, captions: Sequence[str]) -> list[tuple[str, ...]]:
        """The nouns of each caption, as they stand there, in lower case, each once.

        Nouns in a row are one thing ('fire truck').

        Raises:
            PluginError: spaCy or the model is not installed.
            WeightsError: the model cannot be loaded, or tags no words.
        """
        if not self._loaded:
            self._loaded = [_load(self.model)]
        return [_nouns(document) for document in self._loaded[0].pipe(captions)]


def _nouns(document: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    row: list[str] = []
    for token in [*document, None]:
        if token is not None and token.pos_ in _NOUNS and token.is_alpha:
            row.append(token.text.lower())
            continue
        if row and row[-1] not in _PICTURES:
            # Only from the front: words that do not stand together are in no caption.
            found[" ".join(itertools.dropwhile(_PICTURES.__contains__, row))] = None
        row = []
    return tuple(found)


def _load(model: str) -> Any:
    place = _place(model)
    import spacy

    try:
        pipeline = spacy.load(place if Path(model).is_dir() else model, exclude=_UNUSED)
    except (OSError, ValueError, ImportError) as error:
        told = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"The spaCy model {model} cannot be loaded: {told}", path=place
        ) from error
    if not any(pipeline.has_pipe(name) for name in _TAGGERS):
        raise WeightsError(
            f"The spaCy model {model} does not tag words: it has {', '.join(pipeline.pipe_names)}.",
            path=place,
            hint=f"{DEFAULT} does.",
        )
    return pipeline


def _place(model: str) -> Path:
    """The folder of a model.

    Raises:
        PluginError: spaCy or the model is not installed.
    """
    try:
        import spacy.util
    except ImportError:
        raise PluginError(
            "Finding the things in a caption needs the package spacy, which is not installed.",
            plugin=NAME,
            hint="Run: pip install 'imgedit-plugins[reason]'",
        ) from None
    if Path(model).is_dir():
        return Path(model)
    if not spacy.util.is_package(model):
        raise PluginError(
            f"There is no spaCy model {model!r} here, neither installed nor as a folder.",
            plugin=NAME,
            hint=f"Run: python -m spacy download {DEFAULT} (12 MB, MIT), or give the option "
            "'spacy' the folder of a model that tags words.",
        )
    return spacy.util.get_package_path(model)
