"""Distances, squares and blending: by value, on pictures whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_plugins.errors import OptionError
from imgedit_reason_edit.data.difference import (
    SIDE,
    share_of,
    squared_distance,
    threshold_at,
    why_too_alike,
)
from imgedit_reason_edit.data.squares import Square, blended, square_around


def flat(value: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_the_distance_is_a_sum_of_squares() -> None:
    assert squared_distance(flat(0), flat(255)) == pytest.approx(SIDE * SIDE * 3)
    assert squared_distance(flat(10), flat(61)) == pytest.approx(SIDE * SIDE * 3 * 0.04)
    assert squared_distance(flat(7), flat(7)) == 0.0
    half = flat(0)
    half[:, 30:] = 255
    assert squared_distance(flat(0), half) == pytest.approx(SIDE * SIDE * 3 / 2, rel=0.02)


def test_the_distance_means_the_same_at_all_sizes() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (64, 64, 3), np.uint8)
    large = np.repeat(np.repeat(small, 8, 0), 8, 1)
    assert squared_distance(large, flat(128, 512, 512)) == pytest.approx(
        squared_distance(np.repeat(np.repeat(small, 4, 0), 4, 1), flat(128)), rel=0.001
    )


def test_too_alike() -> None:
    assert why_too_alike(0.0, 0.0)
    assert why_too_alike(0.9, 1.0)
    assert not why_too_alike(1.0, 1.0)
    assert not why_too_alike(0.1, 0.0)
    assert why_too_alike(0.0, 0.0) == "both pictures are the same"
    assert why_too_alike(0.9, 1.0) == "the squared distance is 0.9, below 1"


@pytest.mark.parametrize(
    ("tau", "share"), [("10%", 0.1), (" 2.5 % ", 0.025), ("0%", 0.0), ("250", None), ("0", None)]
)
def test_values_and_shares(tau: str, share: float | None) -> None:
    assert share_of(tau) == (None if share is None else pytest.approx(share))


@pytest.mark.parametrize("tau", ["", "-1", "100%", "ten", "nan", "inf", "-5%", "1e999%"])
def test_neither(tau: str) -> None:
    with pytest.raises(OptionError, match="'tau' must be"):
        share_of(tau)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, unique=True), st.floats(0, 0.99))
def test_a_rank_leaves_out_its_share(distances: list[float], share: float) -> None:
    threshold = threshold_at(distances, share)
    assert sum(d < threshold for d in distances) == int(share * len(distances))


# --- squares ----------------------------------------------------------------------------------


def test_the_box_stays_where_it_was_for_a_painter_of_squares() -> None:
    rng = np.random.default_rng(1)
    for width, height, box in [
        (60, 40, (5, 5, 20, 20)), (60, 40, (40, 10, 60, 40)), (40, 60, (0, 30, 40, 60)),
        (60, 40, (2, 10, 58, 30)), (60, 40, (0, 0, 60, 40)), (50, 50, (10, 10, 20, 30)),
    ]:  # fmt: skip
        picture = rng.integers(0, 256, (height, width, 3), np.uint8)
        square = square_around(box, width, height)
        part = square.cut(picture)
        assert part.shape == (square.side, square.side, 3)
        left, top, right, bottom = square.inside(box)
        assert 0 <= left < right <= square.side
        assert 0 <= top < bottom <= square.side
        assert np.array_equal(
            part[top:bottom, left:right], picture[box[1] : box[3], box[0] : box[2]]
        )
        assert np.array_equal(square.put(picture, part), picture)
        assert square.side >= min(width, height)


def test_what_reaches_beyond_the_picture_is_mirrored() -> None:
    picture = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 3), np.uint8)
    part = Square(0, -2, 8).cut(picture)
    assert part[:, 0, 0].tolist() == [1, 0, 0, 1, 2, 3, 3, 2]


def test_only_the_box_is_taken_with_soft_edges() -> None:
    before, painted = flat(0, 200, 200), flat(200, 200, 200)
    made = blended(before, painted, (50, 60, 150, 160))
    outside = np.ones((200, 200), bool)
    outside[60:160, 50:150] = False
    assert (made[outside] == 0).all()
    assert (made[64:156, 54:146] == 200).all()
    edge = made[110, 50:56, 0].tolist()
    assert edge == sorted(edge)
    assert 0 < edge[0] < 100
    at_the_border = blended(before, painted, (0, 0, 200, 200))
    assert (at_the_border == 200).all()


def test_a_box_of_one_pixel() -> None:
    made = blended(flat(0), flat(200), (3, 4, 4, 5))
    assert made[4, 3].tolist() == [100, 100, 100]
    assert made.sum() == 300
