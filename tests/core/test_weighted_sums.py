"""Sums of channels: exact where they are, and the same wherever a pixel stands."""

import cv2
import made_operations
import numpy as np
import pytest
from strip_sizes import cut, in_one

from imgedit_plugins.operations import Operation, load_profile, weighted_sums
from imgedit_plugins.operations.forms import Curves, Matrix
from imgedit_plugins.operations.imad import OPERATIONS
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

SEPIA = next(operation for operation in OPERATIONS if operation.name == "sepia")
MATRIX = load_profile().of("sepia")["matrix"]
STRONG = [[1.9, -0.7, -0.2], [-0.31, 1.62, -0.31], [0.0, -0.9, 1.9]]
EVERY_GREY = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)


def recipe(rgb, matrix=MATRIX, rounding="truncate"):
    return SEPIA.render(rgb, {}, {"matrix": matrix, "rounding": rounding})


def in_double(rgb, matrix=MATRIX, rounding="truncate"):
    """The published recipe: OpenCV's transform of doubles, on blue, green, red."""
    count = rgb.shape[0] * rgb.shape[1]
    row = np.zeros((1, -(-count // 64) * 64, 3))  # its last few pixels are summed otherwise
    row[0, :count] = rgb.reshape(-1, 3)[:, ::-1]
    sums = cv2.transform(row, np.array(matrix)[::-1, ::-1])[0, :count, ::-1]
    codes = np.clip(sums, 0, 255) if rounding == "truncate" else np.rint(np.clip(sums, 0, 255))
    return codes.astype(np.uint8).reshape(rgb.shape)


def colours(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (1, count, 3), np.uint8)


# --- the recipe of sepia -----------------------------------------------------------------------


def test_ten_million_colours_and_every_grey():
    for seed in range(4):
        rgb = colours(2_500_000, seed).reshape(2500, 1000, 3)
        assert np.array_equal(recipe(rgb), in_double(rgb))
    assert np.array_equal(recipe(EVERY_GREY[None]), in_double(EVERY_GREY[None]))


def test_colours_whose_sums_are_whole_numbers():
    """There the order of the summands decides; a few hundred of all colours come out lower."""
    red, green, blue = np.indices((256, 256, 256), np.int32)
    thousands = [np.rint(np.array(row) * 1000).astype(np.int32) for row in MATRIX]
    whole = [(w[0] * red + w[1] * green + w[2] * blue) % 1000 == 0 for w in thousands]
    places = np.flatnonzero(np.logical_or.reduce(whole))
    rgb = np.stack(np.unravel_index(places, red.shape), axis=1).astype(np.uint8)[None]
    truth = in_double(rgb)
    exact = np.minimum(rgb.astype(np.int32) @ np.stack(thousands).T // 1000, 255)
    assert 100 < (truth != exact).sum() < 10_000
    assert np.array_equal(recipe(rgb), truth)


@pytest.mark.parametrize("rounding", ["truncate", "round"])
@pytest.mark.parametrize("matrix", [MATRIX, STRONG, np.eye(3).tolist(), [[0.5, 0.25, 0.25]] * 3],
                         ids=["sepia", "strong", "unchanged", "ties"])  # fmt: skip
def test_other_matrices_and_rounding(matrix, rounding):
    rgb = np.concatenate([colours(300_000), EVERY_GREY[None], EVERY_GREY[None] * [1, 0, 1]], axis=1)
    rgb = rgb.astype(np.uint8)
    assert np.array_equal(recipe(rgb, matrix, rounding), in_double(rgb, matrix, rounding))


def test_every_length_and_a_buffer():
    rgb = colours(400)
    truth = in_double(rgb)
    for length in range(1, 200):
        part, out = rgb[:, 400 - length :], np.full((1, length, 3), 99, np.uint8)
        assert np.array_equal(recipe(part), truth[:, 400 - length :])
        made = SEPIA.render(part, {}, {"matrix": MATRIX, "rounding": "truncate"}, out=out)
        assert made is out
        assert np.array_equal(out, truth[:, 400 - length :])


@pytest.mark.parametrize("code", [0, 1, 125, 250, 255])
def test_flat_areas(code):
    """All of one colour: black, white, and one whose sums are whole numbers."""
    rgb = np.full((50, 61, 3), code, np.uint8)
    assert np.array_equal(recipe(rgb), in_double(rgb))


# --- sums that are rounded once ----------------------------------------------------------------


def matrix_operation(weights, offset=(0.0, 0.0, 0.0)):
    form = Matrix(tuple(tuple(row) for row in weights), offset)
    return Operation("any-matrix", "M", "pointwise", None, "here", "S.", form=lambda p, c: form)


MATRICES = {
    "grey": ([[0.299, 0.587, 0.114]] * 3, (0.0, 0.0, 0.0)),
    "sepia": (MATRIX, (0.0, 0.0, 0.0)),
    "strong": (STRONG, (0.0, 0.0, 0.0)),
    "offset": ([[0.8, 0.1, 0.0], [0.0, 0.7, 0.1], [0.2, 0.1, 0.6]], (0.1, -0.05, 0.3)),
    "grey with offset": ([[0.299, 0.587, 0.114]] * 3, (0.02, 0.02, 0.02)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_lone_matrix_is_rounded_right(name, dtype):
    white = np.iinfo(dtype).max
    rgb = np.random.default_rng(2).integers(0, white + 1, (301, 1001, 3), dtype)
    weights, offset = MATRICES[name]
    exact = np.clip(rgb / white @ np.array(weights).T + offset, 0, 1) * white
    with made_operations.registered(matrix_operation(weights, offset)):
        edit = EditPlan(operations=(step("any-matrix"),))
        result = render_plan(Picture(rgb), edit).pixels
        assert np.abs(result - exact).max() <= 0.5 + (1e-3 if dtype == "uint8" else 0.05)
        for width, height in ((1, 70), (7, 31), (63, 9), (65, 9), (129, 5), (64, 64)):
            part = Picture(np.ascontiguousarray(rgb[:height, :width]))
            with cut(1):
                assert np.array_equal(render_plan(part, edit).pixels, result[:height, :width])


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_matrix_between_curves_is_near_exact_arithmetic(before, after):
    """In 8 bits the way goes through 16; a tenth of a code is all that may be lost."""
    gain, offset = 1.2, -20 / 255
    curves = [step("contrast", gain=gain), step("bright", offset=-20)]
    rgb = colours(200_000).reshape(400, 500, 3)
    values = rgb / 255
    for k in range(before):
        values = np.clip(values * gain if k == 0 else values + offset, 0, 1)
    values = np.clip(values @ np.array(MATRIX).T, 0, 1)
    for k in range(after):
        values = np.clip(values * gain if k == 0 else values + offset, 0, 1)
    edit = EditPlan(operations=(*curves[:before], step("sepia"), *curves[:after]))
    picture = Picture(rgb)
    result = render_plan(picture, edit, rounding="end")
    assert np.abs(result.pixels - values * 255).max() <= 0.5 + 0.02
    with cut(700):
        strips = render_plan(picture, edit, rounding="end")
    assert np.array_equal(strips.pixels, in_one(picture, edit, rounding="end").pixels)
    assert np.array_equal(strips.pixels, result.pixels)


def test_curves_of_their_own_for_each_channel_around_a_matrix():
    edit = EditPlan(operations=(step("summer"), step("sepia"), step("winter")))
    rgb = colours(50_000).reshape(200, 250, 3)
    floats = render_plan(Picture((rgb / 255).astype(np.float32)), edit).pixels
    result = render_plan(Picture(rgb), edit, rounding="end").pixels
    assert np.abs(result - floats * 255.0).max() <= 0.5 + 0.02


@pytest.mark.parametrize("then", ["sepia", "saturate", "sharp", "made-place"])
def test_what_follows_a_matrix_that_waited_sees_what_it_should(then):
    """Curves, a matrix, curves, then something that needs values: in their order."""
    with made_operations.registered():
        made = step(then, factor=1.3) if then == "saturate" else step(then)
        edit = EditPlan(operations=(
            step("contrast", gain=0.8), step("sepia"), step("gamma", gamma=1.1), made,
            step("bright", offset=5),
        ))  # fmt: skip
        rgb = colours(3000).reshape(50, 60, 3)
        floats = render_plan(Picture((rgb / 255).astype(np.float32)), edit).pixels
        result = render_plan(Picture(rgb), edit, rounding="end").pixels
    assert np.abs(result - floats * 255.0).max() <= 0.5 + 0.1


def test_sums_of_any_shape_do_not_depend_on_the_place():
    rgb = colours(1000)[0]
    weights = np.column_stack([np.array(MATRIX) * 256, np.full(3, 127.5)])
    for dtype in (np.uint8, np.uint16):
        codes = rgb.astype(dtype)
        one_by_one = weighted_sums.in_16_bits(codes[:, None], weights)[:, 0]
        assert one_by_one.dtype == np.uint16
        for shape in ((1, 1000, 3), (10, 100, 3), (8, 125, 3)):
            made = weighted_sums.in_16_bits(codes.reshape(shape), weights)
            assert made.shape == shape
            assert np.array_equal(made.reshape(-1, 3), one_by_one)
        last = weighted_sums.in_16_bits(np.ascontiguousarray(codes[None, 37:101]), weights)
        assert np.array_equal(last[0], one_by_one[37:101])


def test_a_curve_of_any_shape_after_a_matrix_of_8_bits():
    wave = Curves.same(lambda v: 0.5 + 0.5 * np.sin(v * 20))
    operation = Operation("wave", "W", "pointwise", None, "here", "S.", form=lambda p, c: wave)
    with made_operations.registered(operation):
        edit = EditPlan(operations=(step("grayscale"), step("wave")))
        rgb = colours(50_000).reshape(200, 250, 3)
        result = render_plan(Picture(rgb), edit, rounding="end").pixels
    grey = rgb / 255 @ np.array([0.299, 0.587, 0.114])
    exact = (0.5 + 0.5 * np.sin(grey * 20)) * 255
    assert np.abs(result - exact[..., None]).max() <= 0.5 + 0.1
