"""Depths and rounding: what is rounded to which type, when, and how near to exact arithmetic."""

import cv2
import exact_edits
import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_operations import DTYPES, MODES, WHITE, picture_of
from plan_strategies import GEOMETRY, OPERATIONS, RECIPES, example_of, plans

from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation, load_profile
from imgedit_plugins.operations.forms import Curves, Matrix, evaluate
from imgedit_plugins.pictures import Picture, to_8_bits
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan, render_rgb

PROFILE = load_profile()
STILL_RECIPES = tuple(name for name in RECIPES if name not in GEOMETRY)
RESAMPLING = ("straighten", "resize", "perspective")
EVERY = (*OPERATIONS, *made_operations.NAMES)
# Curves become tables in double precision, matrices are summed in another order.
TABLES = tuple(
    name
    for name, operation in OPERATIONS.items()
    if operation.render is None
    and isinstance(
        operation.form(example_of(operation).parameters, PROFILE.of(name)), Curves | Matrix
    )
)
TIES = (*TABLES, "made-curves", "made-matrix")
FORMLESS = ("made-recipe", "made-surroundings", "made-move")


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def plan(*operations) -> EditPlan:
    return EditPlan(operations=operations)


def one_by_one(rgb, edit):
    """Each step's own mathematics on the whole picture, rounded to 8 bits after each."""
    for one in edit.operations:
        if not one.operation.is_neutral(one.parameters):
            rgb = render_rgb(rgb, one.operation, one.parameters, PROFILE)
    return rgb


def as_values(pixels):
    return pixels / np.float64(WHITE[str(pixels.dtype)])


# --- each step --------------------------------------------------------------------------------


@given(plans(RECIPES, 5), st.sampled_from(MODES))
@settings(deadline=None, max_examples=100)
def test_each_step_on_8_bits_is_the_recipes_one_by_one(edit, mode):
    picture = picture_of(24, 17, mode)
    result = render_plan(picture, edit, rounding="each-step")
    expected = one_by_one(picture.rgb8(), edit)
    assert np.array_equal(result.rgb8(), expected)
    assert np.array_equal(render_plan(picture, edit).pixels, result.pixels), "'auto' is the same"


@given(plans(tuple(set(EVERY) - set(RESAMPLING) - set(TIES)), 4), st.sampled_from(MODES))
@settings(deadline=None, max_examples=100)
def test_each_step_rounds_operations_without_a_recipe_too(edit, mode):
    picture = picture_of(24, 17, mode)
    result = render_plan(picture, edit, rounding="each-step")
    assert np.array_equal(result.rgb8(), one_by_one(picture.rgb8(), edit))


@pytest.mark.parametrize("name", TIES)
def test_each_step_of_curves_and_matrices_without_a_recipe(name):
    """Up to a code: double and single precision decide otherwise halfway between two."""
    one = example_of(OPERATIONS[name]) if name in OPERATIONS else step(name)
    picture = picture_of(60, 50)
    result = render_plan(picture, plan(one), rounding="each-step").pixels.astype(int)
    assert np.abs(result - one_by_one(picture.pixels, plan(one))).max() <= 1
    # What comes next sees whole codes.
    negative = render_plan(picture, plan(one, step("invert")), rounding="each-step")
    assert np.array_equal(negative.pixels, 255 - result)


@pytest.mark.parametrize("name", RESAMPLING)
def test_each_step_rounds_what_was_resampled(name):
    picture = picture_of(60, 50)
    edit = plan(example_of(OPERATIONS[name]), step("contrast", gain=10))
    result = render_plan(picture, edit, rounding="each-step")
    assert np.array_equal(result.pixels, one_by_one(picture.pixels, edit))


@given(plans(RECIPES, 4), st.sampled_from(MODES), st.sampled_from(["uint16", "float32"]))
@settings(deadline=None, max_examples=60)
def test_each_step_on_deeper_pictures_is_that_of_the_rounded_picture(edit, mode, dtype):
    picture, job = picture_of(24, 17, mode, dtype), Job()
    result = render_plan(picture, edit, rounding="each-step", job=job)
    if not edit.operations:
        assert result is picture
        return
    assert result.pixels.dtype == np.uint8
    eight = Picture(to_8_bits(picture.pixels))
    assert np.array_equal(result.pixels, render_plan(eight, edit).pixels)
    assert job.warnings == [f"The picture has {dtype} values; it was edited in 8 bits."]


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 257 * 7 + 128), ("float32", 7.4 / 255)])
def test_alpha_is_rounded_like_colours_where_all_is_and_kept_otherwise(dtype, value):
    pixels = np.full((2, 2, 4), value, dtype)
    edit = plan(step("bright", offset=20))
    assert render_plan(Picture(pixels), edit, rounding="each-step").alpha.max() == 7
    assert np.array_equal(render_plan(Picture(pixels), edit).alpha, pixels[:, :, 3:])


@given(plans(RECIPES, 3), st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=40)
def test_auto_rounds_at_the_end_what_was_never_made_in_8_bits(edit, dtype):
    with_new = EditPlan(operations=(*edit.operations, step("made-matrix")))
    picture = picture_of(20, 11, "RGB", dtype)
    edits = [with_new] if dtype == "uint8" else [with_new, edit]
    for one in edits:
        end = render_plan(picture, one, rounding="end")
        assert np.array_equal(render_plan(picture, one).pixels, end.pixels)


def test_rounding_once_is_better_than_rounding_five_times():
    picture = picture_of(64, 48)
    edit = plan(*[step("contrast", gain=g) for g in (0.3, 3.3, 0.5, 1.9, 1.05)])
    exact = exact_edits.exact(as_values(picture.pixels), edit.operations) * 255
    each, end = (
        np.abs(render_plan(picture, edit, rounding=how).pixels - exact).max()
        for how in ("each-step", "end")
    )
    assert end <= 0.5 + 1e-6
    assert each > 1.5


# --- at the end: against double precision ------------------------------------------------------

# Levels of the data, so that no step multiplies what single precision or 16 bits leave out.
GENTLE = [
    step(name, **dict.fromkeys([p.name for p in OPERATIONS[name].parameters], level))
    for name in exact_edits.EDITS
    for level in PROFILE.levels(name) or (None,)
]
SINGLE = 3e-6  # what some steps in single precision leave out; 1.7e-6 was found in 6,000 plans
SHARPER = 5  # times that for each `sharp`, which multiplies what was lost before by up to 17.5


def allowed(dtype, steps):
    """In codes of the type, or of 1 for floats: the last rounding, and single precision."""
    lost = SINGLE * SHARPER ** sum(one.name == "sharp" for one in steps)
    return {"uint8": 1.0, "uint16": 0.5 + 65535 * lost, "float32": lost}[dtype]


@given(st.lists(st.sampled_from(GENTLE), min_size=1, max_size=5), st.sampled_from(DTYPES),
       st.sampled_from(["L", "RGB"]), st.integers(0, 3))  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_the_end_is_within_a_code_of_double_precision(steps, dtype, mode, seed):
    """In 8 bits, where curves between other steps go through 65536 codes; else nearer."""
    picture = picture_of(21, 16, mode, dtype, seed)
    three = np.repeat(picture.pixels, 3, axis=2) if mode == "L" else picture.pixels
    exact = exact_edits.exact(as_values(three), steps)
    result = render_plan(picture, plan(*steps), rounding="end").pixels
    assert result.dtype == dtype
    apart = np.abs(result.astype(np.float64) - exact * WHITE[dtype]).max()
    assert apart <= allowed(dtype, steps)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_single_step_is_rounded_right(dtype):
    """Half a code from double precision, and what single precision leaves out."""
    picture = picture_of(40, 30, "RGB", dtype)
    for one in GENTLE:
        exact = exact_edits.exact(as_values(picture.pixels), [one]) * WHITE[dtype]
        result = render_plan(picture, plan(one), rounding="end").pixels
        assert np.abs(result - exact).max() <= 0.5 + (0.05 if dtype == "uint16" else 1e-3), one


@given(plans(EVERY, 4), st.sampled_from(["L", "RGB"]))
@settings(deadline=None, max_examples=80)
def test_float_pictures_get_what_the_forms_say(edit, mode):
    """Joined, cut and run in parallel, it is still one form after another on the whole picture."""
    if any(s.name in FORMLESS for s in edit.operations):
        return
    picture = picture_of(23, 18, mode, "float32")
    values = np.repeat(picture.pixels, 3, axis=2) if mode == "L" else picture.pixels
    for one in edit.operations:
        if not one.operation.is_neutral(one.parameters):
            constants = PROFILE.of(one.name)
            values = evaluate(one.operation.form(one.parameters, constants), values)
    result = render_plan(picture, edit).pixels
    if result.shape[2] == 1:
        result = result.repeat(3, axis=2)
    assert result.shape == values.shape
    assert result == pytest.approx(values, abs=2e-5)


# --- tables -----------------------------------------------------------------------------------


@given(plans(("bright", "contrast", "invert", "summer", "winter"), 5), st.integers(0, 9))
@settings(deadline=None, max_examples=80)
def test_joined_tables_are_the_tables_one_after_another(edit, seed):
    """All 256 codes in every channel, in 8 bits: each-step tables through each other."""
    codes = np.random.default_rng(seed).permuted(
        np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1), axis=0
    )
    picture = Picture(codes.reshape(16, 16, 3))
    assert np.array_equal(render_plan(picture, edit).pixels, one_by_one(picture.pixels, edit))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@given(steps=st.lists(st.sampled_from([s for s in GENTLE if s.name in
                      ("bright", "contrast", "invert", "summer", "winter")]), min_size=1,
                      max_size=5))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_joined_curves_are_rounded_once(dtype, steps):
    """Every code of the type: a table holds double precision, rounded at its end."""
    size = WHITE[dtype] + 1
    picture = Picture(np.arange(size, dtype=dtype).reshape(16, -1, 1).repeat(3, axis=2))
    exact = exact_edits.exact(as_values(picture.pixels), steps) * WHITE[dtype]
    result = render_plan(picture, plan(*steps), rounding="end").pixels
    assert np.abs(result - exact).max() <= 0.5 + 1e-6 * size


@pytest.mark.parametrize("offset", [-255, -20.4, -1, -0.5, 0.5, 1, 19.5, 255])
def test_tables_that_are_additions_stay_what_they_are(offset):
    """Fast arithmetic takes the place of a table only where it gives the same at every code."""
    picture = Picture(np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2))
    expected = np.rint(np.clip(picture.pixels + np.float64(offset), 0, 255)).astype(np.uint8)
    for edit in (plan(step("bright", offset=offset)),
                 plan(step("invert"), step("bright", offset=-offset), step("invert"))):  # fmt: skip
        assert np.array_equal(render_plan(picture, edit).pixels, expected) or (
            edit.operations[0].name == "invert" and offset % 1
        )


@given(st.lists(st.integers(0, 255), min_size=256, max_size=256), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_table_is_looked_up_as_it_is(codes, rising):
    """Also tables that begin or end like an addition or a negative, and are none."""
    wanted = np.sort(np.array(codes, np.uint8)) if rising else np.array(codes, np.uint8)
    _assert_table(wanted)


@pytest.mark.parametrize("changed", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("base", [np.arange(256)[::-1], np.clip(np.arange(256) + 30, 0, 255),
                                  np.clip(np.arange(256) - 30, 0, 255)],
                         ids=["negative", "more", "less"])  # fmt: skip
def test_a_table_that_differs_in_one_code_is_no_addition(base, changed):
    wanted = base.astype(np.uint8)
    wanted[changed] ^= 1
    _assert_table(wanted)


def _assert_table(wanted):
    curve = Curves.same(lambda v: wanted[np.rint(v * 255).astype(int)] / 255)
    operation = Operation("any-table", "T", "pointwise", None, "here", "S.",
                          form=lambda p, c: curve)  # fmt: skip
    picture = Picture(np.arange(256, dtype=np.uint8).reshape(8, 32, 1).repeat(3, axis=2))
    with made_operations.registered(operation):
        result = render_plan(picture, plan(step("any-table")))
    assert np.array_equal(result.pixels, wanted[picture.pixels])


# --- depths -----------------------------------------------------------------------------------


@given(plans(EVERY, 4), st.sampled_from(MODES), st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=100)
def test_pictures_keep_their_depth_and_are_left_untouched(edit, mode, dtype):
    picture = picture_of(21, 13, mode, dtype)
    before = picture.pixels.copy()
    picture.pixels.flags.writeable = False
    result = render_plan(picture, edit)
    assert np.array_equal(picture.pixels, before)
    assert result.pixels.dtype == dtype
    assert result.pixels.flags.c_contiguous
    assert result.has_alpha == picture.has_alpha
    assert np.isfinite(result.pixels).all()
    assert result.pixels.min() >= 0
    assert result.pixels.max() <= WHITE[dtype]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("name", ["bright", "sepia", "saturate", "gaussian", "made-place",
                                  "made-stretch", "made-whole"])  # fmt: skip
def test_deeper_pictures_are_edited_in_all_their_depth(name, dtype):
    """A ramp within one 8-bit code keeps its steps."""
    white, steps = WHITE[dtype], 64
    ramp = (120 / 255 + np.arange(steps) / steps / 255) * white
    pixels = np.repeat(ramp[None, :, None].astype(dtype), 3, axis=2).repeat(9, axis=0)
    pixels = np.ascontiguousarray(pixels)
    one = example_of(OPERATIONS[name]) if name in OPERATIONS else step(name)
    result = render_plan(Picture(pixels), plan(one)).pixels
    assert len(np.unique(to_8_bits(pixels))) <= 2
    assert len(np.unique(result[4, :, 0])) >= steps - 8


@pytest.mark.parametrize("name", FORMLESS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_plugins_8_bit_recipe_is_told_of_on_deeper_pictures(name, mode, dtype):
    """It gets 8 bits, its neighbours keep theirs, and the result has the picture's depth."""
    picture, job = picture_of(24, 18, mode, dtype), Job()
    result = render_plan(picture, plan(step(name), step(name)), job=job)
    told = [f"{name!r} works in 8 bits; the picture was rounded to 8 bits on its way."]
    assert job.warnings == ([] if dtype == "uint8" else told)
    eight = Picture(to_8_bits(picture.pixels))
    expected = render_plan(eight, plan(step(name), step(name)))
    assert result.pixels.dtype == dtype
    assert np.array_equal(to_8_bits(result.pixels), expected.pixels)
    if picture.has_alpha and name != "made-move":
        assert np.array_equal(result.alpha, picture.alpha), "nothing has to do with alpha here"


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_what_stands_before_and_after_an_8_bit_recipe_keeps_its_depth(dtype):
    picture = picture_of(24, 18, "RGB", dtype)
    after = render_plan(picture, plan(step("made-recipe"), step("contrast", gain=0.313)))
    eight = 255 - to_8_bits(picture.pixels)
    expected = eight / 255 * 0.313 * WHITE[dtype]
    assert np.abs(after.pixels - expected).max() <= (0.5 + 1e-6 if dtype == "uint16" else 1e-6)


def test_no_warning_where_nothing_is_lost():
    for dtype in DTYPES:
        job = Job()
        for one in map(example_of, OPERATIONS.values()):
            render_plan(picture_of(16, 12, "RGB", dtype), plan(one), job=job)
        assert not job.warnings


@pytest.mark.parametrize("name", ["bright", "sepia", "saturate", "blur", "made-recipe",
                                  "made-surroundings", "made-move", "made-stretch"])  # fmt: skip
def test_floats_outside_of_0_to_1_are_black_and_white(name):
    """Files may hold them; they must not come round at the other end."""
    pixels = np.full((4, 5, 3), 0.5, np.float32)
    pixels[:, 3:], pixels[:, :2] = 1.7, -0.6
    one = example_of(OPERATIONS[name]) if name in OPERATIONS else step(name)
    result = render_plan(Picture(pixels), plan(one)).pixels
    assert np.isfinite(result).all()
    assert 0 <= result.min() <= result.max() <= 1
    limited = render_plan(Picture(np.clip(pixels, 0, 1)), plan(one)).pixels
    if name in ("made-recipe", "made-surroundings", "made-move"):
        assert np.array_equal(result, limited)


# --- the yardstick ----------------------------------------------------------------------------


def test_the_second_implementation_is_opencvs_in_double_precision():
    """The yardstick itself, at known values."""
    pixel = np.array([[[100, 150, 200]]]) / 255
    known = {"grayscale": [140.75] * 3, "sepia": [192.45, 171.4, 133.5], "invert": [155, 105, 55]}
    for name, codes in known.items():
        assert exact_edits.exact(pixel, [step(name)])[0, 0] * 255 == pytest.approx(codes)
    hsv = cv2.cvtColor(pixel.astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 1] *= 0.5
    halved = exact_edits.exact(pixel, [step("saturate", factor=0.5)])
    assert halved == pytest.approx(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), abs=1e-5)
