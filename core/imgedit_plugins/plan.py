"""The edit plan: an ordered list of named operations, and what they do not explain."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, cast

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

from imgedit_plugins.errors import OperationError, ParameterError, PlanError
from imgedit_plugins.operations import (
    DEFAULT_PROFILE,
    Operation,
    ParameterValue,
    Points,
    Vocabulary,
    default_vocabulary,
)
from imgedit_plugins.operations.vocabulary import shorten

SCHEMA: Final = "imgedit-plan/1"

Fraction = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]


_DEEPEST = 32  # levels of nesting in a document; a plan has five


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
            raise PydanticCustomError("abstained", "an abstained plan has no operations", place)
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
    data = _decode(text) if isinstance(text, str | bytes) else text
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


# --- refusals ---------------------------------------------------------------------------------


class _Doubled(dict[str, Any]):
    """A JSON object in which `field` stands twice."""

    field: str


def _decode(text: str | bytes) -> object:
    try:
        return json.loads(text, parse_int=_whole_number, object_pairs_hook=_object)
    except RecursionError as error:
        raise PlanError("This is no edit plan: it is nested too deeply.") from error
    except ValueError as error:
        raise PlanError(f"This is not JSON: {error}.") from error


def _whole_number(digits: str) -> int | float:
    """A number of hundreds of digits is infinite, as 1e400 is; Python would refuse to read it."""
    return int(digits) if len(digits) <= 300 else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    names = [name for name, _ in pairs]
    doubled = _Doubled(data)
    doubled.field = next(name for name in names if names.count(name) > 1)
    return doubled


def _refuse_unspeakable(data: Mapping[Any, Any], headline: str) -> None:
    """Refuse what no JSON document can hold, or what JSON readers do not agree on.

    Raises:
        PlanError: a field that stands twice, a number or text that is none, endless nesting.
    """
    problems = tuple(_unspeakable(data))
    if problems:
        raise _told(headline, problems)


def _unspeakable(document: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    todo: list[tuple[tuple[int | str, ...], object]] = [((), document)]
    while todo:
        location, value = todo.pop()
        if what := _fault_of(value):
            yield _place(location), what
        if isinstance(value, _Doubled):
            yield _place((*location, value.field)), "this field stands twice in one object"
        inside: list[tuple[Any, Any]] = []
        if isinstance(value, Mapping):
            inside = list(value.items())
        elif isinstance(value, list | tuple):
            inside = list(enumerate(value))
        if inside and len(location) >= _DEEPEST:
            yield _place(location[:3]), "this is nested too deeply"
            return
        for key, item in reversed(inside):
            if isinstance(value, Mapping) and not (isinstance(key, str) and _is_unicode(key)):
                yield _place(location), f"{shorten(key)} is no name of a field"
            todo.append(((*location, key), item))


def _fault_of(value: object) -> str:
    if isinstance(value, str) and not _is_unicode(value):
        return f"this is no Unicode text: {shorten(value)}"
    if isinstance(value, int) and abs(value) >= 10**300:
        return "this number is too large"
    if isinstance(value, float) and not math.isfinite(value):
        return f"a number must be finite, not {value!r}"
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _plan_error(error: ValidationError, headline: str) -> PlanError:
    return _told(headline, tuple(_problem(cast(Mapping[str, Any], f)) for f in error.errors()))


def _told(headline: str, problems: tuple[tuple[str, str], ...]) -> PlanError:
    told = "; ".join(f"{place}: {what}" if place else what for place, what in problems)
    return PlanError(f"{headline}: {told}", problems=problems)


def _problem(fault: Mapping[str, Any]) -> tuple[str, str]:
    context = fault.get("ctx", {})
    place = _place((*fault["loc"], *context.get("place", ())))
    # The message of an operation's fault may hold braces, which pydantic would fill in.
    message = context.get("message", fault["msg"])
    return place, _sentence(fault["type"], message, fault.get("input"))


def _place(location: tuple[int | str, ...]) -> str:
    if location[-3:-2] == ("parameters",) and location[-1] in ("int", "float"):
        location = location[:-1]  # a branch of a union, not a place in the document
    place = ""
    for part in location:
        if isinstance(part, str) and part.replace("-", "_").isidentifier():
            place += f".{part}" if place else part
        else:
            place += f"[{shorten(part)}]"
    return place


_SHOULD = {
    "tuple_type": "input should be a list",
    "dict_type": "input should be an object",
    "model_type": "input should be an object",
}


def _sentence(kind: str, message: str, value: object) -> str:
    if kind in ("operation", "abstained"):
        return message
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "this field is missing"
    message = _SHOULD.get(kind, f"{message[0].lower()}{message[1:]}")
    return f"{message}, not {shorten(value)}"
