"""Arbitrary valid steps and plans, made from the declarations of the vocabulary."""

from hypothesis import strategies as st

from imgedit_plugins.operations import Operation, Parameter, default_vocabulary
from imgedit_plugins.plan import EditPlan, PlannedOperation, Provenance, Residual

OPERATIONS = {operation.name: operation for operation in default_vocabulary()}
GEOMETRY = ("rotate", "flip")
EXACT = (*GEOMETRY, "invert")  # undone bit for bit
REVERSIBLE = (*EXACT, "bright", "contrast", "saturate")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
fractions = st.floats(0, 1)


def values(parameter: Parameter) -> st.SearchStrategy[int | float]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    low, high = parameter.minimum, parameter.maximum
    if parameter.odd:
        return st.integers(int(low) // 2, (int(high) - 1) // 2).map(lambda n: 2 * n + 1)
    if parameter.integer:
        return st.integers(int(low), int(high))
    whole = st.integers(int(low), int(high)).map(float)
    return st.floats(low, high) | whole


def parameters_of(operation: Operation) -> st.SearchStrategy[dict[str, int | float]]:
    return st.fixed_dictionaries({p.name: values(p) for p in operation.parameters})


@st.composite
def steps(draw, names=tuple(OPERATIONS)) -> PlannedOperation:
    name = draw(st.sampled_from(names))
    parameters = draw(parameters_of(OPERATIONS[name]))
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
