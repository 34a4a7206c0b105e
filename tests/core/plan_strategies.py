"""Arbitrary valid steps and plans, made from the declarations of the vocabulary."""

import math

from hypothesis import strategies as st

from imgedit_plugins.operations import Operation, Parameter, default_vocabulary, load_profile
from imgedit_plugins.plan import EditPlan, PlannedOperation, Provenance, Residual

OPERATIONS = {operation.name: operation for operation in default_vocabulary()}
RECIPES = tuple(name for name, operation in OPERATIONS.items() if operation.render is not None)
GEOMETRY = tuple(name for name, operation in OPERATIONS.items() if operation.kind == "geometric")
EXACT = ("rotate", "flip", "invert")  # undone bit for bit
REVERSIBLE = (*EXACT, "bright", "contrast", "saturate")
LARGEST = 300  # px that `resize` may ask for here; the vocabulary allows 65535
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
fractions = st.floats(0, 1)


def values(parameter: Parameter) -> st.SearchStrategy:
    if parameter.points:
        return curves(parameter)
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    low, high = parameter.minimum, _bounded(parameter)
    if parameter.odd:
        return st.integers(int(low) // 2, (int(high) - 1) // 2).map(lambda n: 2 * n + 1)
    if parameter.integer:
        return st.integers(int(low), int(high))
    whole = st.integers(math.ceil(low), math.floor(high)).map(float)
    return st.floats(low, high) | whole if math.ceil(low) <= high else st.floats(low, high)


def curves(parameter: Parameter) -> st.SearchStrategy:
    """Points whose inputs lie at least a hundredth of the range apart."""
    low, span = parameter.minimum, parameter.maximum - parameter.minimum
    places = st.lists(st.integers(0, 100), min_size=2, max_size=6, unique=True).map(sorted)
    return places.flatmap(
        lambda xs: st.tuples(*(st.tuples(st.just(low + span * x / 100),
                                         st.floats(low, low + span)) for x in xs))
    )  # fmt: skip


def parameters_of(operation: Operation) -> st.SearchStrategy[dict]:
    every = st.fixed_dictionaries({p.name: values(p) for p in operation.parameters})
    return every.filter(lambda drawn: not operation.fault(drawn))


def _bounded(parameter: Parameter) -> float:
    return min(parameter.maximum, LARGEST) if parameter.unit == "px" else parameter.maximum


def example_of(operation: Operation) -> PlannedOperation:
    """A step that visibly does something: the data's largest level, or well off neutral."""
    levels = load_profile().levels(operation.name)
    given = {p.name: levels[-1] if levels else _visible(p) for p in operation.parameters}
    return PlannedOperation(name=operation.name, parameters=given)


def _visible(parameter: Parameter) -> object:
    if parameter.points:
        low, span = parameter.minimum, parameter.maximum - parameter.minimum
        shape = ((0, 0.05), (0.3, 0.4), (0.7, 0.6), (1, 0.95))
        return tuple((low + span * x, low + span * y) for x, y in shape)
    if parameter.choices:
        return next(c for c in reversed(parameter.choices) if c != parameter.neutral)
    start = parameter.minimum if parameter.neutral is None else float(parameter.neutral)
    end = parameter.minimum if parameter.maximum == start else _bounded(parameter)
    value = start + (end - start) * 0.3
    if parameter.odd:
        return int(value) // 2 * 2 + 1
    return round(value) if parameter.integer else value


@st.composite
def steps(draw, names=tuple(OPERATIONS)) -> PlannedOperation:
    name = draw(st.sampled_from(names))
    parameters = draw(parameters_of(default_vocabulary()[name]))
    return PlannedOperation(name=name, parameters=parameters, confidence=draw(fractions))


def plans(names=tuple(OPERATIONS), longest: int = 4) -> st.SearchStrategy[EditPlan]:
    """Plans of operations only."""
    return st.lists(steps(names), max_size=longest).map(lambda s: EditPlan(operations=tuple(s)))


residuals = st.builds(Residual, psnr_db=st.none() | st.floats(-50, 200), explained=fractions)
provenances = st.builds(
    Provenance,
    plugin=texts,
    model=texts,
    version=texts,
    model_sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
)


@st.composite
def documents(draw) -> EditPlan:
    """Plans with everything that a plan can hold."""
    abstained = draw(st.booleans())
    return EditPlan(
        definitions=draw(texts),
        operations=() if abstained else tuple(draw(st.lists(steps(), max_size=4))),
        residual=draw(st.none() | residuals),
        abstained=abstained,
        explanation=draw(texts),
        provenance=draw(st.none() | provenances),
    )
