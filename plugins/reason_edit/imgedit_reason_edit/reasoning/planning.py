"""From a picture and an instruction to a document: what is asked, and what comes of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgedit_modelkit.language.answers import UnusableError
from imgedit_modelkit.language.structured import Form
from imgedit_plugins import __version__, documents
from imgedit_plugins.operations import Vocabulary, default_vocabulary
from imgedit_plugins.pictures import Picture
from imgedit_reason_edit.prompting import CHOOSE, CRITICISE, PLAN, RETRY, load_prompt
from imgedit_reason_edit.reasoning import answer_forms
from imgedit_reason_edit.reasoning.asking import Asker
from imgedit_reason_edit.reasoning.document import (
    Document,
    DocumentError,
    Origin,
    parse_document,
)
from imgedit_reason_edit.reasoning.regions import Mask, mask_of
from imgedit_reason_edit.reasoning.views import side_by_side, view

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
        told = {
            "instruction": _quoted(instruction),
            "painting": self._painting,
            "selection": _selected(selection),
            "moving": answer_forms.moving(self.vocabulary),
            "operations": answer_forms.described(self.vocabulary),
            "example": answer_forms.plan_example(paints=self.paints),
        }
        form = Form(
            answer_forms.plan_form(self.vocabulary, paints=self.paints),
            "layers",
            lambda data: self._document(
                picture, instruction, data.get("intent", ""), data["layers"]
            ),
        )
        document, attempts = self.asker.ask(
            load_prompt(PLAN).messages(told, (view(picture),)),
            form,
            what="plan",
            stage="asking what is meant",
        )
        named = (load_prompt(name).identity for name in (PLAN, CRITICISE, CHOOSE, RETRY))
        origin = Origin(
            model=self.asker.model.identity,
            prompts=", ".join(named),
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
        layers = json.loads(document.to_json()).get("layers", [])
        told = {
            "instruction": _quoted(document.instruction),
            "intent": document.intent or "(nobody said)",
            "layers": json.dumps(layers, ensure_ascii=False),
            "painting": self._painting,
            "operations": answer_forms.described(self.vocabulary),
            "example": answer_forms.criticism_example(paints=self.paints),
        }
        form = Form(
            answer_forms.criticism_form(self.vocabulary, paints=self.paints),
            "criticism",
            lambda data: self._criticism(before, document, data),
        )
        found, _ = self.asker.ask(
            load_prompt(CRITICISE).messages(told, (side_by_side(before, after),)),
            form,
            what="criticism",
            stage="looking at the result",
        )
        return found

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
        told = {
            "instruction": _quoted(document.instruction),
            "example": answer_forms.choice_example(),
        }
        (better, reason), _ = self.asker.ask(
            load_prompt(CHOOSE).messages(told, (side_by_side(before, *shown),)),
            Form(answer_forms.choice_form(), "better", _choice),
            what="choice",
            stage="comparing both results",
        )
        return better == ("middle" if turned else "right"), reason

    @property
    def _painting(self) -> str:
        return _PAINTS if self.paints else _PAINTS_NOT

    def _document(
        self, picture: Picture, instruction: str, intent: object, layers: object
    ) -> Document:
        """What a model wrote, if it can be carried out on this picture."""
        data = {"instruction": instruction, "intent": intent, "layers": layers}
        try:
            document = parse_document(data)
            if any(layer.region and layer.region.mask for layer in document.layers):
                raise UnusableError("a region has a box; there are no masks")
            for layer in document.layers:
                mask_of(layer.region, (picture.height, picture.width))
        except DocumentError as error:
            raise UnusableError(documents.told(error.problems) or error.message) from error
        if not self.paints and any(layer.paint for layer in document.layers):
            raise UnusableError("nothing can be painted here, so no layer can have 'paint'")
        return document

    def _criticism(
        self, picture: Picture, document: Document, data: Mapping[str, Any]
    ) -> tuple[str, Document | None]:
        said, layers = data["criticism"], data.get("layers")
        if not isinstance(said, str):
            raise UnusableError("'criticism' must be a text")
        if layers is None:
            return said[:1000], None
        revised = self._document(picture, document.instruction, document.intent, layers)
        return said[:1000], None if revised.layers == document.layers else revised


def _choice(data: Mapping[str, Any]) -> tuple[str, str]:
    better = data["better"]
    if better not in ("middle", "right", "neither"):
        raise UnusableError(f"'better' must be middle, right or neither, not {better!r}")
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
