"""The models and prompts that rows are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.language.prompts import PromptFile
from imgedit_modelkit.picture_answers import LocalModel
from imgedit_plugins.requests import DataRequest
from imgedit_reason_edit.data.captions import Captioner
from imgedit_reason_edit.data.detection import Detector
from imgedit_reason_edit.data.nouns import DEFAULT, NounFinder
from imgedit_reason_edit.data.options import Options
from imgedit_reason_edit.data.painting import Painter
from imgedit_reason_edit.prompting import GENERATE, REPLACE, RETRY, SELECT, load_prompt

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """The models and prompts of a request; nothing is loaded.

    Attributes:
        language: a server, or a folder.
        captioner, nouns, detector, painter: None where they have no work.
        prompts: by name.
    """

    language: Endpoint | LocalModel
    captioner: Captioner | None
    nouns: NounFinder | None
    detector: Detector | None
    painter: Painter | None
    prompts: dict[str, PromptFile]

    @property
    def identities(self) -> dict[str, str]:
        """Names of the models and hashes of their weights; empty for those that have no work.

        Raises:
            WeightsError, PluginError: a model is missing.
        """
        return {
            "language": self.language.identity,
            "captioner": self.captioner.source.identity if self.captioner else "",
            "nouns": self.nouns.identity if self.nouns else "",
            "detector": self.detector.source.identity if self.detector else "",
            "painter": self.painter.identity if self.painter else "",
        }

    @property
    def folders(self) -> tuple[Path, ...]:
        """Of the weights."""
        models = (self.captioner, self.detector)
        found = [model.source.folder for model in models if model]
        found += [self.language.folder] if isinstance(self.language, LocalModel) else []
        return (*found, *([self.painter.folder] if self.painter else []))

    def fresh(self) -> Tools:
        """Copies that know no hash yet: what lies at the same path on another node is hashed."""
        return Tools(
            replace(self.language),
            _fresh(self.captioner, lambda it: replace(it, source=replace(it.source))),
            _fresh(self.nouns, replace),
            _fresh(self.detector, lambda it: replace(it, source=replace(it.source))),
            _fresh(self.painter, replace),
            self.prompts,
        )


def tools_of(request: DataRequest) -> Tools:
    """The models and prompts of a request.

    Raises:
        OptionError: one is not given, or not to be used so.
        DataError: a prompt is malformed.
    """
    options = Options(request)
    part, folder = options.part(), options.text("prompts")
    paints = part != "I"
    names = (REPLACE, RETRY) if paints else (GENERATE, SELECT, RETRY)
    captioner = options.text("captioner")
    if part == "III" and not captioner:
        raise options.lacking("captioner", "the folder of BLIP-2, since V3Det has no captions")
    return Tools(
        language=options.language(),
        captioner=Captioner(options.local(captioner)) if captioner else None,
        nouns=NounFinder(options.text("spacy", DEFAULT)) if paints else None,
        detector=options.detector() if paints else None,
        painter=options.painter() if paints else None,
        prompts={name: load_prompt(name, folder) for name in names},
    )


def _fresh(tool: T | None, copy: Callable[[T], T]) -> T | None:
    return None if tool is None else copy(tool)
