"""Where pairs are compared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pictures import picture

from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.places import COUNT, MARGIN, Place, choose_places

SIZES = [
    (1, 1), (1, 300), (16, 16), (240, 320), (100, 2000), (2000, 100), (16, 700), (700, 16),
    (145, 145), (113, 400), (144, 144), (500, 500),
]  # fmt: skip


def spans(place: Place) -> tuple[tuple[int, int], tuple[int, int]]:
    return place.rows, place.columns


def apart(a: Place, b: Place) -> bool:
    return any(s[1] <= t[0] or t[1] <= s[0] for s, t in zip(spans(a), spans(b), strict=True))


def check(places: tuple[Place, ...], shape: tuple[int, ...]) -> None:
    assert 1 <= len(places) <= COUNT
    assert len({p.rows[1] - p.rows[0] for p in places}) == 1
    assert all(apart(a, b) for a, b in itertools.combinations(places, 2))
    for place in places:
        for (first, last), length in zip(spans(place), shape[:2], strict=True):
            assert 0 <= first < last <= length
            if (first, last) != (0, length):
                assert first >= MARGIN
                assert last <= length - MARGIN
        inner = place.inset(shape, scaled=False)
        for (a, b), (c, d) in zip(spans(place), spans(inner), strict=True):
            assert a <= c < d <= b


@pytest.mark.parametrize("shape", SIZES)
def test_places_lie_in_the_picture_apart_and_with_margins(shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    check(choose_places(pixels, pixels, None), pixels.shape)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 420), st.integers(1, 420), st.sampled_from([1, 2, 3]))
def test_that_holds_for_any_size_and_scale(height: int, width: int, times: int) -> None:
    edited = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    source = edited.repeat(times, axis=0).repeat(times, axis=1)
    check(choose_places(source, edited, None), edited.shape)


@pytest.mark.parametrize("code", [0, 128, 255])
def test_one_colour_has_places_too(code: int) -> None:
    plain = np.full((300, 300, 3), code, np.uint8)
    check(choose_places(plain, plain, None), plain.shape)


def test_texture_is_preferred(photo: RGB8) -> None:
    plain = np.full((600, 600, 3), 120, np.uint8)
    plain[350:590, 250:570] = photo
    places = choose_places(plain, plain, None)
    check(places, plain.shape)
    first = places[0]
    assert first.rows[1] > 350
    assert first.columns[1] > 250


def test_clipped_parts_are_avoided() -> None:
    source = picture(480, 640, seed=5)
    edited = source.copy()
    edited[:, 320:] = 255
    places = choose_places(source, edited, None)
    check(places, edited.shape)
    assert all(place.columns[1] <= 400 for place in places)


def test_transparent_parts_are_avoided() -> None:
    source = picture(480, 640, seed=5)
    opaque = np.zeros((480, 640), bool)
    opaque[:, 320:] = True
    places = choose_places(source, source, opaque)
    check(places, source.shape)
    assert all(place.columns[0] >= 240 for place in places)
    # Even where nothing at all is opaque there is an answer.
    check(choose_places(source, source, np.zeros((480, 640), bool)), source.shape)
