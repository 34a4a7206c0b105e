"""Regions as masks: where they are, how soft they are, and pictures instead of boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoned_strategies import regions

from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_reason_edit.reasoning.document import DocumentError, Region
from imgedit_reason_edit.reasoning.regions import combined, mask_of

SIZE = (60, 100)


def region(**given: Any) -> Region:
    return Region(**{"box": (0.2, 0.1, 0.7, 0.6), "feather": 0.0, **given})


def made(one: Region, size: tuple[int, int] = SIZE, folder: Path | None = None) -> Any:
    mask = mask_of(one, size, folder)
    assert mask is not None
    assert (mask.shape, mask.dtype) == (size, np.uint8)
    return mask


def test_a_box_without_a_soft_border_is_exactly_its_pixels() -> None:
    wanted = np.zeros(SIZE, np.uint8)
    wanted[6:36, 20:70] = 255
    np.testing.assert_array_equal(made(region(shape="box")), wanted)
    np.testing.assert_array_equal(made(region(shape="box", outside=True)), 255 - wanted)


def test_an_ellipse_is_the_one_in_the_box() -> None:
    """Against coverage counted on a grid of 8 x 8 places in each pixel."""
    fine = 8
    y, x = np.mgrid[: SIZE[0] * fine, : SIZE[1] * fine] / fine + 0.5 / fine
    inside = ((x - 45) / 25) ** 2 + ((y - 21) / 15) ** 2 <= 1
    covered = inside.reshape(SIZE[0], fine, SIZE[1], fine).mean((1, 3))
    mask = made(region()) / 255
    assert np.abs(mask - covered).max() < 0.15
    assert abs(mask.sum() - covered.sum()) < 2
    assert ((mask == 1) <= (covered > 0.9)).all()


@pytest.mark.parametrize("shape", ["box", "ellipse"])
def test_a_soft_border_fades_as_far_as_it_says(shape: str) -> None:
    """Along the row through the middle: half at the border, as far on each side of it."""
    row = made(region(shape=shape, feather=0.1, box=(0.2, 0.0, 0.7, 1.0)), (101, 200))[50] / 255
    left, feather = 0.2 * 200, 0.1 * 101
    assert row[int(left - feather - 1)] == 0
    assert row[int(left + feather + 1)] == 1
    assert row[int(left) - 1] < 0.5 < row[int(left) + 1]
    assert (np.diff(row[:90]) >= 0).all(), "it rises without steps back"
    assert np.abs(np.diff(row)).max() < 0.12


@settings(max_examples=60)
@given(regions, st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_any_region_is_a_mask_or_one_sentence(one: Region, size: tuple[int, int]) -> None:
    try:
        mask = mask_of(one, size)
    except DocumentError as error:
        assert "has no pixel" in str(error)  # noqa: PT017
        assert "\n" not in error.message or "\n" in one.what  # noqa: PT017
        return
    assert mask is not None
    assert mask.shape == size
    assert mask.any()


def test_a_box_does_not_fade_at_the_edges_of_the_picture() -> None:
    sky = made(region(shape="box", feather=0.1, box=(0.0, 0.0, 0.998, 0.5)))
    assert (sky[:20] == 255).all()
    assert (sky[40:] == 0).all()
    assert 0 < sky[30, 0] < 255
    everything = made(region(shape="box", feather=0.5, box=(0.0, 0.0, 1.0, 1.0)))
    assert (everything == 255).all()


def test_everywhere_is_no_mask() -> None:
    assert mask_of(None, SIZE) is None


@pytest.mark.parametrize("size", [SIZE, (30, 50), (120, 200)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_can_be_the_region(tmp_path: Path, size: Any, depth: Any, channels: int) -> None:
    white = np.iinfo(depth).max
    pixels = np.zeros((*size, channels), depth)
    pixels[:, : size[1] // 2] = white
    save_picture(Picture(pixels), tmp_path / "left.png")
    mask = made(Region(mask="left.png"), folder=tmp_path)
    assert (mask[:, :48] == 255).all()
    assert (mask[:, 52:] == 0).all()
    inverse = made(Region(mask="left.png", outside=True), folder=tmp_path)
    np.testing.assert_array_equal(inverse, 255 - mask)


def test_pictures_that_cannot_be_the_region(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for name in ("none.png", "text.png"):
        with pytest.raises(DocumentError, match="mask cannot be used"):
            mask_of(Region(mask=name), SIZE, tmp_path)
    with pytest.raises(DocumentError, match="this document has no file"):
        mask_of(Region(mask="left.png"), SIZE)
    save_picture(Picture(np.zeros((*SIZE, 1), np.uint8)), tmp_path / "black.png")
    with pytest.raises(DocumentError, match="has no pixel in a picture of 100 × 60"):
        mask_of(Region(mask="black.png"), SIZE, tmp_path)


def test_a_selection_and_a_region_are_what_both_select() -> None:
    left = np.zeros(SIZE, np.uint8)
    left[:, :40] = 200
    box = made(region(shape="box"))
    both = combined(box, left)
    assert both is not None
    np.testing.assert_array_equal(both, np.where(box > 0, left, 0))
    assert combined(None, None) is None
    assert combined(box, None) is box
    assert combined(None, left) is left
