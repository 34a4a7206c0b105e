"""The edit plan: an ordered list of named operations, and what they do not explain."""

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
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from imgedit_plugins.errors import OperationError, ParameterError, PlanError
from imgedit_plugins.operations import (
    DEFAULT_PROFILE,
    Operation,
    ParameterValue,
    Vocabulary,
    default_vocabulary,
)

SCHEMA: Final = "imgedit-plan/1"

Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class PlannedOperation(_Strict):
    """One step of a plan.

    Attributes:
        name: an operation of the vocabulary.
        parameters: all of its parameters, in natural units.
        confidence: 0..1, how sure whoever made the plan is of this step.
    """

    name: str
    parameters: dict[str, int | FiniteFloat] = {}
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
            raise PydanticCustomError("abstained", "an abstained plan has no operations")
        return self

    def to_json(self, *, indent: int | None = 2) -> str:
        """The plan as JSON text; `parse_plan` gives the same plan back."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=indent) + "\n"


def step(name: str, confidence: float = 1.0, **parameters: ParameterValue) -> PlannedOperation:
    """One step of a plan: ``step("bright", offset=50)``.

    Raises:
        PlanError: unknown operation, or parameters missing, unknown or out of range.
    """
    data = {"name": name, "parameters": parameters, "confidence": confidence}
    try:
        return PlannedOperation.model_validate(data)
    except ValidationError as error:
        raise _plan_error(error, "This step is not valid") from error


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
    if isinstance(text, str | bytes):
        text = _decode(text)
    try:
        # JSON has no tuples; the types inside stay strict.
        if isinstance(text.get("operations"), list):
            text = {**text, "operations": tuple(text["operations"])}
        return EditPlan.model_validate(text, context={"vocabulary": vocabulary}, by_name=False)
    except ValidationError as error:
        raise _plan_error(error, "This edit plan is not valid") from error


def read_plan(path: Path) -> EditPlan:
    """The plan in a JSON file.

    Raises:
        PlanError: the file cannot be read, or is no valid plan.
    """
    try:
        return parse_plan(path.read_bytes())
    except OSError as error:
        raise PlanError(f"The plan {path} cannot be read: {error.strerror}.") from error
    except PlanError as error:
        raise PlanError(f"{path}: {error.message}", problems=error.problems) from error


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plans, as published in ``schemas/imgedit-plan-1.schema.json``."""
    schema = EditPlan.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def _vocabulary(info: ValidationInfo) -> Vocabulary:
    given = info.context.get("vocabulary") if isinstance(info.context, dict) else None
    return given if isinstance(given, Vocabulary) else default_vocabulary()


def _place_of(error: OperationError) -> str:
    return f".parameters.{error.parameter}" if isinstance(error, ParameterError) else ".name"


def _decode(text: str | bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"This is not JSON: {error}.") from error
    if not isinstance(data, dict):
        raise PlanError(f"An edit plan is a JSON object, not {type(data).__name__}.")
    return data


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {doubled!r} stands twice in one object")
    return data


def _plan_error(error: ValidationError, headline: str) -> PlanError:
    problems = tuple(
        (
            _place(fault["loc"]) + fault.get("ctx", {}).get("place", ""),
            _sentence(fault["type"], fault["msg"], fault.get("input")),
        )
        for fault in error.errors(include_url=False)
    )
    told = "; ".join(f"{place}: {what}" if place else what for place, what in problems)
    return PlanError(f"{headline}: {told}", problems=problems)


def _place(location: tuple[int | str, ...]) -> str:
    place = ""
    for part in location:
        if part in ("int", "float", "function-before", "finite-float"):
            continue  # a branch of a union, not a place in the document
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


def _sentence(kind: str, message: str, value: object) -> str:
    if kind == "operation":
        return message
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "this field is missing"
    shown = repr(value)
    return f"{message[0].lower()}{message[1:]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
