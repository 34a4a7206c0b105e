"""Regions, the model's sizes, tiles."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_modelkit.regions.boxes import Box, Fitting, model_size, region_of, tiles_of, window
from imgedit_plugins.errors import ImgeditError, PictureError

sides = st.integers(1, 3000)


@given(sides, sides, st.sampled_from([8, 16, 64]), st.integers(16, 768))
def test_the_models_picture_fits_it(width, height, multiple, side):
    fitting = Fitting(multiple, max(multiple, side) ** 2)
    found = model_size(Box(0, 0, width, height), fitting)
    assert all(length >= multiple and length % multiple == 0 for length in found)
    assert found[0] * found[1] <= fitting.pixels


def test_the_models_picture_has_the_shape_of_the_region():
    assert model_size(Box(0, 0, 6000, 4000), Fitting()) == (416, 624)
    assert model_size(Box(0, 0, 100, 100), Fitting()) == (512, 512)
    assert model_size(Box(0, 0, 512, 512), Fitting(64)) == (512, 512)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.data(),
    st.floats(0, 1),
    st.sampled_from([8, 24, 64]),
)
def test_the_region_holds_the_selection_and_lies_in_the_picture(size, data, context, side):
    rows = sorted(data.draw(st.tuples(*[st.integers(0, size[0] - 1)] * 2)))
    columns = sorted(data.draw(st.tuples(*[st.integers(0, size[1] - 1)] * 2)))
    mask = np.zeros(size, np.uint8)
    mask[rows[0], columns[0]] = mask[rows[1], columns[1]] = 1
    box = region_of(size, mask, Fitting(8, side**2, context))
    assert 0 <= box.top <= rows[0] <= rows[1] < box.top + box.height <= size[0]
    assert 0 <= box.left <= columns[0] <= columns[1] < box.left + box.width <= size[1]
    assert box.height >= min(size[0], side)
    assert box.width >= min(size[1], side)


def test_a_small_selection_comes_with_what_is_around_it():
    mask = np.zeros((1000, 1500), np.uint8)
    mask[500:510, 700:730] = 255
    box = region_of(mask.shape, mask, Fitting())
    assert (box.width, box.height) == (512, 512)
    assert abs(box.left + 256 - 715) <= 1
    corner = np.zeros_like(mask)
    corner[:4, :4] = 255
    assert region_of(mask.shape, corner, Fitting()) == Box(0, 0, 512, 512)
    assert region_of(mask.shape, None, Fitting()) == Box(0, 0, 1500, 1000)


def test_a_narrow_selection_becomes_a_wider_region():
    mask = np.zeros((1000, 4000), np.uint8)
    mask[500, :] = 255
    box = region_of(mask.shape, mask, Fitting(pixels=64 * 64))
    assert box.width == 4000
    assert box.height == 1000


def test_nothing_selected():
    with pytest.raises(PictureError, match="Nothing is selected"):
        region_of((4, 4), np.zeros((4, 4), np.uint8), Fitting())


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.floats(0, 0.5),
    st.sampled_from([16, 64, 256]),
)
def test_tiles_cover_the_region(width, height, overlap, side):
    box = Box(7, 11, width, height)
    covered = np.zeros((height, width), np.int32)
    tiles = tiles_of(box, Fitting(8, side**2, overlap=overlap))
    for tile in tiles:
        assert (tile.width, tile.height) == (min(side, width), min(side, height))
        assert tile.left >= 7
        assert tile.top >= 11
        covered[
            tile.top - 11 : tile.top - 11 + tile.height, tile.left - 7 : tile.left - 7 + tile.width
        ] += 1
    assert covered.min() >= 1


@given(st.integers(1, 80), st.integers(1, 80), st.floats(0, 0.5))
def test_weights_of_tiles_are_above_0(height, width, overlap):
    weights = window(height, width, overlap)
    assert weights.shape == (height, width, 1)
    assert weights.min() > 0
    assert weights.max() <= 1


@pytest.mark.parametrize(
    "settings",
    [
        {"multiple": 0},
        {"pixels": 10},
        {"context": -1},
        {"overlap": 0.7},
        {"context": float("nan")},
    ],
)
def test_fittings_that_cannot_be(settings):
    with pytest.raises(ImgeditError):
        Fitting(**settings)


def test_regions_need_no_torch():
    code = "import sys, imgedit_modelkit.regions.editing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
