"""Parameters between the levels."""

from __future__ import annotations

import pytest
from made_pictures import Value, edit, moves_of
from test_search import stage_of

from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.moves import Move
from imgedit_reverse_design.refine import refine
from imgedit_reverse_design.stage import Stage


@pytest.mark.parametrize(
    ("name", "true", "start", "off"),
    [
        ("bright", 37.0, 30.0, 0.5),
        ("bright", -22.0, -40.0, 0.5),
        ("contrast", 1.23, 1.3, 0.01),
        ("contrast", 0.61, 0.5, 0.01),
        ("saturate", 1.72, 1.5, 0.02),
        ("saturate", 3.4, 2.5, 0.05),
        ("gaussian", 7, 9, 0),
        ("gaussian", 27, 21, 0),
        ("blur", 13, 9, 0),
    ],
)
def test_a_parameter_is_found_from_a_level_near_it(
    photo: RGB8, name: str, true: Value, start: Value, off: float
) -> None:
    stage = stage_of(photo, edit(photo, (name, true)))
    plan = refine(stage, stage.found(moves_of((name, start))))
    assert [m.name for m in plan.moves] == [name]
    assert plan.moves[0].value == pytest.approx(true, abs=off)
    assert plan.error == stage.error(plan.moves)
    checked = default_vocabulary()[name].check(stage.renderer.parameters(plan.moves[0]))
    assert checked == stage.renderer.parameters(plan.moves[0])


def test_two_parameters_are_found_together(photo: RGB8) -> None:
    stage = stage_of(photo, edit(photo, ("gaussian", 7), ("bright", 37.0)))
    plan = refine(stage, stage.found(moves_of(("gaussian", 9), ("bright", 30.0))))
    assert plan.moves == moves_of(("gaussian", 7), ("bright", 37.0))
    assert plan.error == 0.0


@pytest.mark.parametrize(
    "moves", [(), (("sepia", None),), (("bright", 30.0),), (("blur", 3), ("saturate", 2.5))]
)
def test_a_plan_that_fits_stays(photo: RGB8, moves: tuple[tuple[str, Value], ...]) -> None:
    stage = stage_of(photo, edit(photo, *moves))
    plan = stage.found(moves_of(*moves))
    assert refine(stage, plan) == plan


def test_refining_never_makes_a_plan_much_worse(photo: RGB8, other_photo: RGB8) -> None:
    stage = stage_of(photo, edit(other_photo, ("contrast", 0.7)))
    for moves in ((("bright", 50.0), ("gaussian", 21)), (("contrast", 0.5), ("saturate", 2.5))):
        plan = stage.found(moves_of(*moves))
        better = refine(stage, plan)
        # Levels are preferred where they fit nearly as well.
        assert better.error <= plan.error * 1.05 + 0.05
        assert_allowed(stage, better.moves)


def assert_allowed(stage: Stage, moves: tuple[Move, ...]) -> None:
    assert stage.renderer.allows(moves)
