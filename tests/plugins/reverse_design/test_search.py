"""The search on one stage: it finds, it needs no spare operation, it stops when asked to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_pictures import Value, edit, moves_of

from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import DEFAULT_PROFILE
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.align import UPRIGHT, Turn
from imgedit_reverse_design.hunt import solver
from imgedit_reverse_design.scene import Pair
from imgedit_reverse_design.search import NORMAL, QUICK, Effort, Search
from imgedit_reverse_design.stage import Found, Stage

Moves = tuple[tuple[str, Value], ...]

EASY: tuple[Moves, ...] = (
    (("invert", None),),
    (("gaussian", 13), ("invert", None), ("winter", None)),
    (("sepia", None), ("blur", 5), ("bright", 30.0)),
    (("saturate", 2.0), ("contrast", 0.7)),
    (("hdr", None), ("contrast", 0.7)),
)


def stage_of(source: RGB8, edited: RGB8, turn: Turn = UPRIGHT) -> Stage:
    return Stage(Pair(source, edited), turn, solver(DEFAULT_PROFILE, 5).renderer)


def run(stage: Stage, longest: int = 5, effort: Effort = QUICK) -> Found:
    return Search(stage, solver(DEFAULT_PROFILE, longest).levels, Job()).run(effort)


@pytest.mark.parametrize("moves", EASY, ids=lambda m: "+".join(name for name, _ in m))
def test_the_edit_is_found(photo: RGB8, moves: Moves) -> None:
    stage = stage_of(photo, edit(photo, *moves))
    found = run(stage)
    assert found.moves == moves_of(*moves)
    assert stage.enough(found)
    assert found.error == stage.error(found.moves)


def test_nothing_was_done(photo: RGB8) -> None:
    assert run(stage_of(photo, photo)) == Found((), 0.0)


def test_a_turned_picture_is_searched_in_its_orientation(photo: RGB8) -> None:
    turn = Turn(flipped=True, quarters=1)
    moves: Moves = (("gaussian", 9), ("summer", None))
    found = run(stage_of(photo, turn.apply(edit(photo, *moves)), turn))
    assert found.moves == moves_of(*moves)


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_no_plan_is_longer_than_allowed(photo: RGB8, longest: int) -> None:
    edited = edit(photo, ("sepia", None), ("gaussian", 9), ("invert", None), ("bright", 50.0))
    stage = stage_of(photo, edited)
    assert len(run(stage, longest).moves) <= longest
    assert not stage.enough(run(stage, longest))


def test_every_operation_of_a_plan_is_needed(photo: RGB8, other_photo: RGB8) -> None:
    mixed = (photo // 2 + edit(photo, ("gaussian", 9), ("invert", None)) // 3).astype(photo.dtype)
    stage = stage_of(photo, mixed)
    found = run(stage)
    for i in range(len(found.moves)):
        assert stage.error(found.moves[:i] + found.moves[i + 1 :]) > found.error


def test_what_lowers_the_error_by_a_hair_is_left_out(photo: RGB8) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(np.rint(photo + rng.normal(-0.4, 6, photo.shape)), 0, 255).astype(np.uint8)
    stage = stage_of(photo, noisy)
    found = run(stage)
    for i in range(len(found.moves)):
        assert stage.error(found.moves[:i] + found.moves[i + 1 :]) > 1.01 * found.error


def test_no_operation_comes_twice(photo: RGB8, other_photo: RGB8) -> None:
    found = run(stage_of(photo, edit(other_photo, ("summer", None))))
    names = [m.name for m in found.moves]
    assert len(names) == len(set(names)) <= 5


def test_the_same_pair_gets_the_same_plan(photo: RGB8) -> None:
    edited = edit(photo, ("bright", 41.0), ("gaussian", 7))
    plans = [run(stage_of(photo, edited)) for _ in range(2)]
    assert plans[0] == plans[1]


def test_the_error_of_a_plan_is_that_on_the_places(photo: RGB8) -> None:
    stage = stage_of(photo, edit(photo, ("bright", 30.0)))
    assert stage.error(moves_of(("bright", 30.0))) == 0.0
    assert stage.error(moves_of(("bright", 10.0))) == pytest.approx(400.0, rel=0.1)
    assert stage.error(()) == pytest.approx(900.0, rel=0.1)


@pytest.mark.parametrize("effort", [QUICK, NORMAL])
def test_a_cancelled_search_stops(photo: RGB8, other_photo: RGB8, effort: Effort) -> None:
    class Impatient(Job):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 3:
                self.cancel()
            super().check()

    job = Impatient()
    search = Search(stage_of(photo, other_photo), solver(DEFAULT_PROFILE, 5).levels, job)
    with pytest.raises(JobCancelledError):
        search.run(effort)
    assert job.calls == 4


def test_orders_that_matter_are_told_apart(photo: RGB8) -> None:
    three: Moves = (("invert", None), ("gaussian", 5), ("contrast", 1.3))
    for order in itertools.permutations(three):
        stage = stage_of(photo, edit(photo, *order))
        found = run(stage)
        assert stage.enough(found)
        # A blur commutes with what does not clip; the picture is the same all the same.
        assert sorted(m.name for m in found.moves) == sorted(name for name, _ in order)
