"""Results in memory that the caller gives."""

import contextlib

import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_sets import without_kernels
from made_operations import DTYPES, MODES, picture_of
from plan_strategies import OPERATIONS, plans
from strip_sizes import cut

from imgedit_plugins.authoring.samples import mask_for, with_profile
from imgedit_plugins.errors import JobCancelledError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

EVERY = (*OPERATIONS, *made_operations.NAMES)


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


BRIGHTER = plan(step("bright", offset=20))


def buffer_for(picture, dtype=None):
    """Full of what no result may show."""
    out = np.empty(picture.pixels.shape, dtype or picture.pixels.dtype)
    out.view(np.uint8)[:] = 0xA5
    return out


@given(
    plans(EVERY, 4),
    st.sampled_from(MODES),
    st.sampled_from(DTYPES),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.sampled_from([1, 40, 1 << 17]),
)
@settings(deadline=None, max_examples=150)
def test_the_result_is_the_same_and_in_the_buffer(edit, mode, dtype, strength, pixels):
    picture = picture_of(19, 23, mode, dtype)
    expected = render_plan(picture, edit, strength=strength)
    out = buffer_for(picture)
    with cut(pixels):
        result = render_plan(picture, edit, strength=strength, out=out)
    assert np.array_equal(result.pixels, expected.pixels)
    assert result.pixels.dtype == expected.pixels.dtype
    assert (result.pixels is out) == (expected.pixels.shape == out.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_with_a_selection(mode, dtype):
    picture = picture_of(19, 23, mode, dtype)
    mask, out = mask_for(picture), buffer_for(picture)
    for strength in (0.4, 1.0, 1.7):
        how = {"mask": mask, "strength": strength}
        result = render_plan(picture, BRIGHTER, out=out, **how)
        assert result.pixels is out
        assert np.array_equal(out, render_plan(picture, BRIGHTER, **how).pixels)


def test_under_another_profile():
    picture = with_profile(picture_of(40, 30))
    out = buffer_for(picture)
    result = render_plan(picture, BRIGHTER, out=out)
    assert result.pixels is out
    assert result.icc_profile == picture.icc_profile
    assert np.array_equal(out, render_plan(picture, BRIGHTER).pixels)


def test_each_step_takes_a_buffer_of_8_bits():
    picture = picture_of(12, 9, dtype="uint16")
    out = buffer_for(picture, np.uint8)
    result = render_plan(picture, BRIGHTER, rounding="each-step", out=out)
    assert result.pixels is out
    with pytest.raises(PictureError, match=r"must be .* uint8, not .* uint16"):
        render_plan(picture, BRIGHTER, rounding="each-step", out=buffer_for(picture))


def test_a_plan_without_operations_is_copied_into_the_buffer():
    picture = picture_of(12, 9)
    out = buffer_for(picture)
    assert render_plan(picture, EditPlan(), out=out).pixels is out
    assert np.array_equal(out, picture.pixels)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_picture_that_became_coloured_has_memory_of_its_own(mode):
    picture = picture_of(12, 9, mode)
    out = buffer_for(picture)
    result = render_plan(picture, plan(step("sepia")), out=out)
    assert not np.may_share_memory(result.pixels, out)
    assert np.array_equal(result.pixels, render_plan(picture, plan(step("sepia"))).pixels)


def test_geometry_uses_the_buffer_where_the_size_stays():
    picture = picture_of(12, 9)
    for edit, same in ((plan(step("flip")), True), (plan(step("rotate", degrees=90)), False)):
        out = buffer_for(picture)
        result = render_plan(picture, edit, out=out)
        assert (result.pixels is out) == same
        assert np.array_equal(result.pixels, render_plan(picture, edit).pixels)


@given(
    plans(EVERY, 4),
    st.sampled_from(MODES),
    st.sampled_from(DTYPES),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.booleans(),
    st.sampled_from([1, 40, 1 << 17]),
)
@settings(deadline=None, max_examples=150)
def test_in_place(edit, mode, dtype, strength, kernels, pixels):
    picture = picture_of(19, 23, mode, dtype)
    expected = render_plan(picture, edit, strength=strength)
    own = Picture(picture.pixels.copy())
    with contextlib.nullcontext() if kernels else without_kernels(), cut(pixels):
        result = render_plan(own, edit, strength=strength, out=own.pixels)
    assert np.array_equal(result.pixels, expected.pixels)
    same = expected.pixels.shape == own.pixels.shape
    assert (result.pixels is own.pixels) == same
    if same:
        assert np.array_equal(own.pixels, expected.pixels)


@pytest.mark.parametrize("name", ["invert", "sepia", "grayscale", "summer", "saturate", "blur"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("mode", MODES)
def test_in_place_in_strips_of_any_kind(name, dtype, mode):
    """Recipes that look at their strip once more, alpha, grey that becomes coloured halfway."""
    parameters = {"saturate": {"factor": 1.4}, "blur": {"kernel": 5}}.get(name, {})
    edit, picture = plan(step(name, **parameters)), picture_of(31, 40, mode, dtype)
    picture.pixels[:20] = 0  # black stays grey
    expected = render_plan(picture, edit).pixels
    for manager in (contextlib.nullcontext, without_kernels):
        own = Picture(picture.pixels.copy())
        with manager(), cut(31):
            result = render_plan(own, edit, out=own.pixels)
        assert np.array_equal(result.pixels, expected)


def test_in_place_with_a_selection():
    picture = picture_of(19, 23)
    mask = mask_for(picture)
    expected = render_plan(picture, BRIGHTER, mask=mask).pixels
    own = Picture(picture.pixels.copy())
    assert render_plan(own, BRIGHTER, mask=mask, out=own.pixels).pixels is own.pixels
    assert np.array_equal(own.pixels, expected)


def reversed_view(pixels):
    return pixels[::-1]


def test_buffers_that_do_not_fit_are_refused():
    picture = picture_of(12, 9)
    shape = picture.pixels.shape
    read_only = np.empty(shape, np.uint8)
    read_only.flags.writeable = False
    cases = (
        (np.empty((9, 13, 3), np.uint8), r"must be \(9, 12, 3\) uint8, not \(9, 13, 3\) uint8"),
        (np.empty(shape, np.uint16), r"must be .* uint8, not .* uint16"),
        (np.empty((9, 24, 3), np.uint8)[:, ::2], "is not contiguous"),
        (read_only, "is read-only"),
        (reversed_view(picture.pixels), "is not contiguous"),
    )
    before = picture.pixels.copy()
    for edit in (BRIGHTER, EditPlan()):
        for out, told in cases:
            with pytest.raises(PictureError, match=told) as caught:
                render_plan(picture, edit, out=out)
            assert "numpy.empty_like" in caught.value.hint
    assert np.array_equal(picture.pixels, before)
    apart = np.zeros(2 * picture.pixels.size, np.uint8)
    moved = Picture(apart[: picture.pixels.size].reshape(shape))
    with pytest.raises(PictureError, match="lies in the memory of the picture"):
        render_plan(moved, BRIGHTER, out=apart[36 : 36 + picture.pixels.size].reshape(shape))
    shared = np.zeros(picture.pixels.size, np.uint8)
    with pytest.raises(PictureError, match="or the selection"):
        render_plan(picture, BRIGHTER, mask=shared[:108].reshape(9, 12), out=shared.reshape(shape))


def test_a_cancelled_job_leaves_the_picture_alone():
    picture, job = picture_of(40, 60), Job(on_progress=lambda told: told.done and job.cancel())
    before, out = picture.pixels.copy(), buffer_for(picture)
    with cut(40), pytest.raises(JobCancelledError):
        render_plan(picture, BRIGHTER, job=job, out=out)
    assert np.array_equal(picture.pixels, before)


def test_nothing_of_the_size_of_the_picture_is_allocated(monkeypatch):
    """What the buffer is for."""
    picture = Picture(np.zeros((300, 500, 3), np.uint8))
    out, sizes, empty = buffer_for(picture), [], np.empty

    def noted(shape, *args, **kwargs):
        made = empty(shape, *args, **kwargs)
        sizes.append(made.nbytes)
        return made

    render_plan(picture, BRIGHTER, out=out)
    monkeypatch.setattr(np, "empty", noted)
    with cut(5000):
        render_plan(picture, BRIGHTER, out=out)
    assert all(size < picture.pixels.nbytes for size in sizes)
