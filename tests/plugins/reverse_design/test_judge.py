"""How well a plan explains the edited picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_pictures import Value, edit, moves_of, picture

from imgedit_plugins.pictures import RGB8, JpegCompression
from imgedit_plugins.render import mean_squared_error
from imgedit_reverse_design import judge as module
from imgedit_reverse_design.align import TURNS, UPRIGHT, Turn
from imgedit_reverse_design.judge import Verdict, judge
from imgedit_reverse_design.moves import Renderer
from imgedit_reverse_design.scene import Pair, compress

STAY = (UPRIGHT, UPRIGHT)
PLAN: tuple[tuple[str, Value], ...] = (("gaussian", 9), ("summer", None))
TABLES = JpegCompression((tuple([9] * 64), tuple([12] * 64)), 2)


def test_the_true_plan_explains_everything(photo: RGB8, renderer: Renderer) -> None:
    verdict = judge(Pair(photo, edit(photo, *PLAN)), renderer, moves_of(*PLAN), STAY)
    assert verdict.plain == verdict.modelled == 0.0
    assert verdict.explained == verdict.structure == 1.0


def test_figures_are_those_of_the_whole_pictures(photo: RGB8, renderer: Renderer) -> None:
    edited = edit(photo, *PLAN)
    verdict = judge(Pair(photo, edited), renderer, moves_of(PLAN[1]), STAY)
    assert verdict.plain == pytest.approx(mean_squared_error(edit(photo, PLAN[1]), edited))
    assert verdict.modelled == verdict.plain
    assert verdict.source == pytest.approx(mean_squared_error(photo, edited))
    variance = float(edited.reshape(-1, 3).astype(float).var(axis=0).mean())
    assert verdict.mean == pytest.approx(variance)
    assert verdict.explained == pytest.approx(1 - verdict.plain / verdict.source)
    assert verdict.structure == pytest.approx(1 - verdict.plain / variance)


def test_the_source_explains_nothing(photo: RGB8, renderer: Renderer) -> None:
    verdict = judge(Pair(photo, edit(photo, *PLAN)), renderer, (), STAY)
    assert verdict.explained == 0.0


@pytest.mark.parametrize(
    ("verdict", "explained", "structure"),
    [
        (Verdict(0, 0, 0, 0), 1, 1),
        (Verdict(5, 0, 9, 9), 1, 1),
        (Verdict(5, 5, 0, 0), 0, 0),
        (Verdict(9, 9, 4, 3), 0, 0),
        (Verdict(9, 2, 8, 4), 0.75, 0.5),
    ],
)
def test_shares_stay_between_nothing_and_all(
    verdict: Verdict, explained: float, structure: float
) -> None:
    assert verdict.explained == explained
    assert verdict.structure == structure


@pytest.mark.parametrize("turn", TURNS)
def test_turns_before_and_behind(photo: RGB8, renderer: Renderer, turn: Turn) -> None:
    moves = moves_of(("hdr", None), ("sharp", None))
    before = renderer.render_all(turn.apply(photo), moves)
    assert judge(Pair(photo, before), renderer, moves, (turn, UPRIGHT)).plain == 0.0
    behind = turn.apply(renderer.render_all(photo, moves))
    assert judge(Pair(photo, behind), renderer, moves, (UPRIGHT, turn)).plain == 0.0


def test_compression_is_not_held_against_a_plan(photo: RGB8, renderer: Renderer) -> None:
    edited = compress(edit(photo, *PLAN), TABLES)
    verdict = judge(Pair(photo, edited, jpeg=TABLES), renderer, moves_of(*PLAN), STAY)
    assert verdict.modelled == 0.0
    assert verdict.plain == pytest.approx(mean_squared_error(edit(photo, *PLAN), edited))
    assert verdict.plain > 1.0


def test_transparent_pixels_do_not_count(photo: RGB8, renderer: Renderer) -> None:
    edited = edit(photo, *PLAN)
    edited[:100] = 0
    opaque = np.ones(photo.shape[:2], bool)
    opaque[:100] = False
    pair = Pair(photo, edited, opaque=opaque)
    assert judge(pair, renderer, moves_of(*PLAN), STAY).plain == 0.0
    assert judge(dataclasses.replace(pair, opaque=None), renderer, moves_of(*PLAN), STAY).plain > 1
    nothing = dataclasses.replace(pair, opaque=np.zeros_like(opaque))
    assert judge(nothing, renderer, (), STAY).plain == 0.0


@pytest.mark.parametrize("compressed", [False, True])
def test_tiles_of_a_large_picture_tell_nearly_the_same(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    source = picture(1100, 1500, seed=8)
    edited = edit(source, ("bright", 10.0), *PLAN)
    if compressed:
        edited = compress(edited, TABLES)
    pair = Pair(source, edited, jpeg=TABLES if compressed else None)
    whole = judge(pair, renderer, moves_of(*PLAN), STAY)
    exact = judge(pair, renderer, moves_of(("bright", 10.0), *PLAN), STAY)
    monkeypatch.setattr(module, "_WHOLE", 1_000_000)
    tiles = judge(pair, renderer, moves_of(*PLAN), STAY)
    exact_tiles = judge(pair, renderer, moves_of(("bright", 10.0), *PLAN), STAY)
    assert tiles.plain == pytest.approx(whole.plain, rel=0.05)
    assert tiles.source == pytest.approx(whole.source, rel=0.05)
    assert exact.modelled == pytest.approx(0.0, abs=0.01)
    assert exact_tiles.modelled == pytest.approx(0.0, abs=0.01)
    assert (exact.plain > 0.5) == (exact_tiles.plain > 0.5) == compressed
