"""Which steps of a plan are functions of a pixel's colour alone."""

from __future__ import annotations

from imgedit_plugins.operations import Profile
from imgedit_plugins.operations.forms import Colour, Curves, Geometry, Matrix, Measured, Positioned
from imgedit_plugins.plan import PlannedOperation

_MOVES = "it moves pixels"
_LOOKS_AROUND = "it looks at neighbouring pixels"
_REASONS = {
    Geometry: _MOVES,
    Positioned: "it depends on the place in the picture",
    Measured: "it measures the picture first",
}


def beyond_colour(step: PlannedOperation, profile: Profile) -> str:
    """What a step depends on beside a pixel's colour, as half a sentence ('it moves pixels').

    Empty where it is a function of the colour alone, and where it changes nothing.
    """
    operation = step.operation
    if operation.is_neutral(step.parameters):
        return ""
    if operation.form is None:
        return {"pointwise": "", "geometric": _MOVES}.get(operation.kind, _LOOKS_AROUND)
    form = operation.form(step.parameters, profile.of(step.name))
    if isinstance(form, Curves | Matrix | Colour):
        return ""
    return _REASONS.get(type(form), _LOOKS_AROUND)


def per_channel(step: PlannedOperation, profile: Profile) -> bool:
    """Whether a step is one curve for each channel, or nothing at all."""
    operation = step.operation
    if operation.is_neutral(step.parameters):
        return True
    form = operation.form(step.parameters, profile.of(step.name)) if operation.form else None
    return isinstance(form, Curves)
