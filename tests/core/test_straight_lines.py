"""16-bit codes that are scaled, shifted and limited: by arithmetic, as exactly as by a table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strip_sizes import cut, in_one

from imgedit_plugins.operations.forms import Curves
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import kernels, render_plan

CODES16 = np.dtype(np.uint16)
EVERY_CODE = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)

STEPS = st.one_of(
    st.integers(-255, 255).map(lambda offset: step("bright", offset=float(offset))),
    st.floats(0.1, 3.0).map(lambda gain: step("contrast", gain=gain)),
    st.just(step("invert")),
)


def exact(steps):
    """The steps in double precision on every code, in codes."""
    values = EVERY_CODE / 65535.0
    for one in steps:
        match one.name:
            case "bright":
                values = values + one.parameters["offset"] / 255.0
            case "contrast":
                values = values * one.parameters["gain"]
            case "invert":
                values = 1.0 - values
        values = np.clip(values, 0.0, 1.0)
    return values * 65535.0


@given(st.lists(STEPS, min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_every_code_is_rounded_right(steps):
    edited = render_plan(Picture(EVERY_CODE), EditPlan(operations=tuple(steps))).pixels
    assert np.abs(edited - exact(steps)).max() <= 0.52


@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(1, 70), st.integers(1, 70),
       st.integers(0, 60000))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_a_code_becomes_the_same_wherever_it_stands(steps, width, height, first):
    edit = EditPlan(operations=tuple(steps))
    everywhere = render_plan(Picture(EVERY_CODE), edit).pixels[:, :, 0].ravel()
    codes = ((first + np.arange(width * height)) % 65536).astype(np.uint16)
    picture = Picture(codes.reshape(height, width, 1).repeat(3, axis=2))
    wanted = everywhere[codes].reshape(height, width)
    assert np.array_equal(in_one(picture, edit).pixels[:, :, 1], wanted)
    with cut(1):
        assert np.array_equal(render_plan(picture, edit).pixels[:, :, 1], wanted)


@pytest.mark.parametrize(
    ("curve", "limits"),
    [
        (lambda v: v * 1.2, None),
        (lambda v: v * 0.5, None),
        (lambda v: 1.0 - v, None),
        (lambda v: v + 0.25, None),
        (lambda v: np.clip(v * 2.0, 0.0, 0.75), (0, 49151)),
        (lambda v: np.maximum(v, 0.25), (16384, 65535)),
    ],
)
def test_lines_are_found(curve, limits):
    kernel = kernels.through_curves([Curves.same(curve)], CODES16, CODES16)
    assert isinstance(kernel, kernels.StraightLine)
    assert kernel.limits == limits


@pytest.mark.parametrize(
    "curve",
    [
        lambda v: v**1.2,
        lambda v: np.where(v < 0.5, v, 0.5 + (v - 0.5) * 0.9),
        lambda v: v + 0.0001 * np.sin(60 * v),
        np.round,
        np.zeros_like,
    ],
)
def test_what_is_no_line_goes_through_a_table(curve):
    kernel = kernels.through_curves([Curves.same(curve)], CODES16, CODES16)
    assert not isinstance(kernel, kernels.StraightLine)
    made = kernel(EVERY_CODE, kernels.Region(0, 256, 256, 256), None)
    wanted = np.rint(np.clip(curve(EVERY_CODE / 65535.0), 0.0, 1.0) * 65535.0)
    assert np.array_equal(made, wanted)
