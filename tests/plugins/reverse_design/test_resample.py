"""A part is scaled exactly as the whole picture was, whoever scaled it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_pictures import picture
from PIL import Image

from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.resample import FILTERS, Filter, Span, scale, taps

Size = tuple[int, int]
"""(height, width)."""


def opencv(flag: int) -> Callable[[RGB8, Size], RGB8]:
    return lambda pixels, size: np.asarray(
        cv2.resize(pixels, (size[1], size[0]), interpolation=flag), np.uint8
    )


def pillow(flag: Image.Resampling) -> Callable[[RGB8, Size], RGB8]:
    return lambda pixels, size: np.asarray(
        Image.fromarray(pixels).resize((size[1], size[0]), flag), np.uint8
    )


AREA: tuple[Callable[[RGB8, Size], RGB8], Filter] = (opencv(cv2.INTER_AREA), "area")
REFERENCES: dict[str, tuple[Callable[[RGB8, Size], RGB8], Filter]] = {
    "cv2-linear": (opencv(cv2.INTER_LINEAR), "point-linear"),
    "cv2-cubic": (opencv(cv2.INTER_CUBIC), "point-cubic"),
    "pillow-bilinear": (pillow(Image.Resampling.BILINEAR), "triangle"),
    "pillow-bicubic": (pillow(Image.Resampling.BICUBIC), "cubic"),
    "pillow-lanczos": (pillow(Image.Resampling.LANCZOS), "lanczos"),
}
DOWN: tuple[tuple[Size, Size], ...] = (
    ((427, 640), (214, 320)),
    ((427, 640), (222, 333)),
    ((240, 320), (120, 160)),
    ((241, 323), (80, 108)),
    ((90, 130), (89, 129)),
)
UP: tuple[tuple[Size, Size], ...] = (((60, 80), (120, 160)), ((61, 83), (100, 136)))


def compare(
    reference: Callable[[RGB8, Size], RGB8],
    name: Filter,
    source: Size,
    target: Size,
    *,
    largest: int,
    mean_square: float,
) -> None:
    """Each of nine places (corners, edges, middle) and the whole picture."""
    pixels = picture(*source, seed=4)
    whole = reference(pixels, target)
    ranges = []
    for length in target:
        third = length // 3
        ranges.append([(0, third), (third + 3, 2 * third), (length - third, length), (0, length)])
    for top, bottom in ranges[0]:
        for left, right in ranges[1]:
            rows = taps(source[0], source[0] / target[0], Span(top, bottom), 0, name)
            columns = taps(source[1], source[1] / target[1], Span(left, right), 0, name)
            crop = pixels[rows.first : rows.last, columns.first : columns.last]
            gap = scale(crop, rows, columns).astype(int) - whole[top:bottom, left:right]
            assert gap.shape == (bottom - top, right - left, 3)
            assert np.abs(gap).max() <= largest
            assert np.square(gap).mean() <= mean_square


@pytest.mark.parametrize(("source", "target"), DOWN)
def test_a_part_is_averaged_as_the_whole(source: Size, target: Size) -> None:
    # Halves are rounded up by OpenCV when it averages 2 x 2 pixels, else to the even code.
    half = source[0] == 2 * target[0]
    compare(*AREA, source, target, largest=1, mean_square=0.2 if half else 0.01)


@pytest.mark.parametrize(("source", "target"), DOWN + UP)
def test_a_part_is_scaled_as_opencv_s_cubic_scales_the_whole(source: Size, target: Size) -> None:
    compare(*REFERENCES["cv2-cubic"], source, target, largest=1, mean_square=0.01)


@pytest.mark.parametrize(("source", "target"), DOWN + UP)
@pytest.mark.parametrize("reference", REFERENCES)
def test_a_part_is_scaled_as_the_whole(reference: str, source: Size, target: Size) -> None:
    # OpenCV's linear filter uses short whole-number weights; Pillow rounds and clips to codes
    # between its two passes, which shows beside saturated edges.
    largest = {"pillow-bicubic": 5, "pillow-lanczos": 10}.get(reference, 1)
    compare(*REFERENCES[reference], source, target, largest=largest, mean_square=0.35)


@pytest.mark.parametrize("name", FILTERS)
def test_wide_margins_and_the_picture_s_own_size_change_nothing(name: Filter) -> None:
    pixels = picture(50, 70)
    rows, columns = taps(50, 1.0, Span(10, 30), 8, name), taps(70, 1.0, Span(0, 70), 8, name)
    assert (rows.first, rows.last) <= (2, 38)
    assert (columns.first, columns.last) == (0, 70)
    crop = pixels[rows.first : rows.last, columns.first : columns.last]
    assert np.array_equal(scale(crop, rows, columns), pixels[10:30])


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 900), st.integers(1, 900), st.integers(0, 900), st.integers(1, 60),
    st.integers(0, 40), st.sampled_from(FILTERS),
)  # fmt: skip
def test_weights_sum_to_one_and_pixels_exist(
    source: int, target: int, start: int, length: int, margin: int, name: Filter
) -> None:
    assume(start < target)
    stop = min(target, start + length)
    sums = taps(source, source / target, Span(start, stop), margin, name)
    assert sums.weight.shape == sums.index.shape
    assert sums.weight.shape[1] == stop - start
    assert np.isfinite(sums.weight).all()
    assert sums.weight.sum(axis=0) == pytest.approx(1.0, abs=1e-4)
    assert 0 <= sums.first < sums.last <= source
    assert sums.index.min() >= 0
    assert sums.index.max() < sums.last - sums.first


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 40),
    st.integers(0, 20), st.sampled_from(FILTERS),
)  # fmt: skip
def test_a_part_has_the_whole_picture_s_weights(
    source: int, target: int, start: int, length: int, margin: int, name: Filter
) -> None:
    assume(start < target)
    stop = min(target, start + length)
    line = np.random.default_rng(source).uniform(0, 255, source)

    def scaled(first: int, last: int, around: int) -> list[float]:
        sums = taps(source, source / target, Span(first, last), around, name)
        part = line[sums.first : sums.last]
        return [float(v) for v in (part[sums.index] * sums.weight).sum(axis=0)]

    assert scaled(start, stop, margin) == pytest.approx(scaled(0, target, 0)[start:stop], abs=0.02)


@pytest.mark.parametrize("name", FILTERS)
def test_one_colour_stays_one_colour(name: Filter) -> None:
    plain = np.full((37, 53, 3), 201, np.uint8)
    scaled = scale(
        plain, taps(37, 37 / 20, Span(0, 20), 0, name), taps(53, 53 / 90, Span(0, 90), 0, name)
    )
    assert scaled.shape == (20, 90, 3)
    assert (scaled == 201).all()
