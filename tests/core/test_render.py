import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_strategies import GEOMETRY, OPERATIONS, plans

from benchmarks import reference_edits
from imgedit_plugins.authoring.samples import mask_for, photograph, with_profile
from imgedit_plugins.errors import JobCancelledError, PictureError, UnknownOperationError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation, Profile, default_vocabulary, load_profile
from imgedit_plugins.pictures import Metadata, Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, step
from imgedit_plugins.render import (
    blend,
    difference,
    mean_squared_error,
    psnr,
    render_plan,
    render_rgb,
)

PLAIN = photograph(40, 30)
STILL = tuple(name for name in OPERATIONS if name not in GEOMETRY)  # nothing moves
FAST = tuple(name for name in OPERATIONS if name != "hdr")
EXAMPLES = [
    step(name, **{p.name: (load_profile().levels(name) or (p.maximum,))[-1] for p in op.parameters})
    for name, op in OPERATIONS.items()
]
by_name = pytest.mark.parametrize("example", EXAMPLES, ids=lambda s: s.name)


def plan(*operations: PlannedOperation, **fields) -> EditPlan:
    return EditPlan(operations=operations, **fields)


BRIGHTER = plan(step("bright", offset=20))


# --- plans to pixels --------------------------------------------------------------------------


@by_name
def test_a_plan_of_one_step_is_the_operation(example):
    expected = render_rgb(
        PLAIN.pixels, OPERATIONS[example.name], example.parameters, load_profile()
    )
    assert np.array_equal(render_plan(PLAIN, plan(example)).pixels, expected)


@given(st.lists(st.sampled_from(EXAMPLES), min_size=1, max_size=5))
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


@given(plans(FAST, 4), st.sampled_from(["L", "RGB", "RGBA"]),
       st.sampled_from(["uint8", "uint16", "float32"]))  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_every_kind_of_picture_is_rendered_and_left_untouched(edit, mode, dtype):
    picture = photograph(21, 13, mode=mode, dtype=dtype)
    before = picture.pixels.copy()
    picture.pixels.flags.writeable = False
    result = render_plan(picture, edit)
    assert np.array_equal(picture.pixels, before)
    turns = sum(int(s.parameters.get("degrees", 0)) // 90 for s in edit.operations)
    assert (result.height, result.width) == ((21, 13) if turns % 2 else (13, 21))
    assert result.has_alpha == picture.has_alpha
    assert result.pixels.flags.c_contiguous
    if edit.operations:
        assert result.pixels.dtype == np.uint8
        # The same as the picture rounded first.
        eight = Picture(np.asarray(picture.to_pillow()).reshape(13, 21, -1))
        assert np.array_equal(result.pixels, render_plan(eight, edit).pixels)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_user_is_told_when_more_than_8_bits_were_rounded(dtype):
    job = Job()
    render_plan(photograph(8, 8, dtype=dtype), BRIGHTER, job=job)
    assert job.warnings == [f"The picture has {dtype} values; it was edited in 8 bits."]
    job = Job()
    render_plan(PLAIN, BRIGHTER, job=job)
    assert not job.warnings


@by_name
@pytest.mark.parametrize("size", [(1, 1), (1, 12), (12, 1)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_the_smallest_pictures(example, size, mode):
    result = render_plan(photograph(*size, mode=mode), plan(example))
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
def test_grey_pictures_stay_grey_while_there_is_no_colour(example):
    grey = photograph(24, 18, mode="L")
    result = render_plan(grey, plan(example))
    if example.name in ("sepia", "summer", "winter"):
        assert result.mode == "RGB"
    elif example.name != "hdr":  # works in Lab and may tint by a code
        assert result.mode == "L"
    colour = Picture(np.repeat(grey.pixels, 3, axis=2))
    assert render_plan(colour, plan(example)).mode == "RGB", "a colour picture stays one"
    assert np.array_equal(render_plan(colour, plan(example)).pixels, result.rgb8())


# --- alpha ------------------------------------------------------------------------------------


@by_name
def test_alpha_moves_with_geometry_and_is_left_alone_otherwise(example):
    picture = photograph(24, 18, mode="RGBA")
    result = render_plan(picture, plan(example))
    if example.name == "flip":
        assert np.array_equal(result.alpha, picture.alpha[:, ::-1])
    elif example.name == "rotate":
        assert np.array_equal(result.alpha, np.rot90(picture.alpha, 1))  # 270 clockwise
    else:
        assert np.array_equal(result.alpha, picture.alpha)
    color = render_plan(Picture(np.ascontiguousarray(picture.color)), plan(example))
    assert np.array_equal(result.color, color.pixels), "alpha has no say in the colours"


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 257 * 7 + 128), ("float32", 7.4 / 255)])
def test_alpha_is_rounded_like_colours(dtype, value):
    pixels = np.full((2, 2, 4), value, dtype)
    assert render_plan(Picture(pixels), BRIGHTER).alpha.max() == 7


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


# --- masks ------------------------------------------------------------------------------------


@given(plans(STILL, 2), st.sampled_from(["L", "RGB", "RGBA"]),
       st.sampled_from(["uint8", "uint16", "float32"]), st.integers(0, 3))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_a_mask_is_exact_outside_and_soft_in_between(edit, mode, dtype, seed):
    picture = photograph(26, 9, mode=mode, dtype=dtype)
    mask = (
        mask_for(picture)
        if seed == 0
        else np.random.default_rng(seed).choice(
            np.array([0, 1, 127, 128, 254, 255], np.uint8), (9, 26)
        )
    )
    result = render_plan(picture, edit, mask=mask)
    full, before, after = render_plan(picture, edit), picture.rgb8(), result.rgb8()
    assert np.array_equal(after[mask == 0], before[mask == 0])
    assert np.array_equal(after[mask == 255], full.rgb8()[mask == 255])
    share = mask[:, :, None] / 255.0
    expected = before * (1 - share) + full.rgb8() * share
    assert np.abs(after - expected).max() <= 0.5 + 1e-6
    if edit.operations and picture.has_alpha:
        assert np.array_equal(result.alpha, full.alpha)


def test_an_empty_mask_keeps_everything_and_a_full_one_nothing():
    empty, full = (np.full((30, 40), v, np.uint8) for v in (0, 255))
    assert np.array_equal(render_plan(PLAIN, BRIGHTER, mask=empty).pixels, PLAIN.pixels)
    edited = render_plan(PLAIN, BRIGHTER)
    assert np.array_equal(render_plan(PLAIN, BRIGHTER, mask=full).pixels, edited.pixels)


@pytest.mark.parametrize(
    "example", [s for s in EXAMPLES if s.name in GEOMETRY], ids=lambda s: s.name
)
def test_geometry_with_a_mask_is_refused_with_the_reason(example):
    mask = mask_for(PLAIN)
    with pytest.raises(PictureError, match=f"{example.name!r} moves pixels") as caught:
        render_plan(PLAIN, plan(step("invert"), example), mask=mask)
    assert "selection" in caught.value.hint


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((40, 30), np.uint8),
        np.zeros((30, 40, 1), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((30, 1), np.uint8),
        np.zeros((30, 40), bool),
        np.zeros((30, 40), np.float32),
        [[0] * 40] * 30,
    ],
    ids=["turned", "channel", "pixel", "column", "bool", "float", "list"],
)
@pytest.mark.parametrize("edit", [BRIGHTER, EditPlan()])
def test_masks_that_do_not_fit_are_refused(mask, edit):
    with pytest.raises(PictureError, match=r"The mask is .*, the picture needs"):
        render_plan(PLAIN, edit, mask=mask)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_blend_is_right_for_every_type_of_pixels(dtype):
    before, after = photograph(30, 20, dtype=dtype).pixels, photograph(30, 20, dtype=dtype, seed=1)
    after = after.pixels
    mask = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    mask[:5], mask[5:10] = 0, 255
    result = blend(before, after, mask)
    assert result.dtype == before.dtype
    assert np.array_equal(result[:5], before[:5])
    assert np.array_equal(result[5:10], after[5:10])
    share = mask[:, :, None] / 255.0
    expected = before.astype(float) * (1 - share) + after.astype(float) * share
    tolerance = 1e-6 if dtype == "float32" else 0.5
    assert np.abs(result - expected).max() <= tolerance + 1e-9
    assert np.ptp(result[10:]) > 0


# --- progress and cancellation ----------------------------------------------------------------


def test_progress_counts_the_steps():
    told = []
    edit = plan(step("flip"), step("invert"), step("bright", offset=1))
    render_plan(PLAIN, edit, job=Job(on_progress=told.append))
    assert [(p.done, p.total) for p in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {p.stage for p in told} == {"rendering"}


@pytest.fixture
def counted(monkeypatch):
    """An operation that counts how often it is rendered."""
    calls = []

    def render(rgb, parameters, constants):
        calls.append(rgb.shape)
        return rgb.copy()

    operation = Operation("counted", "Counted", "pointwise", render, "here", "S.")
    monkeypatch.setitem(default_vocabulary()._operations, "counted", operation)
    return calls


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_cancelled_job_stops_between_steps(counted, after):
    job = Job(on_progress=lambda progress: job.cancel() if progress.done == after else None)
    before = PLAIN.pixels.copy()
    edit = plan(step("counted"), step("counted"), step("counted"))
    if after == 3:  # too late: everything is done
        render_plan(PLAIN, edit, job=job)
        assert len(counted) == 3
    else:
        with pytest.raises(JobCancelledError):
            render_plan(PLAIN, edit, job=job)
        assert len(counted) == after + 1
    assert np.array_equal(PLAIN.pixels, before)


def test_a_job_cancelled_before_it_began_does_nothing(counted):
    told = []
    job = Job(on_progress=told.append)
    job.cancel()
    with pytest.raises(JobCancelledError):
        render_plan(PLAIN, plan(step("counted")), job=job)
    assert not counted
    assert not told


def test_a_job_is_cancelled_from_another_thread(counted):
    begun, go_on = threading.Event(), threading.Event()

    def wait(progress):
        if progress.done == 1:
            begun.set()
            assert go_on.wait(10)

    job = Job(on_progress=wait)
    outcome = []

    def work():
        try:
            outcome.append(render_plan(PLAIN, plan(*[step("counted")] * 50), job=job))
        except JobCancelledError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    job.cancel()
    go_on.set()
    thread.join(10)
    assert isinstance(outcome[0], JobCancelledError)
    assert len(counted) == 2


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
