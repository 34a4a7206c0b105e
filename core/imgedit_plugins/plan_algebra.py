"""Plans as things to reckon with: compose, invert, simplify, compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import PlanError, PlanNotInvertibleError
from imgedit_plugins.operations import DEFAULT_PROFILE, Inverse
from imgedit_plugins.pictures import Picture, to_8_bits
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import difference, render_plan


def compose(first: EditPlan, *others: EditPlan) -> EditPlan:
    """The plan that does what the given plans do one after another.

    What belonged to the parts alone (residual, explanation, provenance) is left out. Rendered in
    one go, the result may differ by the rounding that the parts had between them.

    Raises:
        PlanError: a plan abstained, or the plans use different definitions.
    """
    plans = (first, *others)
    for plan in plans:
        if plan.abstained:
            raise PlanError("A plan that abstained has nothing to compose.")
        if plan.definitions != first.definitions:
            raise PlanError(
                f"These plans use different definitions: {first.definitions!r} and "
                f"{plan.definitions!r}.",
                hint="Apply them one after another instead.",
            )
    operations = tuple(operation for plan in plans for operation in plan.operations)
    return EditPlan(definitions=first.definitions, operations=operations)


def invert(plan: EditPlan, *, exact: bool = False) -> EditPlan:
    """The plan that undoes `plan`.

    Args:
        plan: what to undo.
        exact: only take inverses that restore the picture bit for bit; otherwise brightness,
            contrast and saturation are undone up to rounding and clipped values.

    Raises:
        PlanNotInvertibleError: names the operations that cannot be undone.
        PlanError: the plan abstained.
    """
    if plan.abstained:
        raise PlanError("A plan that abstained has nothing to undo.")
    undone = [(i, op, _inverse(op, exact)) for i, op in enumerate(plan.operations)]
    problems = tuple(
        (f"operations[{i}]", f"{op.name!r} cannot be undone{' exactly' if exact else ''}")
        for i, op, inverse in undone
        if inverse is None
    )
    if problems:
        told = "; ".join(f"{place}: {what}" for place, what in problems)
        raise PlanNotInvertibleError(f"This plan loses information: {told}.", problems=problems)
    return EditPlan(
        definitions=plan.definitions,
        operations=tuple(
            PlannedOperation(name=inv.name, parameters=dict(inv.parameters))
            for _, _, inv in reversed(undone)
            if inv is not None
        ),
    )


def _inverse(operation: PlannedOperation, exact: bool) -> Inverse | None:
    if operation.operation.is_neutral(operation.parameters):
        return Inverse(operation.name, operation.parameters, exact=True)
    inverse = operation.operation.inverse(operation.parameters)
    return None if inverse is not None and exact and not inverse.exact else inverse


def simplify(plan: EditPlan) -> EditPlan:
    """The same plan without steps that change nothing, and with neighbouring turns merged.

    The rendered picture is the same bit for bit.
    """
    kept: list[PlannedOperation] = []
    for operation in plan.operations:
        if operation.operation.is_neutral(operation.parameters):
            continue
        merged = _merge(kept[-1], operation, plan.definitions) if kept else None
        if merged is None:
            kept.append(operation)
        else:
            kept[-1:] = merged
    changed = len(kept) != len(plan.operations)
    return plan.model_copy(update={"operations": tuple(kept)}) if changed else plan


def _merge(
    a: PlannedOperation, b: PlannedOperation, definitions: str
) -> list[PlannedOperation] | None:
    """What two neighbours come to, or None when they do not merge without rounding."""
    if a.name != b.name:
        return None
    if a.name in ("flip", "invert"):
        return []
    if a.name == "grayscale" and definitions == DEFAULT_PROFILE:
        return [a]  # other weights need not add up to one, and grey would not stay as it is
    if a.name == "rotate":
        degrees = (a.parameters["degrees"] + b.parameters["degrees"]) % 360
        confidence = min(a.confidence, b.confidence)
        turned = {"name": "rotate", "parameters": {"degrees": degrees}, "confidence": confidence}
        return [PlannedOperation.model_validate(turned)] if degrees else []
    return None


@dataclass(frozen=True)
class Comparison:
    """How far apart two plans' pictures are on one picture.

    Attributes:
        maximum: largest difference of any colour or alpha value, in 8-bit codes; 255 when sizes
            differ.
        mean: mean difference, in 8-bit codes.
        equivalent: `maximum` is within the tolerance.
    """

    maximum: int
    mean: float
    equivalent: bool


def compare(a: EditPlan, b: EditPlan, picture: Picture, *, tolerance: int = 1) -> Comparison:
    """Whether two plans do the same to `picture`, in whatever words.

    Args:
        a: a plan.
        b: another one.
        picture: what both are rendered on.
        tolerance: largest difference that still counts as the same, in 8-bit codes.
    """
    left, right = render_plan(picture, a), render_plan(picture, b)
    if (left.height, left.width) != (right.height, right.width):
        return Comparison(255, 255.0, equivalent=False)
    absolute = np.abs(difference(_codes(left), _codes(right)))
    maximum = int(absolute.max())
    return Comparison(maximum, float(absolute.mean()), maximum <= tolerance)


def _codes(picture: Picture) -> NDArray[np.uint8]:
    """Colours, and alpha where there is one, (height, width, 3 or 4) in 8 bits."""
    rgb, alpha = picture.rgb8(), picture.alpha
    return rgb if alpha is None else np.concatenate([rgb, to_8_bits(alpha)], axis=2)
