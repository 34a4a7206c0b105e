"""From a picture and an instruction to a document: what is asked, and what comes of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgedit_plugins import __version__
from imgedit_plugins.operations import Vocabulary, default_vocabulary
from imgedit_plugins.pictures import Picture
from imgedit_reason_edit.reasoning import answer_forms
from imgedit_reason_edit.reasoning.answers import AnswerError
from imgedit_reason_edit.reasoning.asking import Asker, Question
from imgedit_reason_edit.reasoning.document import Document, Origin, parse_document
from imgedit_reason_edit.reasoning.prompts import CHOOSE, CRITICISE, PLAN, RETRY, prompt
from imgedit_reason_edit.reasoning.regions import Mask
from imgedit_reason_edit.reasoning.views import side_by_side, view

_PROMPTS = ", ".join((PLAN, CRITICISE, CHOOSE, RETRY))

_PAINTS = """\
- or paint: an instruction for a diffusion model, for what operations cannot do: adding, removing \
or replacing things. Say it so that it is understood without the instruction above.
"""
_PAINTS_NOT = """\
Nothing can be painted here: leave out what operations cannot do.
"""


@dataclass(frozen=True)
class Planner:
    """Asks a language model for documents.

    Attributes:
        asker: the language model.
        paints: whether there is a diffusion model for what operations cannot do.
        vocabulary: the operations to choose from.
    """

    asker: Asker
    paints: bool
    vocabulary: Vocabulary

    @classmethod
    def of(cls, asker: Asker, *, paints: bool) -> Planner:
        """With the operations of this process."""
        return cls(asker, paints, default_vocabulary())

    def plan(self, picture: Picture, instruction: str, selection: Mask | None) -> Document:
        """What the instruction means for the picture.

        Raises:
            ReasoningError: the model gives no plan that can be used.
            ImgeditError: it cannot be reached or loaded.
        """
        text = prompt(
            PLAN,
            instruction=_quoted(instruction),
            painting=self._painting,
            selection=_selected(selection),
            moving=answer_forms.moving(self.vocabulary),
            operations=answer_forms.described(self.vocabulary),
            example=answer_forms.plan_example(paints=self.paints),
        )
        question = Question(
            view(picture),
            text,
            answer_forms.plan_form(self.vocabulary, paints=self.paints),
            "layers",
            lambda data: self._document(instruction, data.get("intent", ""), data["layers"]),
            what="plan",
            stage="asking what the instruction means",
        )
        document, attempts = self.asker.ask(question)
        origin = Origin(
            model=self.asker.model.identity,
            prompts=_PROMPTS,
            version=__version__,
            attempts=attempts,
        )
        return document.model_copy(update={"origin": origin})

    def criticise(
        self, document: Document, before: Picture, after: Picture
    ) -> tuple[str, Document | None]:
        """What is wrong with an edit, and a better document; None where it is good as it is.

        Raises:
            ReasoningError, ImgeditError: as `plan`.
        """
        text = prompt(
            CRITICISE,
            instruction=_quoted(document.instruction),
            intent=document.intent or "(nobody said)",
            layers=json.dumps(json.loads(document.to_json()).get("layers", []), ensure_ascii=False),
            painting=self._painting,
            operations=answer_forms.described(self.vocabulary),
            example=answer_forms.criticism_example(paints=self.paints),
        )
        question = Question(
            side_by_side(before, after),
            text,
            answer_forms.criticism_form(self.vocabulary, paints=self.paints),
            "criticism",
            lambda data: self._criticism(document, data),
            what="criticism",
            stage="looking at the result",
        )
        return self.asker.ask(question)[0]

    def choose(
        self, document: Document, before: Picture, first: Picture, second: Picture
    ) -> tuple[bool, str]:
        """Whether the second edit is better than the first, and why.

        Which of them is in the middle is drawn, since models prefer places.

        Raises:
            ReasoningError, ImgeditError: as `plan`.
        """
        turned = bool(np.random.default_rng(self.asker.seed).integers(2))
        shown = (second, first) if turned else (first, second)
        question = Question(
            side_by_side(before, *shown),
            prompt(
                CHOOSE,
                instruction=_quoted(document.instruction),
                example=answer_forms.choice_example(),
            ),
            answer_forms.choice_form(),
            "better",
            _choice,
            what="choice",
            stage="comparing both results",
        )
        (better, reason), _ = self.asker.ask(question)
        return better == ("middle" if turned else "right"), reason

    @property
    def _painting(self) -> str:
        return _PAINTS if self.paints else _PAINTS_NOT

    def _document(self, instruction: str, intent: object, layers: object) -> Document:
        data = {"instruction": instruction, "intent": intent, "layers": layers}
        document = parse_document(data)
        if not self.paints and any(layer.paint for layer in document.layers):
            raise AnswerError("nothing can be painted here, so no layer can have 'paint'.")
        if any(layer.region and layer.region.mask for layer in document.layers):
            raise AnswerError("a region has a box; there are no masks.")
        return document

    def _criticism(
        self, document: Document, data: Mapping[str, Any]
    ) -> tuple[str, Document | None]:
        said, layers = data["criticism"], data.get("layers")
        if not isinstance(said, str):
            raise AnswerError("'criticism' must be a text.")
        if layers is None:
            return said[:1000], None
        revised = self._document(document.instruction, document.intent, layers)
        return said[:1000], None if revised.layers == document.layers else revised


def _choice(data: Mapping[str, Any]) -> tuple[str, str]:
    better = data["better"]
    if better not in ("middle", "right", "neither"):
        raise AnswerError(f"'better' must be middle, right or neither, not {better!r}.")
    reason = data.get("reason", "")
    return better, reason[:1000] if isinstance(reason, str) else ""


def _quoted(instruction: str) -> str:
    return f'"{" ".join(instruction.split())}"'


def _selected(selection: Mask | None) -> str:
    if selection is None or not selection.any():
        return ""
    height, width = selection.shape
    rows, columns = np.flatnonzero(selection.any(1)), np.flatnonzero(selection.any(0))
    box = (
        columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height,
    )  # fmt: skip
    told = ", ".join(f"{share:.2f}" for share in box)
    return f"The user has selected a part within [{told}]; nothing outside of it will change.\n"
