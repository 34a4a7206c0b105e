"""Compiled kernels: the bytes of what they stand in for, at every level, or left alone."""

import os
import platform
import shutil
import subprocess
import sys

import cv2
import made_operations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_sets import kernels_of, levels, without_kernels
from made_operations import DTYPES, MODES, picture_of
from plan_strategies import OPERATIONS, plans
from strip_sizes import cut

from imgedit_plugins import compiled
from imgedit_plugins.authoring.samples import mask_for
from imgedit_plugins.compiled import agreement, library
from imgedit_plugins.operations import load_profile, weighted_sums
from imgedit_plugins.operations.byte_tables import ByteTable, WideTable
from imgedit_plugins.operations.forms import Curves
from imgedit_plugins.operations.imad import OPERATIONS as IMAD
from imgedit_plugins.operations.imad_recipes import sharp
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import kernels, matrices, render_plan

EVERY = (*OPERATIONS, *made_operations.NAMES)
RECIPES = {operation.name: operation.render for operation in IMAD}
MATRIX = load_profile().of("sepia")["matrix"]
STRONG = [[1.9, -0.7, -0.2], [-0.31, 1.62, -0.31], [0.0, -0.9, 1.9]]
CODES8, CODES16 = np.dtype(np.uint8), np.dtype(np.uint16)
GREYS = np.arange(256, dtype=np.uint8).reshape(4, 64, 1).repeat(3, axis=2)
COUNTS = [*range(1, 131), 1000, 4097]

each_level = pytest.mark.parametrize("level", levels())
needs_kernels = pytest.mark.skipif(not levels(), reason="no compiled kernels here")


@pytest.fixture(autouse=True, scope="module")
def known():
    with made_operations.registered():
        yield


def noise(dtype, *shape, seed=0):
    white = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, white + 1, (*shape, 3), dtype)


def test_they_are_there_where_they_can_be():
    """Or the environment is older than the sources: scripts/environment.py builds them."""
    possible = platform.machine() in ("x86_64", "AMD64", "aarch64", "arm64")
    wanted = possible and shutil.which("cc") and os.environ.get(library.VARIABLE) != "off"
    found = compiled.state()
    if wanted and found.reason != "this processor lacks AVX2":
        assert found.kernels, found.reason
        assert not found.differing


# --- whole plans --------------------------------------------------------------------------------


@needs_kernels
@given(
    edit=plans(EVERY, 4),
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(st.integers(1, 70), st.integers(1, 40)),
    strength=st.sampled_from([0.6, 1.0, 1.0]),
    masked=st.booleans(),
    rounding=st.sampled_from(["auto", "end"]),
    pixels=st.sampled_from([1, 40, 1 << 17]),
    data=st.data(),
)
@settings(deadline=None, max_examples=150)
def test_plans_give_the_same_bytes_with_and_without(  # noqa: PLR0917
    edit, mode, dtype, size, strength, masked, rounding, pixels, data
):
    picture = picture_of(*size, mode, dtype)
    moved = any(one.operation.kind == "geometric" for one in edit.operations)
    how = {"strength": strength, "rounding": rounding}
    how["mask"] = mask_for(picture) if masked and not moved else None
    with without_kernels():
        wanted = render_plan(picture, edit, **how).pixels
    with kernels_of(data.draw(st.sampled_from(levels()))), cut(pixels):
        made = render_plan(picture, edit, **how).pixels
    assert made.dtype == wanted.dtype
    assert np.array_equal(made, wanted)


ROWS = {
    "affine": (step("bright", offset=30), step("contrast", gain=1.2), step("invert")),
    "limited": (step("contrast", gain=1.4), step("bright", offset=-60), step("bright", offset=40)),
    "per channel": (step("summer"), step("contrast", gain=1.2), step("winter")),
    "one curve": (step("gamma", gamma=1.2),),
    "grey": (step("grayscale"),),
    "sepia": (step("sepia"),),
    "matrix, line": (step("sepia"), step("bright", offset=-20)),
    "line, matrix": (step("contrast", gain=1.2), step("sepia")),
    "line, matrix, line": (step("contrast", gain=1.2), step("sepia"), step("bright", offset=-20)),
    "line, matrix, ties": (step("sepia"), step("invert"), step("contrast", gain=0.9)),
    "curve, matrix, curve": (step("gamma", gamma=0.8), step("sepia"), step("gamma", gamma=1.3)),
    "curves, matrix, curves": (step("summer"), step("sepia"), step("winter")),
    "blur": (step("blur", kernel=5),),
    "wide blur": (step("blur", kernel=9),),
    "wider blur": (step("blur", kernel=11),),
    "sharp": (step("sharp"),),
    "filters": (step("blur", kernel=3), step("sharp")),
}


@each_level
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("rounding", ["auto", "end"])
def test_rows_of_the_benchmark(name, dtype, rounding, level):
    edit = EditPlan(operations=ROWS[name])
    pictures = [Picture(noise(dtype, *size)) for size in ((61, 333), (1, 400), (300, 1), (2, 2))]
    for picture in pictures:
        with without_kernels():
            wanted = render_plan(picture, edit, rounding=rounding).pixels
        for pixels in (700, 1 << 17):
            with kernels_of(level), cut(pixels):
                made = render_plan(picture, edit, rounding=rounding)
            assert np.array_equal(made.pixels, wanted)


def test_the_kernels_are_what_runs(monkeypatch):
    """Each of them in one of the rows above at least."""
    if not levels():
        pytest.skip("no compiled kernels here")
    used = set()
    real = library.kernel

    def noted(name):
        found = real(name)
        if found is None:
            return None
        return lambda *arguments: (used.add(name), found(*arguments))[1]

    monkeypatch.setattr(library, "kernel", noted)
    for dtype in ("uint8", "uint16"):
        for edit in ROWS.values():
            for rounding in ("auto", "end"):
                picture = Picture(noise(dtype, 5, 7))
                render_plan(picture, EditPlan(operations=edit), rounding=rounding)
    assert used == set(compiled.state().kernels)


# --- kernel by kernel ---------------------------------------------------------------------------


def both(level, work):
    with without_kernels():
        wanted = work()
    with kernels_of(level):
        made = work()
    assert made.dtype == wanted.dtype
    assert made.shape == wanted.shape
    return made, wanted


@each_level
@pytest.mark.parametrize("matrix", [
    MATRIX, STRONG, [[0.5, 0.25, 0.25]] * 3, [[9.0, 0.0, 0.0]] * 3,
    np.eye(3).tolist(), np.diag([0.9, 1.1, 0.5]).tolist(),
])  # fmt: skip
def test_matrices(matrix, level):
    rgb, deep = noise("uint8", 300, 1111), noise("uint16", 300, 1111)
    for rounding in ("truncate", "round"):
        constants = {"matrix": matrix, "rounding": rounding}
        made, wanted = both(level, lambda c=constants: RECIPES["sepia"](rgb, {}, c))
        assert np.array_equal(made, wanted)
    form = matrices.Matrix(tuple(map(tuple, matrix)), (0.1, -0.2, 0.01))
    for codes, target in ((rgb, CODES8), (rgb, CODES16), (deep, CODES8), (deep, CODES16)):
        kernel = matrices.on_codes(form, codes.dtype, target)
        made, wanted = both(level, lambda k=kernel, c=codes: k(c, None, None))
        assert np.array_equal(made, wanted)


@each_level
@given(
    matrix=st.lists(st.lists(st.floats(-2.2, 2.2), min_size=3, max_size=3), min_size=3, max_size=3),
    step=st.sampled_from([0.0, 1e-3, 1 / 256, 0.25]),
    offset=st.floats(-1.0, 1.0),
    truncate=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_sums_that_are_whole_numbers_or_nearly(level, matrix, step, offset, truncate):
    """Weights of few decimals, of which every few sums lie where a code begins."""
    weights = np.round(np.array(matrix) / step) * step if step else np.array(matrix)
    rgb = np.ascontiguousarray(np.vstack([noise("uint8", 60, 64), GREYS]))
    constants = {"matrix": weights.tolist(), "rounding": "truncate" if truncate else "round"}
    made, wanted = both(level, lambda: RECIPES["sepia"](rgb, {}, constants))
    assert np.array_equal(made, wanted)
    sums = np.column_stack([weights * 256, np.full(3, 127.5 + 65280 * offset)])
    made, wanted = both(level, lambda: weighted_sums.upper_bytes(rgb, sums))
    assert np.array_equal(made, wanted)


@each_level
def test_every_count_of_pixels_and_no_byte_beside(level):
    weights = np.column_stack([np.array(MATRIX) * 256, np.full(3, 127.5)])
    table = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    wide = WideTable(np.arange(256, dtype=np.uint16) * 200)
    words = kernels.through_table(
        np.random.default_rng(2).integers(0, 65536, (65536, 3), np.uint16)
    )
    line = kernels.StraightLine(-1.2, 60000.0, (300, 50000))
    works = {
        "uint8": (
            lambda c, out: RECIPES["sepia"](c, {}, load_profile().of("sepia"), out=out),
            lambda c, out: RECIPES["grayscale"](c, {}, {}, out=out),
            lambda c, out: weighted_sums.upper_bytes(c, weights, out),
            ByteTable(table),
            ByteTable(table[:, :1].repeat(3, axis=1)),
            lambda c, _: weighted_sums.in_16_bits(c, weights),
            lambda c, _: wide(c),
        ),
        "uint16": (lambda c, out: words(c, None, out), lambda c, out: line(c, None, out)),
    }
    for dtype, chosen in works.items():
        for count in COUNTS:
            codes = noise(dtype, 1, count)
            for work in chosen:
                around = np.full((1, count + 2, 3), 77, dtype)
                made, wanted = both(level, lambda w=work, c=codes, a=around: w(c, a[:, 1:-1]))
                assert np.array_equal(made, wanted)
                assert (around[:, [0, -1]] == 77).all()


@each_level
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pixels_that_do_not_follow_each_other(dtype, level):
    """Parts of larger arrays, read-only ones, reversed channels."""
    whole = noise(dtype, 40, 90)
    whole.flags.writeable = False
    for part in (whole[3:, 5:70], whole[::2, ::3], whole[:, :, ::-1]):
        for name in ("blur", "sharp", *(("sepia", "grayscale") if dtype == "uint8" else ())):
            parameters = {"kernel": 5} if name == "blur" else {}
            constants = load_profile().of(name)
            work = lambda n=name, p=part, q=parameters, c=constants: RECIPES[n](p, q, c)  # noqa: E731
            made, wanted = both(level, work)
            assert np.array_equal(made, wanted)


@each_level
@pytest.mark.parametrize(("centre", "around"), [(9.5, -1.0), (5.0, -0.5), (1.0, 0.0), (2.3, -0.1),
                                                (9.03125, -1.0), (3000.0, -10.0)])  # fmt: skip
def test_sharpening_with_other_weights(centre, around, level):
    constants = {"centre": centre, "around": around}
    for dtype in ("uint8", "uint16"):
        codes = noise(dtype, 50, 71)
        codes[:20] = np.iinfo(dtype).max  # flat areas, and edges to them
        made, wanted = both(level, lambda c=codes: sharp(c, {}, constants))
        assert np.array_equal(made, wanted)


@each_level
@given(gain=st.floats(-3, 3), offset=st.floats(-1.5, 1.5))
@settings(deadline=None, max_examples=40)
def test_lines_to_bytes(level, gain, offset):
    """By arithmetic only where that gives every code of the table."""
    every = np.arange(65536, dtype=np.uint16).reshape(1, -1, 1).repeat(3, axis=2)
    curve = Curves.same(lambda v: v * gain + offset)
    made, wanted = both(
        level, lambda: kernels.through_curves([curve], CODES16, CODES8)(every, None, None)
    )
    assert np.array_equal(made, wanted)


def every_colour():
    """All 2^24 of them, 2^20 at a time."""
    for red in range(0, 256, 16):
        rgb = np.indices((16, 256, 256), np.uint8).reshape(3, 1, -1)
        rgb[0] += np.uint8(red)
        yield np.ascontiguousarray(np.moveaxis(rgb, 0, -1))


@pytest.mark.slow
@each_level
def test_every_colour(level):
    constants = load_profile().of("sepia")
    for rgb in every_colour():
        for work in (
            lambda c: RECIPES["sepia"](c, {}, constants),
            lambda c: RECIPES["grayscale"](c, {}, {}),
            lambda c: matrices.on_codes(matrices.Matrix(MATRIX), CODES8, CODES8)(c, None, None),
            lambda c: matrices.on_codes(matrices.Matrix(STRONG), CODES8, CODES8)(c, None, None),
            lambda c: matrices.on_codes(matrices.Matrix(STRONG), CODES8, CODES16)(c, None, None),
            lambda c: matrices._grey(c, None, None),
        ):
            made, wanted = both(level, lambda w=work, c=rgb: w(c))
            assert np.array_equal(made, wanted)


# --- the library --------------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has not rendered yet."""
    monkeypatch.delenv(library.VARIABLE, raising=False)
    library.state.cache_clear()
    yield
    library.state.cache_clear()


def test_without_a_library(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(library, "_LIBRARY", tmp_path / "kernels.so")
    found = compiled.state()
    assert not found.kernels
    assert "for want of a C compiler" in found.reason
    library.state.cache_clear()
    (tmp_path / "kernels.so").write_bytes(b"no library")
    assert "does not load" in compiled.state().reason
    picture = Picture(noise("uint8", 9, 8))
    assert render_plan(picture, EditPlan(operations=(step("sepia"),))).pixels.any()


@needs_kernels
def test_a_library_of_other_sources_is_left_alone(fresh, monkeypatch, tmp_path):
    for path in library._SOURCES.glob("*.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "tables.c").write_text("/* changed */")
    monkeypatch.setattr(library, "_SOURCES", tmp_path)
    assert "scripts/environment.py" in compiled.state().reason
    assert not compiled.there("toned_8")


@needs_kernels
def test_kernels_that_differ_from_opencv_are_left_out(fresh, monkeypatch):
    transform = cv2.transform

    def in_another_way(codes, weights, **how):
        return transform(codes, weights * (1 + 1e-6), **how)

    monkeypatch.setattr(cv2, "transform", in_another_way)
    found = compiled.state()
    assert set(found.differing) >= {"sums_8_to_16", "line_16"}
    assert "table_16" not in found.differing
    assert not found.kernels.keys() & set(found.differing)
    assert "tables_16" in found.kernels


@needs_kernels
def test_all_kernels_that_compute_are_compared():
    tables = {name for name in library._ARGUMENTS if name.startswith("table")}
    proved = {"line_16_to_8"}  # against each table that it stands in for
    assert set(library._ARGUMENTS) - tables - proved == set(agreement._CHECKS)


def test_a_switch_turns_them_off():
    code = (
        "from imgedit_plugins import compiled; found = compiled.state();"
        "print(len(found.kernels), found.reason)"
    )
    env = {**os.environ, library.VARIABLE: "off"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 IMGEDIT_KERNELS is off"
