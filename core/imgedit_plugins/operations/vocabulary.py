"""Operations and parameters as declarations, and the vocabulary that holds them."""

from __future__ import annotations

import difflib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgedit_plugins.errors import OperationError, ParameterError, UnknownOperationError

if TYPE_CHECKING:
    from imgedit_plugins.operations.forms import Form
    from imgedit_plugins.pictures import RGB8

ParameterValue = int | float
Points = tuple[tuple[float, float], ...]
"""A curve: (input, output) pairs in 0..1, inputs rising."""
Parameters = Mapping[str, Any]
"""Parameter name -> number, or `Points` for a curve; already checked."""
Constants = Mapping[str, Any]
Kind = Literal["pointwise", "neighbourhood", "geometric"]

STRAIGHT: Points = ((0.0, 0.0), (1.0, 1.0))
_MOST_POINTS = 64
_LEAST_STEP = 1e-4  # between the inputs of two points; less is a jump


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation.

    Attributes:
        name: as in a plan.
        title: for dialogs.
        unit: natural unit ('code' is one step of 8 bits; 'px', '°', '×').
        minimum, maximum: allowed range, inclusive.
        neutral: the value that changes nothing; None where there is none.
        integer: whole numbers only.
        odd: odd whole numbers only (kernel sizes).
        choices: the only values allowed, if not a range.
        optional: may be left out of a plan, and is then `neutral`.
        points: the value is a curve (`Points`, 2 to 64 of them) within minimum..maximum.
    """

    name: str
    title: str
    unit: str
    minimum: float
    maximum: float
    neutral: float | Points | None = None
    integer: bool = False
    odd: bool = False
    choices: tuple[ParameterValue, ...] = ()
    optional: bool = False
    points: bool = False

    def check(self, operation: str, value: object) -> ParameterValue | Points:
        """The value in its canonical type: int for whole-number parameters, else float; `Points`.

        Raises:
            ParameterError: not a finite number, or not an allowed one; no curve.
        """
        if self.points:
            return self._check_points(operation, value)
        shown = shorten(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(operation, f"must be a number, not {shown}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(operation, f"must be finite, not {shown}")
        if self.choices and value not in self.choices:
            allowed = ", ".join(str(c) for c in self.choices)
            raise self._error(operation, f"must be one of {allowed}, not {shown}")
        if not self.minimum <= value <= self.maximum:
            raise self._error(operation, f"must be {self.describe_range()}, not {shown}")
        if not (self.integer or self.odd):
            return float(value)
        if value != int(value) or (self.odd and int(value) % 2 == 0):
            kind = "an odd whole number" if self.odd else "a whole number"
            raise self._error(operation, f"must be {kind}, not {shown}")
        return int(value)

    def _check_points(self, operation: str, value: object) -> Points:
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= _MOST_POINTS:
            wanted = f"2 to {_MOST_POINTS} points such as [[0, 0], [0.5, 0.6], [1, 1]]"
            raise self._error(operation, f"must be {wanted}, not {shorten(value)}")
        coordinate = Parameter(self.name, self.title, self.unit, self.minimum, self.maximum)
        points = []
        for point in value:
            if not isinstance(point, list | tuple) or len(point) != 2:
                raise self._error(operation, f"has {shorten(point)}, which is no point [x, y]")
            x, y = (coordinate.check(operation, number) for number in point)
            points.append((float(x), float(y)))  # type: ignore[arg-type]
        if any(b[0] - a[0] < _LEAST_STEP * (1 - 1e-9) for a, b in itertools.pairwise(points)):
            raise self._error(
                operation, f"must rise in x from point to point, not {shorten(value)}"
            )
        return tuple(points)

    def describe_range(self) -> str:
        """The range in words, such as 'between -255 and 255 code'."""
        if self.points:
            return f"a curve of 2 to {_MOST_POINTS} points [x, y], x rising from point to point"
        if self.choices:
            return f"one of {', '.join(str(c) for c in self.choices)} {self.unit}".rstrip()
        odd = ", odd" if self.odd else ""
        return f"between {self.minimum:g} and {self.maximum:g} {self.unit}{odd}".rstrip()

    def _error(self, operation: str, what: str) -> ParameterError:
        return ParameterError(operation, self.name, f"{self.name!r} of {operation!r} {what}.")


@dataclass(frozen=True)
class Constant:
    """One constant that an operation takes from the definition profile.

    Attributes:
        name: as in the profile.
        shape: () for a number, (3, 3) for a matrix; None stands for any length.
        minimum, maximum: allowed range of each number, inclusive.
        words: the words allowed, if it is a word and no number.
        whole: whole numbers only.
        required: whether the operation cannot do without it.
        rising: rows must rise in their first number (the points of a curve).
    """

    name: str
    shape: tuple[int | None, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    words: tuple[str, ...] = ()
    whole: bool = False
    required: bool = True
    rising: bool = False

    def fault(self, value: object) -> str:
        """What is wrong with a value ('must be ..., not ...'); empty for a good one."""
        if self.words:
            allowed = " or ".join(repr(word) for word in self.words)
            return "" if value in self.words else f"must be {allowed}, not {shorten(value)}"
        numbers = _numbers(value, self.shape)
        if numbers is None:
            return f"must be {_shape_in_words(self.shape)}, not {shorten(value)}"
        wrong = self._fault_of_numbers(numbers)
        return f"{wrong}, not {shorten(value)}" if wrong else ""

    def _fault_of_numbers(self, numbers: list[int | float]) -> str:
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            return "must be finite"
        if not all(self.minimum <= n <= self.maximum for n in numbers):
            return f"must be between {self.minimum:g} and {self.maximum:g}"
        if self.whole and any(n != int(n) for n in numbers):
            return "must be whole numbers"
        firsts = numbers[:: self.shape[-1] or 1] if self.rising and self.shape else []
        if any(a >= b for a, b in itertools.pairwise(firsts)):
            return "must rise in its first numbers"
        return ""


@dataclass(frozen=True)
class Inverse:
    """What undoes an operation.

    Attributes:
        name, parameters: the operation that undoes it.
        exact: bit for bit; otherwise up to rounding and clipped highlights or shadows.
    """

    name: str
    parameters: Parameters
    exact: bool


@dataclass(frozen=True)
class Operation:
    """One named edit.

    Attributes:
        name: as in a plan; lower case, words joined by hyphens.
        title: for people.
        kind: 'pointwise' (a pixel depends on itself alone), 'neighbourhood' or 'geometric'.
        render: (pixels, parameters, constants) -> new pixels; 8-bit RGB in and out, input
            untouched, parameters already checked, constants from the profile. The recipe of
            data that was made in 8 bits; None where there is no such data. It may have a fourth
            parameter, `out=None`: an array of the pixels' shape that it may return filled.
        source: where the mathematics is from.
        summary: one sentence for `imgedit-plugins operations`.
        parameters: in the order in which they are shown.
        inverse: parameters -> what undoes it, or None where information is lost.
        reach: parameters -> how far, in pixels, a pixel looks around (with the constants of the
            shipped profile).
        phrase: parameters -> past-tense words for explanations ('brightened by 50').
        constants: what the mathematics takes from the definition profile; a profile is checked
            against it, and one that says something else about this operation is refused.
        form: (parameters, constants) -> the mathematics on values 0..1, for every bit depth.
            Without it, pictures of more than 8 bits are edited in 8.
        compares: how it relates to the sliders of that name in other editors.
        fault: checked parameters -> why they do not go together, as half a sentence; empty where
            they do.
    """

    name: str
    title: str
    kind: Kind
    render: Callable[..., RGB8] | None
    source: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    inverse: Callable[[Parameters], Inverse | None] = lambda _: None
    reach: Callable[[Parameters], int] = lambda _: 0
    phrase: Callable[[Parameters], str] | None = None
    constants: tuple[Constant, ...] = ()
    form: Callable[[Parameters, Constants], Form] | None = None
    compares: str = ""
    fault: Callable[[Parameters], str] = lambda _: ""

    def __post_init__(self) -> None:
        if self.render is None and self.form is None:
            raise OperationError(
                f"The operation {self.name!r} has no mathematics.", hint="Give `form` or `render`."
            )

    def check(self, parameters: Mapping[str, object]) -> dict[str, Any]:
        """The parameters, complete and in canonical types.

        Raises:
            ParameterError: one is missing, unknown or out of range, or they do not go together.
        """
        known = {p.name: p for p in self.parameters}
        for name in parameters:
            if name not in known:
                takes = f"It takes {', '.join(known)}." if known else "It takes none."
                raise ParameterError(
                    self.name, name, f"{self.name!r} has no parameter {name!r}.", hint=takes
                )
        given = {p.name: p.neutral for p in self.parameters if p.optional} | dict(parameters)
        for name in known:
            if name not in given:
                raise ParameterError(self.name, name, f"{self.name!r} needs {name!r}.")
        checked = {n: p.check(self.name, given[n]) for n, p in known.items()}
        if fault := self.fault(checked):
            raise ParameterError(self.name, "", f"{self.name!r} cannot be done so: {fault}.")
        return checked

    def is_neutral(self, parameters: Parameters) -> bool:
        """Whether these parameters change nothing at all."""
        return bool(self.parameters) and all(
            p.neutral is not None and parameters[p.name] == p.neutral for p in self.parameters
        )

    def describe(self, parameters: Parameters) -> str:
        """The edit in past-tense words, for explanations."""
        if self.phrase is not None:
            return self.phrase(parameters)
        left_out = {p.name: p.neutral for p in self.parameters if p.optional}
        values = ", ".join(
            f"{name} {'curve' if isinstance(value, tuple) else format(value, 'g')}"
            for name, value in parameters.items()
            if name not in left_out or value != left_out[name]
        )
        return f"{self.title.lower()} ({values})" if values else self.title.lower()


class Vocabulary:
    """Operations by name, in the order in which they were added."""

    def __init__(self, operations: tuple[Operation, ...] = ()) -> None:
        self._operations: dict[str, Operation] = {}
        for operation in operations:
            self.add(operation)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def __contains__(self, name: object) -> bool:
        return name in self._operations

    def __len__(self) -> int:
        return len(self._operations)

    def add(self, operation: Operation) -> None:
        """Add an operation.

        Raises:
            OperationError: the name is taken by another operation.
        """
        if self._operations.get(operation.name, operation) is not operation:
            raise OperationError(
                f"There is already an operation {operation.name!r}.",
                hint="Choose a name with your plugin's name in front.",
            )
        self._operations[operation.name] = operation

    def __getitem__(self, name: str) -> Operation:
        """The operation of that name.

        Raises:
            UnknownOperationError: there is none.
        """
        try:
            return self._operations[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._operations, n=2)
            raise UnknownOperationError(name, tuple(close)) from None


@functools.cache
def default_vocabulary() -> Vocabulary:
    """The process's vocabulary: the core's operations, and what loaded plugins registered."""
    from imgedit_plugins.operations import colour, detail, effects, frame, haze, imad, tone

    modules = (imad, tone, colour, detail, haze, effects, frame)
    return Vocabulary(tuple(operation for module in modules for operation in module.OPERATIONS))


def shorten(value: object) -> str:
    """A value as messages show it: `repr`, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits; endless nesting
        return f"this {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _numbers(value: object, shape: tuple[int | None, ...]) -> list[int | float] | None:
    """The numbers of a nested list, row by row; None when it has another shape."""
    if not shape:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return [value] if number else None  # type: ignore[list-item]
    if not isinstance(value, list) or shape[0] not in (None, len(value)):
        return None
    numbers: list[int | float] = []
    for item in value:
        row = _numbers(item, shape[1:])
        if row is None:
            return None
        numbers += row
    return numbers


def _shape_in_words(shape: tuple[int | None, ...]) -> str:
    if not shape:
        return "a number"
    sizes = " x ".join("any" if size is None else str(size) for size in shape)
    return f"a list of {sizes} numbers"
