"""Grey pictures: grey as long as there is no colour, coloured where there is."""

import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, WHITE, picture_of
from plan_strategies import OPERATIONS, example_of, plans

from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation
from imgedit_plugins.operations.forms import Colour
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

RESAMPLING = ("straighten", "resize", "perspective")
EVERY = (*OPERATIONS, *made_operations.NAMES)


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", [8, 900])
def test_a_grey_picture_becomes_coloured_where_the_plan_colours_it(mode, dtype, height):
    """Also in the last strip alone: all begins again with three channels."""
    pixels = np.full((height, 200, 1), WHITE[dtype] / 2, dtype)
    pixels[-1, -1] = WHITE[dtype] * 0.9
    if mode == "LA":
        ramp = np.linspace(0, WHITE[dtype], 200).astype(dtype)
        alpha = np.broadcast_to(ramp[None, :, None], pixels.shape)
        pixels = np.ascontiguousarray(np.concatenate([pixels, alpha], axis=2))

    def blush(values):
        values[:, :, 0] += (values[:, :, 0] > 0.8) * np.float32(0.05)
        return values

    operation = Operation("blush", "B", "pointwise", None, "here", "S.",
                          form=lambda p, c: Colour(blush))  # fmt: skip
    told = []
    with made_operations.registered(operation):
        edit = plan(step("blush"))
        result = render_plan(Picture(pixels), edit, job=Job(on_progress=told.append))
        still = render_plan(Picture(np.ascontiguousarray(pixels[:-1])), edit)
    assert result.mode == ("RGBA" if mode == "LA" else "RGB")
    assert still.mode == mode
    assert np.array_equal(result.color[:-1], still.color.repeat(3, axis=2))
    assert np.ptp(result.color[-1, -1].astype(float)) > 0
    done = [p.done for p in told]
    assert done == sorted(set(done))
    assert done[-1] == 100
    if mode == "LA":
        assert np.array_equal(result.alpha, Picture(pixels).alpha)


@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edit", [
    ["sepia", "grayscale"], ["sepia", "made-twice", "grayscale"], ["summer", "made-colour",
    "grayscale", "flip"], ["sepia", "flip", "grayscale", "made-stretch"],
    ["sepia", "made-stretch", "made-whole", "grayscale"],
], ids="-".join)  # fmt: skip
def test_colour_on_the_way_leaves_a_grey_picture_grey(edit, mode, dtype):
    picture = picture_of(25, 14, mode, dtype)
    result = render_plan(picture, plan(*map(step, edit)))
    assert result.mode == mode
    colour = Picture(np.ascontiguousarray(picture.color.repeat(3, axis=2)))
    other = render_plan(colour, plan(*map(step, edit)))
    assert other.mode == "RGB"
    assert np.array_equal(result.color.repeat(3, axis=2), other.pixels)


def as_colour(picture):
    parts = [picture.color.repeat(3, axis=2), *([] if picture.alpha is None else [picture.alpha])]
    return Picture(np.ascontiguousarray(np.concatenate(parts, axis=2)))


@given(plans(tuple(set(EVERY) - set(RESAMPLING)), 4), st.sampled_from(["L", "LA"]),
       st.sampled_from(DTYPES))  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_grey_is_colour_with_equal_channels(edit, mode, dtype):
    picture = picture_of(22, 15, mode, dtype)
    result, other = render_plan(picture, edit), render_plan(as_colour(picture), edit)
    three = result.color.repeat(3, axis=2) if result.is_grey else result.color
    assert np.array_equal(three, other.color)
    assert mode == "L" or np.array_equal(result.alpha, other.alpha)


@pytest.mark.parametrize("name", RESAMPLING)
@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_resampled_grey_is_resampled_colour(name, mode, dtype):
    """Up to a code: OpenCV rounds one and three channels in ways of their own."""
    picture, edit = picture_of(40, 31, mode, dtype), plan(example_of(OPERATIONS[name]))
    result, other = render_plan(picture, edit), render_plan(as_colour(picture), edit)
    assert result.mode == mode
    pixels = as_colour(result).pixels.astype(np.float64)
    assert np.abs(pixels - other.pixels).max() <= (1 if dtype != "float32" else 1e-5)
