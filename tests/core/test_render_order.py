"""Pixels with blue first, as editors have them: the same edit in the other order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plan_strategies import OPERATIONS, example_of

from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.errors import PictureError
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

SWAP = [2, 1, 0, 3]
LONG = EditPlan(
    operations=(
        step("temperature", shift=30),
        step("rotate", degrees=90),
        step("gaussian", kernel=5),
        step("hdr"),
        step("tint", shift=-20),
    )
)


def swapped(pixels):
    return np.ascontiguousarray(pixels[:, :, SWAP[: pixels.shape[2]]])


def check(picture, plan, **how):
    expected = render_plan(picture, plan, **how).pixels
    made = render_plan(picture.with_pixels(swapped(picture.pixels)), plan, order="bgr", **how)
    assert made.pixels.dtype == expected.dtype
    np.testing.assert_array_equal(swapped(made.pixels), expected)
    return expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("plan", [LONG, LONG.model_copy(update={"operations": LONG.operations[:1]}),
                                  LONG.model_copy(update={"operations": LONG.operations[:2]})],
                         ids=["all kinds", "colours", "moved last"])  # fmt: skip
def test_the_edit_is_the_same(mode, dtype, plan):
    check(photograph(90, 70, mode=mode, dtype=dtype), plan)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_operation(name, mode):
    check(photograph(60, 40, mode=mode), EditPlan(operations=(example_of(OPERATIONS[name]),)))


def test_mask_strength_and_memory_of_ones_own():
    picture = photograph(90, 70, mode="RGBA")
    plan = EditPlan(operations=(step("sepia"), step("sharp")))
    expected = check(picture, plan, mask=mask_for(picture), strength=0.6)
    out = np.empty_like(picture.pixels)
    blue_first = picture.with_pixels(swapped(picture.pixels))
    made = render_plan(blue_first, plan, mask=mask_for(picture), strength=0.6, order="bgr", out=out)
    assert made.pixels is out
    np.testing.assert_array_equal(swapped(out), expected)


@pytest.mark.parametrize("kind", ["grey", "profiled"])
def test_other_pictures_have_no_other_order(kind):
    picture = photograph(9, 7, mode="L" if kind == "grey" else "RGB")
    picture = dataclasses.replace(picture, icc_profile=b"p" if kind == "profiled" else None)
    plan = EditPlan(operations=(step("invert"),))
    with pytest.raises(PictureError, match="Blue can come first only"):
        render_plan(picture, plan, order="bgr")
