"""Endings of plans that are per-channel curves."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from made_pictures import edit, moves_of
from numpy.typing import NDArray

from imgedit_plugins.operations import load_profile
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.curves import Endings, Statistics, Target
from imgedit_reverse_design.moves import Move, Renderer, Sequence_

LONGEST = 3
CURVES = ("bright", "contrast", "invert", "summer", "winter")


@functools.cache
def endings() -> tuple[Renderer, Endings]:
    renderer = Renderer(load_profile())
    return renderer, Endings(renderer, renderer.moves(), LONGEST)


def noise(seed: int = 0, count: int = 4000) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3), np.uint8)


def through(pixels: NDArray[np.uint8], moves: Sequence_) -> NDArray[np.uint8]:
    return np.asarray(endings()[0].render_all(pixels[None], moves)[0])


def everything() -> RGB8:
    return np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


def curve_moves() -> list[Move]:
    renderer, _ = endings()
    return [m for m in renderer.moves() if renderer.is_curve(m)]


@st.composite
def sequences(draw: st.DrawFn) -> Sequence_:
    names = draw(st.lists(st.sampled_from(CURVES), min_size=0, max_size=LONGEST, unique=True))
    pools = [[m for m in curve_moves() if m.name == name] for name in names]
    return tuple(draw(st.sampled_from(pool)) for pool in pools)


@settings(max_examples=80, deadline=None)
@given(sequences(), st.integers(0, 5))
@example((Move("invert"), Move("contrast", 1.3), Move("summer")), 0)
@example((Move("bright", 90), Move("contrast", 1.3), Move("winter")), 1)
def test_the_ending_found_has_the_same_table(moves: Sequence_, seed: int) -> None:
    renderer, found = endings()
    before = noise(seed)
    stats = Target(through(before, moves)).statistics(before)
    (error, best), *others = found.best(stats, frozenset(), LONGEST, 4)
    assert error == pytest.approx(0.0, abs=1e-6)
    wanted = renderer.render_all(everything(), moves)
    assert np.array_equal(renderer.render_all(everything(), best), wanted)
    assert [error, *(e for e, _ in others)] == sorted([error, *(e for e, _ in others)])


@settings(max_examples=40, deadline=None)
@given(sequences(), st.frozensets(st.sampled_from(CURVES)), st.integers(0, LONGEST))
def test_endings_respect_what_is_taken_and_how_long_they_may_be(
    moves: Sequence_, taken: frozenset[str], longest: int
) -> None:
    _, found = endings()
    before = noise()
    stats = Target(through(before, moves)).statistics(before)
    best = found.best(stats, taken, longest, 10)
    assert best
    for _, ending in best:
        assert len(ending) <= longest
        assert not {m.name for m in ending} & taken
        assert len({m.name for m in ending}) == len(ending)


@settings(max_examples=30, deadline=None)
@given(sequences(), st.integers(0, 5))
def test_errors_of_endings_are_those_of_rendering(moves: Sequence_, seed: int) -> None:
    before = noise(seed, 500)
    target = noise(seed + 100, 500)
    target = ((target.astype(int) + 3 * through(before, moves)) // 4).astype(np.uint8)
    best = endings()[1].best(Target(target).statistics(before), frozenset(), LONGEST, 5)
    for error, ending in best:
        gap = through(before, ending).astype(float) - target
        assert error == pytest.approx(float(np.square(gap).mean()), rel=1e-6, abs=1e-6)


def test_the_best_ending_is_the_best_of_all() -> None:
    renderer, _ = endings()
    short = Endings(renderer, renderer.moves(), 2)
    before, target = noise(3, 800), noise(4, 800)
    target = ((target.astype(int) + 2 * before) // 3).astype(np.uint8)
    (error, _), *_ = short.best(Target(target).statistics(before), frozenset(), 2, 1)
    every = [float(np.square(through(before, s).astype(float) - target).mean())
             for s in short.sequences]  # fmt: skip
    assert error == pytest.approx(min(every))


def test_endings_are_all_sequences_of_curves() -> None:
    _, found = endings()
    assert set(found.names) == set(CURVES)
    assert len(set(found.sequences)) == len(found.sequences)
    assert list(found.lengths) == sorted(len(s) for s in found.sequences)
    assert () in found.sequences
    assert set(moves_of(("invert", None), ("winter", None))) in map(set, found.sequences)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_no_scatter_behind_any_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, (1000, 3), np.uint8)
    table = rng.integers(0, 256, (256, 3), np.uint8)
    after = np.stack([table[before[:, c], c] for c in range(3)], axis=1)
    assert Target(after).statistics(before).scatter() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("mixer", ["blur", "gaussian", "grayscale", "sepia", "saturate", "sharp"])
def test_scatter_behind_operations_that_mix(photo: RGB8, mixer: str) -> None:
    value = {"blur": 3, "gaussian": 5, "saturate": 1.5}.get(mixer)
    after = edit(photo, (mixer, value)).reshape(-1, 3)
    before = photo.reshape(-1, 3)
    assert Target(after).statistics(before).scatter() > 1.0
    assert Target(after).statistics(after).scatter() == pytest.approx(0.0, abs=1e-6)


def test_a_rare_code_does_not_explain_itself() -> None:
    before = noise(0, 300)
    after = noise(1, 300)
    scatter = Target(after).statistics(before).scatter()
    assert scatter == pytest.approx(after.astype(float).var(), rel=0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 400))
def test_statistics_count(seed: int, count: int) -> None:
    before, after = noise(seed, count), noise(seed + 1, count)
    stats = Target(after).statistics(before)
    assume(isinstance(stats, Statistics))
    assert stats.pixels == count
    assert stats.counts.sum() == 3 * count
    assert stats.sums.sum() == pytest.approx(float(after.sum()))
    assert stats.squares == pytest.approx(float(np.square(after.astype(float)).sum()))
    assert stats.scatter() >= 0.0
