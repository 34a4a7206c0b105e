"""How the edited picture lies over its source."""

from __future__ import annotations

import numpy as np
import pytest
from made_pictures import Value, edit, picture, render

from imgedit_plugins.pictures import RGB8
from imgedit_plugins.plan import EditPlan
from imgedit_reverse_design.align import TURNS, UPRIGHT, Turn, alignments, same_aspect

EDITS: tuple[tuple[tuple[str, Value], ...], ...] = (
    (),
    (("invert", None),),
    (("grayscale", None), ("contrast", 0.5)),
    (("gaussian", 21), ("bright", 50.0)),
    (("sepia", None), ("invert", None), ("blur", 9)),
    (("saturate", 2.5), ("winter", None), ("contrast", 1.3)),
    (("hdr", None), ("sharp", None)),
)


@pytest.fixture(params=TURNS, ids=lambda t: f"{'flip-' if t.flipped else ''}{90 * t.quarters}")
def turn(request: pytest.FixtureRequest) -> Turn:
    found: Turn = request.param
    return found


def seven_by_five() -> RGB8:
    return np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)


def test_there_are_eight_different_turns() -> None:
    shown = {(turn.apply(seven_by_five()).shape, turn.apply(seven_by_five()).tobytes())
             for turn in TURNS}  # fmt: skip
    assert len(TURNS) == len(shown) == 8
    assert UPRIGHT in TURNS


def test_undo_undoes_apply(turn: Turn) -> None:
    pixels = seven_by_five()
    for there_and_back in (turn.undo(turn.apply(pixels)), turn.apply(turn.undo(pixels))):
        assert np.array_equal(there_and_back, pixels)
        assert there_and_back.flags.c_contiguous
    assert turn.apply(pixels).flags.c_contiguous


def test_splits_come_to_the_turn_and_the_first_is_whole_before(turn: Turn) -> None:
    pixels = seven_by_five()
    wanted = turn.apply(pixels)
    splits = turn.splits()
    assert splits[0] == (turn, UPRIGHT)
    assert len(set(splits)) == len(splits)
    for before, after in splits:
        assert np.array_equal(after.apply(before.apply(pixels)), wanted)


def test_steps_rendered_by_the_core_are_the_turn(turn: Turn) -> None:
    pixels = seven_by_five()
    assert np.array_equal(render(pixels, EditPlan(operations=turn.operations())),
                          turn.apply(pixels))  # fmt: skip
    assert len(turn.operations()) == turn.flipped + (turn.quarters > 0)
    for before, after in turn.splits():
        steps = (*before.operations(), *after.operations())
        assert np.array_equal(render(pixels, EditPlan(operations=steps)), turn.apply(pixels))


@pytest.mark.parametrize("shape", [(240, 320), (200, 200), (90, 400)])
@pytest.mark.parametrize("moves", EDITS, ids=lambda m: "+".join(name for name, _ in m) or "none")
def test_the_turn_is_found_in_spite_of_the_edit(
    turn: Turn, shape: tuple[int, int], moves: tuple[tuple[str, Value], ...]
) -> None:
    source = picture(*shape, seed=1)
    # The edit is made before the turn; that detail filters do not commute must not matter.
    found = alignments(source, turn.apply(edit(source, *moves)))
    assert found[0].turn == turn
    assert found[0].score > 0.25
    assert found[0].score > 1.5 * found[1].score
    assert len(found) == (8 if shape[0] == shape[1] else 4)
    assert [a.score for a in found] == sorted((a.score for a in found), reverse=True)
    assert all(-1e-6 <= a.score <= 1 + 1e-6 for a in found)


def test_the_turn_is_found_in_a_scaled_picture(turn: Turn) -> None:
    source = picture(241, 320, seed=2)
    small = picture(241, 320, seed=2)[::2, ::2]
    assert alignments(source, turn.apply(small))[0].turn == turn
    assert alignments(small, turn.apply(source))[0].turn == turn


@pytest.mark.parametrize(
    "edited", [(240, 240), (100, 320), (320, 200), (240, 330), (238, 320), (1, 320)]
)
def test_another_aspect_ratio_fits_no_turn(photo: RGB8, edited: tuple[int, int]) -> None:
    assert alignments(photo, picture(*edited)) == ()


def test_rounding_of_a_scaled_size_is_no_other_aspect_ratio() -> None:
    source = np.zeros((427, 640, 3), np.uint8)
    for height, width in ((213, 320), (214, 320), (333, 500), (334, 500), (854, 1280)):
        edited = np.zeros((height, width, 3), np.uint8)
        assert same_aspect(source, edited, UPRIGHT)
        assert same_aspect(source, edited.transpose(1, 0, 2), Turn(False, 1))
        assert not same_aspect(source, edited, Turn(False, 1))


@pytest.mark.parametrize("shape", [(40, 60), (50, 50), (1, 1), (1, 90)])
@pytest.mark.parametrize("which", ["source", "edited", "both"])
def test_one_colour_is_no_trouble_and_upright(shape: tuple[int, int], which: str) -> None:
    plain = np.full((*shape, 3), 77, np.uint8)
    textured = picture(*shape)
    found = alignments(plain if which != "edited" else textured,
                       plain if which != "source" else textured)  # fmt: skip
    assert found
    if which != "source":
        assert found[0].turn == UPRIGHT
    assert all(np.isfinite(a.score) for a in found)


def test_a_symmetric_picture_is_taken_as_upright() -> None:
    quarter = picture(60, 60)
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    whole = np.concatenate([half, half[::-1]], axis=0)
    assert alignments(whole, edit(whole, ("invert", None)))[0].turn == UPRIGHT
