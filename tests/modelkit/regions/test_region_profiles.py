"""Edits of pictures with a colour profile: the model sees sRGB, the rest keeps its own colours."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "core"))

from icc_profiles import ADOBE_RGB, GREY_22, P3

from imgedit_modelkit.regions.boxes import Fitting
from imgedit_modelkit.regions.editing import edit_region
from imgedit_plugins.colour_profiles import from_srgb, to_srgb
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture

CUT = P3[:200]
SMALL = Fitting(8, 64 * 64)


def wide(profile, channels=3, dtype=np.uint16):
    """All colours that a profile has, the most saturated among them."""
    random = np.random.default_rng(3)
    values = np.rint(random.random((12, 16, channels)) * np.iinfo(dtype).max).astype(dtype)
    return Picture(np.ascontiguousarray(values.repeat(10, 0).repeat(10, 1)), profile)


@pytest.mark.parametrize("profile", [P3, ADOBE_RGB], ids=["p3", "adobe"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_outside_of_srgb_stay_where_nothing_changes(profile, dtype):
    picture = wide(profile, dtype=dtype)
    assert not np.array_equal(
        from_srgb(to_srgb(picture), profile).pixels, picture.pixels
    )  # the way there and back alone would lose them
    (edited,) = edit_region(picture, lambda rgb: rgb[None], fitting=SMALL)
    assert np.array_equal(edited.picture.pixels, picture.pixels)
    assert edited.picture.icc_profile == profile


def test_the_model_sees_srgb():
    shown = []
    picture = wide(P3)
    edit_region(picture, lambda rgb: shown.append(rgb) or rgb[None], fitting=Fitting(8, 120 * 160))
    middle = shown[0][5::10, 5::10]
    wanted = to_srgb(picture).pixels[5::10, 5::10] / 65535
    assert abs(middle - wanted).max() < 2e-3


def test_what_is_painted_has_the_colour_that_the_model_meant():
    picture = wide(P3)
    goal = np.array([0.2, 0.5, 0.7], np.float32)
    (edited,) = edit_region(
        picture, lambda rgb: np.broadcast_to(goal, (1, *rgb.shape)), fitting=Fitting(8, 120 * 160)
    )
    found = to_srgb(edited.picture).pixels / 65535
    assert np.median(abs(found - goal)) < 0.01


def test_grey_pictures_with_a_curve_of_their_own():
    picture = wide(GREY_22, channels=1)
    (same,) = edit_region(picture, lambda rgb: rgb[None], fitting=SMALL)
    assert np.array_equal(same.picture.pixels, picture.pixels)
    (edited,) = edit_region(
        picture,
        lambda rgb: np.full((1, *rgb.shape), 0.5, np.float32),
        fitting=Fitting(8, 120 * 160),
    )
    found = to_srgb(edited.picture).pixels / 65535
    assert np.median(abs(found - 0.5)) < 0.01


def test_a_useless_profile_is_told_and_kept():
    job = Job()
    (edited,) = edit_region(wide(CUT), lambda rgb: 1 - rgb[None], fitting=SMALL, job=job)
    assert "values were taken as sRGB" in job.warnings[0]
    assert edited.picture.icc_profile == CUT
