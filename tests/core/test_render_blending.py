"""Edits in part: limited to a selection, weaker, stronger."""

import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, MODES, WHITE, picture_of
from plan_strategies import GEOMETRY, OPERATIONS, example_of, plans

from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.errors import OptionError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import MAX_STRENGTH, blend, render_plan

PLAIN = photograph(40, 30)
EVERY = (*OPERATIONS, *made_operations.NAMES)
STILL = tuple(set(EVERY) - set(GEOMETRY) - {"made-twice", "made-trimmed", "made-move"})
EXAMPLES = [example_of(OPERATIONS[name]) for name in GEOMETRY]
ROUNDING = {"uint8": 0.5 + 1e-6, "uint16": 0.5 + 1e-6, "float32": 1e-6}


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


BRIGHTER = plan(step("bright", offset=20))


def colors(picture, coloured=True):
    """(height, width, 3) in double precision."""
    color = picture.color.astype(np.float64)
    return color.repeat(3, axis=2) if picture.is_grey and coloured else color


# --- masks ------------------------------------------------------------------------------------


@given(plans(STILL, 3), st.sampled_from(MODES), st.sampled_from(DTYPES),
       st.sampled_from([0.0, 0.3, 1.0, 1.6, 2.0]), st.integers(0, 3))  # fmt: skip
@settings(deadline=None, max_examples=120)
def test_a_mask_is_exact_outside_and_soft_in_between(edit, mode, dtype, strength, seed):
    picture = picture_of(26, 9, mode, dtype)
    random = np.random.default_rng(seed)
    some = random.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), (9, 26))
    mask = mask_for(picture) if seed == 0 else some
    result = render_plan(picture, edit, mask=mask, strength=strength)
    full, before, after = render_plan(picture, edit), colors(picture), colors(result)
    assert result.pixels.dtype == dtype
    assert np.array_equal(after[mask == 0], before[mask == 0])
    if strength == 1.0:
        assert np.array_equal(after[mask == 255], colors(full)[mask == 255])
    share = mask[:, :, None] / 255.0 * strength
    expected = np.clip(before + (colors(full) - before) * share, 0, WHITE[dtype])
    assert np.abs(after - expected).max() <= ROUNDING[dtype]
    if picture.has_alpha:
        assert np.array_equal(result.alpha, picture.alpha)


def test_an_empty_mask_keeps_everything_and_a_full_one_nothing():
    empty, full = (np.full((30, 40), v, np.uint8) for v in (0, 255))
    assert np.array_equal(render_plan(PLAIN, BRIGHTER, mask=empty).pixels, PLAIN.pixels)
    edited = render_plan(PLAIN, BRIGHTER)
    assert np.array_equal(render_plan(PLAIN, BRIGHTER, mask=full).pixels, edited.pixels)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda s: s.name)
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


def test_floats_outside_of_0_to_1_are_kept_outside_of_the_mask():
    pixels = np.full((4, 6, 3), 0.5, np.float32)
    pixels[::2], pixels[1, 1] = 1.25, -0.5
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 3:] = 255
    for strength in (0.5, 1.0, 2.0):
        result = render_plan(Picture(pixels), BRIGHTER, mask=mask, strength=strength).pixels
        assert np.array_equal(result[:, :3], pixels[:, :3])
        assert result[:, 3:].max() <= 1


# --- strength ---------------------------------------------------------------------------------


@given(plans(STILL, 3), st.sampled_from(MODES), st.sampled_from(DTYPES),
       st.floats(0, MAX_STRENGTH) | st.sampled_from([0.0, 0.5, 1.0, 2.0]))  # fmt: skip
@settings(deadline=None, max_examples=120)
def test_strength_goes_from_the_picture_to_the_edit_and_beyond(edit, mode, dtype, strength):
    picture = picture_of(26, 9, mode, dtype)
    result, full = render_plan(picture, edit, strength=strength), render_plan(picture, edit)
    assert result.pixels.dtype == dtype
    if strength == 0.0:
        assert np.array_equal(result.pixels, picture.pixels)
    if strength == 1.0:
        assert np.array_equal(result.pixels, full.pixels)
    before = colors(picture)
    expected = np.clip(before + (colors(full) - before) * strength, 0, WHITE[dtype])
    assert np.abs(colors(result) - expected).max() <= ROUNDING[dtype]
    if picture.has_alpha:
        assert np.array_equal(result.alpha, picture.alpha)


@pytest.mark.parametrize("dtype", DTYPES)
def test_twice_as_strong_is_twice_the_change_up_to_black_and_white(dtype):
    white = WHITE[dtype]
    values = np.array([0, 0.2, 0.5, 0.8, 1.0]) * white
    picture = Picture(np.repeat(values.astype(dtype)[None, :, None], 3, axis=2))
    result = render_plan(picture, plan(step("bright", offset=51)), strength=2.0)
    expected = np.array([0.4, 0.6, 0.9, 1.0, 1.0]) * white
    assert result.pixels[0, :4, 0] == pytest.approx(expected[:4], abs=1.01 if white > 1 else 1e-6)
    # What the edit itself clipped does not come back.
    assert result.pixels[0, 4, 0] == white
    darker = render_plan(picture, plan(step("bright", offset=-102)), strength=2.0)
    assert darker.pixels[0, 2, 0] == 0


@given(plans(EVERY, 3), st.sampled_from(MODES), st.sampled_from(DTYPES),
       st.sampled_from([0.0, 0.5, 1.5]))  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_geometry_is_done_in_full_at_any_strength(edit, mode, dtype, strength):
    picture = picture_of(20, 13, mode, dtype)
    moving = [s for s in edit.operations if s.operation.kind == "geometric"]
    result, full = render_plan(picture, edit, strength=strength), render_plan(picture, edit)
    moved = render_plan(picture, plan(*moving))
    assert result.pixels.shape[:2] == full.pixels.shape[:2]
    if not edit.operations:
        return
    if strength == 0.0:
        assert np.array_equal(result.pixels, moved.pixels)
    expected = colors(moved) + (colors(full) - colors(moved)) * strength
    apart = np.abs(colors(result) - np.clip(expected, 0, WHITE[dtype]))
    assert apart.max() <= ROUNDING[dtype]
    if picture.has_alpha and strength:
        assert np.array_equal(result.alpha, full.alpha)


def test_nothing_is_computed_for_a_strength_of_0():
    """Not even warned of, apart from the rounding that was asked for."""
    job = Job()
    deep = picture_of(9, 7, dtype="uint16")
    assert np.array_equal(
        render_plan(deep, plan(step("made-recipe")), strength=0.0, job=job).pixels, deep.pixels
    )
    told = render_plan(deep, plan(step("sepia")), strength=0.0, rounding="each-step", job=job)
    assert told.pixels.dtype == np.uint8


@pytest.mark.parametrize("strength", [-0.01, 2.01, float("nan"), float("inf")])
@pytest.mark.parametrize("edit", [BRIGHTER, EditPlan()])
def test_other_strengths_are_refused(strength, edit):
    with pytest.raises(OptionError, match="between 0 and 2"):
        render_plan(PLAIN, edit, strength=strength)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_neither_the_picture_nor_a_picture_given_back_is_written_to(mode, dtype):
    """Blending works in place, but never on pixels that are somebody else's."""
    picture = picture_of(20, 13, mode, dtype)
    before = picture.pixels.copy()
    picture.pixels.flags.writeable = False
    mask = mask_for(picture)
    for edit in (plan(step("bright", offset=0)), plan(step("sepia")), plan(step("made-curves"))):
        for how in ({"mask": mask}, {"strength": 0.5}, {"mask": mask, "strength": 2.0}):
            result = render_plan(picture, edit, **how)
            assert np.array_equal(picture.pixels, before)
            if edit.operations[0].name == "bright":
                assert np.array_equal(result.pixels, before)


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_blend_follows_its_formula(dtype, strength, masked):
    before, after = (photograph(30, 20, dtype=dtype, seed=k).pixels for k in (0, 1))
    mask = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8) if masked else None
    kept = before.copy(), after.copy()
    result = blend(before, after, mask, strength)
    share = strength * (1.0 if mask is None else mask[:, :, None] / 255.0)
    expected = before.astype(float) + (after.astype(float) - before) * share
    assert result.dtype == before.dtype
    assert np.abs(result - np.clip(expected, 0, WHITE[dtype])).max() <= ROUNDING[dtype]
    assert np.array_equal(before, kept[0])
    assert np.array_equal(after, kept[1])
