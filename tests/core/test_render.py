import dataclasses

import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, MODES, picture_of
from plan_strategies import OPERATIONS, RECIPES, example_of, plans

from benchmarks import reference_edits
from imgedit_plugins.authoring.samples import photograph, with_profile
from imgedit_plugins.errors import JobCancelledError, UnknownOperationError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation, Profile, default_vocabulary, load_profile
from imgedit_plugins.pictures import Metadata, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, step
from imgedit_plugins.render import difference, mean_squared_error, psnr, render_plan, render_rgb

PLAIN = photograph(40, 30)
RECIPE_EXAMPLES = [example_of(OPERATIONS[name]) for name in RECIPES]
EXAMPLES = [example_of(operation) for operation in OPERATIONS.values()]
by_name = pytest.mark.parametrize("example", EXAMPLES, ids=lambda s: s.name)
# Colours of their own: a grey picture does not stay grey.
TINTING = ("sepia", "summer", "winter", "temperature", "tint", "split-tone")


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations: PlannedOperation, **fields) -> EditPlan:
    return EditPlan(operations=operations, **fields)


BRIGHTER = plan(step("bright", offset=20))


# --- plans to pixels --------------------------------------------------------------------------


@by_name
def test_a_plan_of_one_step_is_the_operation(example):
    """In 8 bits: the recipe of the data, or the form rounded at its end."""
    expected = render_rgb(
        PLAIN.pixels, OPERATIONS[example.name], example.parameters, load_profile()
    )
    result = render_plan(PLAIN, plan(example)).pixels
    if example.name in RECIPES:
        assert np.array_equal(result, expected)
    else:  # a table is in double precision, which decides ties in another way
        assert np.abs(result.astype(int) - expected).max() <= 1


@given(st.lists(st.sampled_from(RECIPE_EXAMPLES), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_steps_go_one_after_another_in_8_bits(steps):
    edits = [reference_edits.Edit(s.name, next(iter(s.parameters.values()), 1.0)) for s in steps]
    bgr = reference_edits.apply_edits(np.ascontiguousarray(PLAIN.pixels[:, :, ::-1]), edits)
    assert np.array_equal(render_plan(PLAIN, plan(*steps)).pixels, bgr[:, :, ::-1])


@pytest.mark.parametrize("picture", [PLAIN, photograph(40, 30, dtype="uint16")])
def test_a_plan_without_operations_gives_the_picture_back(picture):
    job = Job()
    for empty in (EditPlan(), EditPlan(abstained=True)):
        assert render_plan(picture, empty, job=job) is picture
    assert not job.warnings
    job.cancel()
    with pytest.raises(JobCancelledError):
        render_plan(picture, EditPlan(), job=job)


@given(plans(("rotate", "flip", "bright", "made-twice"), 5), st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=40)
def test_geometry_changes_the_size(edit, dtype):
    result = render_plan(picture_of(7, 4, "RGBA", dtype), edit)
    turns = sum(int(s.parameters.get("degrees", 0)) // 90 for s in edit.operations)
    grown = 2 ** sum(s.name == "made-twice" for s in edit.operations)
    size = (4 * grown, 7 * grown) if turns % 2 else (7 * grown, 4 * grown)
    assert (result.width, result.height) == size


@by_name
@pytest.mark.parametrize("size", [(1, 1), (1, 12), (12, 1)])
def test_the_smallest_pictures(example, size):
    for mode in MODES:
        result = render_plan(picture_of(*size, mode), plan(example))
        assert result.mode == mode or result.has_alpha == (mode == "LA")
        if example.name in RECIPES or example.operation.kind != "geometric":
            assert sorted((result.width, result.height)) == sorted(size)


def test_profile_metadata_and_origin_are_kept():
    metadata = Metadata(exif=b"Exif", xmp=b"x", resolution=(72.0, 72.0))
    picture = dataclasses.replace(with_profile(PLAIN), metadata=metadata)
    result = render_plan(picture, BRIGHTER)
    assert result.icc_profile == picture.icc_profile is not None
    assert result.metadata == metadata


def test_another_profile_takes_the_place_of_the_plans():
    mine = Profile("mine", "", {"sharp": {"centre": 9.0, "around": -1.0}})
    sharp = plan(step("sharp"), definitions="not-here/1")
    flat = Picture(np.full((3, 3, 3), 100, np.uint8))
    assert render_plan(flat, sharp, profile=mine).pixels.max() == 100
    shipped = render_plan(flat, plan(step("sharp")))
    assert shipped.pixels.max() == 150  # 9.5 - 8 = 1.5


def test_operations_that_are_gone_are_refused(monkeypatch):
    vocabulary = default_vocabulary()
    gone = Operation("gone", "Gone", "pointwise", lambda rgb, p, c: rgb, "here", "S.")
    monkeypatch.setitem(vocabulary._operations, "gone", gone)
    edit = plan(step("gone"))
    monkeypatch.delitem(vocabulary._operations, "gone")
    with pytest.raises(UnknownOperationError, match="no operation 'gone'"):
        render_plan(PLAIN, edit)


# --- grey -------------------------------------------------------------------------------------


@by_name
@pytest.mark.parametrize("dtype", DTYPES)
def test_grey_pictures_stay_grey_while_there_is_no_colour(example, dtype):
    grey = photograph(24, 18, mode="L", dtype=dtype)
    result = render_plan(grey, plan(example))
    if example.name in TINTING:
        assert result.mode == "RGB"
    elif example.name != "hdr":  # works in Lab and may tint by a code
        assert result.mode == "L"
    colour = Picture(np.repeat(grey.pixels, 3, axis=2))
    assert render_plan(colour, plan(example)).mode == "RGB", "a colour picture stays one"


# --- alpha ------------------------------------------------------------------------------------


@by_name
@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_moves_with_geometry_and_is_left_alone_otherwise(example, dtype):
    picture = photograph(24, 18, mode="RGBA", dtype=dtype)
    result = render_plan(picture, plan(example))
    if example.operation.kind == "geometric":
        picture.pixels[:, :, 3] = picture.pixels.max()  # opaque: alpha weighs nothing
        result = render_plan(picture, plan(example))
        assert np.ptp(result.alpha) <= (1e-6 if dtype == "float32" else 0)
    else:
        assert np.array_equal(result.alpha, picture.alpha)
    color = render_plan(Picture(np.ascontiguousarray(picture.color)), plan(example)).pixels
    code = 1e-5 if dtype == "float32" else 1 if example.operation.kind == "geometric" else 0
    apart = np.abs(result.color.astype(np.float64) - color)
    assert apart.max() <= code, "alpha has no say in the colours"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_is_turned_and_mirrored_with_the_colours(mode, dtype):
    picture = picture_of(24, 18, mode, dtype)
    for around in ((), (step("made-matrix"),), (step("made-whole"), step("bright", offset=3))):
        flipped = render_plan(picture, plan(*around, step("flip"), *around))
        assert np.array_equal(flipped.alpha, picture.alpha[:, ::-1])
        turned = render_plan(picture, plan(*around, step("rotate", degrees=270), *around))
        assert np.array_equal(turned.alpha, np.rot90(picture.alpha))


def test_geometric_operations_always_get_three_channels(monkeypatch):
    """A plugin's operation may rely on the contract: 8-bit RGB in and out."""
    shapes = []

    def shift(rgb, parameters, constants):
        shapes.append(rgb.shape)
        return np.roll(rgb, 1, axis=1)

    vocabulary = default_vocabulary()
    operation = Operation("shift", "Shift", "geometric", shift, "here", "S.")
    monkeypatch.setitem(vocabulary._operations, "shift", operation)
    picture = photograph(6, 4, mode="RGBA")
    result = render_plan(picture, plan(step("shift")))
    assert np.array_equal(result.pixels, np.roll(picture.pixels, 1, axis=1))
    assert shapes == [(4, 6, 3), (4, 6, 3)]


# --- figures ----------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(0, 50))
@settings(deadline=None, max_examples=30)
def test_errors_are_those_of_the_formula(a, b):
    x, y = photograph(11, 7, seed=a).pixels, photograph(11, 7, seed=b).pixels
    exact = float(((x.astype(float) - y) ** 2).mean())
    mse = mean_squared_error(x, y)
    assert mse == pytest.approx(exact)
    assert np.array_equal(difference(x, y), x.astype(int) - y)
    value = psnr(mse)
    assert value is None if a == b else value == pytest.approx(10 * np.log10(255**2 / exact))


def test_the_error_of_a_large_picture_does_not_overflow():
    black = np.zeros((3000, 3000, 3), np.uint8)
    assert mean_squared_error(black, np.full_like(black, 255)) == pytest.approx(255.0**2)
    assert psnr(255.0**2) == 0.0
