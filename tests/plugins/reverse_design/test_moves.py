"""Operations at definite parameters, as the search renders them."""

from __future__ import annotations

import numpy as np
import pytest

from imgedit_plugins.operations import default_vocabulary, load_profile
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.render import render_rgb
from imgedit_reverse_design.moves import EXPENSIVE, SEARCHED, Move, Renderer

CURVES = {"bright", "contrast", "invert", "summer", "winter"}
MOVES = [*Renderer(load_profile()).moves(), *Renderer(load_profile()).moves(wide=True)]


def test_all_of_the_vocabulary_is_searched_but_turns() -> None:
    imad = {o.name for o in default_vocabulary() if o.kind != "geometric"}
    assert set(SEARCHED) <= imad
    assert {"rotate", "flip"} & set(SEARCHED) == set()
    assert set(SEARCHED) >= EXPENSIVE
    # Further operations may be registered; those of the data set are all searched.
    assert len(SEARCHED) == len(set(SEARCHED)) == 12


@pytest.mark.parametrize("wide", [False, True])
def test_curves_are_known(renderer: Renderer, wide: bool) -> None:
    for move in renderer.moves(wide=wide):
        assert renderer.is_curve(move) == (move.name in CURVES)


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_moves_are_in_range_and_not_neutral(renderer: Renderer, move: Move) -> None:
    operation = default_vocabulary()[move.name]
    parameters = renderer.parameters(move)
    assert set(parameters) == {p.name for p in operation.parameters}
    checked = operation.check(parameters)
    assert checked == parameters
    assert not operation.is_neutral(parameters)
    assert renderer.allows([move])


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_moves_render_as_the_core_renders(renderer: Renderer, photo: RGB8, move: Move) -> None:
    pixels = np.ascontiguousarray(photo[:90, :120])
    operation = default_vocabulary()[move.name]
    wanted = render_rgb(pixels, operation, renderer.parameters(move), renderer.profile)
    assert np.array_equal(renderer.render(pixels, move), wanted)
    if renderer.is_curve(move):
        table = renderer.table(move)
        assert table.shape == (256, 3)
        shown = np.stack([table[pixels[..., c], c] for c in range(3)], axis=2)
        assert np.array_equal(shown, wanted)


def test_several_moves_render_one_after_another(renderer: Renderer, photo: RGB8) -> None:
    moves = (Move("invert"), Move("blur", 3), Move("summer"))
    wanted = photo
    for move in moves:
        wanted = renderer.render(wanted, move)
    assert np.array_equal(renderer.render_all(photo, moves), wanted)
    assert renderer.render_all(photo, ()) is photo
    assert not np.array_equal(renderer.render_all(photo, moves[::-1]), wanted)


def test_moves_are_the_profile_s_levels_but_neutral_ones(renderer: Renderer) -> None:
    found = renderer.moves()
    assert len(set(found)) == len(found)
    assert {m.name for m in found} == set(SEARCHED)
    for name in SEARCHED:
        operation = default_vocabulary()[name]
        values = [m.value for m in found if m.name == name]
        if not operation.parameters:
            assert values == [None]
            continue
        neutral = operation.parameters[0].neutral
        assert values == [v for v in renderer.profile.levels(name) if v != neutral]
    assert Move("blur", 1) not in found
    assert Move("saturate", 1.0) not in found


@pytest.mark.parametrize(
    "move",
    [
        Move("blur", 1), Move("gaussian", -1), Move("gaussian", 101), Move("contrast", 1.0),
        Move("contrast", -0.1), Move("contrast", 10.5), Move("bright", 0.0),
        Move("bright", 256.0), Move("saturate", 1.0), Move("saturate", 11.0),
    ],
    ids=str,
)  # fmt: skip
def test_parameters_that_do_nothing_or_are_out_of_range_are_not_allowed(
    renderer: Renderer, move: Move
) -> None:
    assert not renderer.allows([Move("invert"), move])
    assert renderer.allows([Move("invert")])
    assert renderer.allows([])
