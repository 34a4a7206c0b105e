"""Crop, straighten, resize and perspective."""

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.errors import ParameterError, PictureError, PlanError
from imgedit_plugins.operations import Operation, Parameter, default_vocabulary, resampling
from imgedit_plugins.operations.frame import OPERATIONS, keystone_frame, upright_rectangle
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, parse_plan, step
from imgedit_plugins.render import render_plan

BY_NAME = {operation.name: operation for operation in OPERATIONS}
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}
EXAMPLES = (
    ("crop", {"left": 0.2, "bottom": 0.35}),
    ("straighten", {"degrees": -7.5}),
    ("straighten", {"degrees": 45}),
    ("resize", {"long_side": 20}),
    ("resize", {"long_side": 90}),
    ("perspective", {"vertical": 25, "horizontal": -10}),
    ("perspective", {"vertical": -40, "horizontal": -40}),
)
NEUTRAL = (("crop", {}), ("straighten", {"degrees": 0}), ("perspective", {}))


def moved(pixels, name, **parameters):
    """What the operation's form makes of pixels (height, width, channels)."""
    operation = BY_NAME[name]
    return operation.form(operation.check(parameters), {}).function(pixels)


def noise(height=37, width=53, channels=3, dtype="uint8", seed=0):
    values = np.random.default_rng(seed).random((height, width, channels))
    return np.asarray(values * WHITE[dtype]).astype(dtype)


def white(height, width):
    return np.full((height, width, 1), 1.0, np.float32)


def spot(height, width, x, y):
    """A small bright spot around the continuous position (x, y)."""
    yy, xx = np.mgrid[0:height, 0:width] + 0.5
    return np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8).astype(np.float32)[:, :, None]


def where(pixels):
    """The continuous position of the only spot."""
    weight = pixels[:, :, 0].astype(np.float64)
    yy, xx = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]] + 0.5
    return float((weight * xx).sum() / weight.sum()), float((weight * yy).sum() / weight.sum())


# --- declarations -----------------------------------------------------------------------------


def test_the_vocabulary_has_them_with_all_that_is_to_be_said():
    assert list(BY_NAME) == ["crop", "straighten", "resize", "perspective"]
    for name, operation in BY_NAME.items():
        assert default_vocabulary()[name] is operation
        assert operation.kind == "geometric"
        assert operation.source
        assert operation.summary.endswith(".")
        assert operation.compares.endswith(".")
        assert all(parameter.unit for parameter in operation.parameters)


@pytest.mark.parametrize(("name", "given"), [
    ("crop", {"left": -0.01}), ("crop", {"top": 1.01}), ("crop", {"middle": 0.5}),
    ("straighten", {}), ("straighten", {"degrees": 45.1}),
    ("resize", {}), ("resize", {"long_side": 0}), ("resize", {"long_side": 99.5}),
    ("perspective", {"vertical": 41}), ("perspective", {"horizontal": math.nan}),
])  # fmt: skip
def test_ranges(name, given):
    with pytest.raises(ParameterError):
        BY_NAME[name].check(given)


@pytest.mark.parametrize(("name", "given"), [*EXAMPLES, *NEUTRAL])
def test_descriptions(name, given):
    told = BY_NAME[name].describe(BY_NAME[name].check(given))
    assert told
    assert "{" not in told
    for value in given.values():
        assert f"{abs(value) * (100 if name == 'crop' else 1):g}" in told or value == 0


def test_none_of_them_can_be_undone_or_limited_to_a_selection():
    for name, values in EXAMPLES:
        checked = BY_NAME[name].check(values)
        assert BY_NAME[name].inverse(checked) is None
        plan = EditPlan(operations=(step(name, **values),))
        with pytest.raises(PictureError, match="selection"):
            render_plan(Picture(noise()), plan, mask=np.zeros((37, 53), np.uint8))


# --- parameters that do not go together -------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_empty_crop_is_refused(first, second):
    for a, b, side in (("left", "right", "width"), ("top", "bottom", "height")):
        given = {a: first, b: second}
        if first + second < 1:
            assert BY_NAME["crop"].check(given)[a] == first
            continue
        with pytest.raises(ParameterError, match=f"nothing of the {side}") as caught:
            BY_NAME["crop"].check(given)
        assert (caught.value.operation, caught.value.parameter) == ("crop", "")
        assert str(caught.value).startswith("'crop' ")


def test_a_plan_says_where_parameters_do_not_go_together():
    document = {
        "schema": "imgedit-plan/1",
        "operations": [{"name": "crop", "parameters": {"left": 0.75, "right": 0.5}}],
    }
    with pytest.raises(PlanError) as caught:
        parse_plan(json.dumps(document))
    ((place, what),) = caught.value.problems
    assert place == "operations[0].parameters"
    assert "left 0.75 and right 0.5 leave nothing" in what


def test_any_operation_may_have_a_fault():
    def odd(parameters):
        return "a and b are the same" if parameters["a"] == parameters["b"] else ""

    operation = Operation(
        "x", "X", "pointwise", lambda rgb, p, c: rgb, "here", "S.",
        parameters=tuple(Parameter(n, n, "px", 0, 9, neutral=0, optional=True) for n in "ab"),
        fault=odd,
    )  # fmt: skip
    assert operation.check({"a": 1}) == {"a": 1.0, "b": 0.0}
    # Left-out parameters count with their neutral value, and single faults come first.
    with pytest.raises(ParameterError, match=r"^'x' cannot be done so: a and b are the same\.$"):
        operation.check({})
    with pytest.raises(ParameterError, match="must be between"):
        operation.check({"a": 10, "b": 10})


# --- all of them: types, channels, sizes ------------------------------------------------------


@pytest.mark.parametrize(("name", "given"), [*EXAMPLES, *NEUTRAL])
@pytest.mark.parametrize("dtype", WHITE)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_type_and_channels_stay(name, given, dtype, channels):
    source = noise(channels=channels, dtype=dtype)
    kept = source.copy()
    source.flags.writeable = False
    result = moved(source, name, **given)
    assert (result.dtype, result.shape[2]) == (source.dtype, channels)
    assert result.flags.c_contiguous
    assert np.array_equal(source, kept)
    assert not np.shares_memory(result, source)
    assert result.min() >= 0
    assert result.max() <= WHITE[dtype]
    assert np.array_equal(result, moved(np.asfortranarray(source), name, **given))


@pytest.mark.parametrize(("name", "given"), NEUTRAL)
@pytest.mark.parametrize("dtype", WHITE)
def test_neutral_changes_no_bit(name, given, dtype):
    checked = BY_NAME[name].check(given)
    assert BY_NAME[name].is_neutral(checked)
    for channels in (1, 2, 3, 4):
        source = noise(channels=channels, dtype=dtype)
        assert np.array_equal(moved(source, name, **given), source)


@pytest.mark.parametrize("channels", [1, 4])
def test_resize_to_the_size_that_it_has_changes_no_bit(channels):
    for shape in ((37, 53), (53, 37), (53, 53), (1, 53)):
        source = noise(*shape, channels)
        assert np.array_equal(moved(source, "resize", long_side=53), source)


@pytest.mark.parametrize(("name", "given"), EXAMPLES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (1, 200), (3, 130)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_smallest_pictures(name, given, size, channels):
    source = noise(*size, channels)
    if channels == 4:
        source[:, :, 3] = np.maximum(source[:, :, 3], 1)
    result = moved(source, name, **given)
    assert min(result.shape) >= 1
    if size == (1, 1):
        assert np.abs(result.astype(int) - source[0, 0]).max() <= 1


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(deadline=None, max_examples=150)
def test_one_pixel_stays_always_and_nothing_is_empty(height, width, data):
    name = data.draw(st.sampled_from([n for n in BY_NAME if n != "resize"]))
    drawn = {p.name: data.draw(st.floats(p.minimum, p.maximum)) for p in BY_NAME[name].parameters}
    if BY_NAME[name].fault(drawn):
        return
    result = moved(white(height, width), name, **drawn)
    assert min(result.shape) >= 1
    assert result.min() > 0.999


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("name", "given"), EXAMPLES)
def test_deeper_pictures_give_the_same_picture(name, given, dtype):
    source = cv2.GaussianBlur(noise(60, 80, 3, "float32"), (9, 9), 0)
    codes = np.rint(source * WHITE[dtype]).astype(dtype)
    result = moved(codes, name, **given) / WHITE[dtype]
    assert np.abs(result - moved(source, name, **given)).max() < 3 / WHITE[dtype]


# --- alpha ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WHITE)
@pytest.mark.parametrize(("name", "given"), [
    ("straighten", {"degrees": 10}), ("resize", {"long_side": 23}), ("resize", {"long_side": 131}),
    ("perspective", {"vertical": 30, "horizontal": 20}),
])  # fmt: skip
def test_invisible_colours_do_not_bleed(name, given, dtype):
    top = WHITE[dtype]
    for channels in (2, 4):
        source = np.zeros((60, 80, channels), dtype)
        source[:, :, :-1] = top  # invisible white around a visible middle that is nearly black
        source[20:40, 30:50, :-1] = top / 10
        source[20:40, 30:50, -1] = top
        result = moved(source, name, **given)
        seen = result[:, :, -1] > top / 100
        assert seen.any()
        assert not seen.all()
        assert np.abs(result[seen][:, :-1].astype(float) / top - 0.1).max() < 0.005
        assert not result[result[:, :, -1] == 0].any()


@pytest.mark.parametrize("dtype", WHITE)
def test_what_cannot_be_seen_is_black(dtype):
    source = noise(channels=4, dtype=dtype)
    source[:, :, 3] = (source[:, :, 3] > 0.7 * WHITE[dtype]) * source[:, :, 3]
    result = moved(source, "straighten", degrees=10)
    unseen = result[:, :, 3] == 0
    assert unseen.any()
    assert not result[unseen].any()


@pytest.mark.parametrize(("name", "given"), EXAMPLES)
def test_full_alpha_is_no_alpha(name, given):
    source = noise()
    alpha = np.full((37, 53, 1), 255, np.uint8)
    result = moved(np.concatenate([source, alpha], axis=2), name, **given)
    assert np.abs(result[:, :, :3].astype(int) - moved(source, name, **given)).max() <= 1
    assert (result[:, :, 3] == 255).all()


# --- crop -------------------------------------------------------------------------------------


def test_crop_cuts_at_the_nearest_pixel():
    source = noise(100, 200)
    result = moved(source, "crop", left=0.1, top=0.052, right=0.25, bottom=0.4)
    assert np.array_equal(result, source[5:60, 20:150])
    # A half goes to the side of the cut.
    assert moved(noise(1, 10), "crop", left=0.25).shape == (1, 7, 3)


def test_the_pixel_in_the_middle_of_a_tiny_rest_stays():
    source = np.arange(10, dtype=np.float32)[None, :, None]
    for left, right, stays in ((0.5, 0.499, 5), (0.9, 0.0999, 9), (0.22, 0.76, 2), (0, 0.99, 0)):
        assert moved(source, "crop", left=left, right=right).ravel().tolist() == [stays]


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_crop_takes_what_it_says_up_to_half_a_pixel(width, left, right):
    if left + right >= 1:
        return
    source = np.arange(width, dtype=np.float32)[None, :, None]
    result = moved(source, "crop", left=left, right=right)[0, :, 0]
    first, last = float(result[0]), float(result[-1]) + 1
    if len(result) > 1:
        assert abs(first - left * width) <= 0.5 + 1e-6
        assert abs(last - (1 - right) * width) <= 0.5 + 1e-6
    else:
        assert first - 0.5 <= (left + 1 - right) / 2 * width + 1e-6
        assert last + 0.5 >= (left + 1 - right) / 2 * width - 1e-6


# --- straighten -------------------------------------------------------------------------------


@given(st.floats(1, 5000), st.floats(1, 5000), st.floats(-45, 45))
def test_the_upright_rectangle_fits_and_cannot_grow(width, height, degrees):
    fitting = np.array(upright_rectangle(width, height, degrees))
    s, c = math.sin(math.radians(abs(degrees))), math.cos(math.radians(abs(degrees)))
    # How far its corners reach along the sides of the turned rectangle.
    needed = np.array([[c, s], [s, c]]) @ fitting
    assert (needed <= np.array([width, height]) * (1 + 1e-9)).all()
    assert fitting.min() >= 0
    largest = 0.0
    for along in np.linspace(0, width / c, 200)[1:]:
        across = min((width - c * along) / max(s, 1e-12), (height - s * along) / c)
        largest = max(largest, along * across)
    assert largest <= fitting.prod() * (1 + 1e-6)


def test_no_turn_leaves_the_rectangle():
    assert upright_rectangle(300, 200, 0) == (300, 200)
    assert upright_rectangle(200, 200, 45) == pytest.approx((math.sqrt(2) * 100,) * 2)


@pytest.mark.parametrize("degrees", [3, -3, 20, -45])
@pytest.mark.parametrize("size", [(200, 301), (301, 200)])
def test_straighten_turns_clockwise_around_the_middle(degrees, size):
    height, width = size
    x, y = width / 2 + 30, height / 2 - 12
    result = moved(spot(height, width, x, y), "straighten", degrees=degrees)
    s, c = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    expected = (
        result.shape[1] / 2 + 30 * c + 12 * s,
        result.shape[0] / 2 + 30 * s - 12 * c,
    )
    assert where(result) == pytest.approx(expected, abs=0.06)
    fitting = upright_rectangle(width, height, degrees)
    assert result.shape[:2] == (int(fitting[1]), int(fitting[0]))


def test_straightening_back_gives_the_middle_again():
    source = cv2.GaussianBlur(noise(200, 300, 3, "float32"), (0, 0), 3)
    there = moved(source, "straighten", degrees=6)
    back = moved(there, "straighten", degrees=-6)
    height, width = back.shape[:2]
    top, left = (200 - height) / 2, (300 - width) / 2
    expected = cv2.warpAffine(
        source, np.array([[1, 0, -left], [0, 1, -top]]), (width, height), flags=cv2.INTER_CUBIC
    )
    assert min(height / 200, width / 300) > 0.7
    assert np.abs(back - expected)[3:-3, 3:-3].max() < 0.02


# --- resize -----------------------------------------------------------------------------------


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 200))
@settings(deadline=None, max_examples=60)
def test_the_long_side_is_as_said_and_proportions_stay(height, width, long_side):
    result = moved(noise(height, width, 1), "resize", long_side=long_side)
    scale = long_side / max(height, width)
    assert max(result.shape[:2]) == long_side
    for new, old in zip(result.shape[:2], (height, width), strict=True):
        assert abs(new - old * scale) <= 0.5 + 1e-9 or new == 1


def test_shrinking_is_the_mean_over_the_area_weighed_by_alpha():
    source = noise(39, 60, 4, "float32")
    result = moved(source, "resize", long_side=20)
    alpha = source[:, :, 3:]
    weighed = np.concatenate([source[:, :, :3] * alpha, alpha], axis=2)
    mean = weighed.reshape(13, 3, 20, 3, 4).mean(axis=(1, 3))
    assert result.shape == (13, 20, 4)
    assert np.abs(result[:, :, 3] - mean[:, :, 3]).max() < 1e-5
    assert np.abs(result[:, :, :3] - mean[:, :, :3] / mean[:, :, 3:]).max() < 1e-5


def test_enlarging_interpolates_at_pixel_middles():
    result = moved(spot(40, 60, 20, 30), "resize", long_side=240)
    assert where(result) == pytest.approx((80, 120), abs=0.2)
    assert result.max() == pytest.approx(1, abs=0.05)


# --- perspective ------------------------------------------------------------------------------


def expected_place(x, y, width, height, vertical, horizontal):
    """Where the documented formula sends a position, on the frame that the picture keeps."""
    u, t = 2 * x / width - 1, 2 * y / height - 1
    tilt = 1 + vertical / 100 * t + horizontal / 100 * u
    a, b, r = keystone_frame(vertical / 100, horizontal / 100)
    return ((u / tilt - a) / r + 1) * width / 2, ((t / tilt - b) / r + 1) * height / 2


@pytest.mark.parametrize("amounts", [(20, 0), (0, -30), (-15, 25), (40, 40)])
def test_points_land_where_the_formula_says(amounts):
    height, width = 240, 320
    for x, y in ((160, 120), (130, 100), (185, 90)):
        result = moved(
            spot(height, width, x, y), "perspective", vertical=amounts[0], horizontal=amounts[1]
        )
        assert result.shape == (240, 320, 1)
        expected = expected_place(x, y, width, height, *amounts)
        assert where(result) == pytest.approx(expected, abs=0.35)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_the_frame_lies_inside_the_tilted_picture(vertical, horizontal):
    a, b, r = keystone_frame(vertical, horizontal)
    assert 0.5 < r <= 1 + 1e-9
    for u, t in ((a - r, b - r), (a - r, b + r), (a + r, b - r), (a + r, b + r)):
        back = 1 - horizontal * u - vertical * t
        assert max(abs(u / back), abs(t / back)) <= 1 + 1e-9
    # No larger one around another middle.
    edges = np.array([[horizontal + s, vertical] for s in (1, -1)]
                     + [[horizontal, vertical + s] for s in (1, -1)])  # fmt: skip
    middles = np.random.default_rng(0).uniform(-1.5, 1.5, (500, 2))
    largest = ((1 - middles @ edges.T) / np.abs(edges).sum(axis=1)).min(axis=1).max()
    assert largest <= r + 1e-9


def test_a_positive_vertical_amount_makes_lines_that_lean_together_above_parallel():
    height, width, v = 300, 400, 0.2
    # Two lines that meet where the formula's line at infinity is: at t = -1 / v.
    source = np.zeros((height, width, 1), np.float32)
    for side in (-0.5, 0.5):
        bottom, top = ((1 + side * (1 + v * t)) * width / 2 for t in (1, -1))
        cv2.line(source, (round(bottom), height - 1), (round(top), 0), 1.0, 2, cv2.LINE_AA)
    result = moved(source, "perspective", vertical=100 * v)
    left = result[:, : width // 2, 0]
    places = (left * np.arange(width // 2)).sum(axis=1) / left.sum(axis=1)
    assert np.ptp(places) < 2
    before = source[:, : width // 2, 0]
    assert np.ptp((before * np.arange(width // 2)).sum(axis=1) / before.sum(axis=1)) > 30


def test_tilting_back_gives_a_part_of_the_picture_again():
    source = cv2.GaussianBlur(noise(240, 320, 3, "float32"), (0, 0), 4)
    v = 0.2
    _, b, r = keystone_frame(v, 0)
    there = moved(source, "perspective", vertical=100 * v)
    # In the frame's own coordinates the opposite tilt is -v r / (1 - v b).
    opposite = -v * r / (1 - v * b)
    back = moved(there, "perspective", vertical=100 * opposite)
    # Both together are a scale and a shift; two points tell them, a third one checks.
    corners = np.array([[60, 60], [260, 60], [160, 180]], np.float64)

    def both(x, y):
        middle = expected_place(x, y, 320, 240, 100 * v, 0)
        return expected_place(*middle, 320, 240, 100 * opposite, 0)

    sent = np.array([both(*point) for point in corners])
    scale = (sent[1] - sent[0])[0] / 200
    assert (sent[2] - sent[0])[0] == pytest.approx(100 * scale, abs=1e-6)
    down = (sent[2] - sent[0])[1] / 120
    shift = sent[0] - corners[0] * (scale, down)
    zoom = np.diag([scale, down])
    matrix = np.column_stack([zoom, shift + zoom @ (0.5, 0.5) - 0.5])
    expected = cv2.warpAffine(
        source, matrix, (320, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.abs(back - expected)[5:-5, 5:-5].max() < 0.02


# --- through rendering ------------------------------------------------------------------------


def test_a_wide_panorama_is_warped_in_blocks():
    width = 40_000  # beyond OpenCV's 16-bit positions
    source = np.zeros((24, width, 1), np.uint8)
    source[:, ::1000] = 200
    result = moved(source, "perspective", horizontal=1)
    assert result.shape == source.shape
    lit = np.flatnonzero(result[12, :, 0] > 60)
    lit = lit[np.insert(np.diff(lit) > 3, 0, True)]
    wanted = [expected_place(1000 * k + 0.5, 12, width, 24, 0, 1)[0] for k in range(40)]
    wanted = [x for x in wanted if 2 < x < width - 2]
    assert len(lit) == pytest.approx(len(wanted), abs=1)
    assert min(abs(lit - wanted[len(wanted) // 2])) < 2


@pytest.mark.parametrize(("name", "given"), [
    ("straighten", {"degrees": -13}), ("perspective", {"vertical": 30, "horizontal": -20}),
])  # fmt: skip
@pytest.mark.parametrize("channels", [3, 4])
def test_blocks_join_without_a_seam(name, given, channels, monkeypatch):
    source = noise(90, 130, channels, "float32")
    source[:, :, -1] = source[:, :, -1] * 0.5 + 0.5
    whole = moved(source, name, **given)
    monkeypatch.setattr(resampling, "_BLOCK", 16)
    # Positions are rounded to 1/32 pixel, in noise up to a few hundredths.
    assert np.abs(moved(source, name, **given) - whole).max() < 0.1


def test_a_plan_crops_pictures_of_any_size_alike():
    plan = EditPlan(operations=(step("crop", left=0.25, bottom=0.5), step("bright", offset=10)))
    for height, width in ((40, 80), (100, 60)):
        source = noise(height, width, 4)
        result = render_plan(Picture(source), plan).pixels
        assert result.shape == (height // 2, width - width // 4, 4)
        expected = source[: height // 2, width // 4 :]
        assert np.array_equal(result[:, :, 3], expected[:, :, 3])
        brighter = np.clip(expected[:, :, :3].astype(int) + 10, 0, 255)
        assert np.array_equal(result[:, :, :3], brighter)
