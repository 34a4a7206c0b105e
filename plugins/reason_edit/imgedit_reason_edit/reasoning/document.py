"""The document: what an instruction is taken to mean, and the layers that carry it out.

A layer holds operations, or an instruction for a diffusion model; it concerns the whole picture or
a region of it. Layers are carried out in their order. Regions are shares of the picture as it was
at the beginning, so what moves pixels comes last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from imgedit_plugins import documents
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.plan import EditPlan, PlannedOperation

SCHEMA: Final = "imgedit-reasoned-edit/1"

LONGEST_INSTRUCTION = 10_000  # characters
MOST_LAYERS = 8
MOST_OPERATIONS = 12  # in one layer

Share = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Line = Annotated[str, StringConstraints(max_length=200)]
Paragraph = Annotated[str, StringConstraints(max_length=1000)]


class DocumentError(ImgeditError):
    """A document is malformed, or cannot be carried out.

    `problems` has an entry for each fault: (place such as ``layers[1].region.box``, what is wrong).
    """

    def __init__(self, message: str, *, problems: documents.Problems = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class Region(_Strict):
    """A part of the picture with a soft border.

    Attributes:
        what: what is there, in words.
        box: left, top, right, bottom as shares of the picture; x to the right, y down.
        shape: what fills the box.
        feather: how far the border fades, inwards and outwards, as a share of the picture's
            shorter side.
        outside: everything but this part.
        mask: a grey picture beside the document instead of the box, white where the region is.
    """

    what: Line = ""
    box: tuple[Share, Share, Share, Share] | None = None
    shape: Literal["box", "ellipse"] = "ellipse"
    feather: Annotated[FiniteFloat, Field(ge=0.0, le=0.5)] = 0.05
    outside: bool = False
    mask: Annotated[str, StringConstraints(max_length=200)] | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Region:
        if self.box is None and self.mask is None:
            raise _rule("a region needs a box", "box")
        if self.box is not None:
            left, top, right, bottom = self.box
            if left >= right or top >= bottom:
                raise _rule("a box is [left, top, right, bottom] with left < right, top < bottom",
                            "box")  # fmt: skip
        if self.mask is not None and Path(self.mask).name != self.mask:
            raise _rule("a mask is the name of a file beside the document", "mask")
        return self


class Layer(_Strict):
    """One step of the edit: operations, or something to paint.

    Attributes:
        title: what it does, in a few words.
        region: where; everywhere by default.
        operations: of the vocabulary of plans, carried out one after another.
        paint: an instruction for a diffusion model, where operations cannot do it.
    """

    title: Line = ""
    region: Region | None = None
    operations: Annotated[tuple[PlannedOperation, ...], Field(max_length=MOST_OPERATIONS)] = ()
    paint: Paragraph = ""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Layer:
        if bool(self.operations) == bool(self.paint.strip()):
            raise _rule("a layer has either operations or something to paint")
        moving = self.moving
        if moving and self.region is not None:
            raise _rule(f"{moving!r} moves pixels and cannot be limited to a region", "region")
        return self

    @property
    def moving(self) -> str:
        """The first operation that moves pixels; '' if there is none."""
        return next((o.name for o in self.operations if o.operation.kind == "geometric"), "")

    @property
    def plan(self) -> EditPlan:
        """Its operations."""
        return EditPlan(operations=self.operations, explanation=self.title)

    @property
    def name(self) -> str:
        """Its title, or what stands in for one."""
        said = self.title or self.paint or ", ".join(o.name for o in self.operations)
        return " ".join(said.split())


class Round(_Strict):
    """What the language model said about its own edit after it saw it.

    Attributes:
        criticism: what is wrong with it.
        layers: that it would take instead; none where it is content.
        kept: whether these took the place of the first ones.
        reason: why they did, or did not.
        before: the layers that they took the place of.
    """

    criticism: Paragraph = ""
    layers: Annotated[tuple[Layer, ...], Field(max_length=MOST_LAYERS)] = ()
    kept: bool = False
    reason: Paragraph = ""
    before: Annotated[tuple[Layer, ...], Field(max_length=MOST_LAYERS)] = ()


class Origin(_Strict):
    """Who wrote the document.

    Attributes:
        model: the language model, and where it runs.
        prompts: the versions of the prompts.
        version: of the plugin's distribution.
        attempts: how often the model was asked for it.
    """

    model: str
    prompts: str
    version: str
    attempts: Annotated[int, Field(ge=1)] = 1


class Document(_Strict):
    """An instruction, what it is taken to mean, and the layers that carry it out.

    Attributes:
        instruction: as the user gave it.
        intent: what the picture is to become.
        layers: carried out in this order; none where nothing is to be done.
        criticism: the round of self-criticism, where there was one.
        origin: who wrote it.
    """

    schema_: Annotated[Literal["imgedit-reasoned-edit/1"], Field(alias="schema")] = SCHEMA
    instruction: Annotated[str, StringConstraints(max_length=LONGEST_INSTRUCTION)] = ""
    intent: Paragraph = ""
    layers: Annotated[tuple[Layer, ...], Field(max_length=MOST_LAYERS)] = ()
    criticism: Round | None = None
    origin: Origin | None = None

    @model_validator(mode="after")
    def _moves_last(self) -> Document:
        for number, layer in enumerate(self.layers[:-1]):
            if layer.moving:
                raise _rule(
                    f"{layer.moving!r} moves pixels, so its layer must be the last one",
                    "layers", number,
                )  # fmt: skip
        return self

    def to_json(self) -> str:
        """As text; `parse_document` gives the same document back."""
        data = _dumped(self)
        return json.dumps({"schema": SCHEMA, **data}, indent=2, ensure_ascii=False) + "\n"


def parse_document(text: str | bytes | Mapping[str, Any]) -> Document:
    """The document of a JSON text or of decoded JSON.

    Raises:
        DocumentError: names each fault and its place.
    """
    data: object = text
    if isinstance(text, str | bytes):
        data = documents.decode(text, "reasoned edit", DocumentError)
    if not isinstance(data, Mapping):
        raise DocumentError(f"A reasoned edit is a JSON object, not {type(data).__name__}.")
    if problems := documents.problems_of(data):
        raise _told(problems)
    try:
        return Document.model_validate(_with_tuples(data), by_name=False)
    except ValidationError as error:
        raise _told(documents.problems_in(error)) from error


def read_document(path: Path) -> tuple[Document, Path]:
    """The document in a file, or in a folder that the option 'save-folder' wrote.

    Returns:
        The document, and the folder that its masks are in.

    Raises:
        DocumentError: the file cannot be read, or is no valid document.
    """
    file = path
    try:
        file = path / FILE if path.is_dir() else path
        return parse_document(file.read_bytes()), file.parent
    except OSError as error:
        why = error.strerror or str(error)
        raise DocumentError(f"The document {str(file)!r} cannot be read: {why}.") from error
    except ValueError as error:  # a NUL in the path
        raise DocumentError(f"The document {str(file)!r} cannot be read: {error}.") from error
    except DocumentError as error:
        raise DocumentError(f"{file}: {error.message}", problems=error.problems) from error


FILE = "document.json"
"""The name of a document in the folder that the option 'save-folder' writes."""


def document_schema() -> dict[str, Any]:
    """The JSON Schema of documents, as published in ``schemas/``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **Document.model_json_schema(by_alias=True),
    }


def _dumped(part: Any) -> Any:
    """A part of a document as JSON; what is as it would be anyway is left out, but for regions.

    People edit documents, and a region's shape and border are what they change.
    """
    if isinstance(part, Region):
        return part.model_dump(mode="json", exclude_none=True)
    if isinstance(part, PlannedOperation):
        return part.model_dump(mode="json", exclude_defaults=True)
    if isinstance(part, BaseModel):
        fields = type(part).model_fields.items()
        given = {
            field.alias or name: (getattr(part, name), field.default) for name, field in fields
        }
        return {name: _dumped(value) for name, (value, usual) in given.items() if value != usual}
    return [_dumped(item) for item in part] if isinstance(part, tuple) else part


def _rule(message: str, *place: str | int) -> PydanticCustomError:
    return PydanticCustomError("rule", "{message}", {"message": message, "place": place})


def _told(problems: documents.Problems) -> DocumentError:
    return DocumentError(
        f"This reasoned edit is not valid: {documents.told(problems)}", problems=problems
    )


def _with_tuples(value: Any) -> Any:
    """JSON has no tuples; the types inside stay strict."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


if __name__ == "__main__":
    print(json.dumps(document_schema(), indent=2))  # noqa: T201
