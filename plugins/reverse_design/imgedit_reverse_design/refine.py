"""Parameters between the levels: coordinate descent on a plan's own error."""

from __future__ import annotations

from collections.abc import Iterator

from imgedit_plugins.operations import ParameterValue
from imgedit_reverse_design.moves import Move, Sequence_
from imgedit_reverse_design.stage import Found, Stage

_ABSOLUTE_STEPS = (16.0, 8.0, 4.0, 2.0, 1.0)
_RELATIVE_STEPS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_KERNEL_STEPS = (6, 2)
_AS_WELL = 1.05
_CLOSE = 0.02

_GAIN = 0.995
"""A parameter leaves its level only if the error falls by more than half a percent."""


def refine(stage: Stage, plan: Found) -> Found:
    """The plan with its parameters moved off their levels as far as that lowers the error."""
    improved = True
    while improved:
        improved = False
        for place in range(len(plan.moves)):
            better = _refine_one(stage, plan, place)
            improved |= better is not plan
            plan = better
    return snap(stage, plan)


def snap(stage: Stage, plan: Found) -> Found:
    """The plan with parameters put back on the profile's levels where they fit as well."""
    for place, move in enumerate(plan.moves):
        levels = stage.renderer.profile.levels(move.name)
        if move.value is None or not levels or move.value in levels:
            continue
        nearest = min(levels, key=lambda level: abs(level - (move.value or 0)))
        moves = _with(plan.moves, place, nearest)
        if stage.renderer.allows(moves) and stage.error(moves) <= plan.error * _AS_WELL + _CLOSE:
            plan = Found(moves, stage.error(moves))
    return plan


def _refine_one(stage: Stage, plan: Found, place: int) -> Found:
    for steps in _steps(plan.moves[place]):
        moving = True
        while moving:
            near = [
                Found(moves, stage.error(moves))
                for value in _around(plan.moves[place], steps)
                if stage.renderer.allows(moves := _with(plan.moves, place, value))
            ]
            best = min(near, key=lambda f: f.error, default=plan)
            moving = best.error < plan.error * _GAIN
            plan = best if moving else plan
    return plan


def _steps(move: Move) -> tuple[float, ...]:
    if move.value is None:
        return ()
    if move.name in ("blur", "gaussian"):
        return _KERNEL_STEPS
    return _ABSOLUTE_STEPS if move.name == "bright" else _RELATIVE_STEPS


def _around(move: Move, size: float) -> Iterator[ParameterValue]:
    assert move.value is not None
    if isinstance(move.value, int) and move.name != "bright":
        yield from (move.value - int(size), move.value + int(size))
    elif move.name == "bright":
        yield from (move.value - size, move.value + size)
    else:
        yield from (round(move.value * (1 - size), 4), round(move.value * (1 + size), 4))


def _with(moves: Sequence_, place: int, value: ParameterValue) -> Sequence_:
    return (*moves[:place], Move(moves[place].name, value), *moves[place + 1 :])
