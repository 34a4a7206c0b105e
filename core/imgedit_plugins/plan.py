"""The edit plan: an ordered list of named operations, and what they do not explain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from imgedit_plugins import documents
from imgedit_plugins.errors import OperationError, ParameterError, PlanError
from imgedit_plugins.operations import (
    DEFAULT_PROFILE,
    Operation,
    ParameterValue,
    Points,
    Vocabulary,
    default_vocabulary,
)

SCHEMA: Final = "imgedit-plan/1"

Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]


class _NumberOrCurve:
    """What a parameter's value may be; which of them, only the operation's declaration tells."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(
            int | FiniteFloat | tuple[tuple[FiniteFloat, FiniteFloat], ...]
        )


class _Values(dict[str, Any]):
    """The parameters of a step: a dict that cannot be changed, so that steps can be shared."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a step of a plan cannot be changed; make another with `step`")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[_Values], tuple[dict[str, Any]]]:
        return _Values, (dict(self),)


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class PlannedOperation(_Strict):
    """One step of a plan.

    Attributes:
        name: an operation of the vocabulary.
        parameters: all of its parameters, in natural units; a curve is a list of points [x, y].
        confidence: 0..1, how sure whoever made the plan is of this step.
    """

    name: str
    parameters: Annotated[dict[str, Annotated[Any, _NumberOrCurve]], AfterValidator(_Values)] = {}
    confidence: Fraction = 1.0

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any, info: ValidationInfo) -> Any:
        """Check name and parameters against the vocabulary, and make their types canonical."""
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            return data  # the field types say what is wrong
        parameters = data.get("parameters", {})
        if not isinstance(parameters, Mapping):
            return data
        try:
            operation = _vocabulary(info)[data["name"]]
            return {**data, "parameters": operation.check(parameters)}
        except OperationError as error:
            context = {"message": str(error), "place": _place_of(error)}
            raise PydanticCustomError("operation", "{message}", context) from error

    @property
    def operation(self) -> Operation:
        """Its declaration in the process's vocabulary."""
        return default_vocabulary()[self.name]


class Residual(_Strict):
    """What is left when the rendered plan is compared with the edited picture.

    Attributes:
        psnr_db: peak signal-to-noise ratio over all pixels and colour channels, peak 255;
            None when there is no difference at all.
        explained: 1 - (squared error of the plan) / (squared error of the source, stretched to
            the edited picture's size), the share of the edit that the plan explains; 1.0 when
            nothing is left. Losses of the edited file (JPEG, scaling) are not held against it.
    """

    psnr_db: FiniteFloat | None
    explained: Fraction


class Provenance(_Strict):
    """Who made the plan.

    Attributes:
        plugin, version: the plugin's name and its distribution's version.
        model: which of its models or methods ('search').
        model_sha256: hash of the weights, if there are any.
    """

    plugin: str
    model: str
    version: str
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class EditPlan(_Strict):
    """An edit as named operations with parameters in natural units.

    Attributes:
        operations: applied one after another.
        definitions: id of the profile whose constants the operations use.
        residual: how well the plan explains a known edited picture.
        abstained: no plan explains the edit; there are no operations then.
        explanation: one sentence for people.
        provenance: who made it.

    Raises:
        pydantic.ValidationError: `parse_plan` turns it into a `PlanError` for people.
    """

    schema_: Annotated[Literal["imgedit-plan/1"], Field(alias="schema")] = SCHEMA
    definitions: str = DEFAULT_PROFILE
    operations: tuple[PlannedOperation, ...] = ()
    residual: Residual | None = None
    abstained: bool = False
    explanation: str = ""
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _abstained_is_empty(self) -> EditPlan:
        if self.abstained and self.operations:
            place = {"place": ("operations",)}
            raise PydanticCustomError("rule", "an abstained plan has no operations", place)
        return self

    def to_json(self, *, indent: int | None = 2) -> str:
        """The plan as JSON text; `parse_plan` gives the same plan back."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=indent) + "\n"


def step(
    name: str, confidence: float = 1.0, **parameters: ParameterValue | Points
) -> PlannedOperation:
    """One step of a plan: ``step("bright", offset=50)``.

    Raises:
        PlanError: unknown operation, or parameters missing, unknown or out of range.
    """
    data = {"name": name, "parameters": parameters, "confidence": confidence}
    headline = "This step is not valid"
    _refuse_unspeakable(data, headline)
    try:
        return PlannedOperation.model_validate(data)
    except ValidationError as error:
        raise _plan_error(error, headline) from error


def parse_plan(
    text: str | bytes | Mapping[str, Any], *, vocabulary: Vocabulary | None = None
) -> EditPlan:
    """The plan of a JSON text or of decoded JSON.

    Args:
        text: JSON, or what `json.loads` made of it.
        vocabulary: where operations are looked up; the process's vocabulary by default.

    Raises:
        PlanError: names each fault and its place, such as ``operations[1].parameters.offset``.
    """
    data: object = text
    if isinstance(text, str | bytes):
        data = documents.decode(text, "edit plan", PlanError)
    if not isinstance(data, Mapping):
        raise PlanError(f"An edit plan is a JSON object, not {type(data).__name__}.")
    headline = "This edit plan is not valid"
    _refuse_unspeakable(data, headline)
    try:
        # JSON has no tuples; the types inside stay strict.
        if isinstance(data.get("operations"), list):
            data = {**data, "operations": tuple(data["operations"])}
        return EditPlan.model_validate(data, context={"vocabulary": vocabulary}, by_name=False)
    except ValidationError as error:
        raise _plan_error(error, headline) from error


def read_plan(path: Path) -> EditPlan:
    """The plan in a JSON file.

    Raises:
        PlanError: the file cannot be read, or is no valid plan.
    """
    try:
        return parse_plan(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise PlanError(f"The plan {str(path)!r} cannot be read: {reason}.") from error
    except ValueError as error:  # a NUL in the path
        raise PlanError(f"The plan {str(path)!r} cannot be read: {error}.") from error
    except PlanError as error:
        raise PlanError(f"{path}: {error.message}", problems=error.problems) from error


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plans, as published in ``schemas/imgedit-plan-1.schema.json``."""
    schema = EditPlan.model_json_schema(by_alias=True)
    abstained = {"properties": {"abstained": {"const": True}}, "required": ["abstained"]}
    empty = {"properties": {"operations": {"maxItems": 0}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **schema,
        "if": abstained,
        "then": empty,
    }


def _vocabulary(info: ValidationInfo) -> Vocabulary:
    given = info.context.get("vocabulary") if isinstance(info.context, dict) else None
    return given if isinstance(given, Vocabulary) else default_vocabulary()


def _place_of(error: OperationError) -> tuple[str, ...]:
    if not isinstance(error, ParameterError):
        return ("name",)
    return ("parameters", error.parameter) if error.parameter else ("parameters",)


def _refuse_unspeakable(data: Mapping[Any, Any], headline: str) -> None:
    """Refuse what no JSON document can hold.

    Raises:
        PlanError: a field that stands twice, a number or text that is none, endless nesting.
    """
    if problems := documents.problems_of(data):
        raise _told(headline, problems)


def _plan_error(error: ValidationError, headline: str) -> PlanError:
    return _told(headline, documents.problems_in(error))


def _told(headline: str, problems: documents.Problems) -> PlanError:
    return PlanError(f"{headline}: {documents.told(problems)}", problems=problems)
